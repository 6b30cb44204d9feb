//! Work on threads that aren't rayon's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does some work for each of the items, on as many threads as rayon has here, where so many are
/// worth a thread.
///
/// Not in rayon: a thread of rayon that waits takes up other jobs, and one of those may want the
/// lock that the caller of this one holds.
pub(super) fn each<T: Sync>(items: &[T], worth_a_thread: usize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    let threads = rayon::current_num_threads().min(items.len() / worth_a_thread);
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without it there is one less.
            drop(thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
}
