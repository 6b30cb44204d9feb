//! Work on many documents, or parts, of which each thread claims the next few.
//!
//! The calling thread begins at once, and others of rayon's current pool help as soon as they are awake: a thread that
//! isn't the pool's would else wait for one that is, which takes longer than a few documents.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Claims a thread, if all take as long: the last are shared out well.
const CLAIMS_PER_THREAD: usize = 16;

/// Documents of a claim at most.
const MOST_OF_A_CLAIM: usize = 8;

/// Looks for others to end, before the caller sleeps until they do: some microseconds, as long as a document takes.
const LOOKS: usize = 2_000;

/// Computes something of each of `count` documents, in order, `claim` of them a claim, each thread with `memory` of its own.
/// Where `work` gives nothing, no more are claimed, and what was computed by then may have gaps.
pub(crate) fn each<S, T: Send>(
    (count, claim): (usize, usize),
    memory: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Option<T> + Sync,
) -> Vec<T> {
    let threads = rayon::current_num_threads().min(count.div_ceil(claim));
    if threads <= 1 {
        let mut memory = memory();
        return (0..count).map_while(|at| work(&mut memory, at)).collect();
    }
    let (next, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let claims = Mutex::new(Vec::new());
    let run = || {
        let mut memory = memory();
        let mut own = claimed(&next, (count, claim), |at| work(&mut memory, at));
        claims.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|_| {
                if next.load(Ordering::Relaxed) < count {
                    run();
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        run();
        let others = || ended.load(Ordering::Relaxed) + 1 < threads;
        (0..LOOKS).take_while(|_| others()).for_each(|_| spin_loop());
    });
    let mut claims = claims.into_inner().unwrap_or_else(PoisonError::into_inner);
    claims.sort_unstable_by_key(|&(first, _)| first);
    claims.into_iter().flat_map(|(_, computed)| computed).collect()
}

/// What a thread computes: the first document of each of its claims, and what came of them.
fn claimed<T>(
    next: &AtomicUsize,
    (count, claim): (usize, usize),
    mut work: impl FnMut(usize) -> Option<T>,
) -> Vec<(usize, Vec<T>)> {
    let mut claims = Vec::new();
    loop {
        let first = next.fetch_add(claim, Ordering::Relaxed);
        if first >= count {
            return claims;
        }
        let all = first..count.min(first + claim);
        let computed: Vec<T> = all.clone().map_while(&mut work).collect();
        if computed.len() < all.len() {
            next.fetch_max(count, Ordering::Relaxed);
        }
        claims.push((first, computed));
    }
}

/// Documents of a claim, where all of so many take about as long.
pub(super) fn fair(count: usize) -> usize {
    (count / (CLAIMS_PER_THREAD * rayon::current_num_threads())).clamp(1, MOST_OF_A_CLAIM)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn on(threads: usize, work: impl FnOnce() + Send) {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work);
    }

    #[test]
    fn everything_is_computed_once_and_in_order() {
        for threads in [1, 2, 5] {
            on(threads, || {
                for count in [0, 1, 2, 7, 100, 1_000] {
                    let calls = AtomicUsize::new(0);
                    let square = |(): &mut (), at: usize| {
                        calls.fetch_add(1, Ordering::Relaxed);
                        Some(at * at)
                    };
                    let squares = each((count, fair(count)), || (), square);
                    assert!(squares.iter().copied().eq((0..count).map(|at| at * at)));
                    assert_eq!((squares.len(), calls.into_inner()), (count, count));
                }
            });
        }
    }

    #[test]
    fn a_caller_that_is_no_thread_of_the_pool_takes_part() {
        let caller = std::thread::current().id();
        let thread = |(): &mut (), _| {
            std::thread::sleep(std::time::Duration::from_micros(1));
            Some(std::thread::current().id())
        };
        let threads = each((1_000, 1), || (), thread);
        assert!(threads.contains(&caller));
    }

    #[test]
    fn nothing_more_is_claimed_after_the_end() {
        for threads in [1, 2, 5] {
            on(threads, || {
                let before = |(): &mut (), at: usize| (at < 500).then_some(at);
                let got = each((1_000_000, 1), || (), before);
                assert!(got.iter().copied().eq(0..500));
            });
        }
    }

    #[test]
    fn a_panic_on_any_thread_is_the_callers() {
        for threads in [1, 3] {
            on(threads, || {
                let panics = |(): &mut (), at: usize| {
                    assert_ne!(at, 60, "as it is to");
                    Some(at)
                };
                let caught = catch_unwind(AssertUnwindSafe(|| each((100, 1), || (), panics)));
                assert!(caught.is_err());
            });
        }
    }
}
