//! Query requests of every kind, answered as Qdrant's own client answers them: `fixtures/universal/make.py`
//! made the requests at random, and asked its local mode, which scans everything. `MAXFOLD_UNIVERSAL` names a folder
//! with others that it made.
#![cfg(feature = "collection")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use maxfold::collection::{Collection, PointLines};
use maxfold::search::{QueryRequest, Searcher, SearcherOptions};
use maxfold::{Backend, Point, Reranker};
use serde_json::{Value, json};

/// Difference of scores that rounding explains, as both computed them in f32, each in its own order. Scores that
/// are differences of others are rounded as those are, which are around 1.
const RELATIVE: f64 = 1e-5;

fn fixture(name: &str) -> PathBuf {
    let stored = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/universal");
    std::env::var_os("MAXFOLD_UNIVERSAL").map_or_else(stored, PathBuf::from).join(name)
}

fn searcher() -> Searcher {
    let config = fs::read_to_string(fixture("config.json")).unwrap().parse().unwrap();
    let collection = Collection::temporary(config).unwrap();
    let points = PointLines::open(fixture("points.jsonl")).unwrap();
    collection.upsert(points.collect::<Result<Vec<Point>, _>>().unwrap()).unwrap();
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

/// A request, with the hits that are expected.
struct Answer {
    request: Value,
    hits: Vec<Value>,
    /// In a stage below, points tie where that decides: what a limit leaves out, which rank a fusion takes.
    ties: bool,
}

fn answers() -> Vec<Answer> {
    let lines = fs::read_to_string(fixture("answers.jsonl")).unwrap();
    let read = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let Value::Array(hits) = line["hits"].take() else { panic!("{line}") };
        Answer { request: line["request"].take(), hits, ties: line["ties"] == true }
    };
    lines.lines().map(read).collect()
}

fn score(hit: &Value) -> f64 {
    hit["score"].as_f64().unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= RELATIVE * a.abs().max(b.abs()).max(1.0)
}

/// The same where a fusion takes a discovery's scores. Those are an integer and a fraction, added in f32 by Maxfold and
/// by Qdrant's server, in f64 by local mode; a fusion magnifies what f32 drops, or ranks by it.
const FUSED: f64 = 1e-4;

/// Tells whether a fusion takes the scores of a discovery, anywhere in a request.
fn fuses_a_discovery(stage: &Value) -> bool {
    let below = match &stage["prefetch"] {
        Value::Array(below) => below.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let is_fusion = ["fusion", "rrf"].iter().any(|it| !stage["query"][it].is_null());
    let of_discovery = below.iter().any(|it| !it["query"]["discover"].is_null());
    is_fusion && of_discovery || below.iter().any(fuses_a_discovery)
}

/// Tells whether hits have the same scores, as nearly as a fusion of discoveries has them.
fn same_fused_scores(got: &[Value], expected: &[Value]) -> bool {
    let scores = || got.iter().map(score).zip(expected.iter().map(score));
    got.len() == expected.len()
        && scores().all(|(a, b)| (a - b).abs() <= FUSED * a.abs().max(b.abs()).max(1.0))
}

/// Tells in what hits differ: in order, except where scores are so near that rounding may decide; those that
/// tie with the last, or with one that the offset left out, may even be others.
fn difference(request: &Value, got: &[Value], expected: &[Value]) -> Option<String> {
    if got.len() != expected.len() {
        return Some(format!("{} hits instead of {}", got.len(), expected.len()));
    }
    let unscored = ["order_by", "sample"].iter().any(|it| !request["query"][it].is_null());
    let first = usize::from(request["offset"].is_u64());
    (0..got.len()).find_map(|at| {
        let (got, hit) = (&got[at], &expected[at]);
        let alone = |other: Option<&Value>| other.is_none_or(|it| !near(score(it), score(hit)));
        let neighbours = [at.checked_sub(1).and_then(|at| expected.get(at)), expected.get(at + 1)];
        let inside = first <= at && at + 1 < expected.len();
        let decided =
            request["query"].is_null() || !unscored && inside && neighbours.into_iter().all(alone);
        let same = near(score(got), score(hit))
            && got.get("order_value") == hit.get("order_value")
            && (!decided || got["id"] == hit["id"]);
        (!same).then(|| format!("hit {at} is {got} instead of {hit}"))
    })
}

#[test]
fn answers_are_those_of_qdrants_client() {
    let searcher = searcher();
    let mut kinds = BTreeMap::<String, usize>::new();
    let (mut differences, mut ties, mut fused) = (Vec::new(), 0, 0);
    let answers = answers();
    let count = answers.len();
    for Answer { request, hits: expected, ties: tied } in answers {
        let kind = match &request["query"] {
            Value::Object(rule) => rule.keys().cloned().collect::<Vec<_>>().join(" and "),
            other => other.to_string(),
        };
        *kinds.entry(kind).or_default() += 1;
        let parsed: QueryRequest = request.to_string().parse().unwrap();
        let again: QueryRequest = serde_json::to_string(&parsed).unwrap().parse().unwrap();
        assert_eq!(again, parsed);
        let response = searcher.query(&parsed).unwrap();
        let got = serde_json::to_value(&response.points).unwrap();
        let got = got.as_array().unwrap();
        match difference(&request, got, &expected) {
            None => {}
            Some(_) if tied => ties += 1,
            Some(_) if fuses_a_discovery(&request) && same_fused_scores(got, &expected) => {
                fused += 1
            }
            Some(it) => differences.push(format!("{request}\n{}\n{it}", response.plan)),
        }
    }
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n\n"));
    println!(
        "{count} requests; {ties} differ by ties in a stage, {fused} by f32 in a fused discovery"
    );
    assert!((ties + fused) * 100 <= count, "{ties} and {fused} of {count}");
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

#[test]
fn groups_and_facets_are_those_of_qdrants_client() {
    let searcher = searcher();
    let text = fs::read_to_string(fixture("groups.jsonl")).unwrap();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let expected = line["found"].as_array().unwrap();
        if line["facet"].is_object() {
            let hits = searcher.facet(&line["facet"].to_string().parse().unwrap()).unwrap();
            assert_eq!(serde_json::to_value(hits).unwrap(), line["found"], "{}", line["facet"]);
            continue;
        }
        let request = &line["groups"];
        let response = searcher.query_groups(&request.to_string().parse().unwrap()).unwrap();
        let got = serde_json::to_value(&response.groups).unwrap();
        let ids = |groups: &[Value]| groups.iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
        let got = got.as_array().unwrap();
        assert_eq!(ids(got), ids(expected), "{request}\n{}", response.plan);
        for (got, group) in got.iter().zip(expected) {
            let [got, expected] = [got, group].map(|it| it["hits"].as_array().unwrap());
            let difference = difference(request, got, expected);
            assert_eq!(difference, None, "{request}\n{}", response.plan);
        }
    }
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
