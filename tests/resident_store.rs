//! What is in the store: appends, replaces, removes, evictions, and readers beside a writer.

mod support;
#[macro_use]
#[path = "support/trials.rs"]
mod trials;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use maxfold::Error;
use maxfold::gpu::{GpuContext, GpuOptions, ResidentStore};
use maxfold::maxsim::reference;
use maxfold::multivector::{TokenMatrix, TokenMatrixRef};
use maxfold::rerank::{Query, Scored, Wanted};
use rand::prelude::*;
use support::{OnGpu, Values, filled, gpu_context};

fn main() -> ExitCode {
    let needing = tests![
        any_sequence_of_changes_and_requests,
        the_least_recently_used_make_room,
        a_document_larger_than_the_store_is_refused_and_nothing_changes,
        loading_says_how_far_it_is,
        four_threads_score_while_one_appends,
        a_long_load_stalls_no_reader,
    ];
    trials::run(needing, support::why_no_gpu(), Vec::new())
}

const DIM: usize = 16;

/// Pages of 512 rows of `DIM` columns, and the eighteen that a tile may read past the last.
fn small_pages() -> GpuOptions {
    GpuOptions::default().binding_limit((512 + 18) * 2 * DIM as u64).workgroup_limit(256)
}

/// Small integers, so that every backend is exact.
fn integers(rng: &mut StdRng, tokens: usize) -> TokenMatrix {
    let values: Vec<f32> = (0..tokens * DIM).map(|_| rng.random_range(-9..=9) as f32).collect();
    TokenMatrix::new(&values, DIM).unwrap()
}

/// A store, and what should be in it.
struct Checked<'a> {
    gpu: &'a GpuContext,
    store: ResidentStore,
    /// Every document that was appended and not removed; the store may have lost some.
    model: HashMap<u64, TokenMatrix>,
    streamed: usize,
    resident: usize,
}

impl Checked<'_> {
    fn insert(&mut self, rng: &mut StdRng) {
        let id = rng.random_range(0..160);
        let tokens = if rng.random_ratio(1, 40) { 700 } else { rng.random_range(1..80) };
        let matrix = integers(rng, tokens);
        self.store.insert(id, matrix.view()).unwrap();
        assert!(self.store.contains(id));
        self.model.insert(id, matrix);
    }

    fn remove(&mut self, id: u64) {
        let was_resident = self.store.contains(id);
        assert_eq!(self.store.remove(id), was_resident);
        assert!(!self.store.contains(id));
        self.model.remove(&id);
    }

    fn request(&mut self, rng: &mut StdRng) {
        let queries: Vec<_> = (0..rng.random_range(1..=3))
            .map(|_| {
                let tokens = rng.random_range(1..10);
                integers(rng, tokens)
            })
            .collect();
        let mut known: Vec<u64> = self.model.keys().copied().collect();
        known.sort_unstable();
        let candidates: Vec<Vec<u64>> = queries
            .iter()
            .map(|_| {
                let count = rng.random_range(0..=known.len().min(12));
                known.choose_multiple(rng, count).copied().collect()
            })
            .collect();
        let requests: Vec<_> = queries
            .iter()
            .zip(&candidates)
            .map(|(query, candidates)| Query { tokens: query.view(), candidates })
            .collect();
        let here = candidates.iter().flatten().filter(|id| self.store.contains(**id)).count();
        let matrices = |id: u64| Ok(self.model.get(&id).map(TokenMatrix::view));
        let limit = rng.random_range(1..=12);
        let wanted = Wanted::best(limit);
        let answer = self.gpu.rank(&requests, Some(&self.store), &matrices, wanted).unwrap();
        assert_eq!(answer.statistics.resident, here);
        assert_eq!(answer.statistics.evictions, self.store.statistics().evictions);
        for (request, ranked) in requests.iter().zip(&answer.rankings) {
            assert_eq!(ranked.hits, self.expected(request, limit));
        }
        self.resident += answer.statistics.resident;
        self.streamed += answer.statistics.streamed;
    }

    fn expected(&self, query: &Query<'_>, limit: usize) -> Vec<Scored> {
        let score = |id: &u64| reference::score(query.tokens, self.model[id].view()) as f32;
        let hits = query.candidates.iter().map(|id| Scored { id: *id, score: score(id) });
        let mut hits: Vec<_> = hits.collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        hits.truncate(limit);
        hits
    }

    fn check_budget(&self, budget: u64) {
        let statistics = self.store.statistics();
        assert!(statistics.held_bytes <= budget && statistics.budget_bytes <= budget);
        assert!(statistics.used_bytes <= statistics.held_bytes);
        assert!(statistics.documents <= self.model.len());
        let resident = self.model.iter().filter(|(id, _)| self.store.contains(**id));
        let rows = resident.map(|(_, matrix)| matrix.tokens()).sum::<usize>();
        assert_eq!(statistics.used_bytes as usize, rows * DIM * 2, "nothing leaks");
    }
}

/// 10,000 appends, replaces, removes and requests, against a model, with a budget for a third of
/// the documents.
fn any_sequence_of_changes_and_requests() {
    let Some(gpu) = gpu_context(small_pages()) else { return };
    let budget = 70_000;
    let store = ResidentStore::with_budget(&gpu, DIM, budget).unwrap();
    let model = HashMap::new();
    let mut checked = Checked { gpu: &gpu, store, model, streamed: 0, resident: 0 };
    let mut rng = StdRng::seed_from_u64(1);
    for step in 0..10_000 {
        match rng.random_range(0..10) {
            0..4 => checked.insert(&mut rng),
            4 => checked.remove(rng.random_range(0..160)),
            _ => checked.request(&mut rng),
        }
        if step % 10 == 0 {
            checked.check_budget(budget);
        }
    }
    let evictions = checked.store.statistics().evictions;
    assert!(evictions > 1_000, "{evictions} evictions");
    assert!(checked.resident > 5_000 && checked.streamed > 5_000);
}

fn the_least_recently_used_make_room() {
    let Some(gpu) = gpu_context(small_pages()) else { return };
    // Room for four documents of 128 rows.
    let store = ResidentStore::with_budget(&gpu, DIM, 512 * 32).unwrap();
    let mut rng = StdRng::seed_from_u64(2);
    let matrix = integers(&mut rng, 128);
    for id in 0..4 {
        store.insert(id, matrix.view()).unwrap();
    }
    let query = integers(&mut rng, 3);
    let queries = [Query { tokens: query.view(), candidates: &[0, 2] }];
    gpu.rank(&queries, Some(&store), &|_| Ok(None), Wanted::best(1)).unwrap();
    let resident =
        |store: &ResidentStore| (0..8).filter(|&id| store.contains(id)).collect::<Vec<u64>>();
    for (id, left) in [(4, [0, 2, 3, 4]), (5, [0, 2, 4, 5]), (6, [2, 4, 5, 6])] {
        store.insert(id, matrix.view()).unwrap();
        // 0 and 2 were used together, 0 first.
        assert_eq!(resident(&store), left);
    }
    assert_eq!(store.statistics().evictions, 3);
    // A replaced document needs room beside the old one: the least recently used, 2, goes.
    store.insert(6, matrix.view()).unwrap();
    assert_eq!(resident(&store), [4, 5, 6]);
}

fn a_document_larger_than_the_store_is_refused_and_nothing_changes() {
    let Some(gpu) = gpu_context(small_pages()) else { return };
    let mut rng = StdRng::seed_from_u64(3);
    let store = ResidentStore::with_budget(&gpu, DIM, 40_000).unwrap();
    let (whole, longer) = (integers(&mut rng, 1_250), integers(&mut rng, 1_251));
    store.insert(1, whole.view()).unwrap();
    let small = integers(&mut rng, 2);
    let before = store.statistics();
    let error = store.load(&[(2, small.view()), (3, longer.view())], |_| {}).unwrap_err();
    assert!(matches!(error, Error::StoreTooSmall { tokens: 1_251, longest: 1_250, .. }), "{error}");
    let other = TokenMatrix::new(&[1.0_f32; 5], 5).unwrap();
    let error = store.load(&[(2, small.view()), (3, other.view())], |_| {}).unwrap_err();
    assert!(matches!(error, Error::DimensionMismatch { expected: DIM, got: 5, .. }), "{error}");
    assert_eq!(store.statistics(), before);
    let none = ResidentStore::<u64>::with_budget(&gpu, DIM, 0).unwrap();
    assert!(matches!(none.insert(1, small.view()), Err(Error::StoreTooSmall { .. })));
    assert!(matches!(ResidentStore::<u64>::new(&gpu, 0), Err(Error::ZeroDimension)));
}

fn loading_says_how_far_it_is() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(4);
    // 23 MB, in chunks of 8 MiB.
    let documents = Values::Unit.documents(&mut rng, &[300; 300], 128);
    let store = ResidentStore::new(&gpu, 128).unwrap();
    let named: Vec<_> = (0..).zip(documents.iter()).collect();
    let mut seen = Vec::new();
    store
        .load(&named, |loaded| {
            assert_eq!(loaded.of, 300);
            assert!(store.contains(loaded.documents as u64 - 1), "what is loaded can be found");
            seen.push(loaded.documents);
        })
        .unwrap();
    assert!(seen.len() >= 3 && seen.is_sorted() && seen.last() == Some(&300), "{seen:?}");
    // One load, one page.
    assert_eq!(store.statistics().held_bytes, 64 << 20);
}

/// A document whose rows are all alike, `[id, version, …]`, as is asked for by `CONSISTENT`.
fn version(id: u64, version: usize, rows: usize) -> TokenMatrix {
    let mut values = vec![0.0_f32; rows * DIM];
    for row in values.chunks_exact_mut(DIM) {
        (row[0], row[1]) = (id as f32, version as f32);
    }
    TokenMatrix::new(&values, DIM).unwrap()
}

/// Scores a consistent document 8 · id: the largest and the smallest of each column cancel out.
fn consistent() -> TokenMatrix {
    let mut values = [[0.0_f32; DIM]; 5];
    (values[0][0], values[1][0], values[2][1], values[3][1]) = (1.0, -1.0, 1.0, -1.0);
    values[4][0] = 8.0;
    TokenMatrix::new(values.as_flattened(), DIM).unwrap()
}

/// Rows of other documents, or of other versions, would show.
fn four_threads_score_while_one_appends() {
    let Some(gpu) = gpu_context(small_pages()) else { return };
    let store = &ResidentStore::with_budget(&gpu, DIM, 100_000).unwrap();
    let (gpu, query) = (&gpu, &consistent());
    let given: &Vec<TokenMatrix> = &(0..200).map(|id| version(id, 0, 3)).collect();
    let (reading, resident) = (Arc::new(()), &AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            // Given back when the thread ends, however it does.
            let reading = Arc::clone(&reading);
            scope.spawn(move || {
                let _reading = reading;
                let mut rng = StdRng::seed_from_u64(thread);
                for _ in 0..200 {
                    let candidates: Vec<u64> = (0..30).map(|_| rng.random_range(0..200)).collect();
                    let queries = [Query { tokens: query.view(), candidates: &candidates }];
                    let matrices = |id: u64| Ok(given.get(id as usize).map(TokenMatrix::view));
                    let answer = gpu.rank(&queries, Some(store), &matrices, Wanted::all()).unwrap();
                    assert_eq!(answer.rankings[0].hits.len(), 30);
                    for hit in &answer.rankings[0].hits {
                        assert_eq!(hit.score, 8.0 * hit.id as f32, "document {}", hit.id);
                    }
                    resident.fetch_add(answer.statistics.resident, Ordering::Relaxed);
                }
            });
        }
        let mut rng = StdRng::seed_from_u64(9);
        for step in 1.. {
            let (id, rows) = (rng.random_range(0..200), rng.random_range(1..60));
            store.insert(id, version(id, step % 2_000, rows).view()).unwrap();
            if step % 7 == 0 {
                store.remove(rng.random_range(0..200));
            }
            if Arc::strong_count(&reading) == 1 {
                break;
            }
        }
    });
    let evictions = store.statistics().evictions;
    assert!(evictions > 50 && resident.load(Ordering::Relaxed) > 1_000, "{evictions}");
}

/// A load that stands still between two chunks keeps nobody waiting.
fn a_long_load_stalls_no_reader() {
    let Some(gpu) = gpu_context(GpuOptions::default()) else { return };
    let mut rng = StdRng::seed_from_u64(5);
    let documents = Values::Unit.documents(&mut rng, &[300; 250], 128);
    let first = Values::Unit.documents(&mut rng, &[20; 3], 128);
    let store = &filled(&gpu, &first);
    let query = Values::Unit.query(&mut rng, 32, 128);
    let named: Vec<(u64, TokenMatrixRef<'_>)> = (10..).zip(documents.iter()).collect();
    let (standing, stands) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let wait = |_| {
                standing.send(()).unwrap();
                goes_on.recv().unwrap();
            };
            store.load(&named, wait).unwrap();
        });
        let queries = [Query { tokens: query.view(), candidates: &[0, 1, 2] }];
        for () in stands {
            gpu.rank(&queries, Some(store), &|_| Ok(None), Wanted::best(1)).unwrap();
            store.insert(3, first.get(0).unwrap()).unwrap();
            go_on.send(()).unwrap();
        }
    });
    assert_eq!(store.len(), 254);
}
