//! A collection of 10,000 points (384 dense, 60 to 180 tokens × 128): write, open, read, filter. And
//! one of 20,000 points in clusters: recall under filters that keep more or less. And sparse vectors.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use half::slice::HalfFloatSliceExt;
use maxfold::collection::{
    Collection, CollectionConfig, Datatype, Modifier, Operation, PayloadIndex, Point, SparseConfig,
    Vector, VectorConfig,
};
use maxfold::filter::{Filter, IndexKind, Payload, PointNumber};
use maxfold::maxsim::CpuMaxSim;
use maxfold::multivector::{Interchange, MultiVectors, TokenMatrix, TokenMatrixRef};
use maxfold::recall::{Distance, SearchParams};
use maxfold::rerank::Reranker;
use maxfold::search::{Method, Prefetch, QueryRequest, Searcher, SearcherOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use support::Shape;
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
    let number = |_| PointNumber::new(rng.random_range(0..POINTS as u32));
    let numbers: Vec<_> = (0..1000).map(number).collect();
    let matrices = |collection: &Collection| {
        let snapshot = collection.snapshot().unwrap();
        let tokens =
            |number: &PointNumber| snapshot.tokens("tokens", *number).unwrap().unwrap().tokens();
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

/// Points in a hundred clusters, as embeddings are more like than they are like noise.
fn clustered(rng: &mut StdRng, points: u64) -> Vec<Vec<f32>> {
    let random =
        |rng: &mut StdRng| -> Vec<f32> { (0..384).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let centres: Vec<_> = (0..100).map(|_| random(rng)).collect();
    let near = |centre: &[f32], noise: Vec<f32>| {
        centre.iter().zip(noise).map(|(at, noise)| at + noise / 2.0).collect()
    };
    (0..points).map(|id| near(&centres[id as usize % 100], random(rng))).collect()
}

fn searcher(directory: &Path, vectors: Vec<Vec<f32>>, rng: &mut StdRng) -> Searcher {
    let config = CollectionConfig::new().vector("", VectorConfig::dense(384, Distance::Cosine));
    let collection = Collection::create(directory, config).unwrap();
    collection.create_index(PayloadIndex::new("part", IndexKind::Integer).unwrap()).unwrap();
    let point = |(id, vector)| {
        let part = Payload::from_iter([("part".into(), rng.random_range(0..1000).into())]);
        Point::new(id).vector("", Vector::Dense(vector)).payload(part)
    };
    let points: Vec<_> = (0..).zip(vectors).map(point).collect();
    points.chunks(1000).for_each(|chunk| collection.upsert(chunk.to_vec()).unwrap());
    Searcher::new(collection).unwrap()
}

/// The nearest 100 of the points that a filter keeps, with the default `ef`; how many of the true
/// ones they are is printed.
fn filtered(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(3);
    let directory = tempfile::tempdir().unwrap();
    let mut vectors = clustered(&mut rng, 2 * POINTS + 200);
    let queries = vectors.split_off(2 * POINTS as usize);
    let searcher = searcher(directory.path(), vectors, &mut rng);
    let mut group = criterion.benchmark_group("nearest 100 of 20,000");
    for kept in [1000, 500, 100, 10, 1] {
        let name = format!("{} % kept", f64::from(kept) / 10.0);
        let filter = json!({"must": {"key": "part", "range": {"lt": kept}}}).to_string();
        let request = |query: &Vec<f32>, exact| {
            let request = QueryRequest::new(query.clone()).limit(100);
            let request = request.params(SearchParams::new().exact(exact));
            let filtered = (kept < 1000).then(|| filter.parse().unwrap());
            filtered.into_iter().fold(request, QueryRequest::filter)
        };
        let found = |query, exact| searcher.query(&request(query, exact)).unwrap();
        let recall = |query| {
            let [found, exact] = [false, true].map(|exact| {
                let points = found(query, exact).points;
                points.iter().map(|point| point.id).collect::<BTreeSet<_>>()
            });
            found.intersection(&exact).count() as f64 / exact.len() as f64
        };
        let mean = queries.iter().map(recall).sum::<f64>() / queries.len() as f64;
        println!("{name}: recall {mean:.3}; {}", found(&queries[0], false).plan.query.method);
        let requests: Vec<_> = queries.iter().map(|query| request(query, false)).collect();
        let mut requests = requests.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| searcher.query(requests.next().unwrap()).unwrap());
        });
    }
}

/// Recall by a dense vector, and MaxSim over what it found.
fn two_stages(criterion: &mut Criterion) {
    const DIM: usize = 128;
    let mut rng = StdRng::seed_from_u64(2);
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(384, Distance::Cosine))
        .vector("tokens", VectorConfig::multi(DIM, Distance::Cosine));
    let collection = Collection::temporary(config).unwrap();
    let tokens = |rng: &mut StdRng, tokens: usize| {
        let values = (0..tokens * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
        Vector::Multi { values, dim: DIM }
    };
    let vectors = clustered(&mut rng, POINTS);
    let points = (0..).zip(&vectors).map(|(id, dense)| {
        let count = rng.random_range(60..=180);
        let tokens = tokens(&mut rng, count);
        Point::new(id).vector("dense", dense.clone()).vector("tokens", tokens)
    });
    let points: Vec<_> = points.collect();
    points.chunks(1000).for_each(|chunk| collection.upsert(chunk.to_vec()).unwrap());
    let options = SearcherOptions::new().reranker(Reranker::on_cpu(CpuMaxSim::new()));
    let searcher = Searcher::with_options(collection, options).unwrap();
    let query = tokens(&mut rng, 32);
    let mut group = criterion.benchmark_group("recall and rerank, 32x(60 to 180)x128");
    for candidates in [100, 1_000] {
        let prefetch = Prefetch::new(vectors[17].clone()).using("dense").limit(candidates);
        let request = QueryRequest::new(query.clone()).using("tokens").prefetch(prefetch);
        group.throughput(Throughput::Elements(candidates as u64));
        group.bench_function(format!("prefetch {candidates}"), |bencher| {
            bencher.iter(|| searcher.query(&request).unwrap());
        });
    }
}

/// Terms of sparse vectors: as many as a vocabulary has.
const TERMS: usize = 30_000;

/// Draws terms as often as each other, or as words are: the n-th as often as 1 / n says.
struct Terms(Vec<f64>);

impl Terms {
    fn new(share: impl Fn(usize) -> f64) -> Self {
        let mut sum = 0.0;
        let ends = (1..=TERMS).map(|rank| {
            sum += share(rank);
            sum
        });
        Self(ends.collect())
    }

    fn vector(&self, rng: &mut StdRng, count: usize) -> Vector {
        let mut indices = BTreeSet::new();
        while indices.len() < count {
            let at = rng.random_range(0.0..self.0[TERMS - 1]);
            indices.insert(self.0.partition_point(|end| *end <= at) as u32);
        }
        let values = indices.iter().map(|_| rng.random_range(0.1..2.0)).collect();
        Vector::Sparse { indices: indices.into_iter().collect(), values }
    }
}

/// Sparse vectors of 100 terms: written, and compared with queries of 10. `MAXFOLD_SPARSE_POINTS` says how
/// many.
fn sparse(criterion: &mut Criterion) {
    let points = std::env::var("MAXFOLD_SPARSE_POINTS").map_or(20_000, |it| it.parse().unwrap());
    let distributions =
        [("even", Terms::new(|_| 1.0)), ("Zipf's", Terms::new(|rank| 1.0 / rank as f64))];
    for (name, terms) in distributions {
        let mut rng = StdRng::seed_from_u64(4);
        let directory = tempfile::tempdir().unwrap();
        let config = CollectionConfig::new()
            .sparse_vector("words", SparseConfig { modifier: Modifier::Idf });
        let collection = Collection::create(directory.path(), config).unwrap();
        let mut batch = |from: u64, count: u64| {
            let point = |id| Point::new(id).vector("words", terms.vector(&mut rng, 100));
            (from..from + count).map(point).collect::<Vec<_>>()
        };
        let (mut next, mut time) = (0, Duration::ZERO);
        while next < points {
            let points = batch(next, 10_000);
            let start = Instant::now();
            collection.upsert(points).unwrap();
            (next, time) = (next + 10_000, time + start.elapsed());
        }
        let bytes = &collection.statistics().unwrap().bytes;
        println!("{name} terms: {next} points in {time:?}, bytes {bytes:?}");
        let mut group = criterion.benchmark_group(format!("{points} sparse vectors, {name} terms"));
        group.sample_size(10);
        group.bench_function("upsert 1,000", |bencher| {
            let setup = || {
                next += 1000;
                batch(next, 1000)
            };
            bencher.iter_batched(
                setup,
                |it| collection.upsert(it).unwrap(),
                BatchSize::PerIteration,
            );
        });
        drop(collection);
        let start = Instant::now();
        let searcher = Searcher::new(Collection::open(directory.path()).unwrap()).unwrap();
        println!("{name} terms: opened in {:?}", start.elapsed());
        let mut rng = StdRng::seed_from_u64(5);
        let request = |_| QueryRequest::new(terms.vector(&mut rng, 10)).using("words");
        let requests: Vec<_> = (0..100).map(request).collect();
        println!("{name} terms: {}", searcher.query(&requests[0]).unwrap().plan);
        let mut requests = requests.iter().cycle();
        group.bench_function("a query of 10 terms", |bencher| {
            bencher.iter(|| searcher.query(requests.next().unwrap()).unwrap());
        });
    }
}

/// Points of 180 × 128 as Qdrant's clients send them, and as they are answered: numbers with all digits of f32, those
/// of f64, as Python writes f32, and four.
fn json(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(5);
    let values: Vec<f32> = (0..100 * 180 * 128).map(|_| rng.random_range(-0.3..0.3)).collect();
    let points: Vec<_> = (0..).zip(values.chunks(180 * 128)).map(point_of_rows).collect();
    let text = json!({"upsert": {"points": points}}).to_string();
    let mut group = criterion.benchmark_group("JSON of 100 points of 180x128");
    group.sample_size(10);
    let numbers: [(_, Spelling); 3] = [
        ("read", |value| value.to_string()),
        ("read, digits of f64", |value| f64::from(*value).to_string()),
        ("read, four digits", |value| format!("{value:.4}")),
    ];
    for (name, number) in numbers {
        let rows = |values: &[f32]| {
            let row = |row: &[f32]| row.iter().map(number).collect::<Vec<_>>().join(",");
            values.chunks(128).map(row).collect::<Vec<_>>().join("],[")
        };
        let point = |(id, values): (u64, &[f32])| {
            format!(r#"{{"id":{id},"vector":{{"tokens":[[{}]]}}}}"#, rows(values))
        };
        let points: Vec<_> = (0..).zip(values.chunks(180 * 128)).map(point).collect();
        let text = format!(r#"{{"upsert":{{"points":[{}]}}}}"#, points.join(","));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| text.parse::<Operation>().unwrap()));
    }
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("write", |bencher| {
        bencher.iter(|| serde_json::to_vec(&points).unwrap());
    });
}

type Spelling = fn(&f32) -> String;

fn point_of_rows((id, values): (u64, &[f32])) -> Point {
    Point::new(id).vector("tokens", Vector::Multi { values: values.to_vec(), dim: 128 })
}

/// Multivectors in f16 and f32, with and without int8 beside them, and compared by distances: around topics and at random, 25 × 128, and those of
/// the folder of an embedded collection in `MAXFOLD_VECTORS`. `MAXFOLD_INT8_POINTS` says how many of 25 × 128.
fn multivectors(criterion: &mut Criterion) {
    let count = std::env::var("MAXFOLD_INT8_POINTS").map_or(2_000, |it| it.parse().unwrap());
    let shape = Shape::new(32, 25, 128, count);
    for (name, (query, documents)) in
        [("around topics", support::around_topics(shape)), ("random", shape.inputs())]
    {
        let name = format!("{count} multivectors {name}, 32x25x128");
        kept(criterion, &name, &[query], &documents);
    }
    let Ok(folder) = std::env::var("MAXFOLD_VECTORS") else { return };
    let read = |name: &str| Interchange::read(format!("{folder}/{name}.safetensors")).unwrap();
    let queries: Vec<_> = read("queries").tokens.iter().map(|it| it.to_owned()).collect();
    kept(criterion, &folder, &queries[..queries.len().min(50)], &read("docs").tokens);
}

/// Rows of unit length in f32, which f16 holds only about.
fn unit_rows(matrix: TokenMatrixRef<'_>) -> Vector {
    let (mut values, dim) = (matrix.values().to_f32_vec(), matrix.dim());
    for row in values.chunks_mut(dim) {
        let norm = row.iter().map(|it| it * it).sum::<f32>().sqrt();
        row.iter_mut().for_each(|it| *it /= norm.max(f32::MIN_POSITIVE));
    }
    Vector::Multi { values, dim }
}

/// Multivectors, in each way in which they may be kept: written, opened, and the best 10 of all, without recall.
fn kept(criterion: &mut Criterion, name: &str, queries: &[TokenMatrix], documents: &MultiVectors) {
    let mut group = criterion.benchmark_group(format!("{name}, 1 thread"));
    group.sample_size(10);
    let requests = queries.iter().map(|it| QueryRequest::new(unit_rows(it.view())).limit(10));
    let requests: Vec<_> = requests.collect();
    for datatype in [Datatype::Float16, Datatype::Float32] {
        let config = |distance| VectorConfig::multi(documents.dim(), distance).datatype(datatype);
        let int8 = config(Distance::Dot).int8();
        let configs = [
            ("", config(Distance::Dot)),
            (" and int8", int8),
            (" by Euclid", config(Distance::Euclid)),
            (" by Manhattan", config(Distance::Manhattan)),
        ];
        for (how, config) in configs {
            let name = format!("{datatype:?}{how}");
            let directory = tempfile::tempdir().unwrap();
            let took = write_multivectors(directory.path(), config, documents);
            let begin = Instant::now();
            let collection = Collection::open(directory.path()).unwrap();
            let opened = begin.elapsed();
            let bytes = collection.statistics().unwrap().file_bytes as f64;
            let bytes = bytes / documents.len() as f64;
            let reranker = Reranker::on_cpu(CpuMaxSim::new().with_threads(1).unwrap());
            let options = SearcherOptions::new().reranker(reranker);
            let searcher = Searcher::with_options(collection, options).unwrap();
            let again = |request| match searcher.query(request).unwrap().plan.query.method {
                Method::MaxSim { rescored, .. } => rescored as f64,
                Method::RowDistances { .. } => documents.len() as f64,
                other => panic!("{other}"),
            };
            let again = requests.iter().map(again).sum::<f64>() / requests.len() as f64;
            println!(
                "{name}: written in {took:?}, {bytes:.0} bytes a point, opened in {opened:?}, \
                 {again:.1} scored again a query"
            );
            println!("{}", searcher.query(&requests[0]).unwrap().plan);
            let mut requests = requests.iter().cycle();
            group.bench_function(name, |bencher| {
                bencher.iter(|| searcher.query(requests.next().unwrap()).unwrap());
            });
        }
    }
}

/// Writes them in batches: the time that it takes.
fn write_multivectors(path: &Path, config: VectorConfig, documents: &MultiVectors) -> Duration {
    let config = CollectionConfig::new().vector("", config);
    let collection = Collection::create(path, config).unwrap();
    let mut points = (0_u64..).zip(documents.iter());
    let mut took = Duration::ZERO;
    loop {
        let batch = points.by_ref().take(BATCH as usize);
        let batch: Vec<_> =
            batch.map(|(id, it)| Point::new(id).vector("", unit_rows(it))).collect();
        if batch.is_empty() {
            return took;
        }
        let begin = Instant::now();
        collection.upsert(batch).unwrap();
        took += begin.elapsed();
    }
}

criterion_group!(benches, write, read, filtered, two_stages, sparse, json, multivectors);
criterion_main!(benches);
