//! What is printed: tables in Markdown.

use std::time::Duration;

use maxfold::gpu::{GpuContext, ShaderVariant};

use super::measure::Measured;
use super::rates::Rates;
use super::shapes::Shape;

pub fn rates(variants: &[ShaderVariant], rates: &[Rates]) {
    println!("\n| variant | copy, GB/s read and written | multiply-adds, TFLOP/s |\n|---|---|---|");
    for (variant, Rates { bytes, operations }) in variants.iter().zip(rates) {
        println!("| {variant} | {:.1} | {:.3} |", bytes / 1e9, operations / 1e12);
    }
}

pub fn head(shape: &Shape) {
    let Shape { name, queries, candidates, query_tokens, document_tokens, dim } = shape;
    println!("\n{name}: {queries} × {candidates} of {query_tokens} × {document_tokens} × {dim}\n");
    println!(
        "| variant | GPU, ms | call p50 | p95 | floor by bytes | by operations | floor / GPU \
         | GB/s | TFLOP/s | bytes / necessary | fetched / necessary | sent, read back |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
}

/// The floors are of what is necessary; bytes and operations that the kernel has beyond are its own
/// fault.
pub fn row(gpu: &GpuContext, shape: &Shape, rates: &Rates, measured: &Measured) {
    let (necessary, operations) = (shape.necessary_bytes(), shape.operations());
    let floors = [necessary / rates.bytes, operations / rates.operations];
    let floor = floors[0].max(floors[1]);
    let statistics = &measured.statistics;
    let gpu_time = measured.gpu_time();
    let per_gpu = |amount: f64| match gpu_time {
        Some(time) => format!("{:.3}", amount / time.as_secs_f64()),
        None => "no timestamps".into(),
    };
    println!(
        "| {} | {} | {} | {} | {:.4} | {:.4} | {} | {} | {} | {:.3} | {:.3} | {}, {} |",
        gpu.variant(),
        gpu_time.map_or("no timestamps".into(), milliseconds),
        milliseconds(measured.percentile(50)),
        milliseconds(measured.percentile(95)),
        floors[0] * 1e3,
        floors[1] * 1e3,
        per_gpu(floor),
        per_gpu(necessary / 1e9),
        per_gpu(operations / 1e12),
        statistics.kernel_bytes as f64 / necessary,
        statistics.fetched_bytes as f64 / necessary,
        statistics.bytes_up,
        statistics.bytes_down,
    );
}

fn milliseconds(time: Duration) -> String {
    format!("{:.4}", time.as_secs_f64() * 1e3)
}
