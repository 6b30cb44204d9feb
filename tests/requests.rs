//! The JSON of configurations and requests is Qdrant's.
#![cfg(feature = "collection")]

use maxfold::collection::{CollectionConfig, Vector, VectorConfig, VectorKind};
use maxfold::filter::{Condition, Filter, Match, PayloadSelector};
use maxfold::recall::{Distance, HnswParams, SearchParams};
use maxfold::search::{Prefetch, QueryRequest, WithVector};

fn config(json: &str) -> CollectionConfig {
    json.parse().unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn hnsw(m: usize, ef_construct: usize) -> Option<HnswParams> {
    Some(HnswParams { m, ef_construct, ..HnswParams::default() })
}

#[test]
fn configurations() {
    let read = config(
        r#"{
            "vectors_config": {
                "a": {"size": 4, "distance": "Dot"},
                "b": {"size": 4, "distance": "Euclid", "hnsw_config": {"m": 0}, "datatype": "float32"},
                "c": {"size": 4, "distance": "Cosine", "hnsw_config": {"m": 64}},
                "d": {"size": 4, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}}
            },
            "hnsw_config": {"m": 8, "ef_construct": 50}
        }"#,
    );
    let expected = CollectionConfig::new()
        .vector("a", VectorConfig::dense(4, Distance::Dot).hnsw(hnsw(8, 50)))
        .vector("b", VectorConfig::dense(4, Distance::Euclid).hnsw(None))
        .vector("c", VectorConfig::dense(4, Distance::Cosine).hnsw(hnsw(64, 50)))
        .vector("d", VectorConfig::multi(4, Distance::Cosine));
    assert_eq!(read, expected);
    assert_eq!(config(&serde_json::to_string(&read).unwrap()), read);
    assert_eq!(read.get("d").unwrap().kind, VectorKind::Multi);

    let unnamed = config(r#"{"vectors": {"size": 4, "distance": "Dot"}}"#);
    let expected = CollectionConfig::new().vector("", VectorConfig::dense(4, Distance::Dot));
    assert_eq!(unnamed, expected);
    let json = serde_json::to_value(&unnamed).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"vectors": {
            "size": 4, "distance": "Dot", "hnsw_config": {"m": 16, "ef_construct": 100}
        }})
    );
    // A vector may be called "size".
    let read = config(r#"{"vectors": {"size": {"size": 4, "distance": "Dot"}}}"#);
    assert!(read.get("size").is_ok());
}

#[test]
fn configurations_that_are_refused() {
    let vector = |fields: &str| format!(r#"{{"vectors": {{"v": {{{fields}}}}}}}"#);
    let multi = |fields: &str| {
        let multi =
            r#""size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}"#;
        vector(&format!("{multi}, {fields}"))
    };
    let cases = [
        ("{}".into(), "expected config to be an object with vectors, got {}"),
        (
            r#"{"vectors": {}, "shards": 2}"#.into(),
            "expected only vectors, vectors_config, hnsw_config in config, got \"shards\"",
        ),
        (vector(r#""size": 4"#), "expected config.vectors.v.distance to be given, got nothing"),
        (
            vector(r#""size": 4, "distance": "dot""#),
            "expected config.vectors.v.distance to be one of Cosine, Dot, Euclid, got \"dot\"",
        ),
        (
            vector(r#""size": 0, "distance": "Dot""#),
            "config.vectors.v: expected size to be 1 to 65536, got 0",
        ),
        (
            vector(r#""size": 4, "distance": "Dot", "hnsw_config": {"m": 1}"#),
            "config.vectors.v: expected m to be 0 or 2 to 255, got 1",
        ),
        (
            vector(r#""size": 4, "distance": "Dot", "datatype": "uint8""#),
            "expected config.vectors.v.datatype to be float32 (as dense vectors are kept), got \"uint8\"",
        ),
        (
            multi(r#""datatype": "float32""#),
            "expected config.vectors.v.datatype to be float16 (as multivectors are kept), got \"float32\"",
        ),
        (
            multi(r#""hnsw_config": {"m": 16}"#),
            "expected config.vectors.v.hnsw_config to be one with m = 0 (multivectors have no graph), got {\"m\":16}",
        ),
        (
            multi(r#""on_disk": true"#),
            "expected only size, distance, hnsw_config, multivector_config, datatype in config.vectors.v, got \"on_disk\"",
        ),
        (
            vector(
                r#""size": 4, "distance": "Euclid", "multivector_config": {"comparator": "max_sim"}"#,
            ),
            "config.vectors.v: expected distance to be Cosine or Dot for multivectors, got Euclid",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(json.parse::<CollectionConfig>().unwrap_err().to_string(), expected, "{json}");
    }
}

fn tokens() -> Vector {
    Vector::Multi { values: vec![1.0, 2.0, 3.0, 4.0], dim: 2 }
}

#[test]
fn requests() {
    let json = r#"{
        "prefetch": [
            {"query": [0.5, 1.5], "using": "dense", "limit": 100, "params": {"hnsw_ef": 64},
             "filter": {"must": {"key": "a", "match": {"value": 1}}}},
            {"query": {"nearest": [1, 0]}, "using": "other", "score_threshold": 0.25, "params": {"exact": true}}
        ],
        "query": [[1, 2], [3, 4]], "using": "tokens", "limit": 3, "offset": 7, "score_threshold": -1.5,
        "filter": {"must_not": {"has_id": [5]}}, "with_payload": ["a", "b[].c"], "with_vector": ["dense"]
    }"#;
    let filter = Filter::new().must(Condition::field("a", Match::value(1)).unwrap());
    let first = Prefetch::new(vec![0.5, 1.5]).using("dense").limit(100).filter(filter);
    let second = Prefetch::new(vec![1.0, 0.0]).using("other").score_threshold(0.25);
    let expected = QueryRequest::new(tokens())
        .prefetch(first.params(SearchParams { hnsw_ef: Some(64), exact: false }))
        .prefetch(second.params(SearchParams { hnsw_ef: None, exact: true }))
        .using("tokens")
        .limit(3)
        .offset(7)
        .score_threshold(-1.5)
        .filter(Filter::new().must_not(Condition::has_id([5])))
        .with_payload(PayloadSelector::Include(vec![
            "a".parse().unwrap(),
            "b[].c".parse().unwrap(),
        ]))
        .with_vector(WithVector::Named(vec!["dense".into()]));
    let read: QueryRequest = json.parse().unwrap();
    assert_eq!(read, expected);
    assert_eq!(serde_json::to_string(&read).unwrap().parse::<QueryRequest>().unwrap(), read);

    let short: QueryRequest =
        r#"{"query": [1], "prefetch": null, "with_payload": true}"#.parse().unwrap();
    let expected = QueryRequest::new(vec![1.0]).with_payload(PayloadSelector::All);
    assert_eq!(short, expected);
    assert_eq!((short.limit, short.offset, short.using.as_str()), (10, 0, ""));
    let all: QueryRequest =
        r#"{"query": [1], "with_vector": true, "with_payload": {"exclude": ["a"]}}"#.parse().unwrap();
    assert_eq!(all.with_vector, WithVector::All);
    assert_eq!(all.with_payload, PayloadSelector::Exclude(vec!["a".parse().unwrap()]));
}

#[test]
fn requests_that_are_refused() {
    let cases = [
        ("{}", "expected request.query to be given, got nothing"),
        (r#"{"query": []}"#, "expected request.query to be a vector with values, got []"),
        (
            r#"{"query": [1, "x"]}"#,
            "expected request.query[1] to be a number that f32 holds, got \"x\"",
        ),
        (
            r#"{"query": [1e39]}"#,
            "expected request.query[0] to be a number that f32 holds, got 1e+39",
        ),
        (
            r#"{"query": [[1, 2], [3]]}"#,
            "expected request.query[1] to be a row of 2 numbers, got [3]",
        ),
        (r#"{"query": [[]]}"#, "expected request.query[0] to be a row of 1 numbers, got []"),
        (
            r#"{"query": 43}"#,
            "expected request.query not to be given: a point as a query is not supported",
        ),
        (
            r#"{"query": {"fusion": "rrf"}}"#,
            "expected only nearest in request.query, got \"fusion\"",
        ),
        (r#"{"query": [1], "limit": 0}"#, "expected request.limit to be at least 1, got 0"),
        (
            r#"{"query": [1], "limit": -1}"#,
            "expected request.limit to be an integer of at least 0, got -1",
        ),
        (
            r#"{"query": [1], "vector": [1]}"#,
            "expected only prefetch, query, using, filter, params, score_threshold, limit, offset, with_payload, with_vector in request, got \"vector\"",
        ),
        (
            r#"{"query": [1], "prefetch": [{"query": [1]}, {"query": [1], "prefetch": []}]}"#,
            "expected request.prefetch[1].prefetch not to be given: a prefetch of a prefetch is not supported",
        ),
        (
            r#"{"query": [1], "prefetch": {"query": [1], "filter": {"must": {"key": "a", "match": {}}}}}"#,
            "expected request.prefetch.filter.must.match to be an object with exactly one of value, any, except, got {}",
        ),
        (
            r#"{"query": [1], "params": {"ef": 3}}"#,
            "expected only hnsw_ef, exact in request.params, got \"ef\"",
        ),
        (
            r#"{"query": [1], "with_payload": {"include": [], "exclude": []}}"#,
            "expected request.with_payload to be an object with either include or exclude, got {\"exclude\":[],\"include\":[]}",
        ),
        (
            r#"{"query": [1], "with_vector": 1}"#,
            "expected request.with_vector to be true, false or the names of vectors, got 1",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(json.parse::<QueryRequest>().unwrap_err().to_string(), expected, "{json}");
    }
}
