//! gRPC over the collections that REST shows: what a client of Qdrant's for Rust sends and gets, codes, keys, bounds.
//!
//! That answers are those of REST is shown for each call by Qdrant's client for Python, in `tests/clients.rs`.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use ::qdrant_client::qdrant::points_client::PointsClient;
use ::qdrant_client::qdrant::*;
use ::qdrant_client::{Payload, Qdrant, QdrantError};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use flate2::read::GzDecoder;
use maxfold::server::{Server, ServerOptions};
use maxfold::service::ServiceOptions;
use maxfold::{Backend, Reranker};
use prost::Message;
use rand::prelude::*;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::ServiceExt;

fn options() -> ServerOptions {
    ServerOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap())
}

/// A server on ports of its own.
struct Served {
    rest: Router,
    url: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    _directory: TempDir,
}

impl Served {
    async fn start(options: ServerOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::open(directory.path(), options).unwrap();
        let [rest, calls] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
        let (listener, calls) = (rest.await.unwrap(), calls.await.unwrap());
        let url = format!("http://{}", calls.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let rest = server.router();
        let serve = server.grpc(calls).serve(listener, async { drop(stopped.await) });
        Self { rest, url, stop, ended: tokio::spawn(serve), _directory: directory }
    }

    fn client(&self, key: Option<&str>) -> Qdrant {
        let mut config = Qdrant::from_url(&self.url).skip_compatibility_check();
        config.set_timeout(Duration::from_secs(60));
        key.map_or(config.clone(), |key| config.api_key(key)).build().unwrap()
    }

    async fn rest(&self, method: &str, path: &str, body: Json) -> Json {
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let response = self.rest.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.into()).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| text.into())
    }
}

fn status(error: QdrantError) -> Status {
    match error {
        QdrantError::ResponseError { status }
        | QdrantError::ResourceExhaustedError { status, .. } => status,
        other => panic!("a status, not {other}"),
    }
}

fn config(name: &str) -> CreateCollectionBuilder {
    let multi = MultiVectorConfigBuilder::new(MultiVectorComparator::MaxSim);
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params("dense", VectorParamsBuilder::new(2, Distance::Dot));
    vectors.add_named_vector_params(
        "tokens",
        VectorParamsBuilder::new(2, Distance::Dot).multivector_config(multi),
    );
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params("words", SparseVectorParamsBuilder::default());
    CreateCollectionBuilder::new(name).vectors_config(vectors).sparse_vectors_config(sparse)
}

fn payload(id: u64) -> HashMap<String, Value> {
    let list: Vec<Value> = vec![(id as i64).into(), false.into()];
    let fields = [("n", (id as i64).into()), ("half", 0.5.into()), ("list", list.into())];
    fields.map(|(key, value)| (key.to_owned(), value)).into()
}

async fn fill(client: &Qdrant) {
    client.create_collection(config("pages")).await.unwrap();
    let points = [(1, [1.0, 0.0]), (2, [0.5, 0.0]), (3, [0.0, 1.0])].map(|(id, dense)| {
        let vectors = NamedVectors::default()
            .add_vector("dense", dense.to_vec())
            .add_vector("tokens", vec![vec![0.1, 0.7], dense.to_vec()])
            .add_vector("words", vec![(7, 0.5), (u32::MAX, id as f32)]);
        let payload = Payload::from(payload(id));
        PointStruct::new(id, vectors, payload)
    });
    client.upsert_points(UpsertPointsBuilder::new("pages", points).wait(true)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_program_recalls_and_reranks() {
    let served = Served::start(options()).await;
    let client = served.client(None);
    assert_eq!(client.health_check().await.unwrap().version, "1.19.0");
    fill(&client).await;
    // The dense vector finds 1 and 2; MaxSim of [1, 0] and [0, 1]: 1 + 0.7, and 0.5 + 0.7.
    let recall = PrefetchQueryBuilder::default().query(vec![1.0, 0.0]).using("dense").limit(2_u64);
    let request = QueryPointsBuilder::new("pages")
        .add_prefetch(recall)
        .query(vec![vec![1.0, 0.0], vec![0.0, 1.0]])
        .using("tokens")
        .with_payload(true)
        .with_vectors(true);
    let found = client.query(request).await.unwrap().result;
    let scores: Vec<f32> = found.iter().map(|it| it.score).collect();
    assert_eq!(
        found.iter().map(|it| it.id.clone().unwrap()).collect::<Vec<_>>(),
        [1.into(), 2.into()]
    );
    assert!((scores[0] - 1.7).abs() < 1e-6 && (scores[1] - 1.2).abs() < 1e-6, "{scores:?}");
    assert_eq!(found[1].payload, payload(2));
    let Some(vectors_output::VectorsOptions::Vectors(vectors)) =
        found[0].vectors.clone().unwrap().vectors_options
    else {
        panic!("named vectors");
    };
    let tokens = vectors.vectors["tokens"].clone().into_vector();
    let rows = [vec![0.1, 0.7], vec![1.0, 0.0]].map(|data| DenseVector { data });
    assert_eq!(
        tokens,
        vector_output::Vector::MultiDense(MultiDenseVector { vectors: rows.into() })
    );
    // REST has the same collection.
    let shown = served.rest("GET", "/collections/pages", Json::Null).await;
    assert_eq!(shown["result"]["points_count"], 3);
}

/// Whoever knows the older fields alone sends values flat: their rows, and their indices, stand beside them.
#[expect(deprecated)]
#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_older_clients_are_kept_to_the_last_bit() {
    let served = Served::start(options()).await;
    fill(&served.client(None)).await;
    // A subnormal, the largest of a multivector, negative zero, and what fractions round to.
    let values = vec![1e-45, 65_504.0, -0.0, 0.1, 1.0 / 3.0, -1_677.721_7];
    let flat = |data: &[f32], indices: Option<Vec<u32>>, vectors_count| Vector {
        data: data.to_vec(),
        indices: indices.map(|data| SparseIndices { data }),
        vectors_count,
        vector: None,
    };
    let vectors = [
        ("dense", flat(&values[..2], None, None)),
        ("tokens", flat(&values, None, Some(3))),
        ("words", flat(&values[3..], Some(vec![1, 5, 9]), None)),
    ];
    let vectors = vectors.map(|(name, vector)| (name.to_owned(), vector)).into();
    let options = vectors::VectorsOptions::Vectors(NamedVectors { vectors });
    let point = PointStruct {
        id: Some(9.into()),
        vectors: Some(Vectors { vectors_options: Some(options) }),
        ..PointStruct::default()
    };
    let mut points = PointsClient::connect(served.url.clone()).await.unwrap();
    let upsert = |point| UpsertPoints {
        collection_name: "pages".into(),
        points: vec![point],
        ..UpsertPoints::default()
    };
    points.upsert(upsert(point.clone())).await.unwrap();
    let get = GetPoints {
        collection_name: "pages".into(),
        ids: vec![9.into()],
        with_vectors: Some(true.into()),
        ..GetPoints::default()
    };
    let record = points.get(get).await.unwrap().into_inner().result.remove(0);
    let Some(vectors_output::VectorsOptions::Vectors(kept)) =
        record.vectors.unwrap().vectors_options
    else {
        panic!("named vectors");
    };
    let bits = |values: &[f32]| values.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    let kept = |name: &str| kept.vectors[name].clone().into_vector();
    let vector_output::Vector::Dense(dense) = kept("dense") else { panic!("dense") };
    assert_eq!(bits(&dense.data), bits(&values[..2]));
    let vector_output::Vector::MultiDense(tokens) = kept("tokens") else { panic!("multi") };
    let rows: Vec<_> = tokens.vectors.iter().map(|row| bits(&row.data)).collect();
    assert_eq!(rows, values.chunks(2).map(bits).collect::<Vec<_>>());
    let vector_output::Vector::Sparse(words) = kept("words") else { panic!("sparse") };
    assert_eq!((words.indices, bits(&words.values)), (vec![1, 5, 9], bits(&values[3..])));

    for (vector, expected) in [
        (flat(&values, None, Some(4)), "got 6 in 4 rows"),
        (flat(&values, None, Some(0)), "got 6 in 0 rows"),
        (flat(&[f32::NAN, 1.0], None, None), "a number"),
        (flat(&[], None, None), "a vector with values"),
    ] {
        let options = vectors::VectorsOptions::Vector(vector);
        let vectors = Some(Vectors { vectors_options: Some(options) });
        let refused = points.upsert(upsert(PointStruct { vectors, ..point.clone() })).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(expected), "{}", refused.message());
    }
}

/// What older clients ask with: each is a query in another shape.
#[tokio::test(flavor = "multi_thread")]
async fn older_calls_find_what_queries_find() {
    let served = Served::start(options()).await;
    let client = served.client(None);
    fill(&client).await;
    let ids = |found: Vec<ScoredPoint>| -> Vec<(PointId, f32)> {
        found.into_iter().map(|it| (it.id.unwrap(), it.score)).collect()
    };
    let query =
        |query: Query| QueryPointsBuilder::new("pages").query(query).using("dense").limit(5);
    let nearest = client.query(query(Query::new_nearest(vec![1.0, 0.5]))).await.unwrap();
    let search = SearchPointsBuilder::new("pages", vec![1.0, 0.5], 5).vector_name("dense");
    let nearest = ids(nearest.result);
    assert_eq!(nearest[0], (1.into(), 1.0));
    assert_eq!(ids(client.search_points(search.clone()).await.unwrap().result), nearest);
    let batch = SearchBatchPointsBuilder::new("pages", vec![search.build()]);
    let batch = client.search_batch_points(batch).await.unwrap().result.remove(0);
    assert_eq!(ids(batch.result), nearest);
    let groups =
        SearchPointGroupsBuilder::new("pages", vec![1.0, 0.5], 5, "n", 1).vector_name("dense");
    let groups = client.search_groups(groups).await.unwrap().result.unwrap().groups;
    assert_eq!(groups.into_iter().flat_map(|it| ids(it.hits)).collect::<Vec<_>>(), nearest);

    let like = RecommendInputBuilder::default().add_positive(1).add_negative(vec![0.0, 0.5]);
    let expected = client.query(query(Query::new_recommend(like))).await.unwrap().result;
    let recommend = RecommendPointsBuilder::new("pages", 5)
        .add_positive(1)
        .add_negative(vec![0.0, 0.5])
        .using("dense");
    let expected = ids(expected);
    assert_eq!(ids(client.recommend(recommend.clone()).await.unwrap().result), expected);
    let batch = RecommendBatchPointsBuilder::new("pages", vec![recommend.build()]);
    let batch = client.recommend_batch(batch).await.unwrap().result.remove(0);
    assert_eq!(ids(batch.result), expected);

    let discover =
        DiscoverPointsBuilder::new("pages", vec![], 5).using("dense").target(TargetVector {
            target: Some(target_vector::Target::Single(example(PointId::from(1)))),
        });
    let pair = ContextExamplePair {
        positive: Some(VectorExample {
            example: Some(vector_example::Example::Vector(vec![1.0, 0.0].into())),
        }),
        negative: Some(example(PointId::from(3))),
    };
    let discover = discover.context(vec![pair]);
    let found = ids(client.discover(discover.clone()).await.unwrap().result);
    let input =
        DiscoverInputBuilder::new(1, ContextInputBuilder::default().add_pair(vec![1.0, 0.0], 3));
    let expected = client.query(query(Query::new_discover(input))).await.unwrap().result;
    assert!(!found.is_empty());
    assert_eq!(found, ids(expected));
    let batch = DiscoverBatchPointsBuilder::new("pages", vec![discover.build()]);
    let batch = client.discover_batch(&batch.build()).await.unwrap().result.remove(0);
    assert_eq!(ids(batch.result), found);
}

fn example(id: PointId) -> VectorExample {
    VectorExample { example: Some(vector_example::Example::Id(id)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_allow_what_they_allow_by_rest() {
    let options = options().api_key("all").read_only_api_key("read");
    let served = Served::start(options).await;
    let [all, read, wrong, none] =
        [Some("all"), Some("read"), Some("wrong"), None].map(|key| served.client(key));
    fill(&all).await;
    assert_eq!(
        read.count(CountPointsBuilder::new("pages")).await.unwrap().result.unwrap().count,
        3
    );
    for client in [&wrong, &none] {
        let refused = status(client.list_collections().await.unwrap_err());
        assert_eq!(refused.code(), Code::Unauthenticated);
        // What tells whether a server is there needs no key.
        client.health_check().await.unwrap();
    }
    let delete = DeletePointsBuilder::new("pages").points(PointsIdsList { ids: vec![1.into()] });
    let refused = status(read.delete_points(delete).await.unwrap_err());
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = status(read.delete_collection("pages").await.unwrap_err());
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(all.count(CountPointsBuilder::new("pages")).await.unwrap().result.unwrap().count, 3);
    let bearer = Qdrant::from_url(&served.url).header("authorization", "Bearer all");
    let bearer = bearer.skip_compatibility_check().build().unwrap();
    assert_eq!(bearer.list_collections().await.unwrap().collections.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_grpc() {
    let served = Served::start(options()).await;
    let client = served.client(None);
    let refused = status(client.collection_info("none").await.unwrap_err());
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "Not found: Collection `none` doesn't exist!");
    client.create_collection(config("pages")).await.unwrap();
    let refused = status(client.create_collection(config("pages")).await.unwrap_err());
    assert_eq!(refused.code(), Code::AlreadyExists);
    let keys = client.create_shard_key(CreateShardKeyRequestBuilder::new("pages")).await;
    assert_eq!(status(keys.unwrap_err()).code(), Code::Unimplemented);
    let timeout = CountPointsBuilder::new("pages").timeout(0).build();
    let mut points = PointsClient::connect(served.url.clone()).await.unwrap();
    let refused = points.count(timeout).await.unwrap_err();
    assert!(refused.message().contains("timeout: value 0 invalid"), "{}", refused.message());
    let metrics = served.rest("GET", "/metrics", Json::Null).await;
    for (call, code) in [("Points/Count", 3), ("Collections/Get", 5)] {
        let line =
            format!(r#"grpc_responses_total{{endpoint="/qdrant.{call}",status="{code}"}} 1"#);
        assert!(metrics.as_str().unwrap().contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_alone_and_together() {
    let served = Served::start(options().body_bytes(100_000)).await;
    let client = served.client(None);
    fill(&client).await;
    let upsert = |length: usize| {
        let payload = Payload::from([("text", Value::from("x".repeat(length)))]);
        let vectors = NamedVectors::default().add_vector("dense", vec![0.0, 1.0]);
        UpsertPointsBuilder::new("pages", vec![PointStruct::new(7, vectors, payload)]).build()
    };
    client.upsert_points(upsert(90_000)).await.unwrap();
    let refused = status(client.upsert_points(upsert(100_001)).await.unwrap_err());
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("larger than allowed"), "{}", refused.message());
    // In gzip it is short on the way, and long all the same.
    let gzip = tonic::codec::CompressionEncoding::Gzip;
    let points = PointsClient::connect(served.url.clone()).await.unwrap();
    let mut points = points.send_compressed(gzip).accept_compressed(gzip);
    points.upsert(upsert(90_000)).await.unwrap();
    let refused = points.upsert(upsert(10_000_000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    let few = Served::start(options().bodies_bytes(2048)).await;
    let refused = few.client(None).upsert_points(upsert(5000)).await.unwrap_err();
    let QdrantError::ResourceExhaustedError { status, retry_after_seconds } = refused else {
        panic!("expected a time to try again, got {refused}");
    };
    assert_eq!((status.code(), retry_after_seconds), (Code::ResourceExhausted, 1));
}

/// A client that is there answers pings, however long it asks for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_cut_off_and_living_ones_kept() {
    let idle = Duration::from_millis(300);
    let served = Served::start(options().idle_time(idle).body_time(idle)).await;
    let address = served.url.strip_prefix("http://").unwrap();
    let mut points = PointsClient::connect(served.url.clone()).await.unwrap();
    points.count(CountPoints::default()).await.unwrap_err();
    for beginning in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"] {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let ended = tokio::time::timeout(10 * idle, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{beginning:?} after {:?}", start.elapsed());
    }
    tokio::time::sleep(3 * idle).await;
    // The same connection: nothing connects a client that was connected by hand again, unless it is lost.
    assert_eq!(
        points.count(CountPoints::default()).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let start = Instant::now();
    served.stop.send(()).unwrap();
    served.ended.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(TcpStream::connect(address).await.is_err());
}

/// Health is told at once, and again when the server ends, which waits for nobody who only watches.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_those_who_watch() {
    let served = Served::start(options().api_key("key")).await;
    let channel = Endpoint::from_shared(served.url.clone()).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let of = |service: &str| HealthCheckRequest { service: service.into() };
    let mut whole = health.watch(of("")).await.unwrap().into_inner();
    let mut unknown = health.watch(of("none")).await.unwrap().into_inner();
    let status = |told: HealthCheckResponse| told.status();
    let first = [&mut whole, &mut unknown].map(|it| it.message());
    let [first, other] = first.map(|it| async { it.await.unwrap().map(status) });
    assert_eq!(first.await, Some(ServingStatus::Serving));
    assert_eq!(other.await, Some(ServingStatus::ServiceUnknown));
    assert_eq!(health.check(of("none")).await.unwrap_err().code(), Code::NotFound);
    let more = tokio::time::timeout(Duration::from_millis(300), whole.message()).await;
    assert!(more.is_err(), "{more:?}");
    let start = Instant::now();
    served.stop.send(()).unwrap();
    for mut watched in [whole, unknown] {
        assert_eq!(watched.message().await.unwrap().map(status), Some(ServingStatus::NotServing));
        assert!(watched.message().await.unwrap().is_none());
    }
    served.ended.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// One thread searches, so that what nobody waits for any more would keep what comes next waiting.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_ends_the_work() {
    let service = ServiceOptions::new().searchers(1).queue(1000);
    let served = Served::start(options().service(service)).await;
    let mut points = PointsClient::connect(served.url.clone()).await.unwrap();
    fill_with_long(&served.client(None)).await;
    let light =
        QueryPointsBuilder::new("long").query(PointId::from(1)).using("dense").limit(1_u64).build();
    let heavy = QueryPointsBuilder::new("long")
        .query(PointId::from(1))
        .using("tokens")
        .limit(1_u64)
        .build();
    let heavy = QueryBatchPointsBuilder::new("long", vec![heavy; 32]).build();
    points.query_batch(heavy.clone()).await.unwrap();
    let start = Instant::now();
    points.query_batch(heavy.clone()).await.unwrap();
    let whole = start.elapsed();
    let begin = |mut points: PointsClient<_>| {
        let heavy = heavy.clone();
        tokio::spawn(async move { points.query_batch(heavy).await.map(drop) })
    };
    // As long as it is waited for, the next one waits for it, too.
    let call = begin(points.clone());
    tokio::time::sleep(whole / 10).await;
    let start = Instant::now();
    points.query(light.clone()).await.unwrap();
    assert!(start.elapsed() > whole / 4, "{:?} of {whole:?}", start.elapsed());
    call.await.unwrap().unwrap();
    for keeps_its_connection in [true, false] {
        let other = PointsClient::connect(served.url.clone()).await.unwrap();
        let kept = keeps_its_connection.then(|| other.clone());
        let call = begin(other);
        tokio::time::sleep(whole / 10).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let start = Instant::now();
        assert_eq!(points.query(light.clone()).await.unwrap().into_inner().result.len(), 1);
        let waited = start.elapsed();
        assert!(waited < whole / 4, "{keeps_its_connection}: {waited:?} of {whole:?}");
        println!("{waited:?} until the next search, of {whole:?}");
        drop(kept);
    }
    let found = points.query_batch(heavy).await.unwrap().into_inner().result;
    assert_eq!(found.len(), 32);
}

/// A hundred points of 500 tokens each: some seconds for a batch of queries by them.
async fn fill_with_long(client: &Qdrant) {
    let multi = MultiVectorConfigBuilder::new(MultiVectorComparator::MaxSim);
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params("dense", VectorParamsBuilder::new(2, Distance::Dot));
    vectors.add_named_vector_params(
        "tokens",
        VectorParamsBuilder::new(128, Distance::Dot).multivector_config(multi),
    );
    let config = CreateCollectionBuilder::new("long").vectors_config(vectors);
    client.create_collection(config).await.unwrap();
    let mut random = StdRng::seed_from_u64(3);
    let mut row = || (0..128).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
    let point = |id| {
        let rows: Vec<_> = (0..500).map(|_| row()).collect();
        let vectors = NamedVectors::default().add_vector("dense", vec![1.0, id as f32]);
        PointStruct::new(id, vectors.add_vector("tokens", rows), Payload::new())
    };
    let points: Vec<_> = (0..100_u64).map(point).collect();
    client.upsert_points(UpsertPointsBuilder::new("long", points)).await.unwrap();
}

/// Clients name the encodings that they take in every call; those that want them use them.
#[tokio::test]
async fn answers_are_compressed_where_requests_are() {
    let directory = tempfile::tempdir().unwrap();
    let router = Server::open(directory.path(), options()).unwrap().grpc_router();
    let create = config("pages").build().encode_to_vec();
    assert_eq!(send(&router, "/qdrant.Collections/Create", &create).await.0, 0);
    for (encoding, takes, compressed) in [
        ("gzip", "identity,gzip", true),
        ("identity", "identity,gzip", false),
        ("gzip", "identity", false),
    ] {
        let request = Request::post("/qdrant.Collections/List")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .header("grpc-accept-encoding", takes);
        let request = request.body(Body::from(vec![0; 5])).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let named = response.headers().get("grpc-encoding").cloned();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!((named.is_some(), bytes[0]), (compressed, compressed.into()), "{encoding}");
        let mut message = bytes[5..].to_vec();
        if compressed {
            message.clear();
            GzDecoder::new(&bytes[5..]).read_to_end(&mut message).unwrap();
        }
        let answer = ListCollectionsResponse::decode(&message[..]).unwrap();
        assert_eq!(answer.collections[0].name, "pages");
    }
}

/// Sends the bytes of a message to a call, without a network: the code, and what is said.
async fn send(router: &Router, call: &str, message: &[u8]) -> (i32, String) {
    send_within(router, call, message, "1M").await
}

async fn send_within(router: &Router, call: &str, message: &[u8], time: &str) -> (i32, String) {
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    let request = Request::post(call).header("content-type", "application/grpc");
    let request = request.header("grpc-timeout", time).body(Body::from(body)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let header = |name| response.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
    let code = header("grpc-status").map_or(0, |it| it.parse().unwrap());
    (code, header("grpc-message").unwrap_or_default())
}

const POINTS: &[&str] = &[
    "Upsert",
    "Delete",
    "Get",
    "UpdateVectors",
    "DeleteVectors",
    "SetPayload",
    "OverwritePayload",
    "DeletePayload",
    "ClearPayload",
    "CreateFieldIndex",
    "DeleteFieldIndex",
    "CreateVectorName",
    "DeleteVectorName",
    "Search",
    "SearchBatch",
    "SearchGroups",
    "Scroll",
    "Recommend",
    "RecommendBatch",
    "RecommendGroups",
    "Discover",
    "DiscoverBatch",
    "Count",
    "UpdateBatch",
    "Query",
    "QueryBatch",
    "QueryGroups",
    "Facet",
    "SearchMatrixPairs",
    "SearchMatrixOffsets",
];
const COLLECTIONS: &[&str] = &[
    "Get",
    "List",
    "Create",
    "Update",
    "Delete",
    "UpdateAliases",
    "ListCollectionAliases",
    "ListAliases",
    "CollectionClusterInfo",
    "CollectionExists",
];
const SHARDS: &[&str] =
    &["UpdateCollectionClusterSetup", "CreateShardKey", "DeleteShardKey", "ListShardKeys"];
const SNAPSHOTS: &[&str] = &["Create", "List", "Delete", "CreateFull", "ListFull", "DeleteFull"];

/// The calls of the protocol, but for what belongs to clusters.
fn calls() -> Vec<String> {
    let services = [("Points", POINTS), ("Collections", COLLECTIONS), ("Snapshots", SNAPSHOTS)];
    let of = |(service, calls): (&str, &[&str])| -> Vec<String> {
        calls.iter().map(|call| format!("/qdrant.{service}/{call}")).collect()
    };
    services.into_iter().flat_map(of).collect()
}

#[tokio::test]
async fn there_is_every_call_and_a_key_for_each() {
    let directory = tempfile::tempdir().unwrap();
    let options = options().api_key("key");
    let router = Server::open(directory.path(), options).unwrap().grpc_router();
    for call in calls() {
        assert_eq!(send(&router, &call, b"").await.0, i32::from(Code::Unauthenticated), "{call}");
    }
    drop(router);
    let router = Server::open(directory.path(), self::options()).unwrap().grpc_router();
    for call in calls() {
        let (code, said) = send(&router, &call, b"").await;
        assert!(![12, 13, 2].contains(&code), "{call}: {code} {said}");
    }
    let late = send_within(&router, "/qdrant.Snapshots/CreateFull", b"", "1n").await;
    assert_eq!(late.0, i32::from(Code::DeadlineExceeded), "{late:?}");
    for call in SHARDS {
        let (code, said) = send(&router, &format!("/qdrant.Collections/{call}"), b"").await;
        assert_eq!(code, 12, "{call}");
        assert!(said.contains("no%20cluster"), "{said}");
    }
    assert_eq!(send(&router, "/grpc.health.v1.Health/Check", b"").await.0, 0);
    assert_eq!(send(&router, "/qdrant.Qdrant/HealthCheck", b"").await.0, 0);
    assert_eq!(send(&router, "/qdrant.Points/None", b"").await.0, 12);
    assert_eq!(send(&router, "/qdrant.None/Get", b"").await.0, 12);
}

/// Messages with much in them, as bytes.
fn samples() -> Vec<Vec<u8>> {
    let time =
        |seconds| start_from::Value::Timestamp(prost_types::Timestamp { seconds, nanos: -1 });
    let order = |seconds| OrderBy {
        key: "n".into(),
        direction: Some(7),
        start_from: Some(StartFrom { value: Some(time(seconds)) }),
    };
    let filter = Filter::all([
        Condition::matches("n", vec![1, 2]),
        Condition::range("half", Range { gt: Some(f64::NAN), ..Range::default() }),
        Condition::has_id([1, 2]),
        Condition::nested("list", Filter::any([Condition::is_null("n")])),
    ]);
    let formula =
        Expression::sum_with(vec![Expression::constant(f32::NAN), Expression::variable("$score")]);
    let prefetch = PrefetchQueryBuilder::default().query(vec![vec![1.0, 0.0]]).using("tokens");
    let query = QueryPointsBuilder::new("pages")
        .add_prefetch(prefetch.filter(filter.clone()))
        .query(Query::new_formula(FormulaBuilder::new(formula)))
        .with_payload(true)
        .build();
    let scroll = |seconds| {
        ScrollPointsBuilder::new("pages").order_by(order(seconds)).filter(filter.clone()).build()
    };
    let point = PointStruct::new(
        5,
        NamedVectors::default().add_vector("tokens", vec![vec![1.0, 0.5]]),
        HashMap::from([("deep".to_owned(), Value::from(vec![Value::from(f64::INFINITY)]))]),
    );
    let upsert = UpsertPointsBuilder::new("pages", vec![point]).build();
    vec![
        query.encode_to_vec(),
        scroll(i64::MIN).encode_to_vec(),
        scroll(i64::MAX).encode_to_vec(),
        upsert.encode_to_vec(),
        config("made").build().encode_to_vec(),
        UpdateBatchPoints {
            collection_name: "pages".into(),
            operations: vec![PointsUpdateOperation::default()],
            ..UpdateBatchPoints::default()
        }
        .encode_to_vec(),
        CreateFieldIndexCollectionBuilder::new("pages", "n", FieldType::Text)
            .field_index_params(TextIndexParamsBuilder::new(TokenizerType::Word))
            .build()
            .encode_to_vec(),
    ]
}

/// Whatever is sent, to whatever call, is answered, and by no fault of this program.
#[tokio::test(flavor = "multi_thread")]
async fn random_messages_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::open(directory.path(), options()).unwrap();
    let router = server.grpc_router();
    send(&router, "/qdrant.Collections/Create", &config("pages").build().encode_to_vec()).await;
    let seed = rand::random();
    println!("seed {seed}");
    let (mut random, samples, calls) = (StdRng::seed_from_u64(seed), samples(), calls());
    let seconds = std::env::var("MAXFOLD_RANDOM_SECONDS").map_or(3, |it| it.parse().unwrap());
    let (mut ends, until) = (HashMap::new(), Instant::now() + Duration::from_secs(seconds));
    let understood = |ends: &HashMap<i32, u32>| ends.get(&0).is_some_and(|it| *it > 10);
    // On a machine that has much else to do, a little longer.
    let late = until + Duration::from_secs(30);
    while Instant::now() < until || !understood(&ends) && Instant::now() < late {
        let mut message = samples.choose(&mut random).unwrap().clone();
        for _ in 0..random.random_range(0..4) {
            let at = random.random_range(0..message.len());
            match random.random_range(0..4) {
                0 => message[at] ^= 1 << random.random_range(0..8),
                1 => message[at] = random.random(),
                2 => drop(message.drain(at..(at + 1 + at % 3).min(message.len()))),
                _ => message.insert(at, random.random()),
            }
        }
        let call = calls.choose(&mut random).unwrap();
        let start = Instant::now();
        let (code, said) = send(&router, call, &message).await;
        if start.elapsed() > Duration::from_millis(500) {
            println!("{call} {message:?} took {:?}: {code} {said}", start.elapsed());
        }
        let ours = said.contains("a%20fault%20of%20this%20program");
        assert!(!ours, "seed {seed}, {call}, {message:?}: {code} {said}");
        *ends.entry(code).or_insert(0) += 1;
    }
    println!("{ends:?}");
    // Some were understood.
    assert!(understood(&ends), "{ends:?}");
}
