//! Async calls: they leave the executor's thread alone, and end soon if nobody waits for them.

#![cfg(feature = "collection")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
use maxfold::maxsim::CpuMaxSim;
use maxfold::recall::Distance;
use maxfold::rerank::Reranker;
use maxfold::search::{QueryRequest, Searcher, SearcherOptions};
use maxfold::{Error, ErrorKind, MultiVectors, TokenMatrix, run_async};
use rand::prelude::*;

const DIM: usize = 128;

fn values(rng: &mut StdRng, tokens: usize) -> Vec<f32> {
    (0..tokens * DIM).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Some 100 MB of documents: a request takes far longer than a moment.
fn documents(rng: &mut StdRng) -> MultiVectors {
    let matrix = TokenMatrix::new(&values(rng, 400), DIM).unwrap();
    let mut documents = MultiVectors::empty(DIM).unwrap();
    (0..1_000).for_each(|_| documents.push(matrix.view()).unwrap());
    documents
}

fn searcher() -> Arc<Searcher> {
    let config = CollectionConfig::new().vector("tokens", VectorConfig::multi(DIM, Distance::Dot));
    let collection = Collection::temporary(config).unwrap();
    let mut rng = StdRng::seed_from_u64(2);
    let point = |id| {
        let tokens = Vector::Multi { values: values(&mut rng, 100), dim: DIM };
        Point::new(id).vector("tokens", tokens)
    };
    collection.upsert((0_u64..300).map(point).collect()).unwrap();
    let options = SearcherOptions::new().reranker(Reranker::on_cpu(CpuMaxSim::new()));
    Arc::new(Searcher::with_options(collection, options).unwrap())
}

/// Drops a call that has told that it began.
async fn drop_once_begun(
    call: impl Future<Output = maxfold::Result<()>> + Send + 'static,
    begun: &Receiver<()>,
) {
    let call = tokio::spawn(call);
    while begun.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
}

/// On a runtime of one thread, which would be busy if a call computed on it.
#[tokio::test(flavor = "current_thread")]
async fn the_executor_is_free_while_a_call_computes() {
    let (entered, inside) = channel();
    let (go_on, told) = channel::<()>();
    let call = tokio::spawn(run_async(move || {
        entered.send(()).unwrap();
        told.recv().unwrap();
        Ok(7)
    }));
    // Neither would come to pass if the call ran on this thread.
    while inside.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    go_on.send(()).unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn an_async_query_is_answered_alike() {
    let searcher = searcher();
    let query = Vector::Multi { values: values(&mut StdRng::seed_from_u64(5), 8), dim: DIM };
    let request = QueryRequest::new(query).using("tokens").limit(20);
    let answer = searcher.query_async(request.clone()).await.unwrap();
    assert_eq!(answer.points, searcher.query(&request).unwrap().points);
    let refused = searcher.query_async(request.limit(0)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

/// A call that is dropped ends with an error at its next document, which only its closure sees.
#[tokio::test]
async fn a_dropped_call_ends() {
    let mut rng = StdRng::seed_from_u64(1);
    let documents = Arc::new(documents(&mut rng));
    let query = Arc::new(TokenMatrix::new(&values(&mut rng, 400), DIM).unwrap());
    for limit in [10, 1_000] {
        let (began, begun) = channel();
        let (done, ended) = channel();
        let (query, documents) = (Arc::clone(&query), Arc::clone(&documents));
        let call = run_async(move || {
            let views: Vec<_> = documents.iter().collect();
            began.send(()).unwrap();
            // Again and again: so it is in the middle of one when it is dropped.
            let outcome = loop {
                if let Err(error) = CpuMaxSim::new().top_k(query.view(), &views, limit) {
                    break error;
                }
            };
            done.send(outcome).unwrap();
            Ok(())
        });
        drop_once_begun(call, &begun).await;
        let outcome = ended.recv_timeout(Duration::from_secs(60)).expect("it ends");
        assert!(matches!(outcome, Error::Cancelled), "{outcome}");
    }
}

#[tokio::test]
async fn a_dropped_search_and_a_dropped_write_end_and_change_nothing() {
    let searcher = searcher();
    let transaction = searcher.collection().snapshot().unwrap().transaction();
    let query = Vector::Multi { values: values(&mut StdRng::seed_from_u64(5), 8), dim: DIM };
    let request = QueryRequest::new(query).using("tokens");
    let point = Point::new(1).payload(serde_json::Map::from_iter([("a".into(), 1.into())]));
    let (began, begun) = channel();
    let (dropped, is_dropped) = channel::<()>();
    let (done, ended) = channel();
    let on = Arc::clone(&searcher);
    let call = run_async(move || {
        began.send(()).unwrap();
        // Until the future is gone.
        let _ = is_dropped.recv();
        done.send(on.query(&request).map(drop)).unwrap();
        done.send(on.collection().upsert(vec![point])).unwrap();
        Ok(())
    });
    drop_once_begun(call, &begun).await;
    drop(dropped);
    for _ in 0..2 {
        let outcome = ended.recv_timeout(Duration::from_secs(60)).expect("it ends");
        assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    }
    assert_eq!(searcher.collection().snapshot().unwrap().transaction(), transaction);
}

/// What was cancelled says nothing of the next call on the same thread.
#[tokio::test]
async fn threads_are_used_again() {
    let searcher = searcher();
    let query = Vector::Multi { values: values(&mut StdRng::seed_from_u64(5), 8), dim: DIM };
    let request = QueryRequest::new(query).using("tokens");
    for _ in 0..50 {
        let on = Arc::clone(&searcher);
        let dropped = on.query_async(request.clone());
        drop(tokio::time::timeout(Duration::from_micros(200), dropped).await);
        assert_eq!(searcher.query_async(request.clone()).await.unwrap().points.len(), 10);
    }
}

#[tokio::test]
async fn a_panic_is_the_callers() {
    let call = tokio::spawn(run_async(|| -> maxfold::Result<()> { panic!("meant") }));
    assert!(call.await.unwrap_err().is_panic());
    let start = Instant::now();
    assert!(run_async(move || Ok(start.elapsed())).await.is_ok());
}
