//! [`ServiceStatistics`]: what a service has counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Counts, Histogram};
use super::work::{Crew, Job};
use crate::{Error, Result};

/// Counts of a service since it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStatistics {
    /// Number of requests that wait now.
    pub waiting: usize,
    /// Number of calls that were answered.
    pub answered: u64,
    /// Number of calls that were answered with an error of theirs.
    pub failed: u64,
    /// Number of calls that were refused, as the queue was full or the service shut down.
    pub refused: u64,
    /// Number of calls whose deadline passed.
    pub late: u64,
    /// Number of calls whose future was dropped.
    pub dropped: u64,
    /// Microseconds that calls waited before they were begun.
    pub queue_micros: Histogram,
    /// Microseconds that batches took, from their begin.
    pub work_micros: Histogram,
    /// Microseconds from calls to their answers, of those that were answered.
    pub answer_micros: Histogram,
    /// Number of calls that were answered together.
    pub batch_sizes: Histogram,
    /// Number of calls whose writes shared transactions.
    pub write_sizes: Histogram,
}

/// The counts, as they grow.
#[derive(Default)]
pub(super) struct Counters {
    answered: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    late: AtomicU64,
    dropped: AtomicU64,
    queue_micros: Counts,
    work_micros: Counts,
    answer_micros: Counts,
    batch_sizes: Counts,
    write_sizes: Counts,
}

impl Counters {
    /// Counts jobs that are begun together.
    pub fn begun(&self, jobs: &[Job]) {
        for job in jobs {
            self.queue_micros.add(micros(job.since.elapsed()));
        }
        let Some(first) = jobs.first() else { return };
        match (first.work.lane(), first.work.crew()) {
            (None, _) => {}
            (_, Crew::Searchers) => self.batch_sizes.add(jobs.len() as u64),
            (_, Crew::Helpers) => self.write_sizes.add(jobs.len() as u64),
        }
    }

    /// Counts a batch that took so long.
    pub fn worked(&self, time: Duration) {
        self.work_micros.add(micros(time));
    }

    /// Counts a call that got this answer after so long.
    pub fn answered<T>(&self, answer: &Result<T>, time: Duration) {
        let count = match answer {
            Ok(_) => {
                self.answer_micros.add(micros(time));
                &self.answered
            }
            Err(Error::QueueFull { .. } | Error::ServiceStopped) => &self.refused,
            Err(Error::DeadlinePassed) => &self.late,
            Err(_) => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that nobody waited for any more.
    pub fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub fn statistics(&self, waiting: usize) -> ServiceStatistics {
        let count = |it: &AtomicU64| it.load(Ordering::Relaxed);
        ServiceStatistics {
            waiting,
            answered: count(&self.answered),
            failed: count(&self.failed),
            refused: count(&self.refused),
            late: count(&self.late),
            dropped: count(&self.dropped),
            queue_micros: self.queue_micros.histogram(),
            work_micros: self.work_micros.histogram(),
            answer_micros: self.answer_micros.histogram(),
            batch_sizes: self.batch_sizes.histogram(),
            write_sizes: self.write_sizes.histogram(),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
