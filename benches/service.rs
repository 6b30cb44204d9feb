//! The service under load, beside what a host would do without it: a blocking thread a call, and as many at once as
//! there are cores. Requests come whether or not those before are answered, and are timed from when they were to come.
//! With the feature `cli` also through a server, and what one client waits for, who has the machine for himself. Of the
//! ways those that `MAXFOLD_WAYS` names, or all.
//!
//! ```sh
//! MAXFOLD_POINTS=5000,100000 MAXFOLD_SECONDS=10 cargo bench --features cli --bench service
//! ```

#[cfg(feature = "cli")]
#[path = "support/http.rs"]
mod http;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, Vector, VectorConfig};
use maxfold::maxsim::CpuMaxSim;
use maxfold::recall::Distance;
use maxfold::rerank::Reranker;
use maxfold::search::{Prefetch, QueryRequest, Searcher, SearcherOptions};
use maxfold::service::{Service, ServiceOptions};
use maxfold::{ErrorKind, Result};
use rand::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

const DIM: usize = 128;
const DENSE: usize = 384;
const CANDIDATES: usize = 100;

fn values(rng: &mut StdRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn config() -> CollectionConfig {
    let tokens = VectorConfig::multi(DIM, Distance::Cosine).datatype(Datatype::Float16);
    CollectionConfig::new()
        .vector("dense", VectorConfig::dense(DENSE, Distance::Cosine))
        .vector("tokens", tokens)
}

/// The points, in batches.
fn batches(points: u64, batch: u64) -> impl Iterator<Item = Vec<Point>> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..points).step_by(batch as usize).map(move |first| {
        let point = |id: u64| {
            let rows = 60 + (id * 7919 % 121) as usize;
            let tokens = Vector::Multi { values: values(&mut rng, rows * DIM), dim: DIM };
            Point::new(id).vector("dense", values(&mut rng, DENSE)).vector("tokens", tokens)
        };
        (first..points.min(first + batch)).map(point).collect()
    })
}

fn searcher(points: u64) -> Arc<Searcher> {
    let collection = Collection::temporary(config()).unwrap();
    batches(points, 1000).for_each(|it| collection.upsert(it).unwrap());
    let options = SearcherOptions::new().reranker(Reranker::on_cpu(CpuMaxSim::new()));
    Arc::new(Searcher::with_options(collection, options).unwrap())
}

/// A request, and its JSON.
struct Asked {
    request: QueryRequest,
    #[cfg_attr(not(feature = "cli"), expect(dead_code))]
    json: String,
}

fn requests() -> Vec<Arc<Asked>> {
    let rng = &mut StdRng::seed_from_u64(2);
    let request = |_| {
        let prefetch = Prefetch::new(values(rng, DENSE)).using("dense").limit(CANDIDATES);
        let tokens = Vector::Multi { values: values(rng, 32 * DIM), dim: DIM };
        let request = QueryRequest::new(tokens).using("tokens").prefetch(prefetch).limit(10);
        let json = serde_json::to_string(&request).unwrap();
        Arc::new(Asked { request, json })
    };
    (0..256).map(request).collect()
}

/// The number of points that were found.
type Answer = Pin<Box<dyn Future<Output = Result<usize>> + Send>>;

/// A way of answering.
struct Way {
    name: &'static str,
    ask: Box<dyn Fn(Arc<Asked>) -> Answer + Send + Sync>,
}

/// A call, where one client waits.
fn library(searcher: &Arc<Searcher>) -> Way {
    let searcher = searcher.clone();
    let ask = move |asked: Arc<Asked>| -> Answer {
        let found = searcher.query(&asked.request);
        Box::pin(async { Ok(found?.points.len()) })
    };
    Way { name: "a call", ask: Box::new(ask) }
}

fn ways(searcher: &Arc<Searcher>, service: &Service) -> Vec<Way> {
    let blocking = |searcher: &Arc<Searcher>, asked: Arc<Asked>| {
        let searcher = Arc::clone(searcher);
        spawn_blocking(move || Ok(searcher.query(&asked.request)?.points.len()))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (bare, limited, permits) =
        (searcher.clone(), searcher.clone(), Arc::new(Semaphore::new(cores)));
    let handle = service.collection(searcher.clone());
    let bare = move |asked| -> Answer {
        let call = blocking(&bare, asked);
        Box::pin(async move { call.await.unwrap() })
    };
    let limited = move |asked| -> Answer {
        let (searcher, permits) = (limited.clone(), permits.clone());
        Box::pin(async move {
            let _permit = permits.acquire().await.unwrap();
            blocking(&searcher, asked).await.unwrap()
        })
    };
    let service = move |asked: Arc<Asked>| -> Answer {
        let answer = handle.query(asked.request.clone());
        Box::pin(async { Ok(answer.await?.points.len()) })
    };
    vec![
        Way { name: "spawn_blocking", ask: Box::new(bare) },
        Way { name: "semaphore", ask: Box::new(limited) },
        Way { name: "service", ask: Box::new(service) },
    ]
}

/// Through a server, on connections that stay open.
#[cfg(feature = "cli")]
fn server(points: u64) -> Way {
    let batches = batches(points, 100);
    let client = Arc::new(http::serve(&serde_json::to_string(&config()).unwrap(), batches));
    let ask = move |asked: Arc<Asked>| -> Answer {
        let client = client.clone();
        Box::pin(async move { client.query(&asked.json).await })
    };
    Way { name: "server", ask: Box::new(ask) }
}

/// Times of calls.
#[derive(Default)]
struct Times {
    answered: Vec<Duration>,
    refused: Vec<Duration>,
}

impl Times {
    fn add(&mut self, answer: &Result<usize>, intended: Instant, begun: Instant) {
        match answer {
            Ok(found) => {
                assert_eq!(*found, 10, "a wrong answer is not worth timing");
                self.answered.push(intended.elapsed());
            }
            Err(error) if error.kind() == ErrorKind::Busy => self.refused.push(begun.elapsed()),
            Err(error) => panic!("{error}"),
        }
    }

    fn print(mut self, way: &str, load: &str, wanted: f64, (time, cpu): (Duration, Duration)) {
        let rate = self.answered.len() as f64 / time.as_secs_f64();
        let all = self.answered.len() + self.refused.len();
        let percent = 100.0 * self.refused.len() as f64 / all.max(1) as f64;
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| quantile(&mut self.answered, part));
        let refusal = quantile(&mut self.refused, 0.99);
        let cost = cpu.as_secs_f64() * 1e3 / self.answered.len().max(1) as f64;
        println!(
            "| {way} | {load} | {wanted:.0} | {rate:.0} | {cost:.2} | {p50:.2} | {p99:.1} | {p999:.1} | {percent:.0} % | {refusal:.3} |"
        );
    }
}

/// Time that this process had a core: unlike others, it hardly depends on what else the machine does. 0 where the
/// system doesn't say.
fn cpu_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = statistics.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// In milliseconds.
fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let at = (part * times.len() as f64) as usize;
    times.get(at).or(times.last()).map_or(0.0, |it| it.as_secs_f64() * 1e3)
}

/// Clients that each ask again when they are answered; requests a second.
fn closed(
    way: &Way,
    runtime: &Runtime,
    requests: &[Arc<Asked>],
    clients: usize,
    time: Duration,
) -> f64 {
    let (start, cpu, next) = (Instant::now(), cpu_time(), AtomicUsize::new(0));
    let times = Mutex::new(Times::default());
    let client = || async {
        while start.elapsed() < time {
            let request = requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()].clone();
            let begun = Instant::now();
            let answer = (way.ask)(request).await;
            times.lock().unwrap().add(&answer, begun, begun);
        }
    };
    runtime.block_on(async {
        let mut clients: Vec<_> = (0..clients).map(|_| Box::pin(client())).collect();
        std::future::poll_fn(|context| {
            clients.retain_mut(|client| client.as_mut().poll(context).is_pending());
            if clients.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    });
    let (time, times) = (start.elapsed(), times.into_inner().unwrap());
    let rate = times.answered.len() as f64 / time.as_secs_f64();
    times.print(way.name, &format!("{clients} clients"), rate, (time, cpu_time() - cpu));
    rate
}

/// Requests that come at random moments, so many a second.
fn open(
    way: &Arc<Way>,
    runtime: &Runtime,
    requests: &[Arc<Asked>],
    (load, rate): (&str, f64),
    time: Duration,
) {
    let times = Arc::new(Mutex::new(Times::default()));
    let (start, cpu) = (Instant::now(), cpu_time());
    let handle = runtime.handle().clone();
    let (all, arrivals) = std::thread::scope(|scope| {
        let arrivals = scope.spawn(|| {
            let (rng, mut calls, mut at) = (&mut StdRng::seed_from_u64(3), Vec::new(), 0.0);
            while at < time.as_secs_f64() {
                let intended = start + Duration::from_secs_f64(at);
                std::thread::sleep(intended.saturating_duration_since(Instant::now()));
                let (way, times) = (way.clone(), times.clone());
                let request = requests[calls.len() % requests.len()].clone();
                calls.push(handle.spawn(async move {
                    let begun = Instant::now();
                    let answer = (way.ask)(request).await;
                    times.lock().unwrap().add(&answer, intended, begun);
                }));
                at -= (1.0 - rng.random::<f64>()).ln() / rate;
            }
            calls
        });
        runtime.block_on(async {
            while !arrivals.is_finished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let calls = arrivals.join().unwrap();
            let count = calls.len();
            for call in calls {
                call.await.unwrap();
            }
            (start.elapsed(), count)
        })
    });
    let wanted = arrivals as f64 / time.as_secs_f64();
    let times = std::mem::take(&mut *times.lock().unwrap());
    times.print(way.name, load, wanted, (all, cpu_time() - cpu));
}

fn measure(points: u64, time: Duration) {
    let (searcher, requests) = (searcher(points), requests());
    println!("\n{points} points of 60 to 180 × {DIM}, {CANDIDATES} candidates; times in ms\n");
    println!(
        "| way | load | wanted/s | answered/s | CPU a request | p50 | p99 | p99.9 | refused | refusal p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let service = Service::new(ServiceOptions::new()).unwrap();
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let mut ways = ways(&searcher, &service);
    #[cfg(feature = "cli")]
    ways.push(server(points));
    if let Ok(names) = std::env::var("MAXFOLD_WAYS") {
        ways.retain(|way| names.split(',').any(|name| name == way.name));
    }
    let ways: Vec<_> = ways.into_iter().map(|way| (Arc::new(way), runtime())).collect();
    let library = (Arc::new(library(&searcher)), runtime());
    for _ in 0..3 {
        for (way, runtime) in [&library].into_iter().chain(&ways) {
            closed(way, runtime, &requests, 1, time / 2);
        }
    }
    for (way, runtime) in &ways {
        closed(way, runtime, &requests, 8, time);
        // Of each way its own, and just before: what else the machine does may change.
        let saturation = closed(way, runtime, &requests, 64, time);
        for (load, part) in [("half", 0.5), ("saturation", 1.0), ("twice", 2.0)] {
            open(way, runtime, &requests, (load, part * saturation), time);
        }
    }
    let statistics = service.statistics();
    println!("\nbatches: {:?}", statistics.batch_sizes.buckets().collect::<Vec<_>>());
}

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or(default.into());
    let points = variable("MAXFOLD_POINTS", if is_test { "200" } else { "5000" });
    let seconds = variable("MAXFOLD_SECONDS", if is_test { "0.05" } else { "5" });
    let time = Duration::from_secs_f64(seconds.parse().unwrap());
    for points in points.split(',') {
        measure(points.parse().unwrap(), time);
    }
}
