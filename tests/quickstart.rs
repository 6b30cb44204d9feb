//! The quickstart's promise: the same hits on every backend, and a rerank that is worth it.

#![cfg(all(feature = "gpu", feature = "collection"))]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use maxfold::gpu::GpuOptions;
use serde_json::Value;

fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join(format!("quickstart{}", std::env::consts::EXE_SUFFIX))
}

fn quickstart(backend: &str) -> Value {
    run(&binary(), &["--backend", backend])
}

fn run(binary: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary).arg("--json").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The ids of the hits of every question.
fn hits(outcome: &Value) -> Vec<Vec<Value>> {
    let questions = outcome["questions"].as_array().unwrap();
    assert!(questions.len() >= 40);
    let list = |question: &Value| -> Vec<_> {
        let hits = question["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 10);
        hits.iter().map(|hit| hit["id"].clone()).collect()
    };
    questions.iter().map(list).collect()
}

#[test]
fn reranking_is_worth_it() {
    let outcome = quickstart("cpu");
    assert_eq!(outcome["backend"], "cpu");
    assert!(outcome["sections"].as_u64().unwrap() >= 150);
    for metric in ["nDCG@10 (linear)", "MRR@10"] {
        let metric = &outcome["metrics"][metric];
        let (recall, rerank) = (metric["recall"].as_f64(), metric["rerank"].as_f64());
        assert!(rerank.unwrap() > recall.unwrap(), "{metric}");
    }
}

#[test]
fn every_backend_has_the_same_hits_in_the_same_order() {
    if support::gpu_context(GpuOptions::default()).is_none() {
        return;
    }
    let (cpu, gpu) = (quickstart("cpu"), quickstart("gpu"));
    assert_eq!((&cpu["backend"], &gpu["backend"]), (&"cpu".into(), &"gpu".into()));
    assert_eq!(hits(&cpu), hits(&gpu));
    assert_eq!(cpu["metrics"], gpu["metrics"]);
}

/// The collection is made beside the program, opened on the next run, and made again if need be.
#[test]
fn the_collection_may_be_new_old_gone_or_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("quickstart");
    fs::copy(binary(), &program).unwrap();
    let cpu = ["--backend", "cpu"];
    let expected = hits(&run(&program, &cpu));
    let made = || {
        let mut entries = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path());
        entries.find(|path| path.is_dir()).unwrap()
    };
    let whole = fs::read(made().join("data.mdb")).unwrap();
    assert_eq!(hits(&run(&program, &cpu)), expected);
    assert_eq!(fs::read(made().join("data.mdb")).unwrap(), whole);

    fs::write(made().join("data.mdb"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(hits(&run(&program, &cpu)), expected);
    fs::write(made().join("data.mdb"), "").unwrap();
    assert_eq!(hits(&run(&program, &cpu)), expected);
    fs::remove_dir_all(made()).unwrap();
    assert_eq!(hits(&run(&program, &cpu)), expected);

    // One of one's own.
    let own = folder.path().join("own");
    let own = ["--backend", "cpu", "--collection", own.to_str().unwrap()];
    assert_eq!(hits(&run(&program, &own)), expected);
    assert_eq!(hits(&run(&program, &own)), expected);
}
