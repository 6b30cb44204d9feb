//! [`Core`]: the queue, and the threads that work on it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::watch::Receiver;

use super::counters::Counters;
use super::options::ServiceOptions;
use super::queue::{Batch, Next, Place, Queue, Wake};
use super::work::{Crew, Job, Threads, guarded};
use crate::trace::span;
use crate::{Error, Result};

/// State that handles and threads of a service share.
pub(super) struct Core {
    queue: Mutex<Queue>,
    /// One a crew: something changed that a thread may wait for.
    changed: [Condvar; 2],
    pub counters: Counters,
    /// Threads that help with a batch while there are no others.
    pool: ThreadPool,
}

impl Core {
    pub fn new(options: ServiceOptions) -> Result<Self> {
        let pool = ThreadPoolBuilder::new().num_threads(options.searchers);
        let pool = pool.thread_name(|_| "maxfold search help".into()).build();
        let pool = pool.map_err(|error| Error::thread(std::io::Error::other(error)))?;
        let (queue, counters) = (Mutex::new(Queue::new(options)), Counters::default());
        Ok(Self { queue, changed: Default::default(), counters, pool })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    /// Checks that there is room for one more search.
    pub fn check_room(&self) -> Result<()> {
        self.queue().check_room(Crew::Searchers, 1)
    }

    /// Adds a job, if there is room.
    pub fn push(&self, job: Job) -> Result<Place> {
        let crew = job.work.crew();
        let place = self.queue().push(job)?;
        self.changed[crew as usize].notify_one();
        Ok(place)
    }

    /// Takes a job out that nobody waits for any more, if it hasn't been begun.
    pub fn remove(&self, crew: Crew, place: Place) {
        let mut queue = self.queue();
        let job = queue.remove(crew, place);
        self.wake(crew, queue.wake(crew));
        drop(queue);
        // What it holds may be large: not with the queue locked.
        drop(job);
    }

    fn wake(&self, crew: Crew, wake: Wake) {
        let changed = &self.changed[crew as usize];
        match wake {
            Wake::None => {}
            Wake::One => changed.notify_one(),
            Wake::All => changed.notify_all(),
        }
    }

    /// Lets threads end when all that waits is done.
    pub fn stop(&self) {
        self.queue().stop();
        self.changed.iter().for_each(Condvar::notify_all);
    }

    /// Works until it is stopped, and nothing is left. `alive` is dropped then.
    pub fn work(&self, crew: Crew, alive: Receiver<()>) {
        if crew == Crew::Searchers {
            // Under load a thread does its batch alone: with a pool of its own, which it is the only thread of.
            let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
            if let Err(error) = alone {
                log::warn!("searches share threads under load, too: {error}");
            }
        }
        while let Some(batch) = self.next(crew) {
            let (lane, start) = (batch.lane(), Instant::now());
            let requests = batch.jobs.iter().map(|job| job.weight).sum();
            // Work guards itself; this is for what its types do when they are dropped.
            if let Err(error) = guarded(|| self.work_on(batch)) {
                log::error!("a thread of the service goes on: {error}");
            }
            self.counters.worked(start.elapsed());
            let mut queue = self.queue();
            queue.end(crew, lane, requests, start.elapsed());
            self.wake(crew, queue.wake(crew));
        }
        drop(alive);
    }

    /// Waits for a batch; `None` at the end.
    fn next(&self, crew: Crew) -> Option<Batch> {
        let mut queue = self.queue();
        loop {
            let changed = &self.changed[crew as usize];
            queue = match queue.take(crew) {
                Next::Work(batch) => return Some(batch),
                Next::End => return None,
                Next::Wait(None) => changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Next::Wait(Some(time)) => {
                    let waited = changed.wait_timeout(queue, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn work_on(&self, batch: Batch) -> Result<()> {
        let threads = Threads(Some(&self.pool).filter(|_| batch.others_are_idle));
        let mut jobs = batch.jobs;
        jobs.retain(|job| !job.call.is_over());
        let Some(first) = jobs.first() else { return Ok(()) };
        let _span = span!("batch", requests = jobs.iter().map(|job| job.weight).sum::<usize>());
        self.counters.begun(&jobs);
        let work = first.work.doer();
        work(jobs, threads);
        Ok(())
    }
}

/// Starts the threads of a crew. If one can't be started, those that were end with the core.
pub(super) fn start(
    core: &std::sync::Arc<Core>,
    crew: Crew,
    threads: usize,
    alive: &Receiver<()>,
) -> Result<()> {
    let name = match crew {
        Crew::Searchers => "maxfold searcher",
        Crew::Helpers => "maxfold helper",
    };
    for _ in 0..threads {
        let (core, alive) = (core.clone(), alive.clone());
        let thread = thread::Builder::new().name(name.into());
        thread.spawn(move || core.work(crew, alive)).map_err(Error::thread)?;
    }
    Ok(())
}
