//! [`Queue`]: the requests that wait, and which thread takes which of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::options::{Priority, ServiceOptions};
use super::work::{Crew, Job, Lane, Sharing};
use crate::{Error, Result};

/// Place in a line: higher priorities first, then what came first.
pub(super) type Place = (Reverse<Priority>, u64);

/// The least and the most that a refusal tells to wait.
const RETRY: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(60)];

/// Number of requests that a thread answers together without a GPU. More gain nothing, and the first waits for the
/// last.
const MOST_ON_CPU: usize = 8;

/// Delay of what waits for others to end.
const NEVER: Duration = Duration::MAX;

/// The requests that wait: bounded, in two lines, one a crew.
pub(super) struct Queue {
    options: ServiceOptions,
    lines: [Line; 2],
    /// Number of batches of a lane that are being worked on.
    running: HashMap<Lane, usize>,
    next: u64,
    stopped: bool,
}

/// The requests that wait for a crew.
struct Line {
    jobs: BTreeMap<Place, Job>,
    /// Number of requests in the jobs.
    waiting: usize,
    threads: usize,
    busy: usize,
    /// Seconds that a request takes a thread, of late.
    cost: f64,
}

/// Jobs that a thread does together.
pub(super) struct Batch {
    pub jobs: Vec<Job>,
    /// Other threads of the crew have nothing to do, and may help.
    pub others_are_idle: bool,
    lane: Option<Lane>,
}

/// Next step of a thread.
pub(super) enum Next {
    Work(Batch),
    /// Nothing yet, for so long if no request comes.
    Wait(Option<Duration>),
    End,
}

/// Threads to be woken.
pub(super) enum Wake {
    None,
    One,
    All,
}

impl Queue {
    pub fn new(options: ServiceOptions) -> Self {
        let line =
            |threads| Line { jobs: BTreeMap::new(), waiting: 0, threads, busy: 0, cost: 0.0 };
        let lines = [line(options.searchers), line(options.helpers)];
        Self { options, lines, running: HashMap::new(), next: 0, stopped: false }
    }

    /// Number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.waiting).sum()
    }

    /// Tells which threads of a crew have something to look at after a batch, or a job, is gone.
    pub fn wake(&self, crew: Crew) -> Wake {
        match (self.stopped, self.lines[crew as usize].jobs.is_empty()) {
            (true, _) => Wake::All,
            (false, false) => Wake::One,
            (false, true) => Wake::None,
        }
    }

    /// Takes no more requests.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Checks that there is room for a job of so many requests. A batch of more than may wait is alone.
    pub fn check_room(&self, crew: Crew, weight: usize) -> Result<()> {
        if self.stopped {
            return Err(Error::ServiceStopped);
        }
        let waiting = self.waiting();
        if waiting > 0 && waiting + weight > self.options.queue {
            return Err(Error::QueueFull { retry_after: self.lines[crew as usize].wait() });
        }
        Ok(())
    }

    /// Adds a job, if there is room.
    pub fn push(&mut self, job: Job) -> Result<Place> {
        let crew = job.work.crew();
        self.check_room(crew, job.weight)?;
        let line = &mut self.lines[crew as usize];
        let place = (Reverse(job.priority), self.next);
        self.next += 1;
        line.waiting += job.weight;
        line.jobs.insert(place, job);
        Ok(place)
    }

    /// Takes a job out that nobody waits for any more, if it hasn't been begun.
    pub fn remove(&mut self, crew: Crew, place: Place) -> Option<Job> {
        self.lines[crew as usize].remove(place)
    }

    /// Takes the jobs that a thread is to do now.
    pub fn take(&mut self, crew: Crew) -> Next {
        let line = &self.lines[crew as usize];
        let mut soonest: Option<Duration> = None;
        let ready = line.jobs.iter().find(|(_, job)| match self.delay(job) {
            None => true,
            Some(delay) => {
                soonest = Some(soonest.map_or(delay, |it| it.min(delay)));
                false
            }
        });
        let Some((place, job)) = ready else {
            let ended = self.stopped && line.jobs.is_empty();
            return if ended { Next::End } else { Next::Wait(soonest.filter(|it| *it < NEVER)) };
        };
        let lane = job.work.lane();
        let places = match lane {
            Some((lane, sharing)) => self.share(crew, lane, sharing),
            None => vec![*place],
        };
        Next::Work(self.begin(crew, lane.map(|(lane, _)| lane), &places))
    }

    /// Time for which a job waits for others, or for those before it.
    fn delay(&self, job: &Job) -> Option<Duration> {
        let (lane, sharing) = job.work.lane()?;
        self.running.get(&lane)?;
        match sharing {
            Sharing::Threads => None,
            #[cfg(feature = "gpu")]
            Sharing::Gpu => {
                let left = self.options.gather.checked_sub(job.since.elapsed())?;
                Some(left).filter(|left| !left.is_zero())
            }
            // Whoever has done those before looks again.
            #[cfg(feature = "collection")]
            Sharing::OneAtATime => Some(NEVER),
        }
    }

    /// The first jobs of a lane, as many as one thread takes.
    fn share(&self, crew: Crew, lane: Lane, sharing: Sharing) -> Vec<Place> {
        let line = &self.lines[crew as usize];
        let of_lane = |job: &Job| job.work.lane().is_some_and(|(it, _)| it == lane);
        let jobs: Vec<_> = line.jobs.iter().filter(|(_, job)| of_lane(job)).collect();
        let (idle, most) = if sharing == Sharing::Threads {
            (line.threads - line.busy, MOST_ON_CPU)
        } else {
            (1, usize::MAX)
        };
        let weight: usize = jobs.iter().map(|(_, job)| job.weight).sum();
        let share = weight.div_ceil(idle.max(1)).min(self.options.batch).min(most);
        let mut taken = 0;
        let fits = |(_, job): &&(&Place, &Job)| {
            let first = taken == 0;
            taken += job.weight;
            first || taken <= share
        };
        jobs.iter().take_while(fits).map(|(place, _)| **place).collect()
    }

    fn begin(&mut self, crew: Crew, lane: Option<Lane>, places: &[Place]) -> Batch {
        if let Some(lane) = lane {
            *self.running.entry(lane).or_default() += 1;
        }
        let line = &mut self.lines[crew as usize];
        line.busy += 1;
        let jobs = places.iter().filter_map(|place| line.remove(*place)).collect();
        Batch { jobs, others_are_idle: line.busy < line.threads, lane }
    }

    /// Notes that a batch of so many requests was done.
    pub fn end(&mut self, crew: Crew, lane: Option<Lane>, requests: usize, time: Duration) {
        if let Some(lane) = lane
            && let Some(running) = self.running.get_mut(&lane)
        {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&lane);
            }
        }
        let line = &mut self.lines[crew as usize];
        line.busy -= 1;
        let cost = time.as_secs_f64() / requests.max(1) as f64;
        // The last twenty or so count.
        line.cost += if line.cost == 0.0 { cost } else { (cost - line.cost) / 20.0 };
    }
}

impl Batch {
    pub fn lane(&self) -> Option<Lane> {
        self.lane
    }
}

impl Line {
    fn remove(&mut self, place: Place) -> Option<Job> {
        let job = self.jobs.remove(&place)?;
        self.waiting -= job.weight;
        Some(job)
    }

    /// Time until what waits now is about to be begun.
    fn wait(&self) -> Duration {
        let [least, most] = RETRY;
        let seconds = self.cost * self.waiting as f64 / self.threads as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(most).clamp(least, most)
    }
}
