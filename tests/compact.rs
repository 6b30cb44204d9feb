//! Space of what was deleted is given back, nothing else changes, and a kill in between does no harm.
#![cfg(feature = "collection")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use maxfold::collection::{Collection, PayloadIndex, Selector, SparseConfig};
use maxfold::filter::{Filter, IndexKind};
use maxfold::{
    Backend, CollectionConfig, Distance, Error, ErrorKind, Point, QueryRequest, Reranker, Searcher,
    Vector, VectorConfig,
};
use rand::prelude::*;
use serde_json::json;

const ALL: u64 = 900;
const KEPT: u64 = 300;

fn point(id: u64) -> Point {
    let values = |count: u64| (0..count).map(|it| ((id * 31 + it) % 61) as f32).collect::<Vec<_>>();
    let payload = json!({"text": format!("the {id}th of them"), "rest": id % 7});
    Point::new(id)
        .vector("dense", values(8))
        .vector("tokens", Vector::Multi { values: values(16 * 40), dim: 16 })
        .vector("words", Vector::Sparse { indices: vec![id as u32 % 5, 7], values: vec![1.0, 0.5] })
        .payload(payload.as_object().unwrap().clone())
}

/// A collection of which two thirds were deleted; closed.
fn make(path: &Path) {
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(8, Distance::Dot))
        .vector("tokens", VectorConfig::multi(16, Distance::Dot))
        .sparse_vector("words", SparseConfig::default());
    let collection = Collection::create(path, config).unwrap();
    collection.create_index(PayloadIndex::new("rest", IndexKind::Integer).unwrap()).unwrap();
    collection.upsert((0..ALL).map(point).collect()).unwrap();
    collection.delete(Selector::Ids((KEPT..ALL).map(Into::into).collect())).unwrap();
    let searcher = searcher(collection);
    searcher.query(&QueryRequest::new(vec![1.0; 8]).using("dense")).unwrap();
    searcher.close().unwrap();
}

fn searcher(collection: Collection) -> Searcher {
    let options = maxfold::search::SearcherOptions::new();
    let options = options.reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

/// All that the collection had, and nothing else.
fn check(path: &Path) {
    let searcher = searcher(Collection::open(path).unwrap());
    let snapshot = searcher.collection().snapshot().unwrap();
    assert_eq!(snapshot.len() as u64, KEPT);
    for id in 0..KEPT {
        assert_eq!(snapshot.get(id.into()).unwrap().unwrap(), point(id));
    }
    let third: Filter = r#"{"must": {"key": "rest", "match": {"value": 3}}}"#.parse().unwrap();
    let expected = (0..KEPT).filter(|id| id % 7 == 3).count() as u64;
    assert_eq!(snapshot.select(&third).unwrap().points.len(), expected);
    let words = Vector::Sparse { indices: vec![2], values: vec![1.0] };
    let request = QueryRequest::new(words).using("words").limit(ALL as usize);
    assert_eq!(searcher.query(&request).unwrap().points.len() as u64, KEPT / 5);
    let names: Vec<_> = fs::read_dir(path).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!names.iter().any(|it| it.to_string_lossy().contains("partial")), "{names:?}");
    drop(snapshot);
    searcher.close().unwrap();
}

fn bytes(path: &Path) -> u64 {
    fs::metadata(path.join("data.mdb")).unwrap().len()
}

#[test]
fn space_is_given_back_and_everything_else_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    make(&path);
    let before = bytes(&path);
    let compaction = Collection::compact(&path).unwrap();
    println!("{before} bytes, then {}", bytes(&path));
    assert_eq!((compaction.before, compaction.after), (before, bytes(&path)));
    assert!(compaction.after * 5 < compaction.before * 2, "{compaction:?}");
    check(&path);
    // Written on, and compacted again.
    let collection = Collection::open(&path).unwrap();
    collection.upsert((KEPT..ALL).map(point).collect()).unwrap();
    collection.delete(Selector::Ids((KEPT..ALL).map(Into::into).collect())).unwrap();
    drop(collection);
    assert!(Collection::compact(&path).unwrap().before > compaction.after);
    check(&path);
}

/// Where a test that runs as a process of its own finds its collection.
const CHILD: &str = "MAXFOLD_CHILD";

/// A test of this program, as a process of its own that has begun.
fn child(test: &str, collection: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", test]).env(CHILD, collection);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line.contains("begun")));
    child
}

fn assert_in_use(path: &Path) {
    let before = fs::read(path.join("data.mdb")).unwrap();
    let error = Collection::compact(path).unwrap_err();
    assert!(matches!(error, Error::CollectionInUse { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(fs::read(path.join("data.mdb")).unwrap() == before);
}

#[test]
fn a_collection_that_is_open_anywhere_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    assert!(matches!(Collection::compact(&path), Err(Error::NoCollection { .. })));
    make(&path);
    let writer = Collection::open(&path).unwrap();
    assert_in_use(&path);
    drop(writer);
    let reader = Collection::open_read_only(&path).unwrap();
    assert_in_use(&path);
    drop(reader);
    let mut reader = child("reads", &path);
    assert_in_use(&path);
    // What is open to be read in another process is written all the same.
    drop(Collection::open(&path).unwrap());
    reader.kill().unwrap();
    reader.wait().unwrap();
    Collection::compact(&path).unwrap();
    check(&path);
}

#[test]
#[ignore = "a_collection_that_is_open_anywhere_is_not_touched runs it"]
fn reads() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let _reader = Collection::open_read_only(path).unwrap();
    println!("begun");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_killed_compaction_leaves_the_collection_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    make(&path);
    let whole = fs::read(path.join("data.mdb")).unwrap();
    let rounds = std::env::var("MAXFOLD_ROUNDS").map_or(12, |rounds| rounds.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(5);
    let (mut halves, mut done) = (0, 0);
    for _ in 0..rounds {
        fs::write(path.join("data.mdb"), &whole).unwrap();
        let mut killed = child("compacts", &path);
        thread::sleep(Duration::from_millis(60).mul_f64(rng.random()));
        killed.kill().unwrap();
        killed.wait().unwrap();
        halves += usize::from(path.join("compacted.partial").exists());
        done += usize::from(bytes(&path) < whole.len() as u64);
        check(&path);
    }
    println!(
        "{halves} of {rounds} killed while a file was being made, {done} after one was in place"
    );
}

#[test]
#[ignore = "a_killed_compaction_leaves_the_collection_whole kills it"]
fn compacts() {
    let Ok(path) = std::env::var(CHILD) else { return };
    println!("begun");
    loop {
        Collection::compact(&path).unwrap();
    }
}
