//! The threads that bring what is derived from collections up to date: a few, for all of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Time before a collection is looked at unasked: who only writes asks for nothing.
const NAP: Duration = Duration::from_millis(250);

/// Threads at most. A graph that is built takes one for as long as that lasts, so one is too few.
const THREADS: usize = 4;

type Work = dyn Fn(bool) -> Result<()> + Send + Sync;

static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule::new());
/// Something is due at once, or there is less to do.
static CHANGED: Condvar = Condvar::new();
/// A job that ran has ended.
static ENDED: Condvar = Condvar::new();

/// Jobs, and when they are due.
struct Schedule {
    jobs: BTreeMap<u64, Job>,
    /// Times and ids of the jobs that don't run.
    due: BTreeSet<(Instant, u64)>,
    /// Time at which those are due that nobody asks for: together, so that threads wake as seldom
    /// as for one.
    tick: Option<Instant>,
    next: u64,
    threads: usize,
}

struct Job {
    work: Arc<Work>,
    due: Instant,
    asked: bool,
    running: bool,
}

/// Work that is done when it is asked for, and now and then. Dropped, it is waited for.
pub(super) struct Upkeep(u64);

impl Upkeep {
    /// Has some work done from now on, which is told whether somebody asked for it.
    pub fn start(work: impl Fn(bool) -> Result<()> + Send + Sync + 'static) -> Result<Self> {
        let mut schedule = schedule();
        schedule.start_thread()?;
        let id = schedule.next;
        schedule.next += 1;
        let due = schedule.next_tick();
        schedule.jobs.insert(id, Job { work: Arc::new(work), due, asked: false, running: false });
        schedule.due.insert((due, id));
        CHANGED.notify_all();
        Ok(Self(id))
    }

    /// There is something to do.
    pub fn wake(&self) {
        let mut schedule = schedule();
        let Schedule { jobs, due, .. } = &mut *schedule;
        if let Some(job) = jobs.get_mut(&self.0).filter(|job| !job.asked) {
            job.asked = true;
            if due.remove(&(job.due, self.0)) {
                job.due = Instant::now();
                due.insert((job.due, self.0));
                CHANGED.notify_one();
            }
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        let running =
            |schedule: &mut Schedule| schedule.jobs.get(&self.0).is_some_and(|job| job.running);
        let schedule = ENDED.wait_while(schedule(), running);
        let mut schedule = schedule.unwrap_or_else(PoisonError::into_inner);
        let job = schedule.jobs.remove(&self.0);
        if let Some(job) = &job {
            schedule.due.remove(&(job.due, self.0));
        }
        // A thread may have nothing left to wait for.
        CHANGED.notify_all();
        drop(schedule);
        // What it owns may take the lock.
        drop(job);
    }
}

impl Schedule {
    const fn new() -> Self {
        Self { jobs: BTreeMap::new(), due: BTreeSet::new(), tick: None, next: 0, threads: 0 }
    }

    /// Starts a thread if there are fewer than jobs. Without any, that is an error.
    fn start_thread(&mut self) -> Result<()> {
        if self.threads < THREADS.min(self.jobs.len() + 1) {
            match thread::Builder::new().name("maxfold upkeep".into()).spawn(run) {
                Ok(_) => self.threads += 1,
                Err(error) if self.threads == 0 => return Err(Error::thread(error)),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn next_tick(&mut self) -> Instant {
        let now = Instant::now();
        match self.tick {
            Some(tick) if tick > now => tick,
            _ => *self.tick.insert(now + NAP),
        }
    }

    /// Takes a job that is due; otherwise says how long none is.
    fn take(&mut self) -> Result<u64, Duration> {
        let Some((due, id)) = self.due.first().copied() else { return Err(NAP) };
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            return Err(wait);
        }
        self.due.remove(&(due, id));
        Ok(id)
    }
}

fn schedule() -> MutexGuard<'static, Schedule> {
    SCHEDULE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what is due, until there is nothing that could be.
fn run() {
    let mut schedule = schedule();
    while schedule.threads <= schedule.jobs.len() {
        schedule = match schedule.take() {
            Ok(id) => do_job(schedule, id),
            Err(wait) => {
                let waited = CHANGED.wait_timeout(schedule, wait);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
    schedule.threads -= 1;
}

/// Does one job, with the schedule open to others.
fn do_job(mut schedule: MutexGuard<'static, Schedule>, id: u64) -> MutexGuard<'static, Schedule> {
    let Some(job) = schedule.jobs.get_mut(&id) else { return schedule };
    let (work, asked) = (job.work.clone(), std::mem::take(&mut job.asked));
    job.running = true;
    drop(schedule);
    // A panic is a bug, but no reason to fall behind for ever.
    match catch_unwind(AssertUnwindSafe(|| work(asked))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("graphs lag behind: {error}"),
        Err(_) => log::error!("graphs lag behind: the upkeep of a collection panicked"),
    }
    // Before it counts as ended: who waits for that gets all that the work has.
    drop(work);
    schedule = self::schedule();
    let tick = schedule.next_tick();
    let Schedule { jobs, due, .. } = &mut *schedule;
    if let Some(job) = jobs.get_mut(&id) {
        job.running = false;
        job.due = if job.asked { Instant::now() } else { tick };
        due.insert((job.due, id));
    }
    ENDED.notify_all();
    schedule
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use log::{LevelFilter, Log, Metadata, Record};

    use super::*;

    /// Messages that were logged as errors.
    static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Logger;

    impl Log for Logger {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            LOGGED.lock().unwrap().push(record.args().to_string());
        }

        fn flush(&self) {}
    }

    #[test]
    fn it_goes_on_after_a_panic_and_unasked() {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Error);
        let (did, done) = channel();
        let upkeep = Upkeep::start(move |asked| {
            did.send(asked).unwrap();
            assert!(!asked, "a panic that is meant");
            Ok(())
        });
        let upkeep = upkeep.unwrap();
        upkeep.wake();
        let after: Vec<bool> = done.iter().skip_while(|asked| !asked).take(2).collect();
        assert_eq!(after, [true, false]);
        let logged = LOGGED.lock().unwrap();
        assert!(logged.iter().any(|line| line.ends_with("the upkeep of a collection panicked")));
    }

    #[test]
    fn a_slow_job_keeps_no_other_waiting() {
        let (end, ended) = channel::<()>();
        let (did, done) = channel();
        let ended = Mutex::new(ended);
        let slow = Upkeep::start(move |_| {
            did.send("slow").unwrap();
            // Until the sender is gone.
            ended.lock().unwrap().recv().unwrap_err();
            Ok(())
        });
        let slow = slow.unwrap();
        slow.wake();
        assert_eq!(done.recv().unwrap(), "slow");
        let (did, done) = channel();
        let quick: Vec<Upkeep> = (0..100)
            .map(|number| {
                let did = did.clone();
                let work = move |_| {
                    did.send(number).unwrap();
                    Ok(())
                };
                Upkeep::start(work).unwrap()
            })
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < quick.len() {
            seen.insert(done.recv().unwrap());
        }
        assert!(schedule().threads <= THREADS);
        drop(end);
        drop((slow, quick));
    }
}
