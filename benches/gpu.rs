//! Streamed candidates on the GPU, copies included, by shader variant and shape.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use maxfold::gpu::{GpuContext, GpuOptions, ShaderVariant};
use support::{Shape, Work};

fn streamed(criterion: &mut Criterion<Work>) {
    let context = |variant| GpuContext::with_options(&GpuOptions::default().variant(variant));
    let contexts: Vec<GpuContext> = ShaderVariant::ALL
        .into_iter()
        .filter_map(|variant| {
            context(variant).map_err(|error| println!("skipped: {variant}: {error}")).ok()
        })
        .collect();
    for shape in Shape::ALL {
        let (query, documents) = shape.inputs();
        let documents: Vec<_> = documents.iter().collect();
        let mut group = criterion.benchmark_group(format!("GPU streamed {shape}"));
        group.throughput(shape.throughput()).sample_size(10);
        for gpu in &contexts {
            let score = || gpu.score(query.view(), &documents).unwrap();
            support::check(&query, &documents, &score());
            group.bench_function(gpu.variant().to_string(), |bencher| bencher.iter(score));
        }
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = streamed }
criterion_main!(benches);
