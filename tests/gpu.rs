//! The GPU path: what is split, what is forced, what fails.

mod support;
#[macro_use]
#[path = "support/trials.rs"]
mod trials;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use maxfold::gpu::{Calibration, GpuContext, GpuOptions, ShaderVariant};
use maxfold::maxsim::CpuMaxSim;
use maxfold::multivector::TokenMatrixRef;
use maxfold::rerank::{Backend, Reranker, RerankerOptions};
use maxfold::{Error, Result};
use rand::prelude::*;
use support::{
    OnGpu, Values, assert_scores, check_every, gpu_context, gpu_contexts, gpu_scorers,
    gpu_scorers_with,
};

fn main() -> ExitCode {
    let needing = tests![
        every_variant_of_the_adapter_is_right,
        a_hundred_thousand_candidates_in_one_call,
        a_book_among_notes,
        narrow_limits_give_the_same_scores,
        a_query_beyond_a_binding_is_scored_in_parts,
        calls_of_any_size_share_their_buffers,
        threads_share_a_context,
        a_host_keeps_its_own_device,
        a_host_lends_its_matrix_units,
        a_destroyed_device_is_replaced_by_the_cpu,
        a_lost_gpu_is_not_tried_again,
        a_device_may_go_at_any_moment,
        a_dropped_call_does_no_harm,
        auto_prefers_the_cpu_to_a_software_gpu,
        a_software_gpu_is_used_when_named,
        a_variant_that_the_device_lacks_is_an_error,
        limits_of_nothing_are_errors,
        a_calibration_chooses_the_variant_unless_one_is_forced,
    ];
    trials::run(
        needing,
        support::why_no_gpu(),
        tests![what_is_not_there_is_an_error_that_lists_what_is],
    )
}

/// Small limits, so that paging and folding run on small data.
fn narrow() -> GpuOptions {
    GpuOptions::default().binding_limit(1 << 20).workgroup_limit(256)
}

/// The one test that fails where a variant that the adapter lists scores wrong.
fn every_variant_of_the_adapter_is_right() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let refused: Vec<String> = gpu
        .adapter()
        .variants
        .iter()
        .filter_map(|variant| {
            let context = GpuContext::with_options(&GpuOptions::default().variant(*variant));
            context.err().map(|error| error.to_string())
        })
        .collect();
    assert!(refused.is_empty(), "{}: {refused:#?}", gpu.adapter());
}

/// The variants of the first adapter that score right.
fn right_variants() -> Vec<ShaderVariant> {
    gpu_contexts(GpuOptions::default()).iter().map(GpuContext::variant).collect()
}

fn a_hundred_thousand_candidates_in_one_call() {
    let mut rng = StdRng::seed_from_u64(1);
    let query = Values::Unit.query(&mut rng, 32, 32);
    let distinct = Values::Unit.documents(&mut rng, &[8; 1_000], 32);
    let documents: Vec<_> = (0..100_000).filter_map(|at| distinct.get(at * 7 % 1_000)).collect();
    for scorer in gpu_scorers() {
        let scores = scorer.score(query.view(), &documents);
        assert_eq!(scores.len(), documents.len());
        assert_scores(&scorer.name, query.view(), &documents[..1_000], &scores[..1_000]);
        // Every document after the first thousand is one of the first thousand.
        for (at, score) in scores.iter().enumerate() {
            assert_eq!(*score, scores[at % 1_000], "{}: document {at}", scorer.name);
        }
    }
}

fn a_book_among_notes() {
    let mut rng = StdRng::seed_from_u64(2);
    let query = Values::Opposed.query(&mut rng, 32, 128);
    let documents = Values::Opposed.documents(&mut rng, &[5, 5, 20_000, 5, 5, 5], 128);
    let documents: Vec<_> = documents.iter().collect();
    check_every(&gpu_scorers(), &query, &documents);
    check_every(&gpu_scorers_with(narrow()), &query, &documents);
}

fn narrow_limits_give_the_same_scores() {
    let mut rng = StdRng::seed_from_u64(3);
    for (query_tokens, tokens, dim) in
        [(32, vec![180; 300], 128), (1_030, vec![1_030; 3], 128), (5, vec![3; 70_000], 3)]
    {
        let query = Values::Unit.query(&mut rng, query_tokens, dim);
        let documents = Values::Unit.documents(&mut rng, &tokens, dim);
        let documents: Vec<_> = documents.iter().collect();
        for (wide, narrow) in gpu_scorers().iter().zip(&gpu_scorers_with(narrow())) {
            let expected = wide.score(query.view(), &documents);
            let got = narrow.score(query.view(), &documents);
            assert_eq!(got, expected, "{}", narrow.name);
        }
    }
}

/// 9,000 query tokens need three parts of at most 1 MiB, and more tiles than 256 workgroups.
fn a_query_beyond_a_binding_is_scored_in_parts() {
    let mut rng = StdRng::seed_from_u64(4);
    let query = Values::Unit.query(&mut rng, 9_000, 128);
    let documents = Values::Unit.documents(&mut rng, &[40, 3, 77], 128);
    let documents: Vec<_> = documents.iter().collect();
    check_every(&gpu_scorers_with(narrow()), &query, &documents);
}

fn calls_of_any_size_share_their_buffers() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(5);
    for (query_tokens, tokens, dim) in
        [(70, 600, 96), (1, 1, 1), (3, 2_000, 5), (32, 7, 128), (1, 1, 1), (100, 513, 300)]
    {
        let query = Values::Large.query(&mut rng, query_tokens, dim);
        let documents = Values::Large.documents(&mut rng, &[tokens, 1, tokens], dim);
        let documents: Vec<_> = documents.iter().collect();
        let scores = gpu.score(query.view(), &documents);
        assert_scores("reused buffers", query.view(), &documents, &scores);
    }
}

fn threads_share_a_context() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let gpu = &gpu;
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(thread);
                for _ in 0..10 {
                    let (query_tokens, dim) = (rng.random_range(1..40), rng.random_range(1..200));
                    let query = Values::Unit.query(&mut rng, query_tokens, dim);
                    let documents = Values::Unit.documents(&mut rng, &[9, 90, 900], dim);
                    let documents: Vec<_> = documents.iter().collect();
                    let scores = gpu.score(query.view(), &documents);
                    assert_scores("threads", query.view(), &documents, &scores);
                }
            });
        }
    });
}

fn a_host_keeps_its_own_device() {
    let Some((device, queue)) = host_device() else { return };
    let gpu = GpuContext::from_device(device.clone(), queue).unwrap();
    let expected = ShaderVariant::supported(wgpu::Features::empty(), &[]);
    assert_eq!(gpu.adapter().variants, expected, "only what the host asked for");
    let mut rng = StdRng::seed_from_u64(6);
    let query = Values::Unit.query(&mut rng, 32, 128);
    let documents = Values::Unit.documents(&mut rng, &[180, 20], 128);
    let documents: Vec<_> = documents.iter().collect();
    let scores = gpu.score(query.view(), &documents);
    assert_scores("from_device", query.view(), &documents, &scores);

    device.destroy();
    let ranking = Reranker::on_gpu(gpu).score(query.view(), &documents).unwrap();
    assert_eq!(ranking.execution.backend(), Backend::Cpu);
}

/// Where it has any: its adapter says which, since a device doesn't.
fn a_host_lends_its_matrix_units() {
    if gpu_context(GpuOptions::default()).is_none() {
        return;
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let matrices = adapter.cooperative_matrix_properties();
    let supported = ShaderVariant::supported(adapter.features(), &matrices);
    let right = right_variants();
    let lent = |it: &&ShaderVariant| it.has_matrices() && right.contains(it);
    let Some(variant) = supported.iter().find(lent) else {
        let required = std::env::var("MAXFOLD_REQUIRE_VARIANTS").unwrap_or_default();
        assert!(!required.contains("matrix"), "expected {required}, got {supported:?}");
        return;
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: variant.features(),
        required_limits: adapter.limits(),
        // SAFETY: only this crate's shaders run on it.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        ..Default::default()
    }))
    .unwrap();
    let gpu = GpuContext::from_device(device.clone(), queue.clone()).unwrap();
    assert!(!gpu.variant().has_matrices());
    let options = GpuOptions::default().matrix_units(matrices);
    let gpu = GpuContext::from_device_with_options(device, queue, &options).unwrap();
    assert_eq!(gpu.variant(), *variant);
}

/// A device with no features, and the limits that every WebGPU device has.
fn host_device() -> Option<(wgpu::Device, wgpu::Queue)> {
    gpu_context(GpuOptions::default())?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    Some(pollster::block_on(adapter.request_device(&Default::default())).unwrap())
}

fn a_destroyed_device_is_replaced_by_the_cpu() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let adapter = gpu.adapter().name.clone();
    let reranker = Reranker::on_gpu(gpu);
    let mut rng = StdRng::seed_from_u64(7);
    let query = Values::Unit.query(&mut rng, 32, 128);
    let documents = Values::Unit.documents(&mut rng, &[180, 20, 60], 128);
    let documents: Vec<TokenMatrixRef<'_>> = documents.iter().collect();

    let first = reranker.score(query.view(), &documents).unwrap();
    assert_eq!(first.execution.adapter(), Some(adapter.as_str()));
    reranker.gpu().unwrap().device().destroy();
    let second = reranker.score(query.view(), &documents).unwrap();
    assert_eq!(second.execution.backend(), Backend::Cpu);
    assert!(second.execution.reason.contains("lost"), "{}", second.execution);
    assert_scores("after destroy", query.view(), &documents, &second.scores);
    assert_eq!(second.scores, CpuMaxSim::new().score(query.view(), &documents).unwrap());
}

fn a_lost_gpu_is_not_tried_again() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let reranker = Reranker::on_gpu(gpu);
    let mut rng = StdRng::seed_from_u64(8);
    let query = Values::Unit.query(&mut rng, 8, 32);
    let documents = Values::Unit.documents(&mut rng, &[18, 2], 32);
    let documents: Vec<TokenMatrixRef<'_>> = documents.iter().collect();
    let first = reranker.score(query.view(), &documents).unwrap();
    assert_eq!(first.execution.backend(), Backend::Gpu);
    reranker.gpu().unwrap().device().destroy();
    for _ in 0..2 {
        let later = reranker.score(query.view(), &documents).unwrap();
        assert_eq!(later.execution.backend(), Backend::Cpu);
        assert_scores("after destroy", query.view(), &documents, &later.scores);
    }
    assert_eq!(reranker.execution().backend(), Backend::Cpu, "a lost GPU is not tried again");
}

/// Destroyed while requests run, and before one that needs larger buffers.
fn a_device_may_go_at_any_moment() {
    let mut rng = StdRng::seed_from_u64(9);
    let query = Values::Unit.query(&mut rng, 32, 128);
    let documents = Values::Unit.documents(&mut rng, &[300; 60], 128);
    let documents: Vec<TokenMatrixRef<'_>> = documents.iter().collect();
    for delay in 0..8 {
        let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
        let reranker = Reranker::on_gpu(gpu);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(delay * 3));
                reranker.gpu().unwrap().device().destroy();
            });
            for size in [1, 20, 60] {
                let documents = &documents[..size];
                let scored = reranker.score(query.view(), documents).unwrap();
                assert_scores("while destroyed", query.view(), documents, &scored.scores);
            }
        });
        let scored = reranker.score(query.view(), &documents).unwrap();
        assert_eq!(scored.execution.backend(), Backend::Cpu);
        assert_scores("after destroy", query.view(), &documents, &scored.scores);
    }
}

/// A call that is given up midway leaves nothing half done to the next.
#[tokio::main(flavor = "current_thread")]
async fn a_dropped_call_does_no_harm() {
    let Some(gpu) = gpu_context(narrow()) else { return };
    let mut rng = StdRng::seed_from_u64(10);
    let query = Arc::new(Values::Unit.query(&mut rng, 32, 128));
    let documents = Arc::new(Values::Unit.documents(&mut rng, &[700; 12], 128));
    for millis in [0, 1, 5, 20] {
        let (on, query, documents) = (gpu.clone(), Arc::clone(&query), Arc::clone(&documents));
        let call = maxfold::run_async(move || {
            Reranker::on_gpu(on).score(query.view(), &documents.iter().collect::<Vec<_>>())
        });
        drop(tokio::time::timeout(Duration::from_millis(millis), call).await);
    }
    let documents: Vec<TokenMatrixRef<'_>> = documents.iter().take(3).collect();
    assert_scores("after", query.view(), &documents, &gpu.score(query.view(), &documents));
}

fn auto_prefers_the_cpu_to_a_software_gpu() {
    let software_only = maxfold::gpu::adapters().iter().all(|adapter| adapter.software);
    let execution = Reranker::new(Backend::Auto).unwrap().execution();
    let expected = if software_only { Backend::Cpu } else { Backend::Gpu };
    assert_eq!(execution.backend(), expected, "{execution}");
    assert!(execution.reason.starts_with("auto: "), "{execution}");
}

fn a_software_gpu_is_used_when_named() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let name = gpu.adapter().name.to_uppercase();
    for backend in [Backend::Auto, Backend::Gpu] {
        let gpu = GpuOptions::default().adapter(&name);
        let options = RerankerOptions::new().backend(backend).gpu(gpu);
        let execution = Reranker::with_options(&options).unwrap().execution();
        assert_eq!(execution.backend(), Backend::Gpu, "{execution}");
    }
}

fn what_is_not_there_is_an_error_that_lists_what_is() {
    let error = GpuContext::with_adapter("Voodoo 2").unwrap_err().to_string();
    assert!(error.contains("Voodoo 2") && error.contains("got"), "{error}");
    for adapter in maxfold::gpu::adapters() {
        assert!(error.contains(&adapter.name), "{error}");
    }
}

fn a_variant_that_the_device_lacks_is_an_error() {
    let Some((device, queue)) = host_device() else { return };
    let [fastest, ..] = ShaderVariant::ALL;
    let options = GpuOptions::default().variant(fastest);
    let refused: Result<GpuContext> = GpuContext::from_device_with_options(device, queue, &options);
    assert!(matches!(refused, Err(Error::VariantUnsupported { .. })), "{refused:?}");
}

fn limits_of_nothing_are_errors() {
    if gpu_context(GpuOptions::default()).is_none() {
        return;
    }
    for options in
        [GpuOptions::default().binding_limit(0), GpuOptions::default().workgroup_limit(0)]
    {
        let refused = GpuContext::with_options(&options);
        assert!(matches!(refused, Err(Error::InvalidParameter { .. })), "{refused:?}");
    }
}

/// A calibration is found, saved, loaded and gone by; a forced variant stays forced; what was
/// measured with another driver is not looked at.
fn a_calibration_chooses_the_variant_unless_one_is_forced() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let calibration = gpu.calibrate().unwrap();
    let found = calibration.variants();
    let right = right_variants();
    assert!(right.iter().all(|variant| found.contains(variant)), "{right:?}: {found:?}");
    let saved = calibration.to_string();
    let loaded: Calibration = saved.parse().unwrap();
    assert_eq!(loaded, calibration);

    let mut rng = StdRng::seed_from_u64(11);
    let documents = Values::Unit.documents(&mut rng, &[180, 1, 1_030, 7, 64], 128);
    let documents: Vec<TokenMatrixRef<'_>> = documents.iter().collect();
    let check = |options: GpuOptions, expected: ShaderVariant, rng: &mut StdRng| {
        let gpu = GpuContext::with_options(&options).unwrap();
        assert_eq!(gpu.variant(), expected);
        for tokens in [5, 32, 33, 300] {
            let query = Values::Unit.query(rng, tokens, 128);
            let scores = gpu.score(query.view(), &documents);
            assert_scores("calibrated", query.view(), &documents, &scores);
        }
    };
    for variant in &found {
        // As if this one had been the fastest.
        let (head, lines) = saved.split_at(saved.match_indices('\n').nth(2).unwrap().0);
        let line = lines.lines().find(|line| line.starts_with(&format!("{variant}:"))).unwrap();
        let first: Calibration = format!("{head}\n{line}{lines}").parse().unwrap();
        check(GpuOptions::default().calibration(first.clone()), *variant, &mut rng);
        for forced in &found {
            let options = GpuOptions::default().calibration(first.clone()).variant(*forced);
            check(options, *forced, &mut rng);
        }
    }
    let (head, lines) = saved.split_at(saved.match_indices('\n').nth(2).unwrap().0);
    let slowest_first: String = lines.lines().rev().map(|line| format!("\n{line}")).collect();
    let other = head.replacen("driver: ", "driver: an older ", 1) + slowest_first.trim_end();
    let options = GpuOptions::default().calibration(other.parse().unwrap());
    check(options, right[0], &mut rng);
}
