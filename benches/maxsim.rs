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

criterion_group! { name = benches; config = support::criterion(); targets = kernel }
criterion_main!(benches);
