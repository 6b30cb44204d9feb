//! [`Job`]: a request that waits, or is worked on.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use rayon::ThreadPool;

use super::options::Priority;
use crate::background::Call;
use crate::{Error, Result};

/// Request, with all that its answer needs.
pub(super) struct Job {
    pub work: Box<dyn Work>,
    pub call: Arc<Call>,
    pub priority: Priority,
    /// Number of requests in it.
    pub weight: usize,
    /// Time at which it came.
    pub since: Instant,
}

/// Work of a request.
///
/// A trait, so that to the queue all kinds are one, and to a compiler that asks whether a future may be sent to
/// another thread, too: it would look through all of a GPU's types.
pub(super) trait Work: Any + Send {
    /// The threads that do it.
    fn crew(&self) -> Crew;

    /// The lane, and how it is shared out; `None` for what is done alone.
    fn lane(&self) -> Option<(Lane, Sharing)>;

    /// Function that does the work of jobs of one lane.
    fn doer(&self) -> fn(Vec<Job>, Threads<'_>);
}

impl Job {
    /// Its work, which is of this kind, as that of a whole lane is.
    pub fn into<W: Work>(self) -> Option<(Box<W>, Arc<Call>)> {
        let work: Box<dyn Any> = self.work;
        Some((work.downcast().ok()?, self.call))
    }
}

/// Work of a closure, which gives the answer itself.
pub(super) struct Run(pub Box<dyn FnOnce(Arc<Call>) + Send>);

impl Work for Run {
    fn crew(&self) -> Crew {
        Crew::Helpers
    }

    fn lane(&self) -> Option<(Lane, Sharing)> {
        None
    }

    fn doer(&self) -> fn(Vec<Job>, Threads<'_>) {
        |jobs, _| {
            jobs.into_iter().filter_map(Job::into::<Self>).for_each(|(work, call)| work.0(call))
        }
    }
}

/// Threads of a service that do the same kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crew {
    /// They compute.
    Searchers,
    /// They often wait for a disk.
    Helpers,
}

/// Jobs of one lane may be done together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    /// Kind of the work.
    pub kind: &'static str,
    /// Address of the searcher or the reranker that does it.
    pub of: usize,
    /// Numbers that all its jobs have in common besides: for a reranker the dimension and the limit.
    pub shape: [usize; 2],
}

/// Way of sharing a lane's jobs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Among the threads that are idle.
    Threads,
    /// All to one thread, which hands them to a GPU.
    #[cfg(feature = "gpu")]
    Gpu,
    /// All to one thread, no other meanwhile.
    #[cfg(feature = "collection")]
    OneAtATime,
}

impl Sharing {
    #[cfg_attr(not(feature = "gpu"), expect(unused_variables))]
    pub fn of(reranker: &crate::rerank::Reranker) -> Self {
        #[cfg(feature = "gpu")]
        if reranker.gpu().is_some() {
            return Self::Gpu;
        }
        Self::Threads
    }
}

/// Threads on which a batch is worked on.
#[derive(Clone, Copy)]
pub(super) struct Threads<'p>(pub Option<&'p ThreadPool>);

impl Threads<'_> {
    /// Runs on the pool, so that idle threads help; or here alone.
    pub fn run<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        match self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// Does some work; a panic is an error, so that the thread goes on.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    caught.unwrap_or_else(|panic| {
        let message = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => match panic.downcast::<&'static str>() {
                Ok(message) => (*message).into(),
                Err(_) => "without a message".into(),
            },
        };
        Err(Error::Panicked { message })
    })
}
