//! The example service: what it answers, and that it stays responsive.

#![cfg(all(feature = "gpu", feature = "collection"))]

#[path = "../examples/service/app.rs"]
mod app;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use maxfold::maxsim::CpuMaxSim;
use maxfold::recall::Distance;
use maxfold::search::SearcherOptions;
use maxfold::{Collection, CollectionConfig, Reranker, Searcher, VectorConfig};
use rand::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

const DIM: usize = 128;

fn service() -> Router {
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(2, Distance::Cosine))
        .vector("tokens", VectorConfig::multi(DIM, Distance::Dot));
    let options = SearcherOptions::new().reranker(Reranker::on_cpu(CpuMaxSim::new()));
    let collection = Collection::temporary(config).unwrap();
    app::router(Arc::new(Searcher::with_options(collection, options).unwrap()))
}

async fn call(service: &Router, method: &str, path: &str, body: String) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json").body(Body::from(body));
    let response = service.clone().oneshot(request.unwrap()).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Rows of unit vectors along these columns.
fn rows(columns: &[usize]) -> Value {
    let row = |&at: &usize| (0..DIM).map(|it| f32::from(u8::from(it == at))).collect::<Vec<_>>();
    columns.iter().map(row).collect::<Vec<_>>().into()
}

fn point(id: u64, columns: &[usize]) -> String {
    json!({"id": id, "vector": {"dense": [1.0, id], "tokens": rows(columns)}}).to_string()
}

#[tokio::test]
async fn it_ingests_searches_and_backs_up() {
    let service = service();
    let points = [point(7, &[3, 1, 2]), point(8, &[9, 3])].join("\n");
    assert_eq!(
        call(&service, "PUT", "/points", points).await,
        (StatusCode::OK, json!({"ingested": 2}))
    );

    let request = json!({
        "prefetch": {"query": [1, 1], "using": "dense", "limit": 10},
        "query": rows(&[1, 3]), "using": "tokens", "with_matches": true,
    });
    let (status, answer) = call(&service, "POST", "/query", request.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let hits = answer["points"].as_array().unwrap().iter();
    assert_eq!(
        hits.map(|it| (it["id"].clone(), it["score"].clone())).collect::<Vec<_>>(),
        [(json!(7), json!(2.0)), (json!(8), json!(1.0))]
    );
    let matches = |hit: usize, at: usize| &answer["points"][hit]["matches"][at];
    assert_eq!(matches(0, 0), &json!({"token": 1, "similarity": 1.0}));
    assert_eq!(matches(0, 1), &json!({"token": 0, "similarity": 1.0}));
    assert_eq!([matches(1, 0)["token"].clone(), matches(1, 1)["token"].clone()], [0, 1]);

    let (status, statistics) = call(&service, "GET", "/statistics", String::new()).await;
    assert_eq!((status, &statistics["points"]), (StatusCode::OK, &json!(2)), "{statistics}");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy");
    let (status, _) = call(&service, "POST", "/backup", json!(path).to_string()).await;
    assert_eq!(status, StatusCode::CREATED);
    let copy = Collection::open(&path).unwrap();
    assert_eq!(copy.snapshot().unwrap().len(), 2);
    drop(copy);

    for (method, path, body, expected) in [
        ("POST", "/query", "{".to_owned(), StatusCode::BAD_REQUEST),
        ("POST", "/query", r#"{"query": [1], "using": "other"}"#.into(), StatusCode::NOT_FOUND),
        ("PUT", "/points", r#"{"id": 1, "id": 2}"#.into(), StatusCode::BAD_REQUEST),
        ("POST", "/backup", json!(path).to_string(), StatusCode::CONFLICT),
    ] {
        let (status, answer) = call(&service, method, path, body).await;
        assert_eq!(status, expected, "{answer}");
        assert!(answer["error"].as_str().is_some_and(|it| it.len() > 10), "{answer}");
    }
}

/// Prints, for 64 clients that search all the time on a runtime of one thread, how long the health check takes,
/// and how soon the thread of a cancelled request is free. Timings, so it is run by hand:
/// `cargo test --release --test service -- --ignored --nocapture`.
#[tokio::test(flavor = "current_thread")]
#[ignore = "prints timings"]
async fn an_idle_check_is_fast_under_load() {
    let service = service();
    let mut rng = StdRng::seed_from_u64(1);
    for batch in 0..10 {
        let points = (0..100).map(|at| {
            let columns: Vec<usize> = (0..300).map(|_| rng.random_range(0..DIM)).collect();
            point(batch * 100 + at, &columns)
        });
        let points: Vec<_> = points.collect();
        call(&service, "PUT", "/points", points.join("\n")).await;
    }
    let request =
        json!({"query": rows(&(0..64).collect::<Vec<_>>()), "using": "tokens"}).to_string();
    let clients = (0..64).map(|_| {
        let (service, request) = (service.clone(), request.clone());
        tokio::spawn(async move {
            loop {
                call(&service, "POST", "/query", request.clone()).await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut checks = Vec::new();
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let start = Instant::now();
        call(&service, "GET", "/health", String::new()).await;
        checks.push(start.elapsed());
    }
    checks.sort_unstable();
    println!("health check: median {:?}, longest {:?}", checks[150], checks[299]);
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    // The next call is through when those that were cancelled have left the threads.
    let start = Instant::now();
    let alone = call(&service, "GET", "/statistics", String::new()).await;
    println!("64 calls cancelled: the next one took {:?} ({})", start.elapsed(), alone.0);
}
