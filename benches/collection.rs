//! A collection of 10,000 points (384 dense, 60 to 180 tokens × 128): write, open, read, filter.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use maxfold::collection::{
    Collection, CollectionConfig, PayloadIndex, Point, Vector, VectorConfig,
};
use maxfold::filter::{Filter, IndexKind, Payload};
use maxfold::recall::Distance;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

const POINTS: u64 = 10_000;
const BATCH: u64 = 1_000;

fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("dense", VectorConfig::dense(384, Distance::Cosine))
        .vector("tokens", VectorConfig::multi(128, Distance::Cosine))
}

fn create() -> (TempDir, Collection) {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path().join("c"), config()).unwrap();
    for (key, kind) in [("city", IndexKind::Keyword), ("year", IndexKind::Integer)] {
        collection.create_index(PayloadIndex::new(key, kind).unwrap()).unwrap();
    }
    (directory, collection)
}

fn points(from: u64, rng: &mut StdRng) -> Vec<Point> {
    let mut values = |count: usize| (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    let point = |id: u64| {
        let rows = 60 + (id * 7919 % 121) as usize;
        let payload =
            format!(r#"{{"city": "c{}", "year": {}, "free": {}}}"#, id % 100, id % 2000, id % 10);
        let payload: Payload = serde_json::from_str(&payload).unwrap();
        Point::new(id)
            .vector("dense", Vector::Dense(values(384)))
            .vector("tokens", Vector::Multi { values: values(rows * 128), dim: 128 })
            .payload(payload)
    };
    (from..from + BATCH).map(point).collect()
}

fn write(criterion: &mut Criterion) {
    let batch = points(0, &mut StdRng::seed_from_u64(1));
    let mut group = criterion.benchmark_group("collection");
    group.sample_size(10);
    group.bench_function("upsert 1,000 points", |bencher| {
        let setup = || (create(), batch.clone());
        let upsert = |((directory, collection), points)| {
            Collection::upsert(&collection, points).unwrap();
            (directory, collection)
        };
        bencher.iter_batched(setup, upsert, BatchSize::PerIteration);
    });
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(2);
    let (directory, collection) = create();
    (0..POINTS / BATCH).for_each(|it| collection.upsert(points(it * BATCH, &mut rng)).unwrap());
    drop(collection);
    let open = || Collection::open(directory.path().join("c")).unwrap();
    let mut group = criterion.benchmark_group("collection of 10,000");
    group.sample_size(10);
    // One at a time: an open collection can't be opened.
    group.bench_function("open", |bencher| {
        bencher.iter_batched(|| (), |()| open(), BatchSize::PerIteration);
    });
    let numbers: Vec<u32> = (0..1000).map(|_| rng.random_range(0..POINTS as u32)).collect();
    let matrices = |collection: &Collection| {
        let snapshot = collection.snapshot().unwrap();
        let tokens = |number: &u32| snapshot.tokens("tokens", *number).unwrap().unwrap().tokens();
        assert!(numbers.iter().map(tokens).sum::<usize>() > 60_000);
    };
    group.bench_function("1,000 matrices, first time", |bencher| {
        let first = |collection: Collection| {
            matrices(&collection);
            collection
        };
        bencher.iter_batched(open, first, BatchSize::PerIteration);
    });
    let collection = open();
    matrices(&collection);
    group.bench_function("1,000 matrices, again", |bencher| bencher.iter(|| matrices(&collection)));
    for (name, filter, expected) in [
        (
            "filter by a keyword, indexed",
            r#"{"must": {"key": "city", "match": {"value": "c7"}}}"#,
            100,
        ),
        ("filter by a range, indexed", r#"{"must": {"key": "year", "range": {"lt": 1000}}}"#, 5000),
        (
            "filter by a field without index",
            r#"{"must": {"key": "free", "match": {"value": 3}}}"#,
            1000,
        ),
    ] {
        let filter: Filter = filter.parse().unwrap();
        let snapshot = collection.snapshot().unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(snapshot.select(&filter).unwrap().points.len(), expected));
        });
    }
    group.finish();
}

criterion_group!(benches, write, read);
criterion_main!(benches);
