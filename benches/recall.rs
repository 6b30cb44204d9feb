//! HNSW: building and searching, with filters and without.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use maxfold::multivector::DenseVectors;
use maxfold::recall::{Allowed, Distance, HnswIndex, HnswParams, SearchParams};
use rand::prelude::*;
use support::Work;

const DOCUMENTS: usize = 10_000;
const DENSE: usize = 384;

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
        let params = SearchParams::new().hnsw_ef(ef);
        let id = BenchmarkId::new("search 100 with ef", ef);
        group.bench_function(id, |bencher| bencher.iter(|| search(params)));
    }
    let exact = SearchParams::new().exact(true);
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

criterion_group! { name = benches; config = support::criterion(); targets = hnsw, filtered }
criterion_main!(benches);
