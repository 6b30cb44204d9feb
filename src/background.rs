//! Work away from the threads of an async executor, which ends soon if nobody waits for it any more.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use crate::{Error, Result};

/// Calls that run at once; others wait for their turn. Much of a call's time is spent on rayon's
/// threads, a disk or a GPU, so this is above the number of cores.
const THREADS: usize = 64;

/// Never driven, as only its threads for blocking calls are used; those end when they are idle.
static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_current_thread().max_blocking_threads(THREADS).thread_name("maxfold call").build()
});

thread_local! {
    static CURRENT: RefCell<Cancellation> = RefCell::default();
}

/// Runs a blocking call of this crate on another thread: the async door to all of them, for any
/// executor.
///
/// Dropping the future cancels the call. It is left out if it hasn't begun; else searches and MaxSim
/// stop at their next document or step, a write of a collection at the next point, if the
/// transaction isn't committed yet: then nothing of it is kept. What the closure does besides runs
/// to its end.
///
/// ```
/// use std::sync::Arc;
/// use maxfold::{MultiVectors, Reranker, TokenMatrix};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> maxfold::Result<()> {
/// let reranker = Arc::new(Reranker::new(Default::default())?);
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let page = TokenMatrix::new(&[0.9_f32, 0.1, 0.2, 0.8], 2)?;
///
/// let call = maxfold::run_async(move || reranker.rerank(query.view(), &[(7, page.view())], 10));
/// assert_eq!(call.await?.hits[0].id, 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Errors of the closure; no thread can be started.
///
/// # Panics
/// If the closure does.
pub async fn run_async<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let runtime = RUNTIME.as_ref().map_err(|error| Error::thread(error.kind().into()))?;
    let call = Arc::new(Call::new(None));
    let cancellation = Cancellation::of([Arc::clone(&call)]);
    let _guard = CancelOnDrop(call);
    match runtime.spawn_blocking(move || cancellation.during(work)).await {
        Ok(result) => result,
        Err(fault) => match fault.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}

struct CancelOnDrop(Arc<Call>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Call that somebody waits for, until its future is dropped or its deadline has passed.
pub(crate) struct Call {
    abandoned: AtomicBool,
    deadline: Option<Instant>,
}

impl Call {
    pub(crate) fn new(deadline: Option<Instant>) -> Self {
        Self { abandoned: AtomicBool::new(false), deadline }
    }

    /// Nobody waits any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Tells whether nobody waits any more.
    pub(crate) fn is_over(&self) -> bool {
        let late = |deadline: Instant| Instant::now() >= deadline;
        self.abandoned.load(Ordering::Relaxed) || self.deadline.is_some_and(late)
    }
}

/// Cancellation of the calls that some work is for: nobody waits for any of them.
#[derive(Clone, Default)]
pub(crate) struct Cancellation(Arc<[Arc<Call>]>);

impl Cancellation {
    /// Cancellation of work for these calls; there is at least one.
    pub(crate) fn of(calls: impl IntoIterator<Item = Arc<Call>>) -> Self {
        Self(calls.into_iter().collect())
    }

    /// The one of the call that runs on this thread. It is not inherited by threads that this one
    /// has work for it: take it along.
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|call| call.is_over())
    }

    /// # Errors
    /// [`Error::Cancelled`] if it is.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Runs `work` as a call that may be cancelled.
    pub(crate) fn during<T>(self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.check()?;
        /// Also if `work` panics: the thread goes on with the call before, or to another.
        struct Ended(Cancellation);
        impl Drop for Ended {
            fn drop(&mut self) {
                CURRENT.set(std::mem::take(&mut self.0));
            }
        }
        let _ended = Ended(CURRENT.replace(self));
        work()
    }
}
