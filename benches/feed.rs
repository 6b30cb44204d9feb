//! Points fed in batches while four threads search: what a search waits for, when every graph is built, and how long
//! the collection takes to open then.
//!
//! ```text
//! MAXFOLD_POINTS=1000000 cargo bench --bench feed
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maxfold::collection::{Collection, CollectionConfig, Point, VectorConfig};
use maxfold::recall::Distance;
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{QueryRequest, Searcher, SearcherOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIM: usize = 64;
const BATCH: u64 = 1_000;
const SEARCHERS: u64 = 4;

fn values(rng: &mut StdRng) -> Vec<f32> {
    (0..DIM).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn searcher(collection: Collection) -> Searcher {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

/// Feeds points; gives how long that took.
fn feed(searcher: &Searcher, points: u64) -> Duration {
    let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
    for first in (0..points).step_by(BATCH as usize) {
        let ids = first..points.min(first + BATCH);
        let batch = ids.map(|id| Point::new(id).vector("v", values(&mut rng))).collect();
        searcher.collection().upsert(batch).unwrap();
    }
    start.elapsed()
}

/// Searches until it is told to stop; gives what each took, and how many transactions its graph was behind.
fn search(searcher: &Searcher, seed: u64, stop: &AtomicBool) -> Vec<(Duration, u64)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut searches = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = QueryRequest::new(values(&mut rng)).using("v").limit(10);
        let start = Instant::now();
        let response = searcher.query(&request).unwrap();
        searches.push((start.elapsed(), response.plan.behind));
    }
    searches
}

fn print(mut searches: Vec<(Duration, u64)>) {
    searches.sort_unstable();
    let at = |part: f64| searches[((searches.len() - 1) as f64 * part) as usize].0;
    let behind = searches.iter().map(|&(_, behind)| behind).max().unwrap_or(0);
    println!(
        "{} searches: median {:?}, p99 {:?}, p99.9 {:?}, longest {:?}; graphs at most {behind} transactions behind",
        searches.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    );
}

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let points = std::env::var("MAXFOLD_POINTS").ok().map(|it| it.parse().unwrap());
    let points = points.unwrap_or(if is_test { 3_000 } else { 20_000 });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let config = CollectionConfig::new().vector("v", VectorConfig::dense(DIM, Distance::Cosine));
    let engine = searcher(Collection::create(&path, config).unwrap());
    let (stop, searches) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let start = Instant::now();
    thread::scope(|scope| {
        for seed in 0..SEARCHERS {
            let (searcher, stop, searches) = (&engine, &stop, &searches);
            scope.spawn(move || {
                let found = search(searcher, seed, stop);
                searches.lock().unwrap().extend(found);
            });
        }
        println!("{points} points of {DIM} values fed in {:?}", feed(&engine, points));
        engine.flush().unwrap();
        println!("every graph built and saved after {:?}", start.elapsed());
        stop.store(true, Ordering::Relaxed);
    });
    print(searches.into_inner().unwrap());
    drop(engine);
    let start = Instant::now();
    let collection = Collection::open(&path).unwrap();
    let opened = start.elapsed();
    let _searcher = searcher(collection);
    println!("opened in {:?}, of which {opened:?} for the collection", start.elapsed());
}
