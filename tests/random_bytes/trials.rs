//! Trials: inputs by seed, what each costs, and which one failed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::prelude::*;

/// No input is longer than some kB, and none may cost more memory than this.
const MOST_BYTES: usize = 16 << 20;

/// With fewer inputs than these, chance may have accepted all or none.
const ENOUGH: u64 = 500;

/// Tries a door: `check` says whether an input was accepted, and panics where what came of it is wrong.
pub fn door<I: Debug>(
    name: &str,
    input: impl Fn(&mut StdRng) -> I,
    mut check: impl FnMut(&I) -> bool,
) {
    let first =
        number("MAXFOLD_RANDOM_SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 48));
    let end = Instant::now() + Duration::from_secs(number("MAXFOLD_RANDOM_SECONDS").unwrap_or(1));
    // What takes the whole process down is found again from here.
    eprintln!("{name}: seeds from {first}");
    let mut tried = Tried::default();
    for seed in first.. {
        let input = input(&mut StdRng::seed_from_u64(seed));
        let failed = Failed { name, seed, input: &input };
        tried.one(|| check(&input));
        assert!(tried.bytes <= MOST_BYTES, "{} bytes for one input", tried.bytes);
        std::mem::forget(failed);
        if Instant::now() >= end {
            break;
        }
    }
    let Tried { inputs, accepted, bytes, longest } = tried;
    eprintln!(
        "{name}: {inputs} inputs, {accepted} accepted; at most {bytes} bytes, {longest:?} for one"
    );
    let some = inputs < ENOUGH || (accepted > 0 && accepted < inputs);
    assert!(some, "{accepted} of {inputs} inputs accepted: the others were not tried");
}

/// Held by a door while it is tried, so that what is allocated is its own.
pub fn alone() -> impl Drop {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|it| it.parse().unwrap())
}

#[derive(Default)]
struct Tried {
    inputs: u64,
    accepted: u64,
    /// The most that one had allocated at a time.
    bytes: usize,
    longest: Duration,
}

impl Tried {
    fn one(&mut self, check: impl FnOnce() -> bool) {
        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let start = Instant::now();
        self.accepted += u64::from(check());
        self.inputs += 1;
        self.longest = self.longest.max(start.elapsed());
        self.bytes = self.bytes.max(PEAK.load(Relaxed).saturating_sub(before));
    }
}

/// Dropped by a panic alone: tells the input.
struct Failed<'a, I: Debug> {
    name: &'a str,
    seed: u64,
    input: &'a I,
}

impl<I: Debug> Drop for Failed<'_, I> {
    fn drop(&mut self) {
        let input: String = format!("{:?}", self.input).chars().take(4000).collect();
        eprintln!("{}: MAXFOLD_RANDOM_SEED={} failed: {input}", self.name, self.seed);
    }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `memory` is from `alloc`, and so from the system.
        unsafe { System.dealloc(memory, layout) }
    }
}
