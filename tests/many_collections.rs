//! Many collections open in one process, and what is said where a limit of the process is met.
#![cfg(all(feature = "collection", unix))]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use maxfold::search::{Searcher, SearcherOptions};
use maxfold::{
    Backend, Collection, CollectionConfig, Distance, Error, Point, QueryRequest, Reranker,
    VectorConfig,
};

const COUNT: &str = "MAXFOLD_TEST_COLLECTIONS";

/// Runs the test below in a process with other limits.
fn with_limits(limits: &str, count: usize) -> Output {
    let script = format!("{limits} && exec \"$0\" --ignored --exact in_this_process --nocapture");
    let test = std::env::current_exe().unwrap();
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(test)
        .env(COUNT, count.to_string())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// How many searchers the process opened.
fn opened(output: &Output) -> usize {
    let text = text(output);
    let line = text.lines().find_map(|line| line.split_once(" searchers, ")).expect(&text);
    line.0.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_thousand_collections_are_open_at_once() {
    // Debian's soft limit, and a hard one below its own.
    let output = with_limits("ulimit -S -n 1024 && ulimit -H -n 6000", 1000);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(opened(&output), 1000);
    // The test, what the test harness has, and the few that all searchers share.
    let threads = text(&output);
    let threads = threads.lines().find_map(|line| line.split_once("threads: ")).unwrap().1;
    assert!(threads.parse::<usize>().unwrap() < 32, "{threads} threads");
}

#[test]
fn too_few_file_descriptors_are_named() {
    let output = with_limits("ulimit -n 64", 20);
    let text = text(&output);
    assert!(!output.status.success() && opened(&output) >= 8, "{text}");
    let told = "as many open files as it may, 64 (the hard limit RLIMIT_NOFILE)";
    assert!(text.contains(told) && text.contains("LimitNOFILE"), "{text}");
}

#[test]
fn little_address_space_is_shared() {
    // 16 GiB in KiB: a quarter of what one collection gets otherwise.
    let output = with_limits("ulimit -S -v 16777216", 20);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(opened(&output), 20);
}

#[test]
#[ignore = "the other tests run it, with limits of their own"]
fn in_this_process() {
    let count = std::env::var(COUNT).map_or(20, |count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut searchers = Vec::new();
    for number in 0..count {
        let path = directory.path().join(number.to_string());
        let searcher = open(&path);
        searchers.extend(searcher.map_err(|error| println!("{number} searchers, then {error}")));
        assert_eq!(searchers.len(), number + 1);
    }
    println!("{count} searchers, and no error");
    for searcher in &searchers {
        let found = searcher.query(&QueryRequest::new(vec![0.0, 1.0]).using("dense")).unwrap();
        assert_eq!(found.points[0].id, 7.into());
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
        println!("threads: {}", threads.trim());
    } else {
        println!("threads: 0");
    }
}

fn open(path: &Path) -> Result<Searcher, Error> {
    let config = CollectionConfig::new().vector("dense", VectorConfig::dense(2, Distance::Dot));
    let collection = Collection::create(path, config)?;
    let searcher = Searcher::with_options(
        collection,
        SearcherOptions::new().reranker(Reranker::new(Backend::Cpu)?),
    )?;
    searcher.collection().upsert(vec![Point::new(7).vector("dense", vec![0.5, 0.5])])?;
    Ok(searcher)
}
