//! Streamed candidates on the GPU, copies included, and resident ones, by shader variant and shape.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use maxfold::gpu::{GpuContext, GpuOptions, ResidentStore, ShaderVariant};
use maxfold::rerank::{Query, Request, Reranker, Wanted};
use support::{Shape, Work};

/// One for each variant that this machine runs.
fn contexts() -> Vec<GpuContext> {
    let context = |variant| GpuContext::with_options(&GpuOptions::default().variant(variant));
    let contexts = ShaderVariant::ALL.into_iter().filter_map(|variant| {
        context(variant).map_err(|error| println!("skipped: {variant}: {error}")).ok()
    });
    contexts.collect()
}

fn streamed(criterion: &mut Criterion<Work>) {
    let contexts = contexts();
    for shape in Shape::ALL {
        let (query, documents) = shape.inputs();
        let documents: Vec<_> = documents.iter().collect();
        let mut group = criterion.benchmark_group(format!("GPU streamed {shape}"));
        group.throughput(shape.throughput()).sample_size(10);
        for gpu in &contexts {
            let reranker = Reranker::on_gpu(gpu.clone());
            let score = || reranker.score(query.view(), &documents).unwrap().scores;
            support::check(&query, &documents, &score());
            group.bench_function(gpu.variant().to_string(), |bencher| bencher.iter(score));
        }
    }
}

fn resident(criterion: &mut Criterion<Work>) {
    for shape in Shape::ALL {
        let (query, documents) = shape.inputs();
        let candidates: Vec<u64> = (0..documents.len() as u64).collect();
        let named: Vec<_> = (0..).zip(documents.iter()).collect();
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        let mut group = criterion.benchmark_group(format!("GPU resident {shape}"));
        group.throughput(shape.throughput()).sample_size(10);
        for gpu in &contexts() {
            let store = ResidentStore::new(gpu, documents.dim()).unwrap();
            store.load(&named, |_| {}).unwrap();
            let reranker = Reranker::on_gpu(gpu.clone());
            let rank = |wanted| {
                let request = Request::new(&queries, &|_| Ok(None), wanted).with_store(&store);
                reranker.rank(&request).unwrap()
            };
            let mut hits = rank(Wanted::all()).rankings[0].hits.clone();
            hits.sort_unstable_by_key(|hit| hit.id);
            let scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
            support::check(&query, &documents.iter().collect::<Vec<_>>(), &scores);
            group.bench_function(gpu.variant().to_string(), |bencher| {
                bencher.iter(|| rank(Wanted::best(10)));
            });
        }
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = streamed, resident }
criterion_main!(benches);
