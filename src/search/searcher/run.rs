//! A stage, run: the points that may be found, scored by its rule, and the best of them.

use std::rc::Rc;
use std::time::Instant;

use super::nearest::nearest;
use super::outcome::{Outcome, Run, Scored, best};
use super::plan::{Planned, Rule};
use super::reader::{Key, Reader};
use super::{examples, fusion, mmr, unscored};
use crate::Result;
use crate::collection::Snapshot;
use crate::filter::PointSet;
use crate::search::{Method, Stage};
use crate::trace::span;

/// Runs a stage, after those that find its candidates.
pub(super) fn run<'r>(
    reader: &mut Reader<'_, 'r>,
    plan: &Planned<'r>,
    excluded: &PointSet,
) -> Result<Run> {
    let below = plan.prefetch.iter().map(|below| prefetched(reader, below, excluded));
    let below = below.collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let span = span!("stage", using = plan.asked.using, allowed, found, method);
    reader.cancellation.check()?;
    let (points, payloads_read) = allowed(reader, plan, &below, excluded)?;
    let filter_time = start.elapsed();
    let (mut outcome, method) = score(reader, plan, &below, &points)?;
    keep_best(&reader.snapshot, plan, &mut outcome)?;
    span.record("allowed", points.len());
    span.record("found", outcome.scored.len());
    span.record("method", &method);
    let stage = Stage {
        prefetch: below.into_iter().map(|(_, stage)| stage).collect(),
        using: plan.asked.using.into(),
        allowed: points.len(),
        payloads_read,
        method,
        found: outcome.scored.len(),
        filter_time,
        time: start.elapsed() - filter_time,
        shared: false,
    };
    Ok(Run { outcome, stage })
}

/// Runs a stage, unless an equal one was run before in the same call.
fn prefetched<'r>(
    reader: &mut Reader<'_, 'r>,
    plan: &Planned<'r>,
    excluded: &PointSet,
) -> Result<(Rc<Run>, Stage)> {
    let key = Key { asked: plan.asked, filters: plan.filters.clone(), excluded: excluded.clone() };
    if let Some(known) = reader.known(&key) {
        let stage = Stage { shared: true, ..known.stage.clone() };
        return Ok((known, stage));
    }
    let run = Rc::new(run(reader, plan, excluded)?);
    reader.keep(key, &run);
    let stage = run.stage.clone();
    Ok((run, stage))
}

/// Points that may be found, and the number of payloads that were read for that. What was found by
/// prefetches matches the filters already.
fn allowed<'r>(
    reader: &mut Reader<'_, 'r>,
    plan: &Planned<'r>,
    below: &[(Rc<Run>, Stage)],
    excluded: &PointSet,
) -> Result<(PointSet, u64)> {
    let mut payloads_read = 0;
    let mut points = match below.is_empty() {
        true => reader.snapshot.numbers().clone() - excluded,
        false => below.iter().flat_map(|(run, _)| &run.outcome.scored).map(|it| it.0).collect(),
    };
    if plan.rule.compares_vectors() {
        points &= reader.snapshot.having(plan.asked.using)?;
    }
    if below.is_empty() {
        for filter in &plan.filters {
            let (selected, read) = reader.select(filter)?;
            points &= &selected.points;
            payloads_read += read;
        }
    }
    Ok((points, payloads_read))
}

/// Scores points by the rule of a stage: all of them, or the best and those that tie with the last.
fn score(
    reader: &Reader<'_, '_>,
    plan: &Planned<'_>,
    below: &[(Rc<Run>, Stage)],
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
