//! The contract of the `ingest` and `search` examples, as another program sees it.
#![cfg(all(feature = "gpu", feature = "collection", unix))]

#[path = "support/ingested.rs"]
mod ingested;
mod support;

use std::fs;
use std::path::Path;

use ingested::*;
use maxfold::filter::Filter;
use maxfold::maxsim::reference;
use maxfold::multivector::TokenMatrix;
use rand::prelude::*;
use serde_json::{Value, json};
use support::Values;

#[test]
fn what_is_ingested_is_found() {
    let files = Files::new();
    let output = files.ingest("c", &["--batch", "250"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Not a terminal: no progress bar.
    assert!(output.stderr.is_empty());
    assert_eq!(committed(&output.stdout), [250, 500, 600]);
    assert_eq!(files.check("c", POINTS), POINTS);
    assert!(Path::new(&files.path("c/graph-0")).exists());

    // Once more, without --config: the same points, in the place of those that are there.
    let output = files.ingest("c", &[]).output().unwrap();
    assert_eq!(committed(&output.stdout), [600]);
    assert_eq!(files.count("c", &[]), POINTS);
    files.write("filter", r#"{"must": {"key": "color", "match": {"value": "green"}}}"#);
    assert_eq!(files.count("c", &["--filter", &files.path("filter")]), 200);
    files.check_search("c", POINTS);

    let query = Values::Unit.query(&mut StdRng::seed_from_u64(9), 4, TOKENS);
    let rows: Vec<Vec<f32>> =
        query.view().rows().map(|row| row.iter().map(|it| it.to_f32()).collect()).collect();
    let filter: Value = serde_json::to_value(
        fs::read_to_string(files.path("filter")).unwrap().parse::<Filter>().unwrap(),
    )
    .unwrap();
    let request = json!({
        "prefetch": {"query": vec![0.5; DENSE], "using": "dense", "limit": POINTS},
        "query": rows, "using": "tokens", "filter": filter, "limit": 7, "with_payload": true,
    });
    for backend in ["cpu", "gpu"] {
        if backend == "gpu" && support::gpu_context(Default::default()).is_none() {
            continue;
        }
        for store in ["resident", "streamed"] {
            let arguments = ["--backend", backend, "--store", store, "--repeat", "3"];
            let (results, repeats) = files.answer("c", &json!([request, request]), &arguments);
            assert_eq!((results.len(), repeats), (2, 3));
            check_green(&files, &query, &results[1], backend);
        }
    }
}

/// The nearest green points, by the reference.
fn check_green(files: &Files, query: &TokenMatrix, result: &Value, backend: &str) {
    let score =
        |item: usize| reference::score(query.view(), files.vectors.tokens.get(item).unwrap());
    let mut ids: Vec<usize> = (0..POINTS).filter(|it| it % 3 == 1).collect();
    ids.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    ids.truncate(7);
    assert_eq!(found(result), ids);
    assert_eq!(result["backend"], backend);
    assert!(result["plan"]["prefetch"][0]["method"].is_string());
    for (point, id) in result["points"].as_array().unwrap().iter().zip(ids) {
        assert_eq!(point["payload"], payload(id));
        assert!((point["score"].as_f64().unwrap() - score(id)).abs() < 1e-4);
    }
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let files = Files::new();
    let refused = |arguments: &[&str], parts: &[&str]| {
        assert_refused(&files.ingest("none", arguments).output().unwrap(), parts);
        assert!(!Path::new(&files.path("none")).exists(), "{arguments:?}");
    };
    refused(&["--batch", "0"], &["--batch", "0"]);
    refused(&["--vectors", "dense"], &["NAME=FILE"]);
    refused(
        &["--vectors", &format!("other={}", files.path("vectors"))],
        &["other", "dense, tokens"],
    );
    refused(&["--vectors", "dense=/nowhere"], &["/nowhere"]);
    refused(&["--vectors", &format!("dense={}", files.path("config"))], &["safetensors"]);

    let points = fs::read_to_string(files.path("points")).unwrap();
    files.write("points", points.split_once('\n').unwrap().1);
    refused(&[], &["599 points", "600"]);
    files.write("points", &points);
    files.write("config", "{}");
    refused(&[], &["config", "vectors"]);
    fs::remove_file(files.path("config")).unwrap();
    refused(&[], &["config"]);

    files.write("config", CONFIG);
    files.write("points", &points.replacen("\"id\":3,", "\"id\":-3,", 1));
    let output = files.ingest("c", &["--batch", "2"]).output().unwrap();
    assert_refused(&output, &["line 4 of", "unsigned integer"]);
    assert_eq!(committed(&output.stdout), [2]);
    assert_eq!(files.check("c", 2), 2);

    files.write("config", &CONFIG.replace("12", "13"));
    assert_refused(&files.ingest("c", &[]).output().unwrap(), &["configuration", "another"]);
    refused_searches(&files);
}

fn refused_searches(files: &Files) {
    let out = files.path("out");
    let refused = |request: &str, parts: &[&str]| {
        files.write("request", request);
        let request = files.path("request");
        assert_refused(&files.search("c", &["--request", &request, "--output", &out]), parts);
        assert!(!Path::new(&out).exists());
    };
    refused("{", &["request"]);
    refused(r#"{"using": "dense"}"#, &["query"]);
    refused(r#"{"query": [1, 2], "using": "dense"}"#, &["12", "2"]);
    refused(r#"{"query": [1, 2], "using": "other"}"#, &["other", "dense, tokens"]);
    refused(r#"{"query": [1, 2], "using": "tokens"}"#, &["tokens", "many", "one"]);
    assert_refused(&files.search("c", &["--request", "/nowhere"]), &["--output"]);
    assert_refused(&files.search("none", &["--count"]), &["expected a collection", "none"]);
    assert_refused(&files.search("c", &["--count", "--filter", "/nowhere"]), &["/nowhere"]);
    files.write("request", &json!({"query": vec![1; DENSE], "using": "dense"}).to_string());
    let arguments = ["--request", &files.path("request"), "--output", "/dev/full"];
    if Path::new("/dev/full").exists() {
        assert_refused(&files.search("c", &arguments), &["/dev/full"]);
    }
}
