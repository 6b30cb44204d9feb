//! What is printed: tables in Markdown.

use std::time::Duration;

use maxfold::gpu::{GpuContext, ShaderVariant};

use super::measure::Measured;
use super::rates::Rates;
use super::shapes::Shape;

pub fn rates(variants: &[ShaderVariant], rates: &[Result<Rates, String>]) {
    println!("\n| variant | read by a shader, GB/s | multiply-adds, TFLOP/s |\n|---|---|---|");
    for (variant, rates) in variants.iter().zip(rates) {
        match rates {
            Ok(Rates { bytes, operations }) => {
                println!("| {variant} | {:.1} | {:.3} |", bytes / 1e9, operations / 1e12);
            }
            Err(reason) => println!("| {variant} | {reason} | |"),
        }
    }
}

pub fn head(shape: &Shape) {
    let Shape { name, queries, candidates, query_tokens, document_tokens, dim, shared } = shape;
    let same = if *shared { ", the same for all" } else { "" };
    println!(
        "\n{name}: {queries} × {candidates}{same} of {query_tokens} × {document_tokens} × {dim}\n"
    );
    println!(
        "| variant | GPU, ms | call p50 | p95 | host p50 | floor by bytes | by operations | floor / GPU \
         | GB/s | TFLOP/s | bytes / necessary | fetched / necessary | sent, read back |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
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
        "| {} | {} | {} | {} | {} | {:.4} | {:.4} | {} | {} | {} | {:.3} | {:.3} | {}, {} |",
        gpu.variant(),
        gpu_time.map_or("no timestamps".into(), milliseconds),
        milliseconds(measured.percentile(50)),
        milliseconds(measured.percentile(95)),
        measured.host().map_or("no timestamps".into(), milliseconds),
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

pub fn milliseconds(time: Duration) -> String {
    format!("{:.4}", time.as_secs_f64() * 1e3)
}

/// What is said of a variant that wasn't measured.
pub fn refused(variant: ShaderVariant, reason: &str) {
    println!("| {variant} | {reason} |{}", " |".repeat(11));
}
