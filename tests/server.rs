//! The server's routes: envelopes, codes, keys, what stays over a restart.
#![cfg(feature = "server")]

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use maxfold::server::{Server, ServerOptions};
use maxfold::{Backend, Reranker};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

fn options() -> ServerOptions {
    ServerOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap())
}

fn open(directory: &Path) -> Router {
    Server::open(directory, options()).unwrap().router()
}

struct Answer {
    status: StatusCode,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    #[track_caller]
    fn result(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        let mut answer = self.json();
        assert_eq!(answer["status"], "ok");
        assert!(answer["time"].as_f64().unwrap() >= 0.0);
        answer["result"].take()
    }

    #[track_caller]
    fn error(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()["status"]["error"].as_str().unwrap().to_owned()
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    Answer { status, bytes: to_bytes(response.into_body(), usize::MAX).await.unwrap().into() }
}

async fn call(router: &Router, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
    send(router, Request::builder().method(method).uri(path).body(body).unwrap()).await
}

fn config() -> Value {
    json!({"vectors": {
        "dense": {"size": 2, "distance": "Dot"},
        "tokens": {
            "size": 2, "distance": "Dot",
            "multivector_config": {"comparator": "max_sim"}, "hnsw_config": {"m": 0},
        },
    }, "sparse_vectors": {"words": {"modifier": "idf"}}})
}

async fn fill(router: &Router) {
    assert_eq!(call(router, "PUT", "/collections/pages", config()).await.result(), true);
    let points = json!({"points": [
        {"id": 1, "vector": {"dense": [1, 0], "tokens": [[1, 0], [0, 1]]}, "payload": {"n": 1}},
        {"id": 2, "vector": {"dense": [0.5, 0], "tokens": [[0.05, 0.5]]}, "payload": {"n": 2}},
        {"id": 3, "vector": {"dense": [0, 1], "tokens": [[0, 2]]}, "payload": {"n": 3}},
    ]});
    let written = call(router, "PUT", "/collections/pages/points?wait=true", points).await.result();
    assert_eq!(written["status"], "completed");
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn recall_and_rerank_in_one_request() {
    let directory = directory();
    let router = open(directory.path());
    fill(&router).await;
    // The dense vector finds 1 and 2; MaxSim: 1 + 1 = 2 for 1, 0.05 + 0.5 for 2.
    let request = json!({
        "prefetch": {"query": [1, 0], "using": "dense", "limit": 2},
        "query": {"nearest": [[1, 0], [0, 1]]}, "using": "tokens",
        "with_payload": true, "with_vector": ["tokens"],
    });
    let path = "/collections/pages/points/query";
    let found = call(&router, "POST", path, request.clone()).await.result();
    assert_eq!(
        found,
        json!({"points": [
            {"id": 1, "version": 2, "score": 2.0, "payload": {"n": 1},
             "vector": {"tokens": [[1.0, 0.0], [0.0, 1.0]]}},
            {"id": 2, "version": 2, "score": 0.55, "payload": {"n": 2},
             "vector": {"tokens": [[0.05, 0.5]]}},
        ]})
    );
    let planned =
        call(&router, "POST", &format!("{path}?plan=true"), request.clone()).await.result();
    assert_eq!(planned["plan"]["query"]["prefetch"][0]["found"], 2);
    let batch = json!({"searches": [request, {"query": 1, "using": "dense", "limit": 1}]});
    let answers = call(&router, "POST", &format!("{path}/batch"), batch).await.result();
    assert_eq!(answers[0], found);
    // The point that is the query is not found itself.
    assert_eq!(answers[1]["points"][0]["id"], 2);
}

#[tokio::test]
async fn a_sample_skips_nothing_but_what_prefetches_found() {
    let directory = directory();
    let router = open(directory.path());
    fill(&router).await;
    let count = async |body: Value| {
        let found = call(&router, "POST", "/collections/pages/points/query", body).await.result();
        found["points"].as_array().unwrap().len()
    };
    let sample = json!({"sample": "random"});
    assert_eq!(count(json!({"query": sample, "limit": 3, "offset": 2})).await, 3);
    let prefetch = json!({"limit": 2});
    assert_eq!(count(json!({"prefetch": prefetch, "query": sample, "offset": 1})).await, 1);
}

#[tokio::test]
async fn texts_are_words_to_bm25() {
    let directory = directory();
    let router = open(directory.path());
    fill(&router).await;
    let text = |text: &str| json!({"text": text, "model": "Qdrant/bm25"});
    let points = json!({"points": [
        {"id": 7, "vector": {"words": text("The cats sleep.")}, "payload": {"model": "m", "text": "t"}},
        {"id": 8, "vector": {"words": text("Dogs bark")}},
    ]});
    call(&router, "PUT", "/collections/pages/points", points).await.result();
    let request = json!({"query": text("a sleeping cat"), "using": "words", "with_payload": true});
    let found = call(&router, "POST", "/collections/pages/points/query", request).await.result();
    let points = found["points"].as_array().unwrap();
    assert_eq!(points.len(), 1);
    assert_eq!(
        (&points[0]["id"], &points[0]["payload"]),
        (&json!(7), &json!({"model": "m", "text": "t"}))
    );
    // Two words of a text of two: tf = 2.2 / (1 + 1.2 · (0.25 + 0.75 · 2 / 256)), idf = ln(1.5 / 1.5 + 1).
    let expected = 2.0 * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 2.0 / 256.0)) * 2_f64.ln();
    assert!((points[0]["score"].as_f64().unwrap() - expected).abs() < 1e-6);
    let other = json!({"query": {"text": "x", "model": "other"}, "using": "words"});
    let error = call(&router, "POST", "/collections/pages/points/query", other).await.error(400);
    assert!(error.contains("query.model to be one of Qdrant/bm25, got \"other\""), "{error}");
}

#[tokio::test]
async fn errors_are_those_that_clients_know() {
    let directory = directory();
    let router = open(directory.path());
    fill(&router).await;
    let error = async |method, path: &str, body, status| {
        call(&router, method, path, body).await.error(status)
    };
    let missing = "Not found: Collection `none` doesn't exist!";
    assert_eq!(error("GET", "/collections/none", Value::Null, 404).await, missing);
    assert_eq!(error("POST", "/collections/none/points/query", json!({}), 404).await, missing);
    let exists = "Wrong input: Collection `pages` already exists!";
    assert_eq!(error("PUT", "/collections/pages", config(), 409).await, exists);
    let query = async |body: Value, status| {
        error("POST", "/collections/pages/points/query", body, status).await
    };
    let unknown = "Wrong input: Not existing vector name error: v";
    assert_eq!(query(json!({"query": [1, 0], "using": "v"}), 400).await, unknown);
    let dimension = "Wrong input: Vector dimension error: expected dim: 2, got 3";
    assert_eq!(query(json!({"query": [1, 0, 0], "using": "dense"}), 400).await, dimension);
    let id = "Not found: No point with id 77 found";
    assert_eq!(query(json!({"query": 77, "using": "dense"}), 404).await, id);
    assert!(
        query(json!({"limit": 0}), 422).await.starts_with("Validation error in JSON body: [limit:")
    );
    assert!(query(json!({"limit": "x"}), 400).await.starts_with("Format error in JSON body: "));
    assert!(query(json!({"query": {"fusion": "rrf"}}), 422).await.contains("prefetch"));
    let ordered = json!({"query": {"order_by": "n"}, "score_threshold": 1});
    let unscored = "Bad request: Can't use score_threshold with an order_by query.";
    assert_eq!(query(ordered, 400).await, unscored);
    // Where nothing is counted, a part in which to count says nothing.
    let corpus = json!({"idf": {"corpus": {}}});
    let words = json!({"indices": [7], "values": [1]});
    let count = |query, using| json!({"query": query, "using": using, "params": corpus});
    assert!(query(count(json!([1, 0]), "dense"), 400).await.contains("modifier idf"));
    let counted =
        call(&router, "POST", "/collections/pages/points/query", count(words, "words")).await;
    assert_eq!(counted.status, 200);
    let rows = json!({"points": [{"id": 9, "vector": {"tokens": [[1, 0], [1]]}}]});
    let rows = error("PUT", "/collections/pages/points", rows, 422).await;
    assert!(rows.contains("[points[0].vector.tokens[1]: expected a row of 2 numbers"), "{rows}");
    let no_use = json!({"field_name": "n",
        "field_schema": {"type": "integer", "lookup": false, "range": false}});
    let no_use = error("PUT", "/collections/pages/index", no_use, 422).await;
    assert!(no_use.contains("'lookup' and 'range' capabilities can't be both disabled"));
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let request = Request::post("/collections/pages/points/query").body(deep.into()).unwrap();
    assert!(send(&router, request).await.error(400).starts_with("Format error in JSON body: "));
    let none = error("PUT", "/collections/a%2Fb", config(), 422).await;
    assert!(none.contains("cannot contain '/'"), "{none}");
    for method in ["GET", "PUT", "DELETE"] {
        let no_text = error(method, "/collections/%FF", config(), 400).await;
        assert!(no_text.starts_with("Bad request: ") && no_text.contains("UTF-8"), "{no_text}");
    }
    let nameless = json!({"vectors": {"size": 1, "distance": "Dot"}, "sparse_vectors": {"": {}}});
    let nameless = error("PUT", "/collections/nameless", nameless, 422).await;
    assert!(nameless.contains("Sparse vector name cannot be empty"), "{nameless}");
    let long = json!({"vectors": {"v".repeat(201): {"size": 1, "distance": "Dot"}}});
    let long = error("PUT", "/collections/long", long, 422).await;
    assert!(long.contains("a vector's name to be at most 200 bytes, got 201"), "{long}");
    assert_eq!(call(&router, "DELETE", "/collections/none", Value::Null).await.result(), false);
    assert!(error("GET", "/nothing", Value::Null, 404).await.starts_with("Not found: "));
    error("PATCH", "/collections", Value::Null, 405).await;
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let directory = directory();
    let options = options().body_bytes(1000).bodies_bytes(4096);
    let router = Server::open(directory.path(), options).unwrap().router();
    let post = |body: Body| Request::post("/collections/c/points/query").body(body).unwrap();
    let error = send(&router, post(" ".repeat(1001).into())).await.error(400);
    assert!(error.contains("larger than allowed (limit: 1000 bytes)"), "{error}");
    // The length may be unknown until it has arrived.
    let parts = futures::stream::iter((0..8).map(|_| Ok::<_, std::io::Error>("x".repeat(200))));
    let error = send(&router, post(Body::from_stream(parts))).await.error(400);
    assert!(error.contains("larger than allowed (limit: 1000 bytes)"), "{error}");
}

#[tokio::test]
async fn keys_open_what_they_may() {
    let directory = directory();
    let options = options().api_key("key").read_only_api_key("look");
    let router = Server::open(directory.path(), options).unwrap().router();
    let with = async |method: &str, path: &str, header: Option<(&str, &str)>| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = send(&router, request.body(Body::from("{}")).unwrap()).await;
        (answer.status.as_u16(), answer.text())
    };
    let missing = "Must provide an API key or an Authorization bearer token";
    assert_eq!(with("GET", "/collections", None).await, (401, missing.into()));
    let wrong = (401, "Invalid API key or JWT".into());
    assert_eq!(with("GET", "/collections", Some(("api-key", "kez"))).await, wrong);
    for free in ["/", "/healthz", "/livez", "/readyz", "/dashboard"] {
        assert_eq!(with("GET", free, None).await.0, 200, "{free}");
    }
    let look = Some(("api-key", "look"));
    assert_eq!(with("GET", "/collections", look).await.0, 200);
    assert_eq!(with("PUT", "/collections/c", look).await.0, 403);
    assert_eq!(with("PUT", "/collections/c", Some(("authorization", "Bearer key"))).await.0, 200);
    assert_eq!(with("POST", "/collections/c/points/query", look).await.0, 200);
    assert_eq!(with("POST", "/collections/c/points/batch", look).await.0, 403);
    // Asked, and refused for its body.
    assert_eq!(with("POST", "/collections/c/points/7/similarities", look).await.0, 400);
    assert_eq!(with("DELETE", "/collections/c", look).await.0, 403);
    assert_eq!(with("GET", "/metrics", None).await.0, 401);
}

#[tokio::test]
async fn names_and_points_stay() {
    let directory = directory();
    {
        let router = open(directory.path());
        fill(&router).await;
        let odd = "/collections/%C3%A4%20b";
        call(&router, "PUT", odd, json!({"vectors": {"size": 1, "distance": "Cosine"}}))
            .await
            .result();
        let actions = json!({"actions": [
            {"create_alias": {"collection_name": "pages", "alias_name": "now"}},
            {"create_alias": {"collection_name": "ä b", "alias_name": "gone"}},
            {"rename_alias": {"old_alias_name": "now", "new_alias_name": "today"}},
        ]});
        call(&router, "POST", "/collections/aliases", actions).await.result();
        // One that fails takes the others with it.
        let actions = json!({"actions": [
            {"delete_alias": {"alias_name": "today"}},
            {"create_alias": {"collection_name": "none", "alias_name": "x"}},
        ]});
        call(&router, "POST", "/collections/aliases", actions).await.error(404);
        assert_eq!(call(&router, "DELETE", odd, Value::Null).await.result(), true);
        let error = Server::open(directory.path(), options()).unwrap_err().to_string();
        assert!(error.contains("already open"), "{error}");
    }
    let leftover = directory.path().join("collections/00000077");
    std::fs::create_dir(&leftover).unwrap();
    let router = open(directory.path());
    assert!(!leftover.exists());
    let listed = call(&router, "GET", "/collections", Value::Null).await.result();
    assert_eq!(listed, json!({"collections": [{"name": "pages"}]}));
    let aliases = call(&router, "GET", "/aliases", Value::Null).await.result();
    assert_eq!(aliases, json!({"aliases": [{"alias_name": "today", "collection_name": "pages"}]}));
    let count = call(&router, "POST", "/collections/today/points/count", json!({})).await.result();
    assert_eq!(count, json!({"count": 3}));
    let directories = std::fs::read_dir(directory.path().join("collections")).unwrap().count();
    assert_eq!(directories, 1);
}

#[tokio::test]
async fn a_collection_is_shown_as_it_was_made() {
    let directory = directory();
    let router = open(directory.path());
    fill(&router).await;
    let index =
        json!({"field_name": "n", "field_schema": {"type": "integer", "is_principal": true}});
    call(&router, "PUT", "/collections/pages/index", index.clone()).await.result();
    // Once more is fine, and another type takes its place.
    call(&router, "PUT", "/collections/pages/index", index).await.result();
    let change =
        json!({"metadata": {"owner": "a"}, "optimizers_config": {"indexing_threshold": 5}});
    call(&router, "PATCH", "/collections/pages", change).await.result();
    let info = call(&router, "GET", "/collections/pages", Value::Null).await.result();
    assert_eq!(info["config"]["params"]["vectors"], config()["vectors"]);
    assert_eq!(info["config"]["params"]["sparse_vectors"], config()["sparse_vectors"]);
    assert_eq!(info["config"]["metadata"], json!({"owner": "a"}));
    assert_eq!(info["config"]["optimizer_config"]["indexing_threshold"], 5);
    assert_eq!(info["points_count"], 3);
    let params = json!({"type": "integer", "is_principal": true});
    assert_eq!(
        info["payload_schema"]["n"],
        json!({"data_type": "integer", "params": params, "points": 3})
    );
    let vector = json!({"dense": {"size": 3, "distance": "Cosine"}});
    call(&router, "PUT", "/collections/pages/vectors/more", vector.clone()).await.result();
    let info = call(&router, "GET", "/collections/pages", Value::Null).await.result();
    assert_eq!(info["config"]["params"]["vectors"]["more"], vector["dense"]);
    call(&router, "DELETE", "/collections/pages/vectors/more", Value::Null).await.result();
    call(&router, "DELETE", "/collections/pages/vectors/more", Value::Null).await.error(400);
    call(&router, "DELETE", "/collections/pages/index/n", Value::Null).await.result();
    let info = call(&router, "GET", "/collections/pages", Value::Null).await.result();
    assert_eq!(info["payload_schema"], json!({}));
}

#[tokio::test]
async fn snapshots_are_made_sent_and_recovered() {
    let directory = directory();
    let router = open(directory.path());
    fill(&router).await;
    let made = call(&router, "POST", "/collections/pages/snapshots", Value::Null).await.result();
    let listed = call(&router, "GET", "/collections/pages/snapshots", Value::Null).await.result();
    assert_eq!(listed, json!([made]));
    let path = format!("/collections/pages/snapshots/{}", made["name"].as_str().unwrap());
    let file = call(&router, "GET", &path, Value::Null).await.bytes;
    let checksum: String = Sha256::digest(&file).iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(
        (made["checksum"].as_str(), made["size"].as_u64()),
        (Some(&*checksum), Some(file.len() as u64))
    );

    let all = json!({"filter": {}});
    call(&router, "POST", "/collections/pages/points/delete", all).await.result();
    let upload = async |name: &str, query: &str| {
        let mut body =
            b"--x\r\ncontent-disposition: form-data; name=\"snapshot\"; filename=\"s\"\r\n\r\n"
                .to_vec();
        body.extend(&file);
        body.extend(b"\r\n--x--\r\n");
        let request = Request::post(format!("/collections/{name}/snapshots/upload{query}"))
            .header("content-type", "multipart/form-data; boundary=x");
        send(&router, request.body(body.into()).unwrap()).await
    };
    upload("pages", &format!("?checksum={}", "3".repeat(64))).await.error(400);
    let count = async |name: &str| {
        let path = format!("/collections/{name}/points/count");
        call(&router, "POST", &path, json!({})).await.result()["count"].clone()
    };
    assert_eq!(count("pages").await, 0);
    upload("pages", &format!("?checksum={checksum}")).await.result();
    upload("copy", "").await.result();
    assert_eq!((count("pages").await, count("copy").await), (3.into(), 3.into()));

    let recover = async |location: String| {
        let path = "/collections/copy/snapshots/recover";
        call(&router, "PUT", path, json!({"location": location})).await
    };
    let kept = directory.path().join("snapshots");
    let kept = std::fs::read_dir(kept).unwrap().next().unwrap().unwrap().path();
    let kept = kept.join(made["name"].as_str().unwrap());
    call(&router, "DELETE", "/collections/copy", Value::Null).await.result();
    recover(format!("file://{}", kept.display())).await.result();
    assert_eq!(count("copy").await, 3);
    let outside = tempfile::NamedTempFile::new().unwrap();
    recover(format!("file://{}", outside.path().display())).await.error(403);
    recover("file:///none.snapshot".into()).await.error(400);
    call(&router, "GET", "/collections/pages/snapshots/..%2F..%2Fcollections.json", Value::Null)
        .await
        .error(404);
    call(&router, "DELETE", &path, Value::Null).await.result();
    assert_eq!(
        call(&router, "GET", "/collections/pages/snapshots", Value::Null).await.result(),
        json!([])
    );

    // All of them are a directory that a server may be started on.
    let full = call(&router, "POST", "/snapshots", Value::Null).await.result();
    let file = call(
        &router,
        "GET",
        &format!("/snapshots/{}", full["name"].as_str().unwrap()),
        Value::Null,
    )
    .await;
    let restored = tempfile::tempdir().unwrap();
    tar::Archive::new(&*file.bytes).unpack(restored.path()).unwrap();
    let listed = call(&open(restored.path()), "GET", "/collections", Value::Null).await.result();
    assert_eq!(listed, json!({"collections": [{"name": "copy"}, {"name": "pages"}]}));
}

#[tokio::test]
async fn a_damaged_collection_stops_no_other() {
    let directory = directory();
    {
        let router = open(directory.path());
        fill(&router).await;
        call(&router, "PUT", "/collections/other", json!({})).await.result();
    }
    let names = std::fs::read_to_string(directory.path().join("collections.json")).unwrap();
    let names: Value = serde_json::from_str(&names).unwrap();
    let pages = names["collections"]["pages"].as_str().unwrap();
    let file = directory.path().join("collections").join(pages).join("data.mdb");
    std::fs::write(&file, b"nothing that was written by LMDB").unwrap();
    let router = open(directory.path());
    call(&router, "POST", "/collections/other/points/count", json!({})).await.result();
    call(&router, "POST", "/collections/pages/points/count", json!({})).await.error(500);
    assert_eq!(
        call(&router, "GET", "/collections/pages", Value::Null).await.result()["status"],
        "red"
    );
    assert_eq!(call(&router, "DELETE", "/collections/pages", Value::Null).await.result(), true);
}

#[tokio::test]
async fn slow_clients_are_cut_off_and_hold_up_nobody() {
    let directory = directory();
    let options = options()
        .body_time(Duration::from_millis(300))
        .idle_time(Duration::from_millis(300))
        .connections(40);
    let server = Server::open(directory.path(), options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
    let mut slow = Vec::new();
    for at in 0..30 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            "POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
        stream.write_all(if at % 2 == 0 { head } else { &head[..20] }.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("healthz check passed"));
    for (at, mut stream) in slow.into_iter().enumerate() {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") == (at % 2 == 0), "{at}: {answer}");
    }
    let start = Instant::now();
    stop.send(()).unwrap();
    served.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(TcpStream::connect(address).await.is_err());
}
