//! Tests of the gate: what a reader has found stays where it is until its request is submitted.

use std::ops::Range;
use std::sync::{Mutex, RwLockReadGuard, mpsc};
use std::thread;
use std::time::Duration;

use wgpu::BindGroup;

use super::{ResidentStore, Stored};
use crate::gpu::batch::{QueryTokens, Work};
use crate::gpu::plan::Wish;
use crate::gpu::results::Results;
use crate::gpu::source::{Found, Source};
use crate::gpu::{GpuContext, GpuOptions};
use crate::multivector::{TokenMatrix, TokenMatrixRef};
use crate::{Error, Result};

const DIM: usize = 16;
const ROWS: usize = 100;

/// Time for which a writer is waited for that must not be done yet: if it were not held back, it
/// would take a small part of that.
const LONG: Duration = Duration::from_millis(500);

/// A source, and what happens between the look at the store and the submission.
struct Interrupted<'a, F> {
    stored: Stored<'a, 'a, u64>,
    meanwhile: F,
}

impl<F: Fn() + Sync> Source for Interrupted<'_, F> {
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.stored.hold()
    }

    fn locate(&self, group: usize, candidates: Range<usize>, visit: &mut dyn FnMut(Found<'_>)) {
        self.stored.locate(group, candidates, visit);
        (self.meanwhile)();
    }

    fn page(&self, page: u32) -> Option<BindGroup> {
        self.stored.page(page)
    }

    fn matrix(&self, group: usize, candidate: usize) -> Result<TokenMatrixRef<'_>> {
        self.stored.matrix(group, candidate)
    }
}

/// A context, or `None`, said aloud, where there is no GPU.
fn context() -> Option<GpuContext> {
    match GpuContext::with_options(&GpuOptions::default()) {
        Err(Error::NoAdapter { .. }) if std::env::var_os("MAXFOLD_REQUIRE_BACKENDS").is_none() => {
            eprintln!("skipped: there is no GPU");
            None
        }
        context => Some(context.unwrap()),
    }
}

/// A document whose score is `value`.
fn document(value: f32) -> TokenMatrix {
    TokenMatrix::new(&[value; ROWS * DIM], DIM).unwrap()
}

/// The score of document 0, which another thread changes between look and submission.
fn score_during(gpu: &GpuContext, store: &ResidentStore, change: impl Fn() + Send) -> f32 {
    let mut row = [0.0_f32; DIM];
    row[0] = 1.0;
    let query = TokenMatrix::new(&row, DIM).unwrap();
    let tokens = [query.view()];
    let plan = gpu.gpu.plan(Wish::Scores, &tokens, DIM).unwrap();
    let groups = plan.groups([(1, 1)].into_iter(), |_| false);
    let ((start, started), (finish, finished)) = (mpsc::channel(), mpsc::channel());
    let finished = Mutex::new(finished);
    let results = thread::scope(|scope| {
        scope.spawn(move || {
            if started.recv().is_ok() {
                change();
                // Whoever waits for it may have given up.
                _ = finish.send(());
            }
        });
        let meanwhile = move || {
            // Later looks find that it is done.
            _ = start.send(());
            _ = finished.lock().unwrap().recv_timeout(LONG);
        };
        let stored = Stored { store: Some(store), matrices: &|_| Ok(None), candidates: &[&[0]] };
        let source = &Interrupted { stored, meanwhile };
        let tokens = tokens.map(QueryTokens::F16);
        let work = Work { plan: &plan, queries: &tokens, groups: &groups, source };
        gpu.gpu.run(&work).unwrap().0
    });
    let Results::Scores(scores) = results else { panic!("no scores") };
    scores[0][0]
}

/// Whatever frees the rows of a document, and gives them to another.
#[test]
fn what_was_found_stays_until_it_is_submitted() {
    let Some(gpu) = context() else { return };
    type Change = fn(&ResidentStore);
    let insert = |store: &ResidentStore, id| store.insert(id, document(7.0).view()).unwrap();
    let changes: [(&str, usize, Change); 4] = [
        ("evicted", 1, |_| {}),
        ("removed", 1, |store| assert!(store.remove(0))),
        ("cleared", 1, ResidentStore::clear),
        ("replaced", 2, |store| store.insert(0, document(7.0).view()).unwrap()),
    ];
    for (name, room, change) in changes {
        let budget = (room * ROWS * DIM * 2) as u64;
        let store = ResidentStore::with_budget(&gpu, DIM, budget).unwrap();
        store.insert(0, document(3.0).view()).unwrap();
        let score = score_during(&gpu, &store, || {
            change(&store);
            insert(&store, 1);
        });
        assert_eq!(score, 3.0, "{name}");
        assert!(store.contains(1), "{name}");
    }
}
