//! [`Service`]: calls as futures.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::core::{Core, start};
use super::counters::ServiceStatistics;
use super::options::{CallOptions, ServiceOptions};
use super::queue::Place;
use super::timer::{Expiry, Timer};
use super::work::{Crew, Job, Run, Work, guarded};
use crate::background::{Call, Cancellation};
use crate::{Error, Result};

/// Threads and a bounded queue for the searches and the writes of a process: cheap to clone.
///
/// When the last clone and the last handle are dropped, the threads end.
#[derive(Clone)]
pub struct Service(Arc<Front>);

/// Part that callers hold: without it, the threads end.
struct Front {
    core: Arc<Core>,
    timer: Timer,
    /// Each thread has a receiver, as long as it lives.
    alive: watch::Sender<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.core.stop();
    }
}

impl Service {
    /// Starts the threads.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn new(options: ServiceOptions) -> Result<Self> {
        let (alive, living) = watch::channel(());
        let core = Arc::new(Core::new(options)?);
        let front = Front { timer: Timer::start()?, core, alive };
        start(&front.core, Crew::Searchers, options.searchers, &living)?;
        start(&front.core, Crew::Helpers, options.helpers, &living)?;
        Ok(Self(Arc::new(front)))
    }

    /// Counts since the service was made.
    pub fn statistics(&self) -> ServiceStatistics {
        self.0.core.counters.statistics(self.0.core.waiting())
    }

    /// Checks that a search would be accepted now: for callers to whom it is work to make one, as reading its text is.
    /// A refusal counts as that of a call.
    ///
    /// # Errors
    /// [`Error::QueueFull`], [`Error::ServiceStopped`].
    pub fn check_room(&self) -> Result<()> {
        let room = self.0.core.check_room();
        if room.is_err() {
            self.0.core.counters.answered(&room, Duration::ZERO);
        }
        room
    }

    /// Takes no more requests, and waits until those that were accepted are answered.
    pub async fn shutdown(&self) {
        self.0.core.stop();
        self.0.alive.closed().await;
    }

    /// Has a job done, and waits for its answer. It begins when it is polled.
    pub(super) fn call<T: Send, W: Work, F: FnOnce(oneshot::Sender<Result<T>>) -> W + Send>(
        &self,
        options: CallOptions,
        weight: usize,
        work: F,
    ) -> impl Future<Output = Result<T>> + Send + use<T, W, F> {
        let service = self.clone();
        async move {
            let since = Instant::now();
            let (reply, answer) = oneshot::channel();
            let call = Arc::new(Call::new(options.deadline));
            let (work, priority) = (Box::new(work(reply)), options.priority);
            let job = Job { work, call, priority, weight, since };
            let answer = service.wait(job, options.deadline, answer).await;
            service.0.core.counters.answered(&answer, since.elapsed());
            answer
        }
    }

    async fn wait<T>(
        &self,
        job: Job,
        deadline: Option<Instant>,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let (core, crew, call) = (&self.0.core, job.work.crew(), job.call.clone());
        if call.is_over() {
            return Err(Error::DeadlinePassed);
        }
        let place = core.push(job)?;
        let mut waiting = Waiting { core, crew, place, call, answered: false };
        let expiry = deadline.map(|deadline| self.0.timer.expiry(deadline));
        let answer = first(answer, expiry).await;
        waiting.answered = true;
        match answer {
            // Whoever worked on it noticed it first.
            Err(Error::Cancelled) if waiting.call.is_over() => Err(Error::DeadlinePassed),
            answer => answer,
        }
    }

    /// Runs a closure on a thread of the service.
    pub(crate) fn run<T: Send + 'static, F: FnOnce() -> Result<T> + Send + 'static>(
        &self,
        options: CallOptions,
        work: F,
    ) -> impl Future<Output = Result<T>> + Send + use<T, F> {
        let work = |reply: oneshot::Sender<Result<T>>| {
            Run(Box::new(move |call| {
                let answer = guarded(|| Cancellation::of([call]).during(work));
                // Who doesn't wait any more needs no answer.
                drop(reply.send(answer));
            }))
        };
        self.call(options, 1, work)
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("waiting", &self.0.core.waiting()).finish_non_exhaustive()
    }
}

/// Call whose future lives. When that is dropped, its work is taken out of the queue, or ends soon.
struct Waiting<'c> {
    core: &'c Core,
    crew: Crew,
    place: Place,
    call: Arc<Call>,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.call.abandon();
        self.core.remove(self.crew, self.place);
        if !self.answered {
            self.core.counters.dropped();
        }
    }
}

/// The answer, or that it comes too late.
async fn first<T>(
    mut answer: oneshot::Receiver<Result<T>>,
    mut expiry: Option<Expiry>,
) -> Result<T> {
    poll_fn(|context| {
        if let Poll::Ready(answer) = Pin::new(&mut answer).poll(context) {
            // Without an answer if nobody was thought to wait.
            return Poll::Ready(answer.unwrap_or(Err(Error::Cancelled)));
        }
        match &mut expiry {
            Some(expiry) => expiry.poll(context).map(|()| Err(Error::DeadlinePassed)),
            None => Poll::Pending,
        }
    })
    .await
}
