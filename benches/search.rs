//! HNSW: building and searching; and the two stages together.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use maxfold::maxsim::CpuMaxSim;
use maxfold::multivector::{DenseVectors, TokenMatrix};
use maxfold::recall::{Allowed, Distance, HnswIndex, HnswParams, SearchParams};
use maxfold::rerank::Reranker;
use maxfold::search::{EngineConfig, Point, Request, SearchEngine};
use rand::prelude::*;
use support::Work;

const DOCUMENTS: usize = 10_000;
const DENSE: usize = 384;
const DIM: usize = 128;

/// Vectors in a hundred clusters, as embeddings are more like than they are like noise.
fn clustered(rng: &mut StdRng, vectors: usize) -> Vec<f32> {
    let centres: Vec<_> = (0..100).map(|_| support::random(rng, DENSE)).collect();
    let vector = |_| -> Vec<f32> {
        let centre = centres.choose(rng).into_iter().flatten().copied().collect::<Vec<_>>();
        centre.iter().zip(support::random(rng, DENSE)).map(|(c, noise)| c + noise / 2.0).collect()
    };
    (0..vectors).flat_map(vector).collect()
}

fn hnsw(criterion: &mut Criterion<Work>) {
    let mut rng = StdRng::seed_from_u64(1);
    let vectors = DenseVectors::new(clustered(&mut rng, DOCUMENTS), DENSE).unwrap();
    let build = || HnswIndex::build(Distance::Cosine, HnswParams::default(), &vectors).unwrap();
    let index = build();
    let query = vectors.get(17).unwrap().to_vec();
    let search = |params| index.search(&query, 100, params, None).unwrap();
    assert_eq!(search(SearchParams::default()).candidates[0].document, 17);

    let mut group = criterion.benchmark_group(format!("HNSW {DOCUMENTS}x{DENSE}"));
    group.throughput(Throughput::Elements(DOCUMENTS as u64)).sample_size(10);
    group.bench_function("build", |bencher| {
        bencher.iter_with_large_drop(build);
    });
    for ef in [100, 128, 256] {
        let params = SearchParams { hnsw_ef: Some(ef), exact: false };
        let id = BenchmarkId::new("search 100 with ef", ef);
        group.bench_function(id, |bencher| bencher.iter(|| search(params)));
    }
    let exact = SearchParams { exact: true, ..Default::default() };
    group.bench_function("exact scan", |bencher| bencher.iter(|| search(exact)));
}

/// Filters that keep a part of the documents, beside none.
fn filtered(criterion: &mut Criterion<Work>) {
    let mut rng = StdRng::seed_from_u64(3);
    let vectors = DenseVectors::new(clustered(&mut rng, 2 * DOCUMENTS), DENSE).unwrap();
    let index = HnswIndex::build(Distance::Cosine, HnswParams::default(), &vectors).unwrap();
    let mut group = criterion.benchmark_group(format!("filtered HNSW {}x{DENSE}", vectors.len()));
    for percent in [100.0, 50.0, 10.0, 1.0, 0.1] {
        let kept = (0..vectors.len()).filter(|_| rng.random_bool(percent / 100.0));
        let allowed: Allowed = kept.collect();
        let queries: Vec<_> = vectors.iter().step_by(20).collect();
        let mut queries = queries.into_iter().cycle();
        let mut search = || {
            let query = queries.next().unwrap();
            index.search(query, 100, SearchParams::default(), Some(&allowed)).unwrap()
        };
        let id = BenchmarkId::new("percent kept", percent);
        group.bench_function(id, |bencher| bencher.iter(&mut search));
    }
}

fn two_stages(criterion: &mut Criterion<Work>) {
    let mut rng = StdRng::seed_from_u64(2);
    let reranker = Reranker::on_cpu(CpuMaxSim::new());
    let mut engine = SearchEngine::new(EngineConfig::new(DENSE, DIM).reranker(reranker)).unwrap();
    let dense = clustered(&mut rng, DOCUMENTS);
    let points = (0..).zip(dense.chunks_exact(DENSE)).map(|(id, dense)| {
        let tokens = rng.random_range(60..=180);
        let values = support::random(&mut rng, tokens * DIM);
        let tokens = TokenMatrix::normalized(&values, DIM).unwrap();
        Point { id, dense: dense.to_vec(), tokens, payload: () }
    });
    let points: Vec<_> = points.collect();
    let (dense, document) = (points[17].dense.clone(), points[17].tokens.clone());
    engine.add(points).unwrap();
    let tokens = TokenMatrix::new(&document.values()[..32 * DIM], DIM).unwrap();

    let mut group = criterion.benchmark_group("recall and rerank, 32x(60 to 180)x128");
    for prefetch in [100, 1_000] {
        let request = Request::new(&dense, tokens.view()).prefetch(prefetch);
        assert_eq!(engine.search(&request).unwrap().hits[0].id, 17, "its own tokens");
        group.throughput(Throughput::Elements(prefetch as u64));
        let id = BenchmarkId::new("prefetch", prefetch);
        group.bench_function(id, |bencher| bencher.iter(|| engine.search(&request).unwrap()));
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = hnsw, filtered, two_stages }
criterion_main!(benches);
