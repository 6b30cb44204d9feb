//! Vectors added and dropped, and parameters changed, while a collection is in use.
#![cfg(feature = "collection")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use maxfold::collection::{
    Collection, CollectionConfig, ConfigChange, Datatype, Modifier, Point, PointVectors,
    SparseConfig, Vector, VectorConfig, VectorKind,
};
use maxfold::recall::{HnswParams, Strategy};
use maxfold::search::{Method, QueryRequest, Searcher};
use maxfold::{Distance, Error, ErrorKind, PointId};
use serde_json::json;

fn dense(id: u64, dim: usize) -> Vec<f32> {
    (0..dim as u64).map(|at| ((id * 7 + at * 13) % 29) as f32 - 14.0).collect()
}

fn tokens(id: u64) -> Vector {
    Vector::Multi { values: [dense(id, 4), dense(id + 100, 4)].concat(), dim: 4 }
}

fn sparse(id: u64) -> Vector {
    Vector::Sparse { indices: vec![(id % 5) as u32, 7], values: vec![1.0, 0.5 + id as f32] }
}

fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("b", VectorConfig::dense(3, Distance::Dot))
        .vector("t", VectorConfig::multi(4, Distance::Dot))
        .sparse_vector("w", SparseConfig::default())
}

fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
    let point = |id| {
        let point = Point::new(id).vector("b", dense(id, 3)).vector("t", tokens(id));
        point.vector("w", sparse(id))
    };
    ids.map(point).collect()
}

/// Gives each point a vector `name`.
fn give(collection: &Collection, name: &str, ids: std::ops::Range<u64>, vector: fn(u64) -> Vector) {
    let with =
        |id: u64| PointVectors { id: id.into(), vectors: [(name.to_owned(), vector(id))].into() };
    collection.update_vectors(ids.map(with).collect()).unwrap();
}

#[test]
fn vectors_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    collection.upsert(points(0..50)).unwrap();
    let before = collection.snapshot().unwrap();

    // First in the order of names: the others keep their slots.
    collection.create_vector("a", VectorConfig::dense(5, Distance::Euclid)).unwrap();
    give(&collection, "a", 0..20, |id| dense(id + 1, 5).into());
    assert!(matches!(
        collection.create_vector("a", VectorConfig::dense(5, Distance::Euclid)),
        Err(Error::VectorExists { name }) if name == "a"
    ));
    let error = collection.create_vector("z", VectorConfig::dense(0, Distance::Dot)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let check = |collection: &Collection| {
        let snapshot = collection.snapshot().unwrap();
        for id in 0..50_u64 {
            let point = snapshot.get(id.into()).unwrap().unwrap();
            let mut expected = points(id..id + 1).remove(0);
            if id < 20 {
                expected = expected.vector("a", dense(id + 1, 5));
            }
            assert_eq!(point, expected);
        }
    };
    check(&collection);

    // Everything of one goes, and its slot is another's, of another kind.
    assert!(collection.delete_vector("t").unwrap());
    assert!(!collection.delete_vector("t").unwrap());
    assert_eq!(collection.statistics().unwrap().bytes["rows"], 0);
    let error = collection.snapshot().unwrap().having("t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let half = VectorConfig::multi(4, Distance::Cosine).datatype(Datatype::Float16);
    collection.create_vector("again", half).unwrap();
    assert!(collection.snapshot().unwrap().having("again").unwrap().is_empty());
    give(&collection, "again", 10..12, tokens);
    assert!(collection.delete_vector("w").unwrap());
    collection.create_vector("w", VectorConfig::sparse(SparseConfig::default())).unwrap();
    let all = collection.snapshot().unwrap();
    assert!(all.having("w").unwrap().is_empty());
    let counts = ["a", "again", "b", "w"].map(|name| all.having(name).unwrap().len());
    assert_eq!(counts, [20, 2, 50, 0]);

    // The snapshot from the beginning has what it had.
    assert_eq!(before.config().vectors().map(|it| it.0).collect::<Vec<_>>(), ["b", "t", "w"]);
    assert!(before.having("a").is_err());
    for id in 0..50_u64 {
        assert_eq!(before.get(id.into()).unwrap().unwrap(), points(id..id + 1).remove(0));
    }
    drop((before, all));
    let shown = collection.config();
    drop(collection);
    let collection = Collection::open(directory.path()).unwrap();
    assert_eq!(*collection.config(), *shown);
    let snapshot = collection.snapshot().unwrap();
    assert_eq!(snapshot.get(10.into()).unwrap().unwrap().vectors.len(), 3);
    assert_eq!(
        snapshot.dense("b", snapshot.number(49.into()).unwrap().unwrap()).unwrap(),
        Some(dense(49, 3))
    );
}

/// The last slot, dropped and taken again, has nothing of what it had, also after it was closed.
#[test]
fn a_slot_forgets() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    collection.upsert(points(0..9)).unwrap();
    for name in ["w", "t", "b"] {
        assert!(collection.delete_vector(name).unwrap());
    }
    assert_eq!(serde_json::to_value(&*collection.config()).unwrap(), json!({"vectors": {}}));
    drop(collection);
    let collection = Collection::open(directory.path()).unwrap();
    assert_eq!(collection.snapshot().unwrap().get(3.into()).unwrap(), Some(Point::new(3)));
    for name in ["x", "y", "z"] {
        collection.create_vector(name, VectorConfig::dense(2, Distance::Dot)).unwrap();
    }
    drop(collection);
    let collection = Collection::open(directory.path()).unwrap();
    let snapshot = collection.snapshot().unwrap();
    assert!(["x", "y", "z"].iter().all(|name| snapshot.having(name).unwrap().is_empty()));
}

fn nearest(searcher: &Searcher, request: &QueryRequest) -> (Vec<PointId>, Method) {
    let response = searcher.query(request).unwrap();
    (response.points.iter().map(|it| it.id).collect(), response.plan.query.method)
}

#[test]
fn searches_follow_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    collection.upsert(points(0..50)).unwrap();
    let searcher = Searcher::new(collection).unwrap();
    searcher.flush().unwrap();
    let collection = searcher.collection();
    let request = |using: &str, vector: Vec<f32>| QueryRequest::new(vector).using(using).limit(3);
    let exact: Vec<PointId> = nearest(&searcher, &request("b", dense(3, 3))).0;

    // A new name is searched at once.
    collection.create_vector("a", VectorConfig::dense(5, Distance::Euclid)).unwrap();
    give(collection, "a", 0..50, |id| dense(id, 5).into());
    assert_eq!(nearest(&searcher, &request("a", dense(3, 5))).0[0], 3.into());
    searcher.flush().unwrap();
    assert_eq!(searcher.statistics().unwrap().graphs["a"], 50);
    assert_eq!(nearest(&searcher, &request("a", dense(3, 5))).0[0], 3.into());

    // The name of another size: a graph of the former isn't asked.
    assert!(collection.delete_vector("b").unwrap());
    assert!(searcher.query(&request("b", dense(3, 3))).is_err());
    collection.create_vector("b", VectorConfig::dense(6, Distance::Euclid)).unwrap();
    give(collection, "b", 0..50, |id| dense(id, 6).into());
    assert_eq!(nearest(&searcher, &request("b", dense(9, 6))).0[0], 9.into());
    searcher.flush().unwrap();
    assert_eq!(nearest(&searcher, &request("b", dense(9, 6))).0[0], 9.into());
    assert!(searcher.query(&request("b", dense(3, 3))).is_err());
    collection.delete_vector("b").unwrap();
    collection.create_vector("b", VectorConfig::dense(3, Distance::Dot)).unwrap();
    give(collection, "b", 0..50, |id| dense(id, 3).into());
    assert_eq!(nearest(&searcher, &request("b", dense(3, 3))).0, exact);

    // Other parameters of a graph.
    let change = ConfigChange::new().hnsw("b", Some(HnswParams::new().m(4)));
    collection.update_config(&change).unwrap();
    assert_eq!(nearest(&searcher, &request("b", dense(3, 3))).0, exact);
    searcher.flush().unwrap();
    assert_eq!(nearest(&searcher, &request("b", dense(3, 3))).0, exact);
    assert_eq!(searcher.statistics().unwrap().graphs["b"], 50);
    collection.update_config(&ConfigChange::new().hnsw("b", None)).unwrap();
    searcher.flush().unwrap();
    assert!(!searcher.statistics().unwrap().graphs.contains_key("b"));
    let (found, method) = nearest(&searcher, &request("b", dense(3, 3)));
    assert_eq!(found, exact);
    assert!(matches!(method, Method::Dense { strategy: Strategy::Scan { .. }, .. }), "{method}");

    // Multivectors, wherever they are compared.
    let all = || QueryRequest::new(tokens(4)).using("t").limit(50);
    let expected = searcher.query(&all()).unwrap().points;
    collection.create_vector("s", VectorConfig::multi(4, Distance::Dot)).unwrap();
    give(collection, "s", 0..50, tokens);
    for _ in 0..2 {
        let got = searcher.query(&all().using("s")).unwrap().points;
        let scores = |points: &[maxfold::search::ScoredPoint]| {
            points.iter().map(|it| (it.id, it.score)).collect::<Vec<_>>()
        };
        assert_eq!(scores(&got), scores(&expected));
        searcher.flush().unwrap();
    }
    searcher.close().unwrap();
    let searcher = Searcher::new(Collection::open(directory.path()).unwrap()).unwrap();
    assert_eq!(nearest(&searcher, &request("b", dense(3, 3))).0, exact);
}

#[test]
fn a_modifier_changes_scores() {
    let collection = Collection::temporary(config()).unwrap();
    collection.upsert(points(0..50)).unwrap();
    let searcher = Searcher::new(collection).unwrap();
    let query = Vector::Sparse { indices: vec![3], values: vec![1.0] };
    let score =
        || searcher.query(&QueryRequest::new(query.clone()).using("w")).unwrap().points[0].score;
    assert_eq!(score(), 1.0);
    searcher.collection().update_config(&ConfigChange::new().modifier("w", Modifier::Idf)).unwrap();
    // 10 of 50 points have index 3.
    let idf = ((50.0 - 10.0 + 0.5) / (10.0 + 0.5) + 1.0_f64).ln();
    assert!((f64::from(score()) - idf).abs() < 1e-6);
    searcher
        .collection()
        .update_config(&ConfigChange::new().modifier("w", Modifier::None))
        .unwrap();
    assert_eq!(score(), 1.0);
}

#[test]
fn changes_in_json() {
    let given = json!({
        "vectors": {"size": 4, "distance": "Dot"}, "sparse_vectors": {"w": {"index": {"on_disk": true}}},
        "hnsw_config": {"m": 8}, "metadata": {"a": 1, "b": {"c": 2}}, "replication_factor": 1,
        "quantization_config": {"scalar": {"type": "int8"}},
    });
    let collection = Collection::temporary(given.to_string().parse().unwrap()).unwrap();
    let change = |json: serde_json::Value| {
        collection.update_config(&json.to_string().parse().unwrap()).unwrap();
        serde_json::to_value(&*collection.config()).unwrap()
    };
    assert_eq!(change(json!({})), given);
    let changed = change(json!({
        "vectors": {"": {"hnsw_config": {"ef_construct": 50}, "on_disk": true}},
        "sparse_vectors": {"w": {"modifier": "idf"}}, "optimizer_config": {"indexing_threshold": 5},
        "params": {"replication_factor": 2, "on_disk_payload": true}, "metadata": {"a": null, "b": 3, "d": []},
        "quantization_config": "Disabled", "strict_mode_config": {"enabled": false},
    }));
    assert_eq!(
        changed,
        json!({
            "vectors": {"size": 4, "distance": "Dot", "hnsw_config": {"ef_construct": 50}, "on_disk": true},
            "sparse_vectors": {"w": {"index": {"on_disk": true}, "modifier": "idf"}},
            "hnsw_config": {"m": 8}, "metadata": {"b": 3, "d": []}, "replication_factor": 2,
            "on_disk_payload": true, "optimizers_config": {"indexing_threshold": 5},
            "strict_mode_config": {"enabled": false},
        })
    );
    let kind = collection.config().get("").unwrap().kind;
    assert_eq!(kind, VectorKind::Dense(Some(HnswParams::new().m(8).ef_construct(50))));
    // For all vectors that don't say otherwise.
    change(json!({"hnsw_config": {"m": 6}}));
    let kind = collection.config().get("").unwrap().kind;
    assert_eq!(kind, VectorKind::Dense(Some(HnswParams::new().m(6).ef_construct(50))));
    let refused = [
        (json!({"vectors": {"x": {}}}), ErrorKind::NotFound),
        (json!({"vectors": {"w": {}}}), ErrorKind::InvalidInput),
        (json!({"sparse_vectors": {"": {}}}), ErrorKind::InvalidInput),
        (json!({"hnsw_config": {"m": 1}}), ErrorKind::InvalidInput),
        (json!({"strict_mode_config": {"enabled": true}}), ErrorKind::InvalidInput),
    ];
    let before = collection.config();
    for (json, kind) in refused {
        let error = collection.update_config(&json.to_string().parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), kind, "{json}: {error}");
    }
    assert_eq!(*collection.config(), *before);
    for json in [
        json!({"vectors": {"": {"size": 3}}}),
        json!({"vectors": {"": {"hnsw_config": {"m": "a"}}}}),
        json!({"x": 1}),
    ] {
        assert!(json.to_string().parse::<ConfigChange>().is_err(), "{json}");
    }
}

/// Readers have one configuration or the other, and all that belongs to it; writers wait.
#[test]
fn others_go_on_meanwhile() {
    let collection = Collection::temporary(config()).unwrap();
    collection.upsert(points(0..20)).unwrap();
    let searcher = Searcher::new(collection).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let read = || {
            while !stop.load(Ordering::Relaxed) {
                let snapshot = searcher.collection().snapshot().unwrap();
                for id in 0..20_u64 {
                    let point = snapshot.get(id.into()).unwrap().unwrap();
                    for (name, vector) in point.vectors.iter().filter(|(name, _)| *name != "w") {
                        let size = snapshot.config().get(name).unwrap().size;
                        assert!(vector.rows().all(|row| row.len() == size), "{name}");
                    }
                    assert_eq!(point.vectors["b"], dense(id, 3).into());
                }
                let found = searcher.query(&QueryRequest::new(dense(3, 3)).using("b")).unwrap();
                assert_eq!(found.points.len(), 10);
            }
        };
        let write = || {
            while !stop.load(Ordering::Relaxed) {
                searcher.collection().upsert(points(0..20)).unwrap();
            }
        };
        // What comes and goes is given, too: it is refused, or it fits.
        let give = || {
            for round in 0.. {
                let vector = dense(round, 2 + (round % 4) as usize);
                let name = ["a", "c", "x"][(round / 4 % 3) as usize].to_owned();
                let with = PointVectors {
                    id: (round % 20).into(),
                    vectors: [(name, vector.into())].into(),
                };
                let given = searcher.collection().update_vectors(vec![with]);
                assert!(
                    given.as_ref().err().is_none_or(|it| it.kind() != ErrorKind::Internal),
                    "{given:?}"
                );
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        };
        let threads = [scope.spawn(read), scope.spawn(read), scope.spawn(write), scope.spawn(give)];
        for round in 0..30_usize {
            let name = ["a", "c", "x"][round % 3];
            let kind = if round % 2 == 0 { VectorConfig::dense } else { VectorConfig::multi };
            searcher.collection().create_vector(name, kind(2 + round % 4, Distance::Dot)).unwrap();
            searcher.flush().unwrap();
            assert!(searcher.collection().delete_vector(name).unwrap());
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Where the reader in a process of its own finds the collection.
const CHILD: &str = "MAXFOLD_READER";

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The file by which the reader says that it has come so far.
fn sign(directory: &Path, step: &str) -> PathBuf {
    directory.with_file_name(step)
}

#[test]
fn another_process_sees_the_configuration_of_each_moment() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("c");
    let collection = Collection::create(&directory, config()).unwrap();
    collection.upsert(points(0..20)).unwrap();
    let mut reader = Command::new(std::env::current_exe().unwrap());
    reader.args(["--exact", "--ignored", "reads_what_another_process_changes"]);
    let mut reader = reader.env(CHILD, &directory).spawn().unwrap();
    wait_for("a reader", || sign(&directory, "open").exists());
    collection.create_vector("a", VectorConfig::dense(5, Distance::Dot)).unwrap();
    give(&collection, "a", 0..20, |id| dense(id, 5).into());
    wait_for("a look at the new vector", || sign(&directory, "added").exists());
    collection.delete_vector("b").unwrap();
    assert!(reader.wait().unwrap().success());
}

#[test]
#[ignore = "run by another_process_sees_the_configuration_of_each_moment"]
fn reads_what_another_process_changes() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let path = PathBuf::from(path);
    let searcher = Searcher::new(Collection::open_read_only(&path).unwrap()).unwrap();
    let snapshot = || searcher.collection().snapshot().unwrap();
    assert!(snapshot().config().get("a").is_err());
    std::fs::write(sign(&path, "open"), "").unwrap();
    let given = || snapshot().having("a").map(|having| having.len()).unwrap_or(0);
    wait_for("the new vector", || given() == 20);
    assert!(searcher.collection().config().get("a").is_ok());
    let found = searcher.query(&QueryRequest::new(dense(3, 5)).using("a").limit(20)).unwrap();
    assert_eq!(found.points.len(), 20);
    searcher.flush().unwrap();
    assert_eq!(searcher.statistics().unwrap().graphs["a"], 20);
    std::fs::write(sign(&path, "added"), "").unwrap();
    wait_for("the end of a vector", || snapshot().config().get("b").is_err());
    assert!(searcher.query(&QueryRequest::new(dense(3, 3)).using("b")).is_err());
}
