//! The JSON of configurations and requests is Qdrant's.
#![cfg(feature = "collection")]

use maxfold::collection::{CollectionConfig, Datatype, Vector, VectorConfig, VectorKind};
use maxfold::filter::{Condition, Filter, Match, PayloadSelector};
use maxfold::recall::{Distance, HnswParams, SearchParams};
use maxfold::search::{Prefetch, QueryRequest, WithVector};

fn config(json: &str) -> CollectionConfig {
    json.parse().unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn hnsw(m: usize, ef_construct: usize) -> Option<HnswParams> {
    Some(HnswParams::new().m(m).ef_construct(ef_construct))
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
    // A vector may be called "size".
    let read = config(r#"{"vectors": {"size": {"size": 4, "distance": "Dot"}}}"#);
    assert!(read.get("size").is_ok());
}

/// As Qdrant's Python models print them with `model_dump_json()`.
#[test]
fn fields_that_are_null_ask_for_nothing() {
    let model = r#"{
        "vectors": {"v": {"size": 4, "distance": "Dot", "hnsw_config": null, "on_disk": null,
            "quantization_config": null, "memory": null, "datatype": null, "multivector_config": null}},
        "shard_number": null, "sharding_method": null, "replication_factor": null, "payload": null,
        "write_consistency_factor": null, "on_disk_payload": null, "id_tracker": null,
        "hnsw_config": null, "wal_config": null, "optimizers_config": null, "metadata": null,
        "quantization_config": null, "sparse_vectors": null, "strict_mode_config": null
    }"#;
    let bare = CollectionConfig::new().vector("v", VectorConfig::dense(4, Distance::Dot));
    assert_eq!(config(model), bare);
    let model = r#"{
        "shard_key": null, "prefetch": {"query": [1.0], "prefetch": null, "lookup_from": null},
        "query": {"nearest": [1.0], "mmr": null}, "using": null, "filter": null, "offset": null,
        "params": {"hnsw_ef": null, "exact": true, "indexed_only": false, "quantization": null,
            "acorn": {"enable": false}, "idf": null},
        "score_threshold": null, "limit": 3, "with_vector": null, "with_payload": null, "lookup_from": null
    }"#;
    let exact = SearchParams::new().exact(true);
    let bare = QueryRequest::new(vec![1.0]).prefetch(Prefetch::new(vec![1.0]));
    assert_eq!(model.parse::<QueryRequest>().unwrap(), bare.params(exact).limit(3));
}

/// Hints of cost change nothing, and are shown as they were given.
#[test]
fn hints_are_kept() {
    let json = serde_json::json!({
        "vectors": {
            "d": {"size": 4, "distance": "Dot", "on_disk": true, "memory": "cold",
                "quantization_config": {"scalar": {"type": "int8", "always_ram": true}},
                "hnsw_config": {"m": 8, "ef_construct": 50, "full_scan_threshold": 10000, "on_disk": false}},
            "flat": {"size": 4, "distance": "Dot", "hnsw_config": {"m": 0, "ef_construct": 7}},
            "t": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"},
                "datatype": "float32", "hnsw_config": {"m": 16, "payload_m": 16}},
        },
        "on_disk_payload": true, "shard_number": 1, "replication_factor": 1, "wal_config": {},
        "optimizers_config": {"indexing_threshold": 20000}, "metadata": {"owner": "us"},
        "sharding_method": "auto", "strict_mode_config": {"enabled": false},
        "hnsw_config": {"max_indexing_threads": 2},
    });
    let read = config(&json.to_string());
    assert_eq!(serde_json::to_value(&read).unwrap(), json);
    assert_eq!(config(&serde_json::to_string(&read).unwrap()), read);
    let kinds = ["d", "flat", "t"].map(|name| read.get(name).unwrap().kind);
    let expected = [VectorKind::Dense(hnsw(8, 50)), VectorKind::Dense(None), VectorKind::Multi];
    assert_eq!(kinds, expected);
    assert_eq!(read.get("d").unwrap().hints()["memory"], "cold");
    assert_eq!(read.hints()["shard_number"], 1);
}

/// Clients compare what they gave with what they get: nothing is added, and nothing left out.
#[test]
fn configurations_are_shown_as_they_were_given() {
    let shown = [
        serde_json::json!({"vectors": {}}),
        serde_json::json!({"vectors": {"size": 4, "distance": "Dot"}}),
        serde_json::json!({"vectors": {"size": 4, "distance": "Manhattan", "datatype": "float32"}}),
        serde_json::json!({"vectors": {"": {"size": 4, "distance": "Dot"}, "b": {"size": 4, "distance": "Dot"}}}),
        serde_json::json!({"vectors": {"a": {"size": 4, "distance": "Dot", "hnsw_config": {}}}}),
        serde_json::json!({"vectors": {"a": {"size": 4, "distance": "Dot", "hnsw_config": {"ef_construct": 100}}},
            "hnsw_config": {"m": 16}}),
        serde_json::json!({"vectors": {"size": 4, "distance": "Euclid",
            "multivector_config": {"comparator": "max_sim"}, "hnsw_config": {"m": 0}, "datatype": "float16"}}),
        serde_json::json!({"vectors": {"size": 4, "distance": "Dot",
            "multivector_config": {"comparator": "max_sim"}}}),
        serde_json::json!({"vectors": {}, "sparse_vectors": {"a": {}, "b": {"modifier": "none"},
            "c": {"modifier": "idf", "index": {"on_disk": true}}}}),
        serde_json::json!({"vectors": {}, "metadata": {"owner": "us", "made": 7}}),
    ];
    for json in shown {
        let read = config(&json.to_string());
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }
    // No vectors are no fault, and an empty list of sparse ones is none.
    for json in ["{}", r#"{"sparse_vectors": {}}"#, r#"{"vectors": {}, "sparse_vectors": {}}"#] {
        assert_eq!(serde_json::to_string(&config(json)).unwrap(), r#"{"vectors":{}}"#);
        assert_eq!(config(json), CollectionConfig::new());
    }
    // What is shown is what counts: parameters of all vectors are those of each that has none.
    let read = config(r#"{"vectors": {"size": 4, "distance": "Dot"}, "hnsw_config": {"m": 8}}"#);
    assert_eq!(read.get("").unwrap().kind, VectorKind::Dense(hnsw(8, 100)));
    let added = read.vector("b", VectorConfig::dense(4, Distance::Dot));
    let again = config(&serde_json::to_string(&added).unwrap());
    assert_eq!(again.get("b").unwrap().kind, VectorKind::Dense(hnsw(16, 100)));
}

#[test]
fn what_is_set_in_rust_survives_json() {
    let searched = HnswParams::new().m(4).ef_construct(9).ef_search(1000);
    let none = HnswParams::new().m(0).ef_construct(9).ef_search(7);
    let written = CollectionConfig::new()
        .vector("a", VectorConfig::dense(4, Distance::Dot).hnsw(Some(searched)))
        .vector("b", VectorConfig::dense(4, Distance::Euclid).hnsw(Some(none)))
        .vector("size", VectorConfig::multi(4, Distance::Cosine).datatype(Datatype::Float16))
        .vector("t", VectorConfig::multi(4, Distance::Cosine).hnsw(Some(searched)));
    let json = serde_json::to_value(&written).unwrap();
    assert_eq!(config(&json.to_string()), written);
    assert_eq!(json["vectors"]["t"]["hnsw_config"]["ef_search"], 1000);
    // For all vectors that don't say otherwise.
    let read = config(
        r#"{"vectors": {"size": 4, "distance": "Dot"}, "hnsw_config": {"ef_search": 7, "m": 0}}"#,
    );
    assert_eq!(read.get("").unwrap().kind, VectorKind::Dense(None));
}

#[test]
fn configurations_say_in_what_they_differ() {
    let one = config(r#"{"vectors": {"a": {"size": 4, "distance": "Dot"}}}"#);
    let told = |json: &str| config(json).difference(&one);
    assert_eq!(told(r#"{"vectors": {"a": {"size": 4, "distance": "Dot"}}}"#), None);
    let cases = [
        (
            r#"{"vectors": {"a": {"size": 3, "distance": "Dot"}}}"#,
            "config.vectors.a.size is 3, not 4",
        ),
        (
            r#"{"vectors": {"a": {"size": 4, "distance": "Dot", "on_disk": true}}}"#,
            "config.vectors.a.on_disk is true, not null",
        ),
        (r#"{"vectors": {}}"#, "config.vectors.a is null, not {"),
        (
            r#"{"vectors": {"a": {"size": 4, "distance": "Dot"}, "b": {"size": 4, "distance": "Dot"}}}"#,
            "config.vectors.b is {",
        ),
    ];
    for (json, expected) in cases {
        let told = told(json).unwrap();
        assert!(told.starts_with(expected), "{told}");
    }
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
        (
            r#"{"vectors": {}, "shards": 2}"#.into(),
            "expected only vectors, vectors_config, sparse_vectors, hnsw_config in config, got \"shards\"",
        ),
        (vector(r#""size": 4"#), "expected config.vectors.v.distance to be given, got nothing"),
        (
            vector(r#""size": 4, "distance": "dot""#),
            "expected config.vectors.v.distance to be one of Cosine, Dot, Euclid, Manhattan, got \"dot\"",
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
            "expected config.vectors.v.datatype to be float32, got \"uint8\"",
        ),
        (
            multi(r#""datatype": "uint8""#),
            "expected config.vectors.v.datatype to be float32 or float16, got \"uint8\"",
        ),
        (
            multi(r#""on_disk": "yes""#),
            "expected config.vectors.v.on_disk to be true or false, got \"yes\"",
        ),
        (
            multi(r#""on_disc": true"#),
            "expected only size, distance, hnsw_config, multivector_config, datatype in config.vectors.v, got \"on_disc\"",
        ),
        (
            vector(r#""size": 4, "size": 3, "distance": "Dot""#),
            "expected config.vectors.v.size once, got it again in line 1, column 36",
        ),
        (
            r#"{"vectors": {"distance": "Dot"}}"#.into(),
            "expected config.vectors.size to be given, got nothing",
        ),
        (
            r#"{"vectors": {"size": "4", "distance": "Dot"}}"#.into(),
            "expected config.vectors.size to be an integer of at least 0, got \"4\"",
        ),
        (
            r#"{"vectors": {}, "vectors_config": {}}"#.into(),
            "expected config.vectors_config to be left out, as it is another name of vectors, got {}",
        ),
        (
            r#"{"vectors": {}, "strict_mode_config": {"enabled": true}}"#.into(),
            "config.strict_mode_config: strict mode is not supported",
        ),
        (
            r#"{"vectors": {}, "sharding_method": "custom"}"#.into(),
            "config.sharding_method: sharding by key is not supported",
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
        .prefetch(first.params(SearchParams::new().hnsw_ef(64)))
        .prefetch(second.params(SearchParams::new().exact(true)))
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
    let other: QueryRequest = r#"{"query": [1], "with_vectors": true}"#.parse().unwrap();
    assert_eq!((&all.with_vector, other.with_vector), (&WithVector::All, WithVector::All));
    assert_eq!(all.with_payload, PayloadSelector::Exclude(vec!["a".parse().unwrap()]));
}

#[test]
fn requests_that_are_refused() {
    let cases = [
        (
            r#"{"query": []}"#,
            "expected request.query to be a vector with values: a dense vector must not be empty, got []",
        ),
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
            r#"{"query": true}"#,
            "expected request.query to be a vector, the id of a point, or an object with one of nearest, recommend, discover, context, order_by, fusion, rrf, formula, sample, relevance_feedback, got true",
        ),
        (r#"{"query": -1}"#, "expected request.query to be an unsigned integer or a UUID, got -1"),
        (
            r#"{"query": {"fusion": "max"}}"#,
            "expected request.query.fusion to be rrf or dbsf, got \"max\"",
        ),
        (
            r#"{"query": {"near": [1]}}"#,
            "expected only nearest, recommend, discover, context, order_by, fusion, rrf, sample, relevance_feedback, mmr in request.query, got \"near\"",
        ),
        (
            r#"{"query": {"nearest": [1], "fusion": "rrf"}}"#,
            "expected request.query to be a vector, the id of a point, or an object with one of nearest, recommend, discover, context, order_by, fusion, rrf, formula, sample, relevance_feedback, got {\"nearest\":[1],\"fusion\":\"rrf\"}",
        ),
        (
            r#"{"query": {"nearest": [1], "mmr": {"diversity": 1.5}}}"#,
            "expected request.query.mmr.diversity to be 0 to 1, got 1.5",
        ),
        (r#"{"query": {"rrf": {"k": 0}}}"#, "expected request.query.rrf.k to be at least 1, got 0"),
        (
            r#"{"query": {"text": "words", "model": "m"}}"#,
            "request.query.text: a query in words is not supported",
        ),
        (
            r#"{"query": [1], "lookup_from": {"name": "c"}}"#,
            "expected only collection, vector in request.lookup_from, got \"name\"",
        ),
        (
            r#"{"query": [1], "with_vector": true, "with_vectors": false}"#,
            "expected request.with_vectors to be left out, as it is another name of with_vector, got false",
        ),
        (
            r#"{"query": [1], "params": {"indexed_only": "no"}}"#,
            "expected request.params.indexed_only to be true or false, got \"no\"",
        ),
        (
            r#"{"query": [1], "limit": 3, "limit": 4}"#,
            "expected request.limit once, got it again in line 1, column 34",
        ),
        (r#"{"query": [1], "limit": 0}"#, "expected request.limit to be at least 1, got 0"),
        (
            r#"{"query": [1], "limit": -1}"#,
            "expected request.limit to be an integer of at least 0, got -1",
        ),
        (
            r#"{"query": [1], "vector": [1]}"#,
            "expected only prefetch, query, using, filter, params, score_threshold, lookup_from, limit, offset, with_payload, with_vector, with_vectors, with_matches in request, got \"vector\"",
        ),
        (
            r#"{"query": [1], "prefetch": [{"query": [1]}, {"query": [1], "prefetch": [{"limit": 0}]}]}"#,
            "expected request.prefetch[1].prefetch[0].limit to be at least 1, got 0",
        ),
        (
            r#"{"query": [1], "prefetch": {"query": [1], "filter": {"must": {"key": "a", "match": {}}}}}"#,
            "expected request.prefetch.filter.must.match to be an object with exactly one of value, any, except, text, text_any, phrase, prefix, substring, got {}",
        ),
        (
            r#"{"query": [1], "params": {"ef": 3}}"#,
            "expected only hnsw_ef, exact, idf in request.params, got \"ef\"",
        ),
        (
            r#"{"query": [1], "with_payload": {"include": [], "exclude": []}}"#,
            "expected request.with_payload to be an object with either include or exclude, got {\"include\":[],\"exclude\":[]}",
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

#[test]
fn requests_that_json_cannot_hold_are_not_written() {
    let one = || QueryRequest::new(vec![1.0]);
    let multi = |values: &[f32], dim| Vector::Multi { values: values.to_vec(), dim };
    let refused = [
        (one().score_threshold(f32::NAN), "expected score_threshold to be finite, got NaN"),
        (one().score_threshold(f32::INFINITY), "expected score_threshold to be finite, got inf"),
        (one().limit(0), "expected limit to be at least 1, got 0"),
        (one().params(SearchParams::new().hnsw_ef(0)), "hnsw_ef"),
        (QueryRequest::new(vec![f32::NAN]), "expected finite values, got NaN"),
        (QueryRequest::new(Vec::<f32>::new()), "at least 1"),
        (QueryRequest::new(multi(&[1.0; 3], 2)), "multiple of 2 values"),
        (QueryRequest::new(multi(&[], 2)), "at least one token"),
        (one().prefetch(Prefetch::new(vec![1.0]).score_threshold(f32::NAN)), "got NaN"),
        (one().prefetch(Prefetch::new(vec![f32::INFINITY])), "got inf"),
    ];
    for (request, part) in refused {
        let error = serde_json::to_string(&request).unwrap_err().to_string();
        assert!(error.contains(part), "{part} in {error}");
    }
}

/// Numbers of 32 bits are written with the digits that tell them apart, and no more.
#[test]
fn numbers_are_written_as_f32() {
    let request =
        QueryRequest::new(Vector::Multi { values: vec![0.1, 16777216.0, -0.3, 1e-9], dim: 2 });
    let json = serde_json::to_string(&request.score_threshold(0.7)).unwrap();
    assert!(json.contains("[[0.1,16777216.0],[-0.3,1e-9]]"), "{json}");
    assert!(json.contains(r#""score_threshold":0.7,"#), "{json}");
}

#[test]
fn many_requests_in_one_text() {
    let one = r#"{"query": [1], "limit": 3}"#;
    let expected = QueryRequest::new(vec![1.0]).limit(3);
    for (json, count) in [
        (one.to_owned(), 1),
        (format!("[{one}, {one}]"), 2),
        ("[]".to_owned(), 0),
        (format!(r#"{{"searches": [{one}]}}"#), 1),
    ] {
        assert_eq!(QueryRequest::read_all(&json).unwrap(), vec![expected.clone(); count], "{json}");
    }
    let error =
        QueryRequest::read_all(&format!(r#"[{one}, {one}, {{"query": true}}]"#)).unwrap_err();
    assert!(error.to_string().starts_with("expected request[2].query to be "), "{error}");
    let error = QueryRequest::read_all(&format!("[{one},\n {{\"limit\": 1, \"limit\": 2}}]"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "expected request[1].limit once, got it again in line 2, column 21"
    );
    let error = QueryRequest::read_all(r#"{"searches": [{}], "limit": 1}"#).unwrap_err();
    assert!(error.to_string().starts_with("expected only searches in request"), "{error}");
}
