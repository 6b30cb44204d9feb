//! Random requests: whatever is sent to whatever path is answered, and by no fault of this program.
//!
//! `MAXFOLD_REQUESTS` says how many, 3,000 by default; `MAXFOLD_RANDOM_SEED` repeats them.
#![cfg(feature = "server")]

#[path = "random_bytes/mutate.rs"]
mod mutate;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri};
use maxfold::server::{Server, ServerOptions};
use maxfold::{Backend, Reranker};
use rand::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Requests after which what they have made is dropped, at the latest.
const ROUND: u64 = 10_000;

type Sample = (&'static str, &'static str, Value);

const C: &str = "/collections/c";

/// A request of each kind, with much in it.
fn samples() -> Vec<Sample> {
    [collections(), points(), records(), queries(), older()].concat()
}

fn config() -> Value {
    let multi = json!({"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"},
        "datatype": "float16", "hnsw_config": {"m": 0}});
    json!({"vectors": {"dense": {"size": 2, "distance": "Cosine", "hnsw_config": {"m": 8}}, "tokens": multi},
        "sparse_vectors": {"words": {"modifier": "idf", "index": {"on_disk": true}}},
        "optimizers_config": {"indexing_threshold": 5}, "metadata": {"a": [1, null, 0.5]}})
}

fn collections() -> Vec<Sample> {
    let alias = json!({"collection_name": "c", "alias_name": "a"});
    let text = json!({"type": "text", "tokenizer": "word", "lowercase": true, "min_token_len": 2});
    vec![
        ("PUT", "/collections/other", config()),
        ("PATCH", C, json!({"vectors": {"dense": {"hnsw_config": {"ef_construct": 50}}}})),
        ("DELETE", "/collections/other", Value::Null),
        ("GET", C, Value::Null),
        ("GET", "/collections/c/exists", Value::Null),
        ("GET", "/collections", Value::Null),
        ("POST", "/collections/aliases", json!({"actions": [{"create_alias": alias}]})),
        ("GET", "/collections/c/aliases", Value::Null),
        ("PUT", "/collections/c/index", json!({"field_name": "t", "field_schema": text})),
        ("PUT", "/collections/c/index", json!({"field_name": "n[].m", "field_schema": "integer"})),
        ("DELETE", "/collections/c/index/t", Value::Null),
        ("PUT", "/collections/c/vectors/more", json!({"dense": {"size": 3, "distance": "Dot"}})),
        ("DELETE", "/collections/c/vectors/more", Value::Null),
        ("PUT", "/collections/c/snapshots/recover", json!({"location": "file:///no.snapshot"})),
        ("GET", "/collections/c/snapshots/x.snapshot", Value::Null),
        ("GET", "/telemetry?details_level=3", Value::Null),
        ("GET", "/metrics", Value::Null),
        ("GET", "/dashboard", Value::Null),
    ]
}

fn points() -> Vec<Sample> {
    let vector = json!({"dense": [1, 0.5], "tokens": [[1, 0], [0.25, -1]],
        "words": {"indices": [1, 7], "values": [0.5, 2]}});
    let payload = json!({"n": [{"m": 1}, {"m": null}], "t": "Some words", "at": "2026-01-02T03:04:05Z",
        "geo": {"lon": 13.4, "lat": 52.5}});
    let id = json!("5c56c793-69f3-4fbf-87e6-c4bf54c28c26");
    let one = json!({"id": 7, "vector": vector, "payload": payload});
    let filter = json!({"must": [{"key": "n[].m", "range": {"gte": 100, "lt": null}}]});
    let batch = json!({"batch": {"ids": [1, id], "vectors": {"dense": [[1, 2], [3, 4]]}}});
    let operations = json!({"operations": [
        {"upsert": {"points": [one]}},
        {"set_payload": {"payload": payload, "points": [1], "key": "deep.er"}},
        {"delete_vectors": {"points": [7], "vector": ["words"]}},
        {"delete": {"filter": filter}},
    ]});
    vec![
        (
            "PUT",
            "/collections/c/points?wait=true",
            json!({"points": [one, {"id": id, "vector": {}}]}),
        ),
        ("PUT", "/collections/c/points?ordering=weak", batch),
        ("POST", "/collections/c/points/delete", json!({"points": [8, 9]})),
        ("POST", "/collections/c/points/payload", json!({"payload": payload, "filter": filter})),
        ("PUT", "/collections/c/points/payload", json!({"payload": {"a": 1}, "points": [7]})),
        ("POST", "/collections/c/points/payload/delete", json!({"keys": ["t"], "points": [8]})),
        ("POST", "/collections/c/points/payload/clear", json!({"points": [9]})),
        ("PUT", "/collections/c/points/vectors", json!({"points": [{"id": 1, "vector": vector}]})),
        (
            "POST",
            "/collections/c/points/vectors/delete",
            json!({"points": [9], "vectors": ["dense"]}),
        ),
        ("POST", "/collections/c/points/batch", operations),
    ]
}

fn filter() -> Value {
    let area = json!({"exterior": {"points": [{"lon": 0, "lat": 0}, {"lon": 9, "lat": 0}, {"lon": 0, "lat": 9},
        {"lon": 0, "lat": 0}]}});
    json!({"must": [{"key": "t", "match": {"text": "some"}}, {"nested": {"key": "n", "filter": {
        "must_not": {"is_null": {"key": "m"}}}}}],
        "should": [{"has_id": [1, 7]}, {"key": "geo", "geo_polygon": area}, {"has_vector": "dense"},
            {"key": "geo", "geo_radius": {"center": {"lon": 1, "lat": 1}, "radius": 1e6}},
            {"slice": {"total": 4, "index": 1}}],
        "min_should": {"min_count": 1, "conditions": [{"key": "n", "values_count": {"gt": 0}},
            {"key": "at", "range": {"gt": "2025-01-01"}}]}})
}

fn records() -> Vec<Sample> {
    let order = json!({"key": "n[].m", "direction": "desc", "start_from": 3});
    vec![
        ("POST", "/collections/c/points", json!({"ids": [1, 7], "with_vector": ["dense"]})),
        ("GET", "/collections/c/points/1", Value::Null),
        (
            "POST",
            "/collections/c/points/scroll",
            json!({"filter": filter(), "limit": 3, "offset": 1}),
        ),
        (
            "POST",
            "/collections/c/points/scroll",
            json!({"order_by": order, "with_payload": {"include": ["n"]}}),
        ),
        ("POST", "/collections/c/points/count", json!({"filter": filter(), "exact": true})),
        ("POST", "/collections/c/facet", json!({"key": "n[].m", "limit": 5, "filter": filter()})),
        (
            "POST",
            "/collections/c/points/search/matrix/pairs",
            json!({"sample": 5, "using": "dense"}),
        ),
        (
            "POST",
            "/collections/c/points/1/similarities",
            json!({"using": "tokens", "query": [[1, 2]]}),
        ),
    ]
}

fn queries() -> Vec<Sample> {
    let recall = json!({"query": [1, 0.5], "using": "dense", "limit": 5, "filter": filter(),
        "params": {"hnsw_ef": 20, "exact": false}, "score_threshold": -0.5});
    let words = json!({"query": {"indices": [7], "values": [1]}, "using": "words",
        "params": {"idf": {"corpus": filter()}}});
    let rerank = json!({"prefetch": [recall, words], "query": [[1, 0], [0, 1]], "using": "tokens",
        "with_payload": true, "with_vector": true, "limit": 3, "offset": 1});
    let fused = json!({"prefetch": [recall, {"prefetch": recall, "query": 7, "using": "dense"}],
        "query": {"rrf": {"k": 2, "weights": [1, 0.5]}}});
    let formula = json!({"sum": ["$score", {"mult": [0.5, {"key": "n", "match": {"any": [1, 2]}}]},
        {"gauss_decay": {"x": {"datetime_key": "at"}, "target": {"datetime": "2026-01-01"}, "scale": 86400}},
        {"sqrt": {"abs": "$score[0]"}}]});
    let boosted = json!({"prefetch": recall, "query": {"formula": formula, "defaults": {"n": 3}}});
    let like = json!({"query": {"recommend": {"positive": [1, [0.5, 1]], "negative": [7],
        "strategy": "best_score"}}, "using": "dense"});
    let context = json!({"query": {"discover": {"target": 1, "context": [{"positive": 7, "negative": [1, 0]}]}},
        "using": "dense", "lookup_from": {"collection": "c", "vector": "dense"}});
    let diverse = json!({"query": {"nearest": [1, 0], "mmr": {"diversity": 0.5, "candidates_limit": 9}},
        "using": "dense"});
    let groups =
        json!({"query": 1, "using": "dense", "group_by": "n[].m", "group_size": 2, "limit": 3});
    let path = "/collections/c/points/query";
    let one = [&rerank, &fused, &boosted, &like, &context, &diverse];
    let batch = json!({"searches": one});
    let mut samples: Vec<Sample> = one.map(|body| ("POST", path, body.clone())).into();
    samples.push(("POST", "/collections/c/points/query/batch", batch));
    samples.push(("POST", "/collections/c/points/query/groups?timeout=5", groups));
    samples
}

fn older() -> Vec<Sample> {
    let vector = json!({"name": "dense", "vector": [1, 0]});
    vec![
        (
            "POST",
            "/collections/c/points/search",
            json!({"vector": vector, "limit": 3, "filter": filter()}),
        ),
        (
            "POST",
            "/collections/c/points/recommend",
            json!({"positive": [1], "negative": [[1, 0]], "using": "dense", "limit": 3}),
        ),
        (
            "POST",
            "/collections/c/points/discover",
            json!({"target": 1, "context": [{"positive": 1, "negative": 7}], "using": "dense", "limit": 3}),
        ),
    ]
}

/// A request like a sample, and mostly with something wrong.
fn request(random: &mut StdRng, samples: &[Sample]) -> (String, String, Vec<u8>) {
    let (method, path, body) = samples.choose(random).unwrap();
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let body = match random.random_range(0..10) {
        0 => body,
        1 => mutate::noise(random),
        _ => mutate::bytes(random, body),
    };
    let mut target = (method.to_string(), path.to_string());
    match random.random_range(0..20) {
        0 => {
            target.0 = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD"]
                .choose(random)
                .unwrap()
                .to_string()
        }
        1 => target.1 = samples.choose(random).unwrap().1.to_string(),
        2 => target.1 = escaped(&mutate::bytes(random, path.as_bytes().to_vec())),
        _ => {}
    }
    (target.0, target.1, body)
}

/// A path of any bytes.
fn escaped(bytes: &[u8]) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"/?=&-._".contains(&it);
    let of = |it: &u8| if plain(*it) { char::from(*it).to_string() } else { format!("%{it:02X}") };
    format!("/{}", bytes.iter().skip(1).map(of).collect::<String>())
}

async fn send(router: &Router, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().into())
}

/// Drops what there is, and makes the collection that requests are about.
async fn begin(router: &Router, samples: &[Sample]) {
    let (_, all) = send(router, "GET", "/collections", Vec::new()).await;
    let all: Value = serde_json::from_slice(&all).unwrap();
    for collection in all["result"]["collections"].as_array().unwrap() {
        let name = escaped(format!("/{}", collection["name"].as_str().unwrap()).as_bytes());
        assert_eq!(send(router, "DELETE", &format!("/collections{name}"), Vec::new()).await.0, 200);
    }
    assert_eq!(send(router, "PUT", C, config().to_string().into()).await.0, 200);
    let (method, path, points) = samples.iter().find(|it| it.1.contains("wait")).unwrap();
    assert_eq!(send(router, method, path, points.to_string().into()).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered() {
    let number = |name| std::env::var(name).ok().map(|it| it.parse::<u64>().unwrap());
    let seed = number("MAXFOLD_RANDOM_SEED").unwrap_or_else(rand::random);
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    let options = ServerOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    let router = Server::open(directory.path(), options).unwrap().router();
    let (samples, mut random) = (samples(), StdRng::seed_from_u64(seed));
    let (mut ends, mut longest, mut made) = (BTreeMap::new(), Duration::ZERO, false);
    for at in 0..number("MAXFOLD_REQUESTS").unwrap_or(3000) {
        if at % ROUND == 0 || !made {
            begin(&router, &samples).await;
        }
        let (method, path, body) = request(&mut random, &samples);
        assert!(path.parse::<Uri>().is_ok(), "{path}");
        let start = Instant::now();
        let (status, answer) = send(&router, &method, &path, body.clone()).await;
        let what = || {
            format!(
                "seed {seed}, request {at}: {method} {path} {:?}",
                String::from_utf8_lossy(&body)
            )
        };
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            [200, 400, 404, 405, 409, 415, 422].contains(&status),
            "{}: {status} {answer}",
            what()
        );
        if status != 200 && method != "HEAD" {
            assert!(answer.contains(r#""error":""#), "{}: {status} {answer}", what());
        }
        made = (&*method, &*path, status) != ("DELETE", C, 200);
        longest = longest.max(start.elapsed());
        *ends.entry(status).or_insert(0_u64) += 1;
    }
    println!("{ends:?}, the longest took {longest:?}");
    // Some were understood.
    assert!(ends.get(&200).is_some_and(|it| *it > 100), "{ends:?}");
}
