//! [`Histogram`]: how often numbers of each size were counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of buckets: four for each power of two up to 2³³, then all that is larger.
const BUCKETS: usize = 129;

/// Histogram of whole numbers, in buckets that are a quarter of a power of two wide.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<u64>,
    sum: u64,
}

impl Histogram {
    /// Number of numbers.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of the numbers.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// For each bucket that isn't empty the largest number that it may hold, and how many it holds; in order.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let counted = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| (largest(bucket), *count))
    }

    /// The largest number of the bucket up to which a part of all numbers lies, 0.99 for example; 0 of none.
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = part * self.count() as f64;
        let mut seen = 0;
        for (largest, count) in self.buckets() {
            seen += count;
            if seen as f64 >= wanted {
                return largest;
            }
        }
        0
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut histogram = f.debug_struct("Histogram");
        histogram.field("count", &self.count()).field("sum", &self.sum);
        for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            histogram.field(name, &self.quantile(part));
        }
        histogram.finish()
    }
}

/// A histogram that grows.
pub(super) struct Counts {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0) }
    }
}

impl Counts {
    pub fn add(&self, number: u64) {
        self.buckets[bucket(number)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    pub fn histogram(&self) -> Histogram {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        Histogram { buckets: self.buckets.iter().map(load).collect(), sum: load(&self.sum) }
    }
}

/// The bucket of a number: below 4 the number itself, then by its highest bit and the two below it.
fn bucket(number: u64) -> usize {
    let Some(shift) = number.checked_ilog2().and_then(|it| it.checked_sub(2)) else {
        return number as usize;
    };
    let quarter = (number >> shift) as usize & 3;
    (4 + 4 * shift as usize + quarter).min(BUCKETS - 1)
}

/// The largest number of a bucket.
fn largest(bucket: usize) -> u64 {
    match bucket {
        0..4 => bucket as u64,
        _ if bucket == BUCKETS - 1 => u64::MAX,
        _ => {
            let (shift, quarter) = ((bucket - 4) / 4, (bucket - 4) % 4);
            ((5 + quarter as u64) << shift) - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_the_first_bucket_that_is_large_enough() {
        let numbers = (0..5000).chain([1 << 20, (1 << 20) + 1, (1 << 33) - 1, 1 << 40, u64::MAX]);
        for number in numbers {
            let of = bucket(number);
            assert!(number <= largest(of), "{number}");
            assert!(of == 0 || number > largest(of - 1), "{number}");
        }
    }

    #[test]
    fn quantiles_are_of_what_was_counted() {
        let counts = Counts::default();
        assert_eq!(counts.histogram().quantile(0.99), 0);
        (1..=1000).for_each(|number| counts.add(number));
        let histogram = counts.histogram();
        assert_eq!((histogram.count(), histogram.sum()), (1000, 500_500));
        // The buckets up to 511, and up to 1023.
        assert_eq!((histogram.quantile(0.5), histogram.quantile(1.0)), (511, 1023));
        assert_eq!(histogram.buckets().map(|(_, count)| count).sum::<u64>(), 1000);
    }
}
