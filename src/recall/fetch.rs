//! Memory that is soon needed, fetched into the cache.

use std::sync::atomic::AtomicU32;

/// Lines of a row that are fetched; those behind them follow as they are read.
const LINES: usize = 8;

/// Numbers of a line.
const LINE: usize = 16;

/// Has the beginning of a row fetched, where the machine can.
pub(super) fn fetch(row: &[AtomicU32]) {
    for line in row.chunks(LINE).take(LINES) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch reads nothing, so any address will do; SSE is in every x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}

/// Rows that are fetched before they are needed.
const AHEAD: usize = 2;

/// The same items, where `fetch` has been called with those that follow.
pub(super) fn fetched_ahead<I: Copy>(
    items: impl Iterator<Item = I> + Clone,
    fetch: impl Fn(I),
) -> impl Iterator<Item = I> {
    let mut ahead = items.clone();
    ahead.by_ref().take(AHEAD).for_each(&fetch);
    items.inspect(move |_| ahead.next().into_iter().for_each(&fetch))
}
