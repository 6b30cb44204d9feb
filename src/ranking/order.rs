//! The order of hits, and the first few of many.

use std::cmp::Ordering;

/// Compares by score, descending, then by item, ascending.
///
/// It is total, so a ranking is the same however it was computed: on any number of threads, from
/// any number of parts.
pub(crate) fn by_rank<T: Ord>(a: (f32, T), b: (f32, T)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

/// Keeps the first `limit` in an order, unsorted.
pub(crate) fn keep_first<T>(items: &mut Vec<T>, limit: usize, order: impl Fn(&T, &T) -> Ordering) {
    if limit < items.len() {
        items.select_nth_unstable_by(limit, order);
        items.truncate(limit);
    }
}

/// The first `limit` in an order, sorted.
pub(crate) fn first<T>(
    mut items: Vec<T>,
    limit: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    keep_first(&mut items, limit, &order);
    items.sort_unstable_by(order);
    items
}

/// Keeps the `limit` highest scores, and those that equal the lowest of them, unsorted.
pub(crate) fn keep_with_ties<T>(items: &mut Vec<T>, limit: usize, score: impl Fn(&T) -> f32) {
    let Some(last) = limit.checked_sub(1) else { return items.clear() };
    if limit < items.len() {
        let descending = |a: &T, b: &T| score(b).total_cmp(&score(a));
        let (_, bar, _) = items.select_nth_unstable_by(last, descending);
        let bar = score(bar);
        items.retain(|item| score(item).total_cmp(&bar).is_ge());
    }
}
