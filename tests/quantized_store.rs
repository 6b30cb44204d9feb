//! Documents in int8 on the GPU: answers are those of scoring every candidate, to the bit.

mod support;
#[macro_use]
#[path = "support/trials.rs"]
mod trials;

use std::process::ExitCode;

use maxfold::Error;
use maxfold::gpu::{GpuContext, GpuOptions, QuantizedStore, ResidentStore};
use maxfold::multivector::{QuantizedMatrix, TokenMatrix, TokenMatrixRef};
use maxfold::rerank::{Backend, Query, Ranking, Rankings, Request, Reranker, Wanted};
use rand::prelude::*;
use support::{gpu_context, gpu_contexts};

fn main() -> ExitCode {
    let needing = tests![
        answers_are_the_same_for_every_variant,
        queries_of_a_request_are_certified_each_for_itself,
        candidates_that_are_not_in_int8_are_scored,
        changes_of_the_store_change_no_answer,
        what_does_not_pay_is_not_bounded_and_said,
        matches_are_those_of_the_hits,
        half_of_the_memory_holds_as_much,
        what_does_not_fit_is_an_error,
    ];
    trials::run(needing, support::why_no_gpu(), Vec::new())
}

/// Rows around a few topics, as those of texts are; every fifth document is its neighbour's twin.
struct Corpus {
    documents: Vec<TokenMatrix>,
    dim: usize,
}

impl Corpus {
    fn new(rng: &mut StdRng, count: usize, dim: usize) -> Self {
        let centres: Vec<Vec<f32>> =
            (0..20).map(|_| (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let mut documents: Vec<TokenMatrix> = Vec::new();
        while documents.len() < count {
            let rows = rng.random_range(1..30);
            let document = Self::near(rng, &centres, rows, 0.6);
            documents.push(document.clone());
            if documents.len() % 5 == 4 {
                documents.push(document);
            }
        }
        Self { documents, dim }
    }

    fn near(rng: &mut StdRng, centres: &[Vec<f32>], rows: usize, noise: f32) -> TokenMatrix {
        let mut values = Vec::new();
        for _ in 0..rows {
            let centre = centres.choose(rng).unwrap();
            values.extend(centre.iter().map(|value| value + rng.random_range(-noise..noise)));
        }
        TokenMatrix::normalized(&values, centres[0].len()).unwrap()
    }

    /// Like a document, but noisy.
    fn query(&self, rng: &mut StdRng, tokens: usize) -> TokenMatrix {
        let mut values = Vec::new();
        for _ in 0..tokens {
            let rows = self.documents.choose(rng).unwrap();
            let row = rows.view().rows().next().unwrap();
            values.extend(row.iter().map(|it| it.to_f32() + rng.random_range(-0.1..0.1)));
        }
        TokenMatrix::normalized(&values, self.dim).unwrap()
    }

    fn matrix(&self, id: u64) -> maxfold::Result<Option<TokenMatrixRef<'_>>> {
        Ok(self.documents.get(id as usize).map(TokenMatrix::view))
    }

    fn ids(&self) -> Vec<u64> {
        (0..self.documents.len() as u64).collect()
    }

    fn store(&self, gpu: &GpuContext, budget: u64) -> QuantizedStore {
        let store = QuantizedStore::with_budget(gpu, self.dim, budget).unwrap();
        for (id, document) in self.documents.iter().enumerate() {
            insert(&store, id as u64, document);
        }
        store
    }
}

fn insert(store: &QuantizedStore, id: u64, document: &TokenMatrix) {
    store.insert(id, QuantizedMatrix::new(document.view()).unwrap().view()).unwrap();
}

/// The answer of a GPU, and that of scoring everything.
fn both(
    gpu: &GpuContext,
    corpus: &Corpus,
    queries: &[Query<'_>],
    wanted: Wanted,
    store: &QuantizedStore,
) -> [Rankings; 2] {
    let reranker = Reranker::on_gpu(gpu.clone());
    let matrices = |id: u64| corpus.matrix(id);
    let request = || Request::new(queries, &matrices, wanted);
    let answers =
        [request().with_quantized(store), request()].map(|it| reranker.rank(&it).unwrap());
    for ranking in answers.iter().flat_map(|answer| &answer.rankings) {
        assert_eq!(ranking.execution.backend(), Backend::Gpu, "{}", ranking.execution);
    }
    answers
}

fn bits(ranking: &Ranking) -> Vec<(u64, u32)> {
    ranking.hits.iter().map(|hit| (hit.id, hit.score.to_bits())).collect()
}

/// However many are wanted, with ties and without; and few are scored.
fn answers_are_the_same_for_every_variant() {
    let mut rng = StdRng::seed_from_u64(91);
    for gpu in gpu_contexts(GpuOptions::default()) {
        for (dim, tokens) in [(16, 5), (45, 33), (128, 32), (300, 70)] {
            let corpus = Corpus::new(&mut rng, 600, dim);
            let store = corpus.store(&gpu, 64 << 20);
            let candidates = corpus.ids();
            for limit in [1, 10, 64, 150] {
                let query = corpus.query(&mut rng, tokens);
                let queries = [Query { tokens: query.view(), candidates: &candidates }];
                for wanted in [Wanted::best(limit), Wanted::best(limit).with_ties()] {
                    let [got, expected] = both(&gpu, &corpus, &queries, wanted, &store);
                    let name = format!("{} {dim} {tokens} {wanted:?}", gpu.variant());
                    assert_eq!(bits(&got.rankings[0]), bits(&expected.rankings[0]), "{name}");
                    assert!(expected.rankings[0].certified.is_none());
                    let certified = got.rankings[0].certified.expect(&name);
                    assert_eq!(certified.bounded, 600, "{name}");
                    assert!((limit..300).contains(&certified.scored), "{name}: {certified:?}");
                    let (got, expected) = (got.statistics.unwrap(), expected.statistics.unwrap());
                    assert_eq!((got.resident, got.streamed), (600, certified.scored), "{name}");
                    assert_eq!((expected.resident, expected.streamed), (0, 600), "{name}");
                }
            }
        }
    }
}

/// Those for which it pays, and those for which it doesn't; with candidates of their own, and the same.
fn queries_of_a_request_are_certified_each_for_itself() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(92);
    let corpus = Corpus::new(&mut rng, 700, 32);
    let store = corpus.store(&gpu, 64 << 20);
    let all = corpus.ids();
    let shuffled: Vec<u64> = all.iter().copied().rev().step_by(2).collect();
    let twice: Vec<u64> = all.iter().chain(&all[..100]).copied().collect();
    let lists = [&all[..], &all, &all[..50], &shuffled, &[], &twice];
    let tokens: Vec<TokenMatrix> =
        [3, 40, 9, 1, 5, 17].map(|tokens| corpus.query(&mut rng, tokens)).into();
    let queries = tokens.iter().zip(lists);
    let queries: Vec<_> =
        queries.map(|(tokens, candidates)| Query { tokens: tokens.view(), candidates }).collect();
    for wanted in [Wanted::best(7), Wanted::best(7).with_ties()] {
        let [got, expected] = both(&gpu, &corpus, &queries, wanted, &store);
        for (at, (got, expected)) in got.rankings.iter().zip(&expected.rankings).enumerate() {
            assert_eq!(bits(got), bits(expected), "query {at}");
            let bounded = [Some(700), Some(700), None, Some(350), None, Some(800)][at];
            assert_eq!(got.certified.map(|it| it.bounded), bounded, "query {at}");
        }
    }
}

fn candidates_that_are_not_in_int8_are_scored() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(93);
    let corpus = Corpus::new(&mut rng, 900, 24);
    let candidates = corpus.ids();
    for absent in [1, 5, 40, 300, 899, 900] {
        let store = corpus.store(&gpu, 64 << 20);
        let gone = candidates.choose_multiple(&mut rng, absent);
        gone.for_each(|id| assert!(store.remove(*id)));
        let query = corpus.query(&mut rng, 12);
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        let [got, expected] = both(&gpu, &corpus, &queries, Wanted::best(9), &store);
        assert_eq!(bits(&got.rankings[0]), bits(&expected.rankings[0]), "without {absent}");
        let certified = got.rankings[0].certified.unwrap();
        assert_eq!(certified.bounded, 900 - absent);
        assert!(certified.scored >= absent && certified.scored <= (absent + 400).min(900));
    }
}

/// Small pages, documents that are replaced, and a budget that is too small for all.
fn changes_of_the_store_change_no_answer() {
    let pages = GpuOptions::default().binding_limit((512 + 18) * 32).workgroup_limit(256);
    let Some(gpu) = gpu_context(pages) else { return };
    let mut rng = StdRng::seed_from_u64(94);
    let mut corpus = Corpus::new(&mut rng, 400, 24);
    let store = corpus.store(&gpu, 5_000 * 36);
    assert!(store.statistics().evictions > 0 && store.statistics().documents > 200);
    let candidates = corpus.ids();
    for round in 0..20 {
        let query = corpus.query(&mut rng, 12);
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        let [got, expected] = both(&gpu, &corpus, &queries, Wanted::best(5), &store);
        assert_eq!(bits(&got.rankings[0]), bits(&expected.rankings[0]), "round {round}");
        let certified = got.rankings[0].certified.unwrap();
        assert_eq!(certified.bounded, store.statistics().documents);
        for _ in 0..20 {
            let (to, from) = (rng.random_range(0..400), rng.random_range(0..400));
            corpus.documents[to] = corpus.documents[from].clone();
            insert(&store, to as u64, &corpus.documents[to]);
        }
    }
}

fn what_does_not_pay_is_not_bounded_and_said() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(95);
    let corpus = Corpus::new(&mut rng, 600, 16);
    let (store, all) = (corpus.store(&gpu, 64 << 20), corpus.ids());
    let exact = ResidentStore::with_budget(&gpu, 16, 64 << 20).unwrap();
    let query = corpus.query(&mut rng, 4);
    let matrices = |id: u64| corpus.matrix(id);
    let answer = |candidates: &[u64], limit, resident| {
        let queries = [Query { tokens: query.view(), candidates }];
        let request = Request::new(&queries, &matrices, Wanted::best(limit)).with_quantized(&store);
        let request = if resident { request.with_store(&exact) } else { request };
        Reranker::on_gpu(gpu.clone()).rank(&request).unwrap().rankings.swap_remove(0)
    };
    assert!(answer(&all, 5, true).certified.is_some(), "nothing is resident yet");
    let named = corpus.documents.iter().map(TokenMatrix::view);
    exact.load(&(0..).zip(named).collect::<Vec<_>>(), |_| {}).unwrap();
    for (ranking, why) in [
        (answer(&all, 151, false), "too many of the candidates"),
        (answer(&all[..255], 5, false), "too few candidates for bounds to pay"),
        (answer(&all, 5, true), "as they are resident in f16"),
    ] {
        assert!(ranking.certified.is_none());
        let reason = &ranking.execution.reason;
        assert!(reason.starts_with("asked for; ") && reason.contains(why), "{reason}");
    }
    assert_eq!(&*answer(&all, 5, false).execution.reason, "asked for");
    assert!(answer(&all, 0, false).hits.is_empty());
}

fn matches_are_those_of_the_hits() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(96);
    let corpus = Corpus::new(&mut rng, 500, 32);
    let (store, candidates) = (corpus.store(&gpu, 64 << 20), corpus.ids());
    let query = corpus.query(&mut rng, 8);
    let queries = [Query { tokens: query.view(), candidates: &candidates }];
    let wanted = Wanted::best(6).with_matches();
    let [got, expected] = both(&gpu, &corpus, &queries, wanted, &store);
    assert!(got.rankings[0].certified.is_some());
    assert_eq!(got.rankings[0].matches, expected.rankings[0].matches);
    assert_eq!(got.rankings[0].matches.len(), 6);
}

/// 132 bytes a token of 128 columns, of 256 in f16.
fn half_of_the_memory_holds_as_much() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let corpus = Corpus::new(&mut StdRng::seed_from_u64(97), 300, 128);
    let exact = ResidentStore::with_budget(&gpu, 128, 64 << 20).unwrap();
    let named = corpus.documents.iter().map(TokenMatrix::view);
    exact.load(&(0_u64..).zip(named).collect::<Vec<_>>(), |_| {}).unwrap();
    let (exact, int8) = (exact.statistics(), corpus.store(&gpu, 64 << 20).statistics());
    assert_eq!(int8.documents, exact.documents);
    assert!(int8.used_bytes * 100 <= exact.used_bytes * 53, "{int8:?} {exact:?}");
}

fn what_does_not_fit_is_an_error() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let store = QuantizedStore::with_budget(&gpu, 3, 1_000).unwrap();
    let matrix =
        |rows: usize, dim: usize| TokenMatrix::new(&vec![1.0_f32; rows * dim], dim).unwrap();
    let insert =
        |matrix: &TokenMatrix| store.insert(1, QuantizedMatrix::new(matrix.view()).unwrap().view());
    let error = insert(&matrix(2, 4)).unwrap_err();
    assert!(matches!(error, Error::DimensionMismatch { .. }), "{error}");
    let error = insert(&matrix(51, 3)).unwrap_err();
    assert!(matches!(error, Error::StoreTooSmall { .. }), "{error}");
    assert_eq!(store.statistics().documents, 0);
    assert!(matches!(QuantizedStore::<u64>::with_budget(&gpu, 0, 9), Err(Error::ZeroDimension)));

    let query = matrix(2, 4);
    let queries = [Query { tokens: query.view(), candidates: &[1_u64] }];
    let matrices = |_: u64| Ok(None);
    let request = Request::new(&queries, &matrices, Wanted::best(1)).with_quantized(&store);
    let error = Reranker::on_gpu(gpu).rank(&request).unwrap_err();
    assert!(matches!(error, Error::DimensionMismatch { .. }), "{error}");
}
