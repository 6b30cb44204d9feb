//! Facets and orders by a field are the same whether payload indexes say what values points have, or payloads.
#![cfg(feature = "collection")]

use maxfold::collection::PayloadIndex;
use maxfold::filter::{Filter, IndexKind};
use maxfold::search::{FacetRequest, Method, SearcherOptions};
use maxfold::{Backend, Collection, CollectionConfig, Point, QueryRequest, Reranker, Searcher};
use rand::prelude::*;
use serde_json::{Value, json};

const POINTS: u64 = 600;

/// A value of any kind, among them those that no index holds whole, and several that are nearly one.
fn value(rng: &mut StdRng) -> Value {
    match rng.random_range(0..16) {
        0..5 => json!(rng.random_range(-20..20)),
        5 => json!(f64::from(rng.random_range(-8..8)) / 4.0),
        6 => json!(-0.0),
        7 => json!((1_i64 << 53) + rng.random_range(-2..3)),
        8 => json!([u64::MAX as f64, -1e300, 9_007_199_254_740_992.0][rng.random_range(0..3)]),
        9 => json!(format!("2024-0{}-01T00:00:00Z", rng.random_range(1..5))),
        10 => json!(["red", "green", "blue", ""][rng.random_range(0..4)]),
        11 => json!("long ".repeat(rng.random_range(50..53))),
        12 => json!(rng.random_bool(0.5)),
        13 => json!({"a": 1}),
        14 => Value::Null,
        _ => json!(
            ["5EED0000-0000-0000-0000-000000000000", "5eed0000-0000-0000-0000-000000000000"]
                [rng.random_range(0..2)]
        ),
    }
}

fn payload(rng: &mut StdRng) -> Value {
    match rng.random_range(0..4) {
        0 => json!({}),
        1 => json!({"f": (0..rng.random_range(0..4)).map(|_| value(rng)).collect::<Vec<_>>()}),
        _ => json!({"f": value(rng)}),
    }
}

fn searcher() -> Searcher {
    let collection = Collection::temporary(CollectionConfig::new()).unwrap();
    let mut rng = StdRng::seed_from_u64(11);
    let mut point =
        |id: u64| Point::new(id).payload(payload(&mut rng).as_object().unwrap().clone());
    collection.upsert((0..POINTS).map(&mut point).collect()).unwrap();
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

/// Answers to many requests, and how many payloads were read to order by the field.
fn answers(searcher: &Searcher) -> (Vec<Value>, u64) {
    let filters = [json!({}), json!({"must": {"slice": {"index": 0, "total": 3}}})];
    let (mut answers, mut read) = (Vec::new(), 0);
    for filter in &filters {
        for limit in [3, 1000] {
            let parsed: Filter = filter.to_string().parse().unwrap();
            let request = FacetRequest::new("f").unwrap().filter(parsed).limit(limit);
            answers.push(serde_json::to_value(searcher.facet(&request).unwrap()).unwrap());
            for direction in ["asc", "desc"] {
                for start in [json!(null), json!(-3), json!(0.25), json!("2024-02-01T00:00:00Z")] {
                    let order = json!({"key": "f", "direction": direction, "start_from": start});
                    let request =
                        json!({"query": {"order_by": order}, "filter": filter, "limit": limit});
                    let request: QueryRequest = request.to_string().parse().unwrap();
                    let response = searcher.query(&request).unwrap();
                    let Method::OrderBy { payloads_read } = response.plan.query.method else {
                        panic!("{}", response.plan)
                    };
                    read += payloads_read;
                    answers.push(serde_json::to_value(&response.points).unwrap());
                }
            }
        }
    }
    (answers, read)
}

#[test]
fn answers_are_those_of_payloads() {
    let searcher = searcher();
    let (expected, all_read) = answers(&searcher);
    assert!(expected.iter().all(|it| it.as_array().unwrap().len() >= 3));
    for kind in [IndexKind::Keyword, IndexKind::Integer, IndexKind::Bool, IndexKind::Datetime] {
        let index = PayloadIndex::new("f", kind.clone()).unwrap();
        searcher.collection().create_index(index.clone()).unwrap();
        let (got, read) = answers(&searcher);
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(got, expected, "{kind}");
        }
        // An index that holds what the field has in most points.
        assert!(kind != IndexKind::Integer || read < all_read, "{read} of {all_read}");
        searcher.collection().drop_index(index).unwrap();
    }
}

/// With an index of UUIDs, their spellings are one value, whatever else is indexed.
#[test]
fn spellings_of_a_uuid_are_counted_as_one() {
    let searcher = searcher();
    let facet = || {
        let hits = searcher.facet(&FacetRequest::new("f").unwrap().limit(1000)).unwrap();
        serde_json::to_value(hits).unwrap()
    };
    let spelled = |facet: &Value| {
        let hits = facet.as_array().unwrap().iter();
        hits.filter(|it| {
            it["value"].as_str().is_some_and(|it| it.to_lowercase().starts_with("5eed"))
        })
        .count()
    };
    let before = facet();
    assert_eq!(spelled(&before), 2);
    let index = |kind| PayloadIndex::new("f", kind).unwrap();
    searcher.collection().create_index(index(IndexKind::Uuid)).unwrap();
    let one = facet();
    assert_eq!(
        (spelled(&one), one.as_array().unwrap().len()),
        (1, before.as_array().unwrap().len() - 1)
    );
    searcher.collection().create_index(index(IndexKind::Keyword)).unwrap();
    assert_eq!(facet(), one);
}

/// The first of many are read, and no payloads.
#[test]
fn a_field_of_integers_alone_is_ordered_without_payloads() {
    let collection = Collection::temporary(CollectionConfig::new()).unwrap();
    let point = |id: u64| {
        let payload = json!({"f": (id * 7919) % 1000});
        Point::new(id).payload(payload.as_object().unwrap().clone())
    };
    collection.upsert((0..1000).map(point).collect()).unwrap();
    collection.create_index(PayloadIndex::new("f", IndexKind::Integer).unwrap()).unwrap();
    let searcher = Searcher::new(collection).unwrap();
    let request = r#"{"query": {"order_by": {"key": "f", "direction": "desc"}}, "limit": 5}"#;
    let response = searcher.query(&request.parse().unwrap()).unwrap();
    assert_eq!(response.plan.query.method, Method::OrderBy { payloads_read: 0 });
    let ids: Vec<_> = response.points.iter().map(|it| it.id.to_string()).collect();
    let id_of = |wanted: u64| (0..1000_u64).find(|id| (id * 7919) % 1000 == wanted).unwrap();
    let expected: Vec<_> = (995..1000).rev().map(|it| id_of(it).to_string()).collect();
    assert_eq!(ids, expected);
}
