//! Documents that stay in the GPU's memory: every variant, resident and streamed, against the
//! reference; top-k; matches; what a request costs.

mod support;
#[macro_use]
#[path = "support/trials.rs"]
mod trials;

use std::collections::HashSet;
use std::process::ExitCode;

use maxfold::Error;
use maxfold::gpu::{GpuContext, GpuOptions, ResidentStore, Shape, Statistics};
use maxfold::maxsim::{CpuMaxSim, reference};
use maxfold::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use maxfold::rerank::{Backend, Query, Ranking, Request, Reranker, Scored, Wanted};
use rand::prelude::*;
use support::{
    OnGpu, RELATIVE_BOUND, Values, assert_scores, filled, from, gpu_context, gpu_contexts, ids,
};

fn main() -> ExitCode {
    let needing = tests![
        every_variant_scores_resident_and_streamed_documents_alike,
        a_page_against_pages,
        narrow_limits_give_the_same_answers,
        what_is_not_resident_is_streamed_in_the_same_request,
        ties_are_broken_by_id,
        a_hundred_thousand_resident_candidates,
        queries_have_candidates_of_their_own,
        matches_are_the_same_everywhere,
        matches_explain_scores,
        a_request_is_a_few_kilobytes,
        the_steady_state_creates_nothing,
        a_warm_up_of_any_size_is_an_error_or_fits,
        the_second_request_creates_nothing,
        streaming_has_a_bounded_footprint,
        thousands_of_queries,
        async_requests_are_answered_alike,
        requests_of_many_threads_stay_on_the_gpu,
        a_lost_device_is_replaced_by_the_cpu,
        uuids_are_ids,
        bad_requests_are_errors,
    ];
    trials::run(needing, support::why_no_gpu(), Vec::new())
}

/// Small limits, so that paging and folding run on small data.
fn narrow() -> GpuOptions {
    GpuOptions::default().binding_limit(1 << 20).workgroup_limit(256)
}

/// Scores in the order of ids, which are positions.
fn scores(ranked: &Ranking) -> Vec<f32> {
    let mut hits = ranked.hits.clone();
    hits.sort_by_key(|hit| hit.id);
    assert!(hits.iter().map(|hit| hit.id).eq(0..hits.len() as u64), "every candidate once");
    hits.iter().map(|hit| hit.score).collect()
}

/// The best of scores, in order.
fn best(scores: &[f32], limit: usize) -> Vec<Scored> {
    let mut hits: Vec<_> = (0..).zip(scores).map(|(id, &score)| Scored { id, score }).collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    hits.truncate(limit);
    hits
}

/// Resident and streamed, every candidate and the best of them: right, and the same to the bit.
fn check(gpu: &GpuContext, queries: &[TokenMatrix], documents: &MultiVectors) {
    let name = format!("{} on {}", gpu.variant(), gpu.adapter());
    let (store, candidates) = (filled(gpu, documents), ids(documents));
    let all: Vec<_> = documents.iter().collect();
    let requests: Vec<_> = queries
        .iter()
        .map(|query| Query { tokens: query.view(), candidates: &candidates })
        .collect();
    let resident = gpu.rank(&requests, Some(&store), &|_| Ok(None), Wanted::all()).unwrap();
    let streamed = gpu.rank(&requests, None, &from(documents), Wanted::all()).unwrap();
    assert_eq!(resident.rankings, streamed.rankings, "{name}: bit for bit");
    for (query, ranked) in queries.iter().zip(&resident.rankings) {
        assert_scores(&name, query.view(), &all, &scores(ranked));
        assert_eq!(ranked.hits, best(&scores(ranked), usize::MAX), "{name}: the order of hits");
    }
    let limit = documents.len() / 2;
    for (store, documents) in [(Some(&store), None), (None, Some(documents))] {
        let matrix = |id: u64| Ok(documents.and_then(|it| it.get(id as usize)));
        let few = gpu.rank(&requests, store, &matrix, Wanted::best(limit)).unwrap();
        for (few, all) in few.rankings.iter().zip(&resident.rankings) {
            assert_eq!(few.hits, all.hits[..limit], "{name}: the best {limit}");
        }
    }
}

fn every_variant_scores_resident_and_streamed_documents_alike() {
    let mut rng = StdRng::seed_from_u64(1);
    for gpu in gpu_contexts(GpuOptions::default()) {
        for (dim, values) in [3, 64, 100, 128, 256, 768].into_iter().zip(Values::ALL.iter().cycle())
        {
            let tokens = [1, 1_100, 2, 7, 180, 8, 63, 64, 65, 511, 513];
            let documents = values.documents(&mut rng, &tokens, dim);
            let query = values.query(&mut rng, 32, dim);
            check(&gpu, &[query], &documents);
            let documents = values.documents(&mut rng, &[70, 1, 180, 33], dim);
            let lengths = [32, 1, 5, 32, 40, 8, 100, 32, 3, 16, 17, 64, 31, 33, 2, 32];
            let queries = lengths.map(|tokens| values.query(&mut rng, tokens, dim));
            check(&gpu, &queries, &documents);
        }
    }
}

fn a_page_against_pages() {
    let mut rng = StdRng::seed_from_u64(2);
    let query = Values::Unit.query(&mut rng, 1_024, 128);
    let documents = Values::Unit.documents(&mut rng, &[1_030, 1_030, 9], 128);
    for gpu in gpu_contexts(GpuOptions::default()) {
        check(&gpu, std::slice::from_ref(&query), &documents);
    }
}

/// Documents over several pages, queries over several parts, batches over several submissions.
fn narrow_limits_give_the_same_answers() {
    let mut rng = StdRng::seed_from_u64(3);
    let documents = Values::Unit.documents(&mut rng, &[5, 9_000, 5, 700, 4_097, 1, 4_096], 128);
    let queries = [32, 1, 300].map(|tokens| Values::Unit.query(&mut rng, tokens, 128));
    let long = Values::Unit.query(&mut rng, 9_000, 128);
    let few = Values::Unit.documents(&mut rng, &[40, 3, 77], 128);
    let (wide, narrow) = (gpu_contexts(GpuOptions::default()), gpu_contexts(narrow()));
    for (wide, narrow) in wide.iter().zip(&narrow) {
        check(narrow, &queries, &documents);
        check(narrow, std::slice::from_ref(&long), &few);
        let candidates = ids(&documents);
        let requests = [Query { tokens: queries[0].view(), candidates: &candidates }];
        let [a, b] = [wide, narrow].map(|gpu| {
            gpu.rank(&requests, None, &from(&documents), Wanted::all()).unwrap().rankings
        });
        assert_eq!(a, b);
    }
}

fn what_is_not_resident_is_streamed_in_the_same_request() {
    let mut rng = StdRng::seed_from_u64(4);
    let documents = Values::Unit.documents(&mut rng, &[180, 20, 600, 1, 64, 90, 33, 300], 128);
    let queries = [32, 7].map(|tokens| Values::Unit.query(&mut rng, tokens, 128));
    let candidates = ids(&documents);
    let requests =
        queries.each_ref().map(|query| Query { tokens: query.view(), candidates: &candidates });
    for gpu in gpu_contexts(narrow()) {
        let store = filled(&gpu, &documents);
        let rank =
            || gpu.rank(&requests, Some(&store), &from(&documents), Wanted::best(5)).unwrap();
        let expected = rank();
        assert_eq!((expected.statistics.resident, expected.statistics.streamed), (16, 0));
        for (gone, id) in (1..).zip([3, 0, 7, 2]) {
            assert!(store.remove(id));
            let answer = rank();
            assert_eq!(answer.rankings, expected.rankings, "{}", gpu.variant());
            let counts = (answer.statistics.resident, answer.statistics.streamed);
            assert_eq!(counts, (16 - 2 * gone, 2 * gone));
        }
        store.clear();
        assert_eq!(rank().rankings, expected.rankings);
        assert!(store.is_empty() && store.statistics().used_bytes == 0);
    }
}

/// Scores that are all alike, or alike in groups: the lower id first, at every limit.
fn ties_are_broken_by_id() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(5);
    let query = TokenMatrix::new(&[1.0_f32, -1.0], 1).unwrap();
    let tokens: Vec<TokenMatrix> =
        (0..5).map(|value| TokenMatrix::new(&[value as f32, -3.0], 1).unwrap()).collect();
    for (count, groups) in [(3_000, 1), (3_000, 5), (2_048, 3), (2_049, 2), (1, 1)] {
        let mut candidates: Vec<u64> = (0..count).map(|at| at * 1_000_003).collect();
        candidates.shuffle(&mut rng);
        let matrix = |id: u64| Ok(Some(tokens[(id % groups) as usize].view()));
        // max(value, −3) + max(−value, 3)
        let score = |id: u64| (id % groups) as f32 + 3.0;
        let mut expected: Vec<_> =
            candidates.iter().map(|&id| Scored { id, score: score(id) }).collect();
        expected.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        for limit in [0, 1, 2, 10, 1_000, 1_024, 1_025, 2_047, 5_000] {
            let answer = gpu.rank(&queries, None, &matrix, Wanted::best(limit)).unwrap();
            let limit = limit.min(count as usize);
            assert_eq!(answer.rankings[0].hits, expected[..limit], "{count} in {groups}");
        }
    }
}

fn a_hundred_thousand_resident_candidates() {
    let mut rng = StdRng::seed_from_u64(6);
    let documents = Values::Opposed.documents(&mut rng, &[4; 2_000], 16);
    let query = Values::Opposed.query(&mut rng, 8, 16);
    let all: Vec<_> = documents.iter().collect();
    for gpu in [GpuOptions::default(), narrow()].into_iter().filter_map(gpu_context) {
        let store = filled(&gpu, &documents);
        // Each document fifty times: it is ranked as often.
        let candidates: Vec<u64> = (0..100_000).map(|at| at * 7 % 2_000).collect();
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        let answer = gpu.rank(&queries, Some(&store), &|_| Ok(None), Wanted::best(1_000)).unwrap();
        let once = gpu.score(query.view(), &all);
        assert!(once.iter().all(|score| *score < 0.0), "negative scores are ordinary");
        let expected = best(&once, 20).into_iter().flat_map(|hit| [hit; 50]);
        assert!(answer.rankings[0].hits.iter().copied().eq(expected), "{}", gpu.variant());
        assert_eq!(answer.statistics.resident, 100_000);
    }
}

fn queries_have_candidates_of_their_own() {
    let mut rng = StdRng::seed_from_u64(7);
    let documents = Values::Large.documents(&mut rng, &[30; 200], 48);
    let queries: Vec<_> = (0..20).map(|at| Values::Large.query(&mut rng, 1 + at * 7, 48)).collect();
    for gpu in gpu_contexts(GpuOptions::default()) {
        let store = filled(&gpu, &documents);
        let candidates: Vec<Vec<u64>> = (0..20)
            .map(|at| {
                rand::seq::index::sample(&mut rng, 200, at * 10)
                    .into_iter()
                    .map(|it| it as u64)
                    .collect()
            })
            .collect();
        let requests: Vec<_> = queries
            .iter()
            .zip(&candidates)
            .map(|(query, candidates)| Query { tokens: query.view(), candidates })
            .collect();
        let together = gpu.rank(&requests, Some(&store), &|_| Ok(None), Wanted::best(15)).unwrap();
        assert_eq!(together.statistics.submissions, 1);
        for (request, ranked) in requests.iter().zip(&together.rankings) {
            let alone =
                gpu.rank(&[*request], Some(&store), &|_| Ok(None), Wanted::best(15)).unwrap();
            assert_eq!(alone.rankings, std::slice::from_ref(ranked));
            assert_eq!(ranked.hits.len(), request.candidates.len().min(15));
            for hit in &ranked.hits {
                assert!(request.candidates.contains(&hit.id));
                let document = documents.get(hit.id as usize).unwrap();
                assert_scores("own candidates", request.tokens, &[document], &[hit.score]);
            }
        }
    }
}

/// Small integers, so that every backend is exact, with many equal similarities.
fn integers(rng: &mut StdRng, tokens: usize, dim: usize) -> TokenMatrix {
    let values: Vec<f32> = (0..tokens * dim).map(|_| rng.random_range(-2..=2) as f32).collect();
    TokenMatrix::new(&values, dim).unwrap()
}

fn matches_are_the_same_everywhere() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut documents = MultiVectors::empty(6).unwrap();
    for tokens in [1, 300, 64, 65, 20_000, 9] {
        documents.push(integers(&mut rng, tokens, 6).view()).unwrap();
    }
    let queries = [3, 300].map(|tokens| integers(&mut rng, tokens, 6));
    let candidates = ids(&documents);
    let requests =
        queries.each_ref().map(|query| Query { tokens: query.view(), candidates: &candidates });
    let wanted = Wanted::best(4).with_matches();
    let check = |name: &str, rankings: &[Ranking]| {
        for (query, ranked) in queries.iter().zip(rankings) {
            assert_eq!((ranked.hits.len(), ranked.matches.len()), (4, 4));
            for (hit, matches) in ranked.hits.iter().zip(&ranked.matches) {
                let document = documents.get(hit.id as usize).unwrap();
                let expected = reference::matches(query.view(), document);
                let got = matches.iter().map(|it| (it.token as usize, f64::from(it.similarity)));
                assert!(got.eq(expected), "{name}: document {}", hit.id);
            }
        }
    };
    let contexts = gpu_contexts(GpuOptions::default());
    // Pages of 8,192 rows, so that 20,000 tokens are in three pieces; and parts of 256 query tokens.
    let tiny = GpuOptions::default().binding_limit(1 << 17).workgroup_limit(8);
    for gpu in contexts.into_iter().chain(gpu_contexts(tiny)) {
        let name = gpu.variant().to_string();
        let store = filled(&gpu, &documents);
        let resident = gpu.rank(&requests, Some(&store), &|_| Ok(None), wanted).unwrap();
        check(&name, &resident.rankings);
        let streamed = gpu.rank(&requests, None, &from(&documents), wanted).unwrap();
        assert_eq!(streamed.rankings, resident.rankings, "{name}");
    }
    let matrices = from(&documents);
    let request = Request::new(&requests, &matrices, wanted);
    let rankings = Reranker::new(Backend::Cpu).unwrap().rank(&request).unwrap().rankings;
    check("the CPU", &rankings);
}

/// Where similarities are not exact, what is matched is the best but for rounding, and the
/// similarities add up to the score.
fn matches_explain_scores() {
    let mut rng = StdRng::seed_from_u64(9);
    let documents = Values::Unit.documents(&mut rng, &[180, 40, 700], 300);
    let query = Values::Unit.query(&mut rng, 32, 300);
    let candidates = ids(&documents);
    let requests = [Query { tokens: query.view(), candidates: &candidates }];
    let matrices = from(&documents);
    let request = Request::new(&requests, &matrices, Wanted::all().with_matches());
    let mut rerankers = vec![Reranker::new(Backend::Cpu).unwrap()];
    rerankers.extend(gpu_contexts(GpuOptions::default()).into_iter().map(Reranker::on_gpu));
    for reranker in rerankers {
        let answer = reranker.rank(&request).unwrap();
        let name = answer.rankings[0].execution.variant();
        for (hit, matches) in answer.rankings[0].hits.iter().zip(&answer.rankings[0].matches) {
            let document = documents.get(hit.id as usize).unwrap();
            let expected = reference::matches(query.view(), document);
            assert_eq!(matches.len(), 32);
            for ((row, found), (_, best)) in query.view().rows().zip(matches).zip(expected) {
                let values = document.rows().nth(found.token as usize).unwrap();
                let dot: f64 = row.iter().zip(values).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
                assert!((f64::from(found.similarity) - dot).abs() <= RELATIVE_BOUND, "{name}");
                assert!(best - dot <= RELATIVE_BOUND, "{name}: {best}, {dot}");
            }
            let sum: f64 = matches.iter().map(|it| f64::from(it.similarity)).sum();
            assert!((sum - f64::from(hit.score)).abs() <= 64.0 * RELATIVE_BOUND, "{name}");
        }
    }
}

/// What is sent and read for 1 and 16 queries × 1,000 candidates of 32 × 180 × 128.
fn a_request_is_a_few_kilobytes() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(10);
    // 1,000 candidates of 50 documents: what is sent does not depend on how many are different.
    let documents = Values::Unit.documents(&mut rng, &[180; 50], 128);
    let store = filled(&gpu, &documents);
    let query = Values::Unit.query(&mut rng, 32, 128);
    let candidates: Vec<u64> = (0..1_000).map(|at| at / 20).collect();
    for queries in [1, 16] {
        let requests = vec![Query { tokens: query.view(), candidates: &candidates }; queries];
        let answer = gpu.rank(&requests, Some(&store), &|_| Ok(None), Wanted::best(10)).unwrap();
        let Statistics { bytes_up, bytes_down, submissions, .. } = answer.statistics;
        println!("{queries} × 1,000 × (32 × 180 × 128): {bytes_up} up, {bytes_down} down");
        let candidates = 16 * 1_000 * queries;
        let tokens = queries * 32 * 128 * 2;
        assert!(bytes_up as usize <= candidates + tokens + 2_048, "{bytes_up}");
        // Eleven of each, so that a tie at the last place shows.
        assert!(bytes_down as usize <= queries * 11 * 8 + 64, "{bytes_down}");
        assert_eq!(submissions, 1);
        // Each row once, and little else.
        let necessary = (queries * 1_000 * 180 * 256) as f64;
        let bytes = answer.statistics.kernel_bytes as f64;
        assert!(bytes <= 1.1 * necessary, "{bytes} of {necessary}");
        let flops = 2 * queries * 1_000 * 32 * 180 * 128;
        assert_eq!(answer.statistics.kernel_flops, flops as u64);
        let timed = gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        assert_eq!(answer.statistics.gpu_time.is_some_and(|time| !time.is_zero()), timed);
    }
}

/// Buffers that wgpu knows of, whoever made them, and allocations of memory.
fn wgpu_objects(gpu: &GpuContext) -> [isize; 4] {
    let counters = gpu.device().get_internal_counters().hal;
    [&counters.buffers, &counters.bind_groups, &counters.memory_allocations, &counters.query_sets]
        .map(|counter| counter.read())
}

fn the_steady_state_creates_nothing() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(11);
    let documents = Values::Unit.documents(&mut rng, &[60; 400], 64);
    let store = filled(&gpu, &documents);
    let absent = Values::Unit.documents(&mut rng, &[60; 20], 64);
    let queries: Vec<_> = (0..4).map(|_| Values::Unit.query(&mut rng, 32, 64)).collect();
    let candidates = ids(&documents);
    let few: Vec<u64> = (390..410).collect();
    let requests = queries.each_query(&candidates);
    let mixed = queries.each_query(&few);
    let matrices = |id: u64| Ok((id as usize).checked_sub(400).and_then(|at| absent.get(at)));
    let shape = Shape::new().queries(4).dim(64).candidates(400).matches(true);
    let shape = shape.streamed_tokens(4 * 20 * 60);
    gpu.warm_up(&shape).unwrap();
    let (created, objects) = (gpu.buffers_created(), wgpu_objects(&gpu));
    assert!(objects[0] > 0, "wgpu counts");
    for wanted in [Wanted::best(10), Wanted::all(), Wanted::best(10).with_matches()] {
        gpu.rank(&requests, Some(&store), &matrices, wanted).unwrap();
        let answer = gpu.rank(&mixed, Some(&store), &matrices, wanted).unwrap();
        assert_eq!((answer.statistics.resident, answer.statistics.streamed), (40, 40));
        assert_eq!(gpu.buffers_created(), created, "{wanted:?}");
        assert_eq!(wgpu_objects(&gpu), objects, "{wanted:?}");
    }
}

trait EachQuery {
    fn each_query<'a>(&'a self, candidates: &'a [u64]) -> Vec<Query<'a>>;
}

impl EachQuery for Vec<TokenMatrix> {
    fn each_query<'a>(&'a self, candidates: &'a [u64]) -> Vec<Query<'a>> {
        self.iter().map(|query| Query { tokens: query.view(), candidates }).collect()
    }
}

/// Whatever is asked for: an error, and no panic.
fn a_warm_up_of_any_size_is_an_error_or_fits() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let shape = Shape::new().matches(true);
    gpu.warm_up(&shape.requests(usize::MAX).streamed_tokens(usize::MAX)).unwrap();
    gpu.warm_up(&shape.limit(usize::MAX)).unwrap();
    for wrong in [
        shape.queries(usize::MAX),
        shape.query_tokens(usize::MAX),
        shape.candidates(usize::MAX),
        shape.dim(usize::MAX),
        shape.query_tokens(0),
    ] {
        let refused = gpu.warm_up(&wrong);
        assert!(matches!(refused, Err(Error::InvalidParameter { .. })), "{wrong:?}: {refused:?}");
    }
}

/// Without a warm-up, the second of two equal requests creates nothing.
fn the_second_request_creates_nothing() {
    for gpu in gpu_contexts(narrow()) {
        let mut rng = StdRng::seed_from_u64(12);
        let documents = Values::Unit.documents(&mut rng, &[900; 30], 128);
        let store = filled(&gpu, &documents);
        let query = Values::Unit.query(&mut rng, 300, 128);
        let candidates = ids(&documents);
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        for store in [Some(&store), None] {
            let rank = || gpu.rank(&queries, store, &from(&documents), Wanted::best(3)).unwrap();
            let first = rank();
            let (created, objects) = (gpu.buffers_created(), wgpu_objects(&gpu));
            assert_eq!(rank().rankings, first.rankings);
            assert_eq!((gpu.buffers_created(), wgpu_objects(&gpu)), (created, objects));
        }
    }
}

/// 27 MB go through pages of 1 MiB.
fn streaming_has_a_bounded_footprint() {
    let Some(gpu) = gpu_context(narrow()) else { return };
    let mut rng = StdRng::seed_from_u64(17);
    let query = Values::Unit.query(&mut rng, 2, 128);
    let documents = Values::Unit.documents(&mut rng, &[900; 118], 128);
    let candidates = ids(&documents);
    let queries = [Query { tokens: query.view(), candidates: &candidates }];
    let answer = gpu.rank(&queries, None, &from(&documents), Wanted::best(3)).unwrap();
    assert!(answer.statistics.bytes_up > 27_000_000, "{:?}", answer.statistics);
    let memory = gpu.device().get_internal_counters().hal.buffer_memory.read();
    // Two pages, two staging buffers, and what is small.
    assert!((1..8 << 20).contains(&memory), "{memory} bytes of buffers");
}

/// Thousands of queries, of a token and a candidate each, in one call.
fn thousands_of_queries() {
    let mut rng = StdRng::seed_from_u64(18);
    let documents = Values::Large.documents(&mut rng, &[3; 100], 3);
    let queries: Vec<_> = (0..5_000).map(|_| Values::Large.query(&mut rng, 1, 3)).collect();
    let candidates: Vec<[u64; 2]> = (0..5_000).map(|at| [at % 100, at % 7]).collect();
    let tiny = GpuOptions::default().binding_limit(4 << 10).workgroup_limit(16);
    for gpu in [gpu_context(GpuOptions::default()), gpu_context(tiny)].into_iter().flatten() {
        let store = filled(&gpu, &documents);
        let requests = queries.iter().zip(&candidates);
        let requests: Vec<_> = requests
            .map(|(query, candidates)| Query { tokens: query.view(), candidates })
            .collect();
        let answer = gpu.rank(&requests, Some(&store), &|_| Ok(None), Wanted::best(1)).unwrap();
        for (request, ranked) in requests.iter().zip(&answer.rankings) {
            let documents: Vec<_> =
                request.candidates.iter().map(|id| documents.get(*id as usize).unwrap()).collect();
            let scores = CpuMaxSim::new().score(request.tokens, &documents).unwrap();
            let best = scores[0].max(scores[1]);
            assert_eq!(ranked.hits.len(), 1);
            assert!((ranked.hits[0].score - best).abs() <= 0.01, "{ranked:?}, {scores:?}");
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn async_requests_are_answered_alike() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let reranker = std::sync::Arc::new(Reranker::on_gpu(gpu));
    let mut rng = StdRng::seed_from_u64(13);
    let documents = std::sync::Arc::new(Values::Unit.documents(&mut rng, &[100; 40], 64));
    let store = std::sync::Arc::new(filled(reranker.gpu().unwrap(), &documents));
    store.remove(5);
    let calls = (0..6).map(|seed| {
        let (reranker, documents, store) = (reranker.clone(), documents.clone(), store.clone());
        tokio::spawn(maxfold::run_async(move || {
            let query = Values::Unit.query(&mut StdRng::seed_from_u64(seed), 32, 64);
            let candidates = ids(&documents);
            let queries = [Query { tokens: query.view(), candidates: &candidates }];
            let matrices = from(&documents);
            let request = Request::new(&queries, &matrices, Wanted::all()).with_store(&store);
            let answer = reranker.rank(&request).unwrap();
            assert_eq!(answer.statistics.unwrap().streamed, 1);
            let all: Vec<_> = documents.iter().collect();
            assert_scores("async", query.view(), &all, &scores(&answer.rankings[0]));
            Ok(())
        }))
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
}

/// wgpu tells a thread that a buffer is mapped while another one polls: that is no failure of the GPU.
fn requests_of_many_threads_stay_on_the_gpu() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let reranker = Reranker::on_gpu(gpu);
    let mut rng = StdRng::seed_from_u64(15);
    let documents = Values::Unit.documents(&mut rng, &[2; 4], 8);
    let query = Values::Unit.query(&mut rng, 2, 8);
    let (candidates, matrices) = (ids(&documents), from(&documents));
    std::thread::scope(|scope| {
        let rank = || {
            let queries = [Query { tokens: query.view(), candidates: &candidates }];
            for _ in 0..300 {
                let request = Request::new(&queries, &matrices, Wanted::all());
                let answer = reranker.rank(&request).unwrap();
                let execution = &answer.rankings[0].execution;
                assert_eq!(execution.backend(), Backend::Gpu, "{}", execution.reason);
            }
        };
        (0..64).for_each(|_| drop(scope.spawn(rank)));
    });
}

/// The device goes in the middle of a batch of sixteen: every query is answered.
fn a_lost_device_is_replaced_by_the_cpu() {
    let mut rng = StdRng::seed_from_u64(14);
    let documents = Values::Unit.documents(&mut rng, &[180; 40], 128);
    let queries: Vec<_> = (0..16).map(|_| Values::Unit.query(&mut rng, 32, 128)).collect();
    let (all, candidates) = (documents.iter().collect::<Vec<_>>(), ids(&documents));
    let requests = queries.each_query(&candidates);
    let matrices = from(&documents);
    let mut backends = HashSet::new();
    for delay in 0..8 {
        let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
        let store = filled(&gpu, &documents);
        let reranker = Reranker::on_gpu(gpu);
        let request = Request::new(&requests, &matrices, Wanted::all()).with_store(&store);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(delay * 20));
                reranker.gpu().unwrap().device().destroy();
            });
            for _ in 0..2 {
                let answer = reranker.rank(&request).unwrap();
                backends.insert(answer.rankings[0].execution.backend());
                for (query, ranked) in queries.iter().zip(&answer.rankings) {
                    assert_scores("while destroyed", query.view(), &all, &scores(ranked));
                }
            }
        });
        let answer = reranker.rank(&request).unwrap();
        assert_eq!(answer.rankings[0].execution.backend(), Backend::Cpu);
        assert_eq!(answer.statistics, None);
        assert!(matches!(store.insert(99, queries[0].view()), Err(Error::DeviceLost { .. })));
    }
    assert!(backends.contains(&Backend::Cpu));
}

/// An id need not be a number.
fn uuids_are_ids() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(15);
    let documents = Values::Unit.documents(&mut rng, &[9; 50], 32);
    let uuids: Vec<[u8; 16]> = (0..50).map(|_| rng.random()).collect();
    let store = ResidentStore::new(&gpu, 32).unwrap();
    let named: Vec<_> = uuids.iter().copied().zip(documents.iter()).collect();
    store.load(&named, |_| {}).unwrap();
    let query = Values::Unit.query(&mut rng, 8, 32);
    let queries = [Query { tokens: query.view(), candidates: &uuids }];
    let answer = gpu.rank(&queries, Some(&store), &|_| Ok(None), Wanted::best(7)).unwrap();
    let scores =
        CpuMaxSim::new().score(query.view(), &documents.iter().collect::<Vec<_>>()).unwrap();
    let best = best(&scores, 7);
    let expected = best.iter().map(|hit| uuids[hit.id as usize]);
    assert!(answer.rankings[0].hits.iter().map(|hit| hit.id).eq(expected));
}

fn bad_requests_are_errors() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(16);
    let documents = Values::Unit.documents(&mut rng, &[9, 5], 32);
    let store = filled(&gpu, &documents);
    let rank = |gpu: &GpuContext, query: &TokenMatrix, candidates: &[u64]| {
        let queries = [Query { tokens: query.view(), candidates }];
        gpu.rank(&queries, Some(&store), &|_| Ok(None), Wanted::best(7))
            .map_err(|error| error.to_string())
    };
    let query = Values::Unit.query(&mut rng, 8, 32);
    assert_eq!(rank(&gpu, &query, &[0, 1]).unwrap().rankings[0].hits.len(), 2);
    assert_eq!(rank(&gpu, &query, &[]).unwrap().rankings[0].hits.len(), 0);
    let queries = [Query { tokens: query.view(), candidates: &[1] }];
    let nothing = Wanted::best(0).with_matches();
    let answer = gpu.rank(&queries, Some(&store), &|_| Ok(None), nothing).unwrap();
    assert!(answer.rankings[0].hits.is_empty() && answer.rankings[0].matches.is_empty());
    let nowhere = rank(&gpu, &query, &[0, 17]).unwrap_err();
    assert!(nowhere.contains("17"), "{nowhere}");
    let other = rank(&gpu, &Values::Unit.query(&mut rng, 8, 31), &[0]).unwrap_err();
    assert!(other.contains("32") && other.contains("31"), "{other}");
    let foreign = rank(&gpu_context(GpuOptions::default()).unwrap(), &query, &[0]).unwrap_err();
    assert!(foreign.contains("neither"), "what another GPU has isn't looked at: {foreign}");
    let none: [Query<'_>; 0] = [];
    let answer = gpu.rank(&none, Some(&store), &|_| Ok(None), Wanted::all()).unwrap();
    assert!(answer.rankings.is_empty());
    let wrong = |_| TokenMatrixRef::new(&[half::f16::ONE; 5], 5).map(Some);
    let queries = [Query { tokens: query.view(), candidates: &[3] }];
    let error = gpu.rank(&queries, Some(&store), &wrong, Wanted::all()).unwrap_err();
    assert!(matches!(error, Error::DimensionMismatch { expected: 32, got: 5, .. }), "{error}");
}
