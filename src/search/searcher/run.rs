//! Stages, run level by level: what finds candidates first, and what compares multivectors together.

use std::collections::HashMap;
use std::rc::Rc;

use super::outcome::Run;
use super::plan::Planned;
use super::reader::{Key, Reader};
use super::stage::{Below, Ready, run_together};
use crate::filter::PointSet;
use crate::search::Stage;
use crate::{Error, Result};

/// Stage that is to be run, and the points that are no results.
#[derive(Clone, Copy)]
pub(super) struct Task<'p, 'r> {
    pub plan: &'p Planned<'r>,
    pub excluded: &'p PointSet,
}

/// Runs a stage, after those that find its candidates.
pub(super) fn run<'r>(
    reader: &mut Reader<'_, 'r>,
    plan: &Planned<'r>,
    excluded: &PointSet,
) -> Result<Run> {
    // One stage, one outcome.
    run_each(reader, &[Task { plan, excluded }]).swap_remove(0)
}

/// Runs stages, after those that find their candidates. An error of one is nothing to the others.
pub(super) fn run_each<'r>(
    reader: &mut Reader<'_, 'r>,
    tasks: &[Task<'_, 'r>],
) -> Vec<Result<Run>> {
    let mut runs: Vec<Option<Result<Run>>> = tasks.iter().map(|_| None).collect();
    let mut passes: Vec<(Vec<usize>, Vec<Ready<'_, 'r>>)> = Vec::new();
    let mut known = HashMap::new();
    for (at, below) in prefetched_each(reader, tasks).into_iter().enumerate() {
        let Task { plan, excluded } = tasks[at];
        let below = match below {
            Ok(below) => below,
            Err(error) => {
                runs[at] = Some(Err(error));
                continue;
            }
        };
        let pass = match plan.tokens() {
            Some(_) => *known.entry((plan.asked.using, plan.limit)).or_insert(passes.len()),
            None => passes.len(),
        };
        if pass == passes.len() {
            passes.push(Default::default());
        }
        passes[pass].0.push(at);
        passes[pass].1.push(Ready { plan, excluded, below });
    }
    for (places, ready) in passes {
        let ran = run_together(reader, &ready);
        places.into_iter().zip(ran).for_each(|(at, run)| runs[at] = Some(run));
    }
    runs.into_iter().map(|run| run.unwrap_or(Err(Error::Cancelled))).collect()
}

/// Runs the stages that find candidates for each task, unless an equal one was run before in the same call.
fn prefetched_each<'r>(reader: &mut Reader<'_, 'r>, tasks: &[Task<'_, 'r>]) -> Vec<Result<Below>> {
    let mut keys: Vec<Key<'r>> = Vec::new();
    let mut new: Vec<Task<'_, 'r>> = Vec::new();
    for task in tasks {
        for plan in &task.plan.prefetch {
            let below = Task { plan, excluded: task.excluded };
            let key = below.key();
            if reader.known(&key).is_none() && !keys.contains(&key) {
                keys.push(key);
                new.push(below);
            }
        }
    }
    if new.is_empty() && tasks.iter().all(|task| task.plan.prefetch.is_empty()) {
        return tasks.iter().map(|_| Ok(Below::new())).collect();
    }
    let mut errors: Vec<(Key<'r>, Error)> = Vec::new();
    for (key, run) in keys.iter().zip(run_each(reader, &new)) {
        match run {
            Ok(run) => reader.keep(key.clone(), &Rc::new(run)),
            Err(error) => errors.push((key.clone(), error)),
        }
    }
    let below = tasks.iter().map(|task| {
        let below = task.plan.prefetch.iter().map(|plan| {
            let below = Task { plan, excluded: task.excluded };
            below.take(reader, &mut keys, &mut errors)
        });
        below.collect()
    });
    below.collect()
}

impl<'r> Task<'_, 'r> {
    fn key(&self) -> Key<'r> {
        let Planned { asked, filters, .. } = self.plan;
        Key { asked: *asked, filters: filters.clone(), excluded: self.excluded.clone() }
    }

    /// Takes what a stage that was run has found. The first who takes it is the one that it was run
    /// for.
    fn take(
        &self,
        reader: &mut Reader<'_, 'r>,
        new: &mut Vec<Key<'r>>,
        errors: &mut Vec<(Key<'r>, Error)>,
    ) -> Result<(Rc<Run>, Stage)> {
        let key = self.key();
        if let Some(at) = errors.iter().position(|(it, _)| *it == key) {
            return Err(errors.swap_remove(at).1);
        }
        let Some(known) = reader.known(&key) else {
            // It failed for another: once more, for an error of its own.
            let run = Rc::new(run(reader, self.plan, self.excluded)?);
            let stage = run.stage.clone();
            return Ok((run, stage));
        };
        let place = new.iter().position(|it| *it == key);
        let shared = place.map(|at| new.swap_remove(at)).is_none();
        let stage = Stage { shared, ..known.stage.clone() };
        Ok((known, stage))
    }
}
