//! The CPU kernel, by instruction set, number of threads and shape.

mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use support::{Shape, Work};

fn kernel(criterion: &mut Criterion<Work>) {
    for shape in Shape::ALL {
        let (query, documents) = shape.inputs();
        let documents: Vec<_> = documents.iter().collect();
        let mut group = criterion.benchmark_group(format!("CPU {shape}"));
        group.throughput(shape.throughput());
        for (set, threads) in InstructionSet::available().into_iter().flat_map(|s| [(s, 1), (s, 2)])
        {
            let cpu = CpuMaxSim::new().with_instruction_set(set).with_threads(threads).unwrap();
            let score = || cpu.score(query.view(), &documents).unwrap();
            support::check(&query, &documents, &score());
            let id = BenchmarkId::new(set.name(), threads);
            group.bench_function(id, |bencher| bencher.iter(score));
        }
    }
}

/// The best 10 and 100, beside scoring everything.
fn top_k(criterion: &mut Criterion<Work>) {
    let shape = Shape::new(32, 180, 128, 1_000);
    let (query, documents) = support::around_topics(shape);
    let documents: Vec<_> = documents.iter().collect();
    let mut group = criterion.benchmark_group(format!("CPU top k {shape}"));
    group.throughput(shape.throughput());
    for set in InstructionSet::available() {
        let cpu = CpuMaxSim::new().with_instruction_set(set).with_threads(1).unwrap();
        let scores = cpu.score(query.view(), &documents).unwrap();
        for k in [10, 100, documents.len()] {
            let top = || cpu.top_k(query.view(), &documents, k).unwrap();
            assert!(top().iter().all(|&(at, score)| score == scores[at]));
            let id = BenchmarkId::new(set.name(), k);
            group.bench_function(id, |bencher| bencher.iter(top));
        }
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = kernel, top_k }
criterion_main!(benches);
