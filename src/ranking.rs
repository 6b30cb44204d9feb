//! The order of every ranking.

use std::cmp::Ordering;

/// Score descending, then item ascending.
///
/// It is total, so a ranking is the same however it was computed: on any number of threads, from
/// any number of parts.
pub(crate) fn by_rank<T: Ord>(a: (f32, T), b: (f32, T)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}
