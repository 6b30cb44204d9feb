//! A stage whose candidates are there: the points that may be found, scored by its rule, and the best of them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::nearest::{nearest, nearest_each};
use super::outcome::{Outcome, Run, Scored, best};
use super::plan::{Planned, Rule};
use super::reader::Reader;
use super::{examples, fusion, mmr, unscored};
use crate::Result;
use crate::collection::Snapshot;
use crate::filter::PointSet;
use crate::search::{Method, Stage};
use crate::trace::span;

/// Stages that found the candidates of one.
pub(super) type Below = Vec<(Rc<Run>, Stage)>;

/// Stage whose candidates are there.
pub(super) struct Ready<'p, 'r> {
    pub plan: &'p Planned<'r>,
    pub excluded: &'p PointSet,
    pub below: Below,
}

/// Points that a stage may find.
struct Allowed {
    points: PointSet,
    payloads_read: u64,
    time: Duration,
}

/// Runs stages whose points are scored in one pass, or a single stage.
pub(super) fn run_together<'r>(
    reader: &mut Reader<'_, 'r>,
    stages: &[Ready<'_, 'r>],
) -> Vec<Result<Run>> {
    match try_together(reader, stages) {
        Ok(runs) => runs.into_iter().map(Ok).collect(),
        Err(error) if stages.len() == 1 => vec![Err(error)],
        // It need not be the fault of each.
        Err(_) => {
            let alone =
                |stage| Ok(try_together(reader, std::slice::from_ref(stage))?.swap_remove(0));
            stages.iter().map(alone).collect()
        }
    }
}

fn try_together<'r>(reader: &mut Reader<'_, 'r>, stages: &[Ready<'_, 'r>]) -> Result<Vec<Run>> {
    let Some(Ready { plan, .. }) = stages.first() else { return Ok(Vec::new()) };
    let span = span!("stage", using = plan.asked.using, allowed, found, method);
    reader.cancellation.check()?;
    let allowed = stages.iter().map(|stage| allowed(reader, stage)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let mut found = score(reader, stages, &allowed)?;
    for (stage, (outcome, _)) in stages.iter().zip(&mut found) {
        keep_best(&reader.snapshot, stage.plan, outcome)?;
    }
    span.record("allowed", allowed.iter().map(|it| it.points.len()).sum::<u64>());
    span.record("found", found.iter().map(|(outcome, _)| outcome.scored.len()).sum::<usize>());
    if let Some((_, method)) = found.first() {
        span.record("method", method);
    }
    let runs = stages.iter().zip(allowed).zip(found);
    let runs = runs.map(|((stage, allowed), found)| stage.ran(allowed, found, start.elapsed()));
    Ok(runs.collect())
}

impl Ready<'_, '_> {
    fn ran(&self, allowed: Allowed, (outcome, method): (Outcome, Method), time: Duration) -> Run {
        let stage = Stage {
            prefetch: self.below.iter().map(|(_, stage)| stage.clone()).collect(),
            using: self.plan.asked.using.into(),
            allowed: allowed.points.len(),
            payloads_read: allowed.payloads_read,
            method,
            found: outcome.scored.len(),
            filter_time: allowed.time,
            time,
            shared: false,
        };
        Run { outcome, stage }
    }
}

/// Points that may be found, and the number of payloads that were read for that. What was found by
/// prefetches matches the filters already.
fn allowed<'r>(reader: &mut Reader<'_, 'r>, stage: &Ready<'_, 'r>) -> Result<Allowed> {
    let (Ready { plan, excluded, below }, start) = (stage, Instant::now());
    let mut payloads_read = 0;
    let comparable = match plan.rule.compares_vectors() {
        true => reader.snapshot.having(plan.asked.using)?,
        false => reader.snapshot.numbers(),
    };
    let found = below.iter().flat_map(|(run, _)| &run.outcome.scored).map(|it| it.0);
    let mut points = match below.is_empty() {
        true => comparable - *excluded,
        false => found.collect::<PointSet>() & comparable,
    };
    if below.is_empty() {
        for filter in &plan.filters {
            let (selected, read) = reader.select(filter)?;
            points &= &selected.points;
            payloads_read += read;
        }
    }
    Ok(Allowed { points, payloads_read, time: start.elapsed() })
}

/// Scores points by the rules of stages: all of them, or the best and those that tie with the last.
fn score(
    reader: &Reader<'_, '_>,
    stages: &[Ready<'_, '_>],
    allowed: &[Allowed],
) -> Result<Vec<(Outcome, Method)>> {
    let both = || stages.iter().zip(allowed);
    let tokens = both().map(|(it, allowed)| Some((it.plan, it.plan.tokens()?, &allowed.points)));
    match tokens.collect::<Option<Vec<_>>>() {
        Some(stages) => nearest_each(reader, &stages),
        None => both().map(|(it, allowed)| score_one(reader, it, &allowed.points)).collect(),
    }
}

fn score_one(
    reader: &Reader<'_, '_>,
    Ready { plan, below, .. }: &Ready<'_, '_>,
    points: &PointSet,
) -> Result<(Outcome, Method)> {
    match &plan.rule {
        Rule::Nearest(query) => nearest(reader, plan, query, points, plan.limit),
        Rule::Mmr(query, mmr) => mmr::diverse(reader, plan, (query, mmr), points),
        Rule::Examples(examples, combine) => {
            let (scored, method) =
                examples::scored(reader, &plan.asked, examples, combine, points)?;
            Ok((Outcome { scored, ..Outcome::default() }, method))
        }
        Rule::Fusion(fusion) => {
            let (scored, method) = fusion::fuse(fusion, &rankings(reader, below)?);
            Ok((Outcome { scored, ..Outcome::default() }, method))
        }
        Rule::Formula(formula) => {
            let rankings = rankings(reader, below)?;
            let (scored, method) = fusion::compute(reader, formula, &rankings, points)?;
            Ok((Outcome { scored, ..Outcome::default() }, method))
        }
        Rule::OrderBy(order) => unscored::by_value(reader, order, points, plan.limit),
        Rule::Sample => Ok(unscored::sample(points, plan.limit)),
        Rule::Ids => unscored::by_ids(reader, points, plan.limit),
    }
}

/// Points that the prefetches found, in order, with scores as they are reported.
fn rankings(reader: &Reader<'_, '_>, below: &[(Rc<Run>, Stage)]) -> Result<Vec<Vec<Scored>>> {
    let rankings = below.iter().map(|(run, _)| {
        let ranked = run.outcome.ranked(&reader.snapshot)?.into_iter();
        Ok(ranked.map(|(number, score)| (number, run.outcome.reported(score))).collect())
    });
    rankings.collect()
}

/// Keeps what a stage is asked for.
fn keep_best(snapshot: &Snapshot<'_>, plan: &Planned<'_>, outcome: &mut Outcome) -> Result<()> {
    if !outcome.in_order {
        let scored = std::mem::take(&mut outcome.scored);
        outcome.scored = best(snapshot, scored, plan.limit)?;
    }
    // As in Qdrant: what fuses is compared otherwise than what compares vectors.
    outcome.keep_better(plan.asked.score_threshold, !plan.rule.compares_vectors());
    Ok(())
}
