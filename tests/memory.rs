//! A collection larger than memory: ingested, opened and searched by a process that may use less than
//! a fifth of its size.
//!
//! Run by hand, as root, on Linux with control groups of version 1 or 2; CONTRIBUTING.md says how.
#![cfg(all(feature = "collection", target_os = "linux"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
use maxfold::recall::Distance;
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Prefetch, QueryRequest, Searcher, SearcherOptions};
use rand::prelude::*;
use serde_json::json;

const DIM: usize = 128;
const DENSE: usize = 64;
const TOKENS: usize = 120;
const BATCH: u64 = 250;

/// What the process may use: its own memory, and the pages of files that it has read or written.
const LIMIT: u64 = 512 << 20;

fn points() -> u64 {
    let gigabytes: f64 = std::env::var("MAXFOLD_GIGABYTES").map_or(3.0, |it| it.parse().unwrap());
    (gigabytes * 1e9) as u64 / (TOKENS * DIM * 2) as u64
}

fn random(rng: &mut StdRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn point(id: u64) -> Point {
    let mut rng = StdRng::seed_from_u64(id);
    let dense = random(&mut rng, DENSE);
    let tokens = Vector::Multi { values: random(&mut rng, TOKENS * DIM), dim: DIM };
    let payload = json!({"n": id}).as_object().unwrap().clone();
    Point::new(id).vector("dense", dense).vector("tokens", tokens).payload(payload)
}

/// A line of /proc/self/status, in MB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix(name)).unwrap();
    line.trim_matches(|it: char| !it.is_ascii_digit()).parse::<u64>().unwrap() / 1024
}

fn report(what: &str, start: Instant) {
    println!(
        "{what}: {:.1} s; resident {} MB at the most, now {} MB, of which {} MB are pages of files",
        start.elapsed().as_secs_f64(),
        status("VmHWM:"),
        status("VmRSS:"),
        status("RssFile:")
    );
}

fn searcher(path: &Path) -> Searcher {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(Collection::open(path).unwrap(), options).unwrap()
}

/// Has the system forget a file. Pages that another group has read count as the other's.
fn forget(file: &Path) {
    if file.exists() {
        fs::File::open(file).unwrap().sync_all().unwrap();
        let mut command = Command::new("dd");
        command.arg(format!("if={}", file.display())).args(["iflag=nocache", "count=0"]);
        assert!(command.output().unwrap().status.success());
    }
}

/// Runs a part of this test in a control group with little memory.
fn limited(part: &str, path: &Path) {
    forget(&path.join("data.mdb"));
    let version_1 = Path::new("/sys/fs/cgroup/memory");
    let (root, file) = match version_1.exists() {
        true => (version_1, "memory.limit_in_bytes"),
        false => (Path::new("/sys/fs/cgroup"), "memory.max"),
    };
    let group = root.join(format!("maxfold-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    fs::write(group.join(file), LIMIT.to_string()).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&group);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", part]).env("MAXFOLD_CHILD", path);
    let status = command.status();
    fs::remove_dir(&group).unwrap();
    assert!(status.unwrap().success(), "{part}");
}

fn child() -> Option<PathBuf> {
    std::env::var("MAXFOLD_CHILD").ok().map(PathBuf::from)
}

#[test]
#[ignore = "writes 4 GB, and needs a control group"]
fn a_collection_may_be_larger_than_memory() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    limited("ingests", directory.path());
    let size = fs::metadata(directory.path().join("data.mdb")).unwrap().len();
    println!("{} points, {} MB, with {} MB of memory", points(), size >> 20, LIMIT >> 20);
    assert!(size > 2 * LIMIT);
    limited("opens", directory.path());
    limited("searches", directory.path());
}

#[test]
#[ignore = "run by a_collection_may_be_larger_than_memory"]
fn ingests() {
    let Some(path) = child() else { return };
    let start = Instant::now();
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(DENSE, Distance::Cosine))
        .vector("tokens", VectorConfig::multi(DIM, Distance::Cosine));
    let collection = Collection::create(&path, config).unwrap();
    for first in (0..points()).step_by(BATCH as usize) {
        let ids = first..points().min(first + BATCH);
        collection.upsert(ids.map(point).collect()).unwrap();
    }
    report("ingest", start);
    drop(collection);
    let start = Instant::now();
    searcher(&path).close().unwrap();
    report("graph built and saved", start);
}

#[test]
#[ignore = "run by a_collection_may_be_larger_than_memory"]
fn opens() {
    let Some(path) = child() else { return };
    let start = Instant::now();
    let collection = Collection::open(&path).unwrap();
    report("open of the collection", start);
    assert_eq!(collection.snapshot().unwrap().len() as u64, points());
    drop(collection);
    let start = Instant::now();
    let searcher = searcher(&path);
    report("open with its graph", start);
    drop(searcher);
}

#[test]
#[ignore = "run by a_collection_may_be_larger_than_memory"]
fn searches() {
    let Some(path) = child() else { return };
    let searcher = searcher(&path);
    let start = Instant::now();
    let mut rng = StdRng::seed_from_u64(1);
    // Each finds the point that it is made of.
    for _ in 0..20 {
        let id = rng.random_range(0..points());
        let wanted = point(id);
        let prefetch = Prefetch::new(wanted.vectors["dense"].clone()).using("dense").limit(500);
        let request = QueryRequest::new(wanted.vectors["tokens"].clone()).using("tokens");
        let response = searcher.query(&request.prefetch(prefetch)).unwrap();
        assert_eq!(response.points[0].id, id.into(), "{}", response.plan);
    }
    report("20 searches, 500 candidates each", start);
    let start = Instant::now();
    let tokens = Vector::Multi { values: random(&mut StdRng::seed_from_u64(1), 8 * DIM), dim: DIM };
    let all = searcher.query(&QueryRequest::new(tokens).using("tokens")).unwrap();
    assert_eq!((all.points.len(), all.plan.query.allowed), (10, points()));
    report("MaxSim with every point", start);
}
