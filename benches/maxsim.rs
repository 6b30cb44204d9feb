//! The CPU kernel, by instruction set, number of threads and shape.

mod support;

use std::cell::Cell;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::multivector::{Interchange, MultiVectors, QuantizedMatrix, TokenMatrix};
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

/// The best 10 and 100 of documents that were quantized before, beside scoring everything; with the folder of an
/// embedded collection in `MAXFOLD_VECTORS` (`docs.safetensors`, `queries.safetensors`), of that, for 16 queries.
/// `MAXFOLD_DOCUMENTS` says how many short ones there are.
fn certified(criterion: &mut Criterion<Work>) {
    let short = std::env::var("MAXFOLD_DOCUMENTS").map_or(100_000, |it| it.parse().unwrap());
    for shape in [Shape::new(32, 180, 128, 1_000), Shape::new(32, 25, 128, short)] {
        let (query, documents) = support::around_topics(shape);
        measure_certified(criterion, &shape.to_string(), &[query], &documents);
    }
    let Ok(folder) = std::env::var("MAXFOLD_VECTORS") else { return };
    let read = |name: &str| Interchange::read(format!("{folder}/{name}.safetensors")).unwrap();
    let (documents, queries) = (read("docs"), read("queries"));
    let queries: Vec<_> = queries.tokens.iter().take(16).map(|it| it.to_owned()).collect();
    measure_certified(criterion, &folder, &queries, &documents.tokens);
}

fn measure_certified(
    criterion: &mut Criterion<Work>,
    name: &str,
    queries: &[TokenMatrix],
    documents: &MultiVectors,
) {
    let views: Vec<_> = documents.iter().collect();
    let begin = Instant::now();
    let quantized: Vec<_> = views.iter().map(|it| QuantizedMatrix::new(*it).unwrap()).collect();
    let tokens = documents.iter().map(|it| it.tokens()).sum::<usize>() as f64;
    let nanoseconds = begin.elapsed().as_nanos() as f64 / tokens;
    let bytes = quantized.iter().map(|it| it.bytes().len()).sum::<usize>() as f64 / tokens;
    println!("{name}: quantized in {nanoseconds:.0} ns and {bytes:.1} bytes a token");
    let codes: Vec<_> = quantized.iter().map(QuantizedMatrix::view).collect();
    let mut group = criterion.benchmark_group(format!("CPU from int8, {name}"));
    group.sample_size(20);
    // Portable lanes score everything.
    let sets = InstructionSet::available().into_iter().filter(|it| it.name().starts_with("avx"));
    for (set, threads) in sets.flat_map(|set| [(set, 1), (set, 2)]) {
        let cpu = CpuMaxSim::new().with_instruction_set(set).with_threads(threads).unwrap();
        let exact = || -> Vec<_> {
            queries.iter().map(|it| cpu.score(it.view(), &views).unwrap()).collect()
        };
        let scores = exact();
        let id = |what: &str| BenchmarkId::new(what, format!("{set}, {threads}"));
        group.bench_function(id("all scored"), |bencher| bencher.iter(exact));
        for k in [10, 100] {
            let read = Cell::new(0);
            let matrix = |at: usize| {
                read.set(read.get() + 1);
                Ok(views[at])
            };
            let top = || -> Vec<_> {
                let each = queries.iter();
                each.map(|it| cpu.top_k_quantized(it.view(), &codes, matrix, k).unwrap()).collect()
            };
            for (best, scores) in top().iter().zip(&scores) {
                let mut expected: Vec<_> = scores.iter().copied().enumerate().collect();
                expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                assert_eq!(*best, expected[..k.min(expected.len())]);
            }
            println!("{name}, {set}: top {k} reads {}", read.get() as f64 / queries.len() as f64);
            group.bench_function(id(&format!("top {k}")), |bencher| bencher.iter(top));
        }
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = kernel, top_k, certified }
criterion_main!(benches);
