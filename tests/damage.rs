//! Whatever becomes of the files of a closed collection: an error, or a right answer.
//!
//! The judge knows every point from the seed, and computes every score in f64. `MAXFOLD_ROUNDS` says
//! how often damage is done. `tests/collection.rs` has the same for `data.mdb` alone, read record by
//! record.
#![cfg(feature = "collection")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use maxfold::Error;
use maxfold::collection::{Collection, PayloadIndex, Point, Vector, VectorConfig};
use maxfold::filter::{IndexKind, PointId};
use maxfold::recall::{Distance, SearchParams, Strategy};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{
    Method, QueryRequest, QueryResponse, ScoredPoint, Searcher, SearcherOptions, WithVector,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const CONFIG: &str = r#"{"vectors": {
    "dense": {"size": 4, "distance": "Dot", "hnsw_config": {"m": 8, "ef_construct": 32}},
    "other": {"size": 4, "distance": "Dot", "hnsw_config": {"m": 8, "ef_construct": 32}},
    "tokens": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"},
        "quantization_config": {"scalar": {"type": "int8"}}}
}, "sparse_vectors": {"words": {}}}"#;

const POINTS: u64 = 1200;

/// Values that are exact in f16, and whose products and sums are in f32.
fn values(id: u64, salt: u64, count: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(id * 8 + salt);
    (0..count).map(|_| rng.random_range(-64..65) as f32 / 64.0).collect()
}

fn dense(id: u64) -> Vec<f32> {
    values(id, 0, 4)
}

/// One to four rows, and sometimes more than has room on a page. They are not exact in f16, so that those that are
/// kept in f32 count; products with [`values`] and sums of those are exact in f32.
fn tokens(id: u64) -> Vec<f32> {
    let rows = if id.is_multiple_of(50) { 600 } else { 1 + id as usize % 4 };
    let mut rng = StdRng::seed_from_u64(id * 8 + 2);
    (0..rows * 4).map(|_| rng.random_range(-4096..4097) as f32 / 4096.0).collect()
}

/// Indices that few, some and most points have.
fn words(id: u64) -> [u32; 3] {
    [id as u32 % 3, 10 + id as u32 % 40, 100 + id as u32 / 2]
}

fn color(id: u64) -> &'static str {
    ["red", "green", "blue"][id as usize % 3]
}

fn payload(id: u64) -> Value {
    let (text, place) =
        (format!("the {} one, {id}", color(id)), json!({"lon": id % 90, "lat": 0.5}));
    json!({"n": id, "color": color(id), "text": text, "at": place})
}

/// Filters that an index each answers, and how many points match.
fn filters() -> [(Value, u64); 3] {
    let word = json!({"must": {"key": "text", "match": {"text": "GREEN one"}}});
    let center = json!({"lon": 7, "lat": 0.5});
    let near = json!({"must": {"key": "at", "geo_radius": {"center": center, "radius": 1000}}});
    let color = json!({"must": {"key": "color", "match": {"value": "green"}}});
    let at = |degree| (0..POINTS).filter(|id| id % 90 == degree).count() as u64;
    [(color, POINTS / 3), (word, POINTS / 3), (near, at(7))]
}

fn point(id: u64) -> Point {
    Point::new(id)
        .vector("dense", dense(id))
        .vector("other", values(id, 1, 4))
        .vector("tokens", Vector::Multi { values: tokens(id), dim: 4 })
        .vector("words", Vector::Sparse { indices: words(id).to_vec(), values: values(id, 5, 3) })
        .payload(payload(id).as_object().unwrap().clone())
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn max_sim(query: &[f32], id: u64) -> f64 {
    let document = tokens(id);
    let best =
        |row: &[f32]| document.chunks(4).map(|it| dot(row, it)).fold(f64::NEG_INFINITY, f64::max);
    query.chunks(4).map(best).sum()
}

fn searcher(path: &Path) -> maxfold::Result<Searcher> {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu)?);
    Searcher::with_options(Collection::open(path)?, options)
}

/// A collection with all there may be: graphs, multivectors, indexes, and room that is free again.
fn make(path: &Path) {
    let collection = Collection::create(path, CONFIG.parse().unwrap()).unwrap();
    let kinds = [
        ("color", IndexKind::Keyword),
        ("text", IndexKind::Text(Default::default())),
        ("at", IndexKind::Geo),
    ];
    for (key, kind) in kinds {
        collection.create_index(PayloadIndex::new(key, kind).unwrap()).unwrap();
    }
    // Slots that are not in the order of names.
    for name in ["gone", "a"] {
        collection.create_vector(name, VectorConfig::dense(2, Distance::Dot)).unwrap();
    }
    collection.delete_vector("gone").unwrap();
    collection.upsert((0..POINTS + 200).map(point).collect()).unwrap();
    let gone = (POINTS..POINTS + 200).map(PointId::from).collect::<Vec<_>>();
    collection.delete(gone).unwrap();
    drop(collection);
    searcher(path).unwrap().close().unwrap();
}

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every file of a collection, whatever it is called.
fn files(path: &Path) -> Files {
    let files = fs::read_dir(path).unwrap().map(|it| PathBuf::from(it.unwrap().file_name()));
    files.map(|name| (name.clone(), fs::read(path.join(name)).unwrap())).collect()
}

/// The files as they were, but one.
fn restore(path: &Path, files: &Files) {
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    for (name, bytes) in files {
        fs::write(path.join(name), bytes).unwrap();
    }
}

/// What may become of a file; `None` if it is gone.
fn damaged(bytes: &[u8], rng: &mut StdRng) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let length = bytes.len();
    let at = |rng: &mut StdRng| rng.random_range(0..length.max(1));
    match rng.random_range(0..8) {
        _ if length == 0 => bytes = (0..100).map(|_| rng.random()).collect(),
        0 | 1 => bytes[at(rng)] ^= 1 << rng.random_range(0..8),
        // Where a file says what it is.
        2 => bytes[rng.random_range(0..length.min(200))] = rng.random(),
        3 => (0..20).for_each(|_| bytes[rng.random_range(0..length)] = rng.random()),
        4 | 5 => bytes.truncate(at(rng)),
        6 => {
            let (from, to) = (at(rng), at(rng));
            let size = rng.random_range(1..4096).min(length - from.max(to));
            bytes.copy_within(from..from + size, to);
        }
        _ if rng.random_bool(0.3) => return None,
        _ => bytes.extend((0..rng.random_range(1..5000)).map(|_| rng.random::<u8>())),
    }
    Some(bytes)
}

/// Everything that a search can say: an error, or it is true. Whether a graph was walked.
fn ask(path: &Path, rng: &mut StdRng) -> maxfold::Result<bool> {
    let searcher = searcher(path)?;
    let query = values(rng.random(), 3, 4);
    let request = || {
        let request = QueryRequest::new(query.clone()).using("dense").limit(20);
        request.with_vector(WithVector::All).with_payload(maxfold::filter::PayloadSelector::All)
    };
    let params = |exact| SearchParams::new().exact(exact).hnsw_ef(64);
    let walked = searcher.query(&request().params(params(false)))?;
    let exact = searcher.query(&request().params(params(true)))?;
    let green: maxfold::filter::Filter =
        json!({"must": {"key": "color", "match": {"value": "green"}}}).to_string().parse()?;
    let filtered = searcher.query(&request().filter(green.clone()).params(params(true)))?;
    let all = |_: u64| true;
    check_dense(&walked, &query, all, false);
    check_dense(&exact, &query, all, true);
    check_dense(&filtered, &query, |id| color(id) == "green", true);
    for (filter, count) in filters() {
        let selected = searcher.collection().snapshot()?.select(&filter.to_string().parse()?)?;
        assert_eq!(selected.points.len(), count, "{filter}");
    }

    let rows = values(rng.random(), 4, 12);
    let rerank = QueryRequest {
        query: Some(Vector::Multi { values: rows.clone(), dim: 4 }.into()),
        ..request()
    };
    let all = searcher.query(&rerank.using("tokens").limit(POINTS as usize))?;
    assert_eq!(all.points.len() as u64, POINTS);
    all.points.iter().for_each(|point| check_point(point, max_sim(&rows, id(point))));
    let index = words(rng.random_range(0..POINTS))[rng.random_range(0..3)];
    let query = Vector::Sparse { indices: vec![index], values: vec![1.0] };
    let by_word = QueryRequest { query: Some(query.into()), ..request() }
        .using("words")
        .limit(POINTS as usize);
    check_words(&searcher.query(&by_word)?, index);
    let Method::Dense { strategy, .. } = walked.plan.query.method else { panic!() };
    searcher.close()?;
    Ok(matches!(strategy, Strategy::Graph { .. }))
}

fn id(point: &ScoredPoint) -> u64 {
    let PointId::Number(id) = point.id else { panic!("{}", point.id) };
    assert!(id < POINTS, "{id} was deleted");
    id
}

/// The scores are those of the best points, if it was exact; of these points in any case.
fn check_dense(response: &QueryResponse, query: &[f32], wanted: impl Fn(u64) -> bool, exact: bool) {
    assert_eq!(response.points.len(), 20);
    let ids: BTreeSet<_> = response.points.iter().map(id).collect();
    assert!(ids.len() == 20 && ids.iter().all(|id| wanted(*id)), "{ids:?}");
    response.points.iter().for_each(|it| check_point(it, dot(query, &dense(id(it)))));
    let mut best: Vec<f64> =
        (0..POINTS).filter(|id| wanted(*id)).map(|id| dot(query, &dense(id))).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    if exact {
        let got: Vec<f64> = response.points.iter().map(|it| f64::from(it.score)).collect();
        assert_eq!(got, best[..20]);
    } else {
        // A graph that is not what it was may miss some, though not many.
        let found = response.points.iter().filter(|it| f64::from(it.score) >= best[19]).count();
        assert!(found >= 10, "{found} of 20: {}", response.plan);
    }
}

/// All points that have an index are found, with its value.
fn check_words(response: &QueryResponse, index: u32) {
    let at = |id: u64| words(id).iter().position(|it| *it == index);
    let expected = (0..POINTS).filter(|id| at(*id).is_some()).count();
    assert_eq!(response.points.len(), expected);
    for point in &response.points {
        let id = id(point);
        check_point(point, f64::from(values(id, 5, 3)[at(id).unwrap()]));
    }
}

/// The score, the payload and the vectors are those of the point.
fn check_point(got: &ScoredPoint, score: f64) {
    let id = id(got);
    assert_eq!(f64::from(got.score), score, "{id}");
    assert_eq!(Value::Object(got.payload.clone().unwrap()), payload(id));
    assert_eq!(got.vectors.as_ref().unwrap(), &point(id).vectors);
}

/// Panics of any thread, those of a searcher too.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn damage_to_any_file_is_an_error_or_does_no_harm() {
    let rounds = std::env::var("MAXFOLD_ROUNDS").map_or(120, |rounds| rounds.parse().unwrap());
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        print(panic);
    }));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("collection");
    make(&path);
    let (files, mut rng) = (files(&path), StdRng::seed_from_u64(rounds as u64));
    assert!(files.len() >= 4 && ask(&path, &mut rng).unwrap());
    let data = files.iter().position(|(name, _)| name == Path::new("data.mdb")).unwrap();
    let mut outcomes = vec![(0, 0, 0); files.len()];
    for round in 0..rounds {
        restore(&path, &files);
        // Every second time where the points are.
        let at = if round % 2 == 0 { data } else { round / 2 % files.len() };
        let (name, bytes) = &files[at];
        match damaged(bytes, &mut rng) {
            Some(bytes) => fs::write(path.join(name), bytes).unwrap(),
            None => fs::remove_file(path.join(name)).unwrap(),
        }
        let (refused, right, walked) = &mut outcomes[at];
        match ask(&path, &mut rng) {
            Ok(by_graph) => {
                *right += 1;
                *walked += usize::from(by_graph);
                // What was repaired stays so.
                ask(&path, &mut rng).unwrap();
            }
            Err(
                Error::Damaged { .. } | Error::NoCollection { .. } | Error::FormatVersion { .. },
            ) => {
                *refused += 1;
            }
            Err(other) => panic!("{}: {other}", name.display()),
        }
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{}", name.display());
    }
    for ((name, _), (refused, right, walked)) in files.iter().zip(&outcomes) {
        println!("{}: {refused} refused, {right} right, {walked} with a graph", name.display());
        // All but the data is derived, or nothing.
        assert!(name == Path::new("data.mdb") || *refused == 0, "{}", name.display());
    }
}
