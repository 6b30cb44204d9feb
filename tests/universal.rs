//! Query requests of every kind, answered as Qdrant's own client answers them: `fixtures/universal/make.py`
//! made the requests at random, and asked its local mode, which scans everything.
#![cfg(feature = "collection")]

use std::fs;
use std::path::{Path, PathBuf};

use maxfold::collection::{Collection, PointLines};
use maxfold::search::{QueryRequest, QueryResponse, Searcher, SearcherOptions};
use maxfold::{Backend, Point, Reranker};
use serde_json::{Value, json};

/// Scores are compared as the two computed them in f32, each with its own order of additions.
const RELATIVE: f64 = 1e-5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/universal").join(name)
}

fn searcher() -> Searcher {
    let config = fs::read_to_string(fixture("config.json")).unwrap().parse().unwrap();
    let collection = Collection::temporary(config).unwrap();
    let points = PointLines::open(fixture("points.jsonl")).unwrap();
    collection.upsert(points.collect::<Result<Vec<Point>, _>>().unwrap()).unwrap();
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

/// Requests, with the hits that were expected of them.
fn answers() -> Vec<(Value, Vec<Value>)> {
    let lines = fs::read_to_string(fixture("answers.jsonl")).unwrap();
    let read = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let Value::Array(hits) = line["hits"].take() else { panic!("{line}") };
        (line["request"].take(), hits)
    };
    lines.lines().map(read).collect()
}

fn score(hit: &Value) -> f64 {
    hit["score"].as_f64().unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= RELATIVE * a.abs().max(b.abs()).max(1e-2)
}

/// Compares hits, in order, except where scores are so near that rounding may decide: those that tie with the
/// last may even be others.
fn check(request: &Value, response: &QueryResponse, expected: &[Value]) {
    let got = serde_json::to_value(&response.points).unwrap();
    let got = got.as_array().unwrap();
    let context =
        || format!("{request}\n{}\ngot      {got:?}\nexpected {expected:?}", response.plan);
    assert_eq!(got.len(), expected.len(), "{}", context());
    for (at, (got, hit)) in got.iter().zip(expected).enumerate() {
        assert!(near(score(got), score(hit)), "hit {at}: {}", context());
        assert_eq!(got.get("order_value"), hit.get("order_value"), "hit {at}: {}", context());
        let alone = |other: Option<&Value>| other.is_none_or(|it| !near(score(it), score(hit)));
        let neighbours = [at.checked_sub(1).and_then(|at| expected.get(at)), expected.get(at + 1)];
        let unordered = score(hit) == 1.0 && request["query"].get("fusion").is_none();
        if unordered || neighbours.into_iter().all(alone) && at + 1 < expected.len() {
            assert_eq!(got["id"], hit["id"], "hit {at}: {}", context());
        }
    }
}

#[test]
fn answers_are_those_of_qdrants_client() {
    let searcher = searcher();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for (request, expected) in answers() {
        let kind = match &request["query"] {
            Value::Object(rule) => rule.keys().cloned().collect::<Vec<_>>().join(" and "),
            other => other.to_string(),
        };
        *kinds.entry(kind).or_default() += 1;
        let parsed: QueryRequest = request.to_string().parse().unwrap();
        // Exact: a graph walk may miss.
        let again: QueryRequest = serde_json::to_string(&parsed).unwrap().parse().unwrap();
        assert_eq!(again, parsed);
        check(&request, &searcher.query(&parsed).unwrap(), &expected);
    }
    // Every kind was asked for.
    let rules = [
        "context",
        "defaults and formula",
        "discover",
        "fusion",
        "mmr and nearest",
        "nearest",
        "null",
        "order_by",
        "recommend",
        "relevance_feedback",
        "rrf",
    ];
    assert_eq!(kinds.keys().map(String::as_str).collect::<Vec<_>>(), rules, "{kinds:?}");
}

/// Requests of one call that have prefetches in common run them once, and answer as they would alone.
#[test]
fn common_prefetches_are_run_once() {
    let searcher = searcher();
    let prefetch = json!([
        {"query": [1, 0, 0, 0, 0, 1], "using": "dot", "limit": 20},
        {"query": [1, 0, 0, 0, 0], "using": "euclid", "limit": 20}
    ]);
    let requests = json!([
        {"prefetch": prefetch, "query": {"fusion": "rrf"}, "limit": 5},
        {"prefetch": prefetch, "query": {"fusion": "dbsf"}, "limit": 5},
        {"prefetch": prefetch, "query": {"fusion": "rrf"}, "limit": 5, "filter": {"must": {"key": "n", "range": {"gte": 3}}}}
    ]);
    let requests = QueryRequest::read_all(&requests.to_string()).unwrap();
    let answers = searcher.query_batch(&requests).unwrap();
    let shared =
        answers.iter().map(|it| it.plan.query.prefetch.iter().filter(|it| it.shared).count());
    assert_eq!(shared.collect::<Vec<_>>(), [0, 2, 0]);
    for (request, answer) in requests.iter().zip(&answers) {
        assert_eq!(answer.points, searcher.query(request).unwrap().points);
    }
}
