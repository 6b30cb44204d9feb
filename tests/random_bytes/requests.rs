//! Doors: filters and queries in JSON.

use maxfold::filter::{Filter, Subject};
use maxfold::search::{QueryRequest, RecommendStrategy, Scoring, Searcher};
use rand::prelude::*;
use serde_json::{Value, json};

use crate::{sample, trees, trials};

fn filters() -> Vec<Value> {
    vec![
        json!({"must": [{"key": "a", "match": {"value": "red"}}, {"key": "b", "range": {"gte": 0.5, "lt": 9}}]}),
        json!({"should": [{"key": "a", "match": {"any": ["red", "a"]}}, {"key": "b", "match": {"any": [1, 2, -1]}},
            {"key": "o.a", "match": {"value": true}}], "must_not": {"key": "l", "values_count": {"gt": 1}}}),
        json!({"min_should": {"conditions": [{"is_empty": {"key": "l[].a"}}, {"is_null": {"key": "b"}},
            {"has_id": [1, 2, "00000000-0000-0003-0000-000000000000"]}, {"has_vector": "t"}], "min_count": 2}}),
        json!({"must": {"nested": {"key": "l", "filter": {"must": [{"key": "a", "match": {"except": [1, 3]}}],
            "must_not": {"key": "b", "range": {"gt": 2}}}}}}),
        json!({"must": [{"key": "t", "range": {"gte": "2024-02-29T12:00:00Z", "lt": "2025-01-01"}},
            {"must_not": [{"should": [{"key": "o.a", "is_empty": false}]}]}]}),
        json!({"must_not": {"slice": {"total": 3, "index": 1}}, "must": {"key": "b", "range": {"gt": 0}, "is_null": true}}),
        json!({"should": {"key": "\"x y\".a", "match": {"except": ["red"]}}, "must": {"key": "o", "is_null": true}}),
    ]
}

/// What a filter selects is what it matches; in JSON it is the same filter.
#[test]
fn filters_select_what_they_match() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let searcher = sample::searcher(directory.path());
    let snapshot = searcher.collection().snapshot().unwrap();
    let having = sample::VECTORS.map(|name| (name, snapshot.having(name).unwrap()));
    let seeds = filters();
    let input = |rng: &mut StdRng| {
        let tree = trees::tree(rng, &seeds);
        trees::text(rng, &tree)
    };
    trials::door("filters", input, |text| {
        let Ok(filter) = text.parse::<Filter>() else { return false };
        assert_eq!(serde_json::to_string(&filter).unwrap().parse::<Filter>().unwrap(), filter);
        let selected = snapshot.select(&filter).unwrap().points;
        for number in snapshot.numbers() {
            let (id, payload) = snapshot.payload(number).unwrap();
            let names = having.iter().filter(|(_, having)| having.contains(number));
            let vectors: Vec<&str> = names.map(|(name, _)| *name).collect();
            let subject = Subject { id, payload: &payload, vectors: &vectors, texts: &[] };
            assert_eq!(filter.matches(&subject).unwrap(), selected.contains(number), "point {id}");
        }
        true
    });
}

fn queries() -> Vec<Value> {
    let filter = json!({"must": {"key": "b", "range": {"gte": 0}}, "must_not": {"key": "a", "match": {"any": ["red"]}}});
    vec![
        json!({"query": [1, 0.5, -1], "using": "v", "limit": 5, "with_payload": true,
            "params": {"hnsw_ef": 9, "idf": {"corpus": filter}}}),
        json!({"query": [1, 0.5, -1], "using": "q", "limit": 100, "score_threshold": 2.5, "filter": filter}),
        json!({"query": {"nearest": [1, -2]}, "limit": 3, "offset": 2, "with_vector": ["v", "t"],
            "with_payload": ["a", "l[].a"], "params": {"exact": true}}),
        json!({"query": [[1, 0], [0, 1], [-1, -1]], "using": "t", "limit": 4, "filter": filter,
            "with_payload": {"exclude": ["o", "l[]"]}, "with_vector": true,
            "prefetch": [{"query": [0, 1, 0], "using": "v", "limit": 20}, {"query": [1, 1], "score_threshold": -1, "filter": filter}]}),
        json!({"query": {"rrf": {"k": 3, "weights": [1, 0.5]}}, "limit": 9, "prefetch": [
            {"query": {"recommend": {"positive": [1, [1, 0, 2]], "negative": [2], "strategy": "best_score"}}, "using": "v"},
            {"query": {"fusion": "dbsf"}, "prefetch": {"query": 3, "using": "t"}, "limit": 7}]}),
        json!({"query": {"formula": {"sum": ["$score", {"mult": ["b", 0.5]}, filter["must"]]}, "defaults": {"b": 1}},
            "prefetch": {"query": {"discover": {"target": [1, 1, 1], "context": {"positive": 1, "negative": 2}}}, "using": "v"}}),
    ]
}

/// An answer has what was asked for, and in JSON it is one.
#[test]
fn queries_are_answered_as_asked() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let searcher = sample::searcher(directory.path());
    let seeds = queries();
    let input = |rng: &mut StdRng| {
        let tree = trees::tree(rng, &seeds);
        trees::text(rng, &tree)
    };
    trials::door("queries", input, |text| {
        let Ok(request) = text.parse::<QueryRequest>() else { return false };
        let again = serde_json::to_string(&request).unwrap();
        assert_eq!(again.parse::<QueryRequest>().unwrap(), request);
        answered(&searcher, &request)
    });
}

fn answered(searcher: &Searcher, request: &QueryRequest) -> bool {
    let Ok(response) = searcher.query(request) else { return false };
    let points = &response.points;
    assert!(points.len() <= request.limit);
    let smaller = smaller_is_better(request);
    let nearer = |a: f32, b: f32| if smaller { a <= b } else { a >= b };
    let sorted = |pair: &[maxfold::search::ScoredPoint]| match pair[0].score == pair[1].score {
        true => pair[0].id < pair[1].id,
        false => nearer(pair[0].score, pair[1].score),
    };
    assert!(points.windows(2).all(sorted), "{points:?}");
    let threshold = request.score_threshold;
    assert!(points.iter().all(|it| threshold.is_none_or(|least| nearer(it.score, least))));
    if let Some(filter) = &request.filter {
        let snapshot = searcher.collection().snapshot().unwrap();
        let allowed = snapshot.select(filter).unwrap().points;
        let number = |it: &maxfold::search::ScoredPoint| snapshot.number(it.id).unwrap().unwrap();
        assert!(points.iter().all(|it| allowed.contains(number(it))));
    }
    let json: Value = serde_json::from_str(&serde_json::to_string(&response).unwrap()).unwrap();
    assert_eq!(json["points"].as_array().unwrap().len(), points.len());
    true
}

/// Tells whether scores are distances: those to one vector, and not what becomes of several.
fn smaller_is_better(request: &QueryRequest) -> bool {
    let to_one_vector = match &request.query {
        Some(Scoring::Nearest(_)) => true,
        Some(Scoring::Recommend(it)) => it.strategy == RecommendStrategy::AverageVector,
        _ => false,
    };
    to_one_vector && request.using == "q"
}
