//! Options of a service, and of a call.

use std::time::{Duration, Instant};

/// Options of a [`Service`](super::Service).
///
/// ```
/// use maxfold::service::{Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::new().queue(64))?;
/// # drop(service);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    pub(super) searchers: usize,
    pub(super) helpers: usize,
    pub(super) queue: usize,
    pub(super) batch: usize,
    pub(super) gather: Duration,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            searchers: cores,
            helpers: cores.max(4),
            queue: 32 * cores,
            batch: 32,
            gather: Duration::from_micros(200),
        }
    }
}

impl ServiceOptions {
    /// A thread a core for searches, room for 32 waiting requests a core, and everything else left to Maxfold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of threads that search and rerank; at least 1, a core each by default.
    pub fn searchers(self, searchers: usize) -> Self {
        Self { searchers: searchers.max(1), ..self }
    }

    /// Number of threads for writes and for [`CollectionHandle::run`](super::CollectionHandle::run), which often wait
    /// for a disk; at least 1.
    pub fn helpers(self, helpers: usize) -> Self {
        Self { helpers: helpers.max(1), ..self }
    }

    /// Number of requests that may wait, at least 1: one more is refused. A batch counts as its requests. How long one
    /// waits at most follows from it; by default some 100 ms, if a request takes a core 3 ms.
    pub fn queue(self, queue: usize) -> Self {
        Self { queue: queue.max(1), ..self }
    }

    /// Number of requests that are answered together, at most; at least 1. 32 by default, of which the CPU takes 8: the
    /// first waits for the last.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.max(1), ..self }
    }

    /// Longest time for which requests to a GPU wait for others to go along; only while it is busy with others of
    /// their collection. 200 µs by default.
    pub fn gather(self, gather: Duration) -> Self {
        Self { gather, ..self }
    }
}

/// Options of a call: the time by which it has to be answered, and its priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    pub(super) deadline: Option<Instant>,
    pub(super) priority: Priority,
}

impl CallOptions {
    /// No deadline, normal priority.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time by which an answer is of use. After it the call is an error, and its work ends.
    pub fn deadline(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Priority over other calls that wait.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }
}

/// Priority of a call: all that wait with a higher one come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Work whose end nobody watches for: imports, measurements.
    Low,
    /// Most calls.
    #[default]
    Normal,
    /// Calls that have to be answered even when there is much else, like checks of health.
    High,
}
