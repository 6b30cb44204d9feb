//! The service: searches and writes as futures, gathered and bounded, on an executor of one thread.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maxfold::collection::{Collection, CollectionConfig, Operation, Point, Vector, VectorConfig};
use maxfold::filter::PointId;
use maxfold::maxsim::CpuMaxSim;
use maxfold::rayon::{ThreadPool, ThreadPoolBuilder};
use maxfold::recall::Distance;
use maxfold::rerank::Reranker;
use maxfold::search::{Prefetch, QueryRequest, Searcher, SearcherOptions};
use maxfold::service::{CallOptions, CollectionHandle, Priority, Service, ServiceOptions};
use maxfold::{Error, ErrorKind, Result, TokenMatrix};
use rand::prelude::*;
use tokio::task::{JoinHandle, spawn, yield_now};

const DIM: usize = 16;

fn rows(rng: &mut StdRng, tokens: usize) -> Vector {
    let values = (0..tokens * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
    Vector::Multi { values, dim: DIM }
}

fn point(rng: &mut StdRng, id: u64) -> Point {
    let dense: Vec<f32> = (0..4).map(|_| rng.random_range(-1.0..1.0)).collect();
    let tokens = rng.random_range(1..20);
    Point::new(id).vector("dense", dense).vector("tokens", rows(rng, tokens))
}

fn searcher_on(reranker: Reranker) -> Arc<Searcher> {
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(4, Distance::Dot))
        .vector("tokens", VectorConfig::multi(DIM, Distance::Dot));
    let options = SearcherOptions::new().reranker(reranker);
    let collection = Collection::temporary(config).unwrap();
    let rng = &mut StdRng::seed_from_u64(1);
    collection.upsert((0..200).map(|id| point(rng, id)).collect()).unwrap();
    Arc::new(Searcher::with_options(collection, options).unwrap())
}

fn searcher() -> Arc<Searcher> {
    searcher_on(Reranker::on_cpu(CpuMaxSim::new()))
}

fn request(rng: &mut StdRng) -> QueryRequest {
    let dense: Vec<f32> = (0..4).map(|_| rng.random_range(-1.0..1.0)).collect();
    let tokens = rng.random_range(1..8);
    let prefetch = Prefetch::new(dense).using("dense").limit(50);
    QueryRequest::new(rows(rng, tokens)).using("tokens").prefetch(prefetch).limit(5)
}

/// One thread of each kind, and so many requests that may wait.
fn small(queue: usize) -> Service {
    Service::new(ServiceOptions::new().searchers(1).helpers(1).queue(queue)).unwrap()
}

/// A pool whose only thread is held until the sender is dropped.
fn held_pool() -> (Arc<ThreadPool>, Sender<()>) {
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(1).build().unwrap());
    let (release, held) = channel::<()>();
    pool.spawn(move || held.recv().unwrap_err().to_string().clear());
    (pool, release)
}

/// Holds the only helper until the sender is dropped.
async fn hold(handle: &CollectionHandle) -> (Sender<()>, JoinHandle<Result<()>>) {
    let (release, held) = channel::<()>();
    let (begun, begins) = channel();
    let handle = handle.clone();
    let work = move |_: &Searcher| {
        begun.send(()).unwrap();
        held.recv().unwrap_err();
        Ok(())
    };
    let call = spawn(async move { handle.run(work).await });
    until(|| begins.try_recv().is_ok()).await;
    (release, call)
}

async fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it doesn't happen");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn set_payload(id: u64) -> Operation {
    let fields = [("seen".to_owned(), true.into())].into_iter().collect();
    Operation::SetPayload { which: [id].into(), fields, key: None }
}

#[tokio::test]
async fn it_answers_as_the_searcher_does() {
    let (searcher, service) = (searcher(), Service::new(ServiceOptions::new()).unwrap());
    let handle = service.collection(searcher.clone());
    let rng = &mut StdRng::seed_from_u64(2);
    let requests: Vec<_> = (0..64).map(|_| request(rng)).collect();
    let calls = requests.iter().map(|request| {
        let (handle, request) = (handle.clone(), request.clone());
        spawn(async move { handle.query(request).await })
    });
    for (call, request) in calls.collect::<Vec<_>>().into_iter().zip(&requests) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.points, searcher.query(request).unwrap().points);
    }
    let batch = handle.query_batch(requests[..3].to_vec()).await.unwrap();
    for (answer, request) in batch.iter().zip(&requests) {
        assert_eq!(answer.points, searcher.query(request).unwrap().points);
    }
    assert_eq!(service.statistics().answered, 65);
    assert_eq!(service.statistics().answer_micros.count(), 65);
}

#[tokio::test]
async fn what_waits_is_answered_together_and_errors_are_each_ones_own() {
    let (pool, release) = held_pool();
    let searcher = searcher_on(Reranker::on_cpu(CpuMaxSim::new().with_pool(pool)));
    let service = small(100);
    let handle = service.collection(searcher.clone());
    let rng = &mut StdRng::seed_from_u64(3);
    let requests: Vec<_> = (0..8).map(|_| request(rng)).collect();
    let call = |request: QueryRequest| {
        let handle = handle.clone();
        spawn(async move { handle.query(request).await })
    };
    // The first is alone on the thread, and held there.
    let first = call(requests[0].clone());
    until(|| service.statistics().queue_micros.count() == 1).await;
    let mut calls: Vec<_> = requests[1..].iter().cloned().map(call).collect();
    calls.push(call(requests[1].clone().using("other")));
    until(|| service.statistics().waiting == 8).await;
    drop(release);
    assert_eq!(first.await.unwrap().unwrap().points, searcher.query(&requests[0]).unwrap().points);
    let refused = calls.pop().unwrap().await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    for (call, request) in calls.into_iter().zip(&requests[1..]) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.points, searcher.query(request).unwrap().points);
    }
    // Eight, in the bucket of eight and nine.
    assert_eq!(service.statistics().batch_sizes.buckets().collect::<Vec<_>>(), [(1, 1), (9, 1)]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_how_long() {
    let (searcher, service) = (searcher(), small(2));
    let handle = service.collection(searcher);
    let (release, held) = hold(&handle).await;
    let waiting: Vec<_> = (0..2)
        .map(|id| {
            let handle = handle.clone();
            spawn(async move { handle.apply(vec![set_payload(id)]).await })
        })
        .collect();
    until(|| service.statistics().waiting == 2).await;
    let refused = handle.query(request(&mut StdRng::seed_from_u64(4))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    assert!(refused.retry_after().unwrap() >= Duration::from_millis(1));
    let batch = handle.query_batch(vec![request(&mut StdRng::seed_from_u64(4)); 3]).await;
    assert!(matches!(batch, Err(Error::QueueFull { .. })), "{batch:?}");
    // Who asks first makes no request in vain.
    let room = service.check_room();
    assert!(matches!(room, Err(Error::QueueFull { .. })), "{room:?}");
    drop(release);
    held.await.unwrap().unwrap();
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap(), [1]);
    }
    assert_eq!(service.statistics().refused, 3);
    service.check_room().unwrap();
    assert!(handle.query(request(&mut StdRng::seed_from_u64(4))).await.is_ok());
}

#[tokio::test]
async fn a_deadline_ends_what_waits_and_what_runs() {
    let service = small(100);
    let handle = service.collection(searcher());
    let (release, held) = hold(&handle).await;
    let soon = || CallOptions::new().deadline(Instant::now() + Duration::from_millis(20));
    let late = handle.with_options(soon()).apply(vec![set_payload(1)]).await.unwrap_err();
    assert_eq!((late.kind(), late.to_string().contains("deadline")), (ErrorKind::Timeout, true));
    assert_eq!(service.statistics().waiting, 0, "its work was taken out");
    drop(release);
    held.await.unwrap().unwrap();

    let (pool, release) = held_pool();
    let searcher = searcher_on(Reranker::on_cpu(CpuMaxSim::new().with_pool(pool)));
    let handle = service.collection(searcher);
    let request = request(&mut StdRng::seed_from_u64(5));
    let late = handle.with_options(soon()).query(request.clone()).await.unwrap_err();
    assert!(matches!(late, Error::DeadlinePassed), "{late}");
    let past = handle.with_options(CallOptions::new().deadline(Instant::now()));
    assert!(matches!(past.query(request.clone()).await, Err(Error::DeadlinePassed)));
    drop(release);
    // In time, it is no matter.
    let in_time = CallOptions::new().deadline(Instant::now() + Duration::from_secs(600));
    assert!(handle.with_options(in_time).query(request).await.is_ok());
    assert_eq!(service.statistics().late, 3);
}

#[tokio::test]
async fn higher_priorities_come_first() {
    let service = small(100);
    let handle = service.collection(searcher());
    let (release, held) = hold(&handle).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Normal];
    let mut calls = Vec::new();
    for (at, priority) in priorities.into_iter().enumerate() {
        let handle = handle.with_options(CallOptions::new().priority(priority));
        let order = order.clone();
        calls.push(spawn(async move {
            let note = move |_: &Searcher| {
                order.lock().unwrap().push((priority, at));
                Ok(())
            };
            handle.run(note).await
        }));
        until(|| service.statistics().waiting == at + 1).await;
    }
    drop(release);
    held.await.unwrap().unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let (low, normal, high) = (Priority::Low, Priority::Normal, Priority::High);
    assert_eq!(*order.lock().unwrap(), [(high, 2), (normal, 1), (normal, 3), (low, 0)]);
}

#[tokio::test]
async fn a_dropped_future_takes_its_work_out() {
    let service = small(100);
    let (searcher, (pool, release)) = (searcher(), held_pool());
    let handle = service.collection(searcher.clone());
    let (free, held) = hold(&handle).await;
    let dropped = spawn({
        let handle = handle.clone();
        async move { handle.apply(vec![Operation::Delete([1].into())]).await }
    });
    until(|| service.statistics().waiting == 1).await;
    dropped.abort();
    until(|| service.statistics().waiting == 0).await;
    drop(free);
    held.await.unwrap().unwrap();
    handle.apply(vec![set_payload(2)]).await.unwrap();
    assert!(searcher.collection().snapshot().unwrap().get(PointId::from(1)).unwrap().is_some());

    // One that has been begun ends early: the thread is free before the pool is.
    let blocked = searcher_on(Reranker::on_cpu(CpuMaxSim::new().with_pool(pool)));
    let blocked = service.collection(blocked);
    let begun = service.statistics().queue_micros.count();
    let call = spawn(async move { blocked.query(request(&mut StdRng::seed_from_u64(6))).await });
    until(|| service.statistics().queue_micros.count() > begun).await;
    call.abort();
    drop(release);
    assert!(handle.query(request(&mut StdRng::seed_from_u64(6))).await.is_ok());
    assert_eq!(service.statistics().dropped, 2);
}

#[tokio::test]
async fn shutdown_answers_what_was_accepted_and_refuses_the_rest() {
    let service = small(100);
    let handle = service.collection(searcher());
    let (release, held) = hold(&handle).await;
    let accepted: Vec<_> = (0..5)
        .map(|id| {
            let handle = handle.clone();
            spawn(async move { handle.apply(vec![set_payload(id)]).await })
        })
        .collect();
    until(|| service.statistics().waiting == 5).await;
    let end = spawn({
        let service = service.clone();
        async move { service.shutdown().await }
    });
    yield_now().await;
    let refused = handle.query(request(&mut StdRng::seed_from_u64(7))).await.unwrap_err();
    assert!(matches!(refused, Error::ServiceStopped), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Busy);
    drop(release);
    held.await.unwrap().unwrap();
    for call in accepted {
        assert_eq!(call.await.unwrap().unwrap(), [1]);
    }
    end.await.unwrap();
}

#[tokio::test]
async fn threads_end_with_the_last_handle() {
    let (searcher, service) = (searcher(), small(100));
    let handle = service.collection(searcher.clone());
    drop(service);
    assert!(handle.query(request(&mut StdRng::seed_from_u64(8))).await.is_ok());
    let (seen, ended): (Sender<()>, Receiver<()>) = channel();
    // What the closure holds is dropped with it.
    let end = move |_: &Searcher| {
        drop(seen);
        Ok(())
    };
    handle.run(end).await.unwrap();
    assert!(ended.recv().is_err());
    drop(handle);
    until(|| Arc::strong_count(&searcher) == 1).await;
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_service_goes_on() {
    let service = small(100);
    let handle = service.collection(searcher());
    for _ in 0..3 {
        let panicked = handle.run(|_| -> Result<()> { panic!("a panic that is meant") }).await;
        let panicked = panicked.unwrap_err();
        assert_eq!(panicked.kind(), ErrorKind::Internal);
        assert!(panicked.to_string().contains("a panic that is meant"), "{panicked}");
    }
    assert_eq!(handle.apply(vec![set_payload(1)]).await.unwrap(), [1]);
    assert!(handle.query(request(&mut StdRng::seed_from_u64(9))).await.is_ok());
}

#[tokio::test]
async fn writes_share_a_transaction_and_a_failure_is_its_callers_alone() {
    let (searcher, service) = (searcher(), small(100));
    let handle = service.collection(searcher.clone());
    let (release, held) = hold(&handle).await;
    let before = searcher.collection().snapshot().unwrap().transaction();
    let rng = &mut StdRng::seed_from_u64(10);
    let lists = [
        vec![Operation::upsert(vec![point(rng, 1000)])],
        // Half of it is made before it fails.
        vec![Operation::upsert(vec![point(rng, 2000)]), set_payload(999_999)],
        vec![set_payload(1000), Operation::Delete([7].into())],
        vec![Operation::upsert(vec![Point::new(3000).vector("dense", vec![1.0])])],
        vec![set_payload(3)],
    ];
    let calls: Vec<_> = lists
        .into_iter()
        .map(|operations| {
            let handle = handle.clone();
            spawn(async move { handle.apply(operations).await })
        })
        .collect();
    until(|| service.statistics().waiting == 5).await;
    drop(release);
    held.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert_eq!(answers[0].as_ref().unwrap(), &[1]);
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(answers[2].as_ref().unwrap(), &[1, 1]);
    assert_eq!(answers[3].as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(answers[4].as_ref().unwrap(), &[1]);
    let snapshot = searcher.collection().snapshot().unwrap();
    assert_eq!(snapshot.transaction(), before + 1, "one transaction for all");
    let there = |id: u64| snapshot.get(PointId::from(id)).unwrap();
    assert_eq!(there(1000).unwrap().payload["seen"], true);
    assert!(there(2000).is_none() && there(3000).is_none() && there(7).is_none());
    assert_eq!(service.statistics().write_sizes.buckets().collect::<Vec<_>>(), [(5, 1)]);
}

#[tokio::test]
async fn a_reranker_needs_no_collection() {
    let (pool, release) = held_pool();
    let reranker = Arc::new(Reranker::on_cpu(CpuMaxSim::new().with_pool(pool)));
    let service = small(100);
    let handle = service.reranker(reranker.clone());
    let rng = &mut StdRng::seed_from_u64(11);
    let mut matrix = |tokens| support::Values::Unit.query(rng, tokens, DIM);
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let documents: Vec<_> = (0..30).map(|at| (at / 2, matrix(12))).collect();
            (matrix(4), documents)
        })
        .collect();
    let odd = vec![(1, TokenMatrix::new(&[1.0_f32, 0.0], 2).unwrap())];
    let call = |query: TokenMatrix, documents| {
        let handle = handle.clone();
        spawn(async move { handle.rerank(query, documents, 10).await })
    };
    let call_of =
        |(query, documents): &(TokenMatrix, Vec<_>)| call(query.clone(), documents.clone());
    // The first is alone on the thread, and held there.
    let mut calls = vec![call_of(&asked[0])];
    until(|| service.statistics().queue_micros.count() == 1).await;
    calls.extend(asked[1..].iter().map(call_of));
    let wrong = call(asked[0].0.clone(), odd);
    until(|| service.statistics().waiting == 6).await;
    drop(release);
    assert_eq!(wrong.await.unwrap().unwrap_err().kind(), ErrorKind::InvalidInput);
    for (call, (query, documents)) in calls.into_iter().zip(&asked) {
        let views: Vec<_> = documents.iter().map(|(id, it)| (*id, it.view())).collect();
        let expected = reranker.rerank(query.view(), &views, 10).unwrap();
        assert_eq!(call.await.unwrap().unwrap(), expected);
    }
    assert_eq!(service.statistics().batch_sizes.buckets().collect::<Vec<_>>(), [(1, 1), (6, 1)]);
    let scored = handle.run(|reranker| Ok(reranker.execution().backend())).await.unwrap();
    assert_eq!(scored, maxfold::Backend::Cpu);
}

#[cfg(feature = "gpu")]
#[tokio::test]
async fn a_lost_gpu_is_replaced_by_the_cpu() {
    let Some(gpu) = support::gpu_context(maxfold::gpu::GpuOptions::default()) else { return };
    let searcher = searcher_on(Reranker::on_gpu(gpu.clone()));
    let service = Service::new(ServiceOptions::new()).unwrap();
    let handle = service.collection(searcher.clone());
    let expected = self::searcher();
    let rng = &mut StdRng::seed_from_u64(12);
    let ids =
        |answer: maxfold::QueryResponse| answer.points.iter().map(|it| it.id).collect::<Vec<_>>();
    for round in 0..60 {
        if round == 20 {
            gpu.device().destroy();
        }
        let requests: Vec<_> = (0..8).map(|_| request(rng)).collect();
        let calls: Vec<_> = requests
            .iter()
            .cloned()
            .map(|request| {
                let handle = handle.clone();
                spawn(async move { handle.query(request).await })
            })
            .collect();
        for (call, request) in calls.into_iter().zip(&requests) {
            let answer = call.await.unwrap().unwrap();
            assert_eq!(ids(answer), ids(expected.query(request).unwrap()));
        }
    }
    assert_eq!(searcher.reranker().execution().backend(), maxfold::Backend::Cpu);
}

/// Clients, writes beside them, and a GPU that is lost again and again; prints what came of it. For ten minutes:
/// `MAXFOLD_SECONDS=600 cargo test --release --features cli,service --test service_handle soak -- --ignored --nocapture`.
#[cfg(feature = "gpu")]
#[tokio::test]
#[ignore = "takes minutes"]
async fn soak() {
    let seconds = std::env::var("MAXFOLD_SECONDS").map_or(60, |it| it.parse().unwrap());
    let (start, time) = (Instant::now(), Duration::from_secs(seconds));
    let directory = tempfile::tempdir().unwrap();
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(4, Distance::Dot))
        .vector("tokens", VectorConfig::multi(DIM, Distance::Dot));
    let rng = &mut StdRng::seed_from_u64(13);
    let made = Collection::create(directory.path(), config).unwrap();
    made.upsert((0..1000).map(|id| point(rng, id)).collect()).unwrap();
    drop(made);
    let open = |gpu| {
        let options = SearcherOptions::new().reranker(Reranker::on_gpu(gpu));
        let collection = Collection::open(directory.path()).unwrap();
        Arc::new(Searcher::with_options(collection, options).unwrap())
    };
    let service = Service::new(ServiceOptions::new()).unwrap();
    let current: Arc<Mutex<Option<CollectionHandle>>> = Arc::default();
    let clients: Vec<_> =
        (0..64).map(|client| spawn(soak_client(client, current.clone(), start + time))).collect();
    let mut memory = Vec::new();
    while start.elapsed() < time {
        let Some(gpu) = support::gpu_context(maxfold::gpu::GpuOptions::default()) else { return };
        let searcher = open(gpu.clone());
        *current.lock().unwrap() = Some(service.collection(searcher.clone()));
        let round = (time / 10).min(Duration::from_secs(60));
        tokio::time::sleep(round / 2).await;
        gpu.device().destroy();
        tokio::time::sleep(round / 2).await;
        assert_eq!(searcher.reranker().execution().backend(), maxfold::Backend::Cpu);
        memory.push(resident_bytes() >> 20);
        *current.lock().unwrap() = None;
        until(|| Arc::strong_count(&searcher) == 1).await;
    }
    let mut counts = [0; 2];
    for client in clients {
        let [answered, refused] = client.await.unwrap();
        counts = [counts[0] + answered, counts[1] + refused];
    }
    println!("answered and refused: {counts:?}, MiB after each round: {memory:?}");
    println!("{:?}", service.statistics());
}

/// Asks and writes until some time; how often it was answered, and refused. Anything else is a failure.
#[cfg(feature = "gpu")]
async fn soak_client(
    client: u64,
    current: Arc<Mutex<Option<CollectionHandle>>>,
    end: Instant,
) -> [usize; 2] {
    let (mut rng, mut counts) = (StdRng::seed_from_u64(client), [0; 2]);
    while Instant::now() < end {
        let handle = current.lock().unwrap().clone();
        let Some(handle) = handle else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let answer = if client.is_multiple_of(8) {
            let id = rng.random_range(0..1000);
            handle.apply(vec![Operation::upsert(vec![point(&mut rng, id)])]).await.map(drop)
        } else {
            handle.query(request(&mut rng)).await.map(|it| assert_eq!(it.points.len(), 5))
        };
        drop(handle);
        match answer {
            Ok(()) => counts[0] += 1,
            Err(refused) => {
                tokio::time::sleep(refused.retry_after().unwrap()).await;
                counts[1] += 1;
            }
        }
    }
    counts
}

/// Memory of this process.
#[cfg(feature = "gpu")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
