//! The points of groups: found in rounds, until as many groups as are wanted have as many as they may.

use std::collections::{BTreeSet, HashMap};

use super::outcome::{Outcome, Scored};
use super::plan::Plan;
use super::reader::Reader;
use super::run::run;
use crate::filter::{Condition, Filter, Match, PointNumber, PointSet, Scalars, Test};
use crate::search::{GroupId, GroupRequest, Stage};
use crate::{Error, Result};

/// A group, and its results, best first.
pub(super) type Group = (GroupId, Vec<Scored>);

/// The best groups with their best results, all that was found, and the stages that found the first of it.
pub(super) type Gathered = (Vec<Group>, Outcome, Stage);

/// Rounds in which candidates of other groups are looked for, and then of those that are not full: Qdrant's.
const ROUNDS: usize = 5;

/// Finds the points of groups.
pub(super) fn gather<'r>(
    reader: &mut Reader<'_, 'r>,
    request: &GroupRequest,
    plan: &mut Plan<'r>,
) -> Result<Gathered> {
    if !plan.root.prefetch.is_empty() {
        return gather_among_candidates(reader, request, plan);
    }
    loop {
        let ran = run(reader, &plan.root, &plan.excluded)?;
        let is_all = ran.outcome.scored.len() < plan.root.limit;
        let mut found = Found { outcome: ran.outcome, ..Found::new(request) };
        let groups = found.groups(reader)?;
        if is_all || found.are_full(&groups) {
            return Ok((found.best(groups), found.outcome, ran.stage));
        }
        plan.root.limit = plan.root.limit.saturating_mul(4);
    }
}

/// Finds them where candidates are what prefetches find, which may be of few groups. As in Qdrant, they are asked
/// again then, for none of what was found: at first without the groups that are full, then for the best groups that
/// are not.
fn gather_among_candidates<'r>(
    reader: &mut Reader<'_, 'r>,
    request: &GroupRequest,
    plan: &Plan<'r>,
) -> Result<Gathered> {
    let in_none = Condition::Field(request.group_by.clone(), Test::IsEmpty(true));
    let in_none = reader.snapshot.select(&Filter::new().must(in_none))?.points;
    let mut excluded = &plan.excluded | &in_none;
    let (mut found, mut groups, mut stage) = (Found::new(request), Vec::new(), None);
    'rounds: for is_filling in [false, true] {
        for _ in 0..ROUNDS {
            let omitted = found.omitted(reader, &groups, is_filling)?;
            let ran = run(reader, &plan.root, &(&excluded | &omitted))?;
            let is_end = ran.outcome.scored.is_empty();
            excluded.extend(ran.outcome.scored.iter().map(|(number, _)| *number));
            stage.get_or_insert(ran.stage);
            found.add(ran.outcome);
            groups = found.groups(reader)?;
            if found.are_full(&groups) {
                break 'rounds;
            }
            if is_end {
                break;
            }
        }
    }
    let stage = stage.ok_or(Error::Cancelled)?;
    Ok((found.best(groups), found.outcome, stage))
}

/// All that was found so far.
struct Found<'r> {
    request: &'r GroupRequest,
    outcome: Outcome,
    /// The groups of points.
    ids: HashMap<PointNumber, Vec<GroupId>>,
}

impl<'r> Found<'r> {
    fn new(request: &'r GroupRequest) -> Self {
        Self { request, outcome: Outcome::default(), ids: HashMap::new() }
    }

    fn add(&mut self, more: Outcome) {
        let Outcome { scored, in_order, values, negated } = more;
        self.outcome.scored.extend(scored);
        self.outcome.values.extend(values);
        (self.outcome.in_order, self.outcome.negated) = (in_order, negated);
    }

    /// All groups, the one with the best result first.
    fn groups(&mut self, reader: &Reader<'_, '_>) -> Result<Vec<Group>> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places = HashMap::new();
        for scored in self.outcome.ranked(&reader.snapshot)? {
            if !self.ids.contains_key(&scored.0) {
                self.ids.insert(scored.0, group_ids(reader, self.request, scored.0)?);
            }
            for id in &self.ids[&scored.0] {
                let place = *places.entry(id.clone()).or_insert(groups.len());
                match groups.get_mut(place) {
                    Some((_, results)) => results.push(scored),
                    None => groups.push((id.clone(), vec![scored])),
                }
            }
        }
        Ok(groups)
    }

    fn is_full(&self, group: &Group) -> bool {
        group.1.len() >= self.request.group_size
    }

    /// Tells whether nothing that is still to be found is wanted.
    fn are_full(&self, groups: &[Group]) -> bool {
        let wanted = self.request.request.limit;
        groups.len() >= wanted && groups[..wanted].iter().all(|it| self.is_full(it))
    }

    /// The groups that are wanted, each with the results that are.
    fn best(&self, mut groups: Vec<Group>) -> Vec<Group> {
        groups.truncate(self.request.request.limit);
        groups.iter_mut().for_each(|(_, results)| results.truncate(self.request.group_size));
        groups
    }

    /// Points that the next round is not to find: those of full groups alone, or, to fill the best groups, all but
    /// those of the best that are not full.
    fn omitted(
        &self,
        reader: &Reader<'_, '_>,
        groups: &[Group],
        is_filling: bool,
    ) -> Result<PointSet> {
        let best = groups.iter().take(self.request.request.limit);
        let test = if is_filling { Match::Any } else { Match::Except };
        let ids = match is_filling {
            true => values(best.filter(|it| !self.is_full(it))),
            false => values(groups.iter().filter(|it| self.is_full(it))),
        };
        let key = &self.request.group_by;
        let conditions =
            ids.into_iter().map(|ids| Condition::Field(key.clone(), Test::Match(test(ids))));
        let filter = match is_filling {
            true => conditions.fold(Filter::new(), Filter::should),
            false => conditions.fold(Filter::new(), Filter::must),
        };
        if filter == Filter::new() {
            return Ok(PointSet::new());
        }
        Ok(reader.snapshot.numbers() - &reader.snapshot.select(&filter)?.points)
    }
}

/// The ids of groups, by their types, as far as there are any.
fn values<'g>(groups: impl Iterator<Item = &'g Group>) -> Vec<Scalars> {
    let (mut strings, mut integers) = (BTreeSet::new(), BTreeSet::new());
    for (id, _) in groups {
        match id {
            GroupId::String(text) => drop(strings.insert(text.clone())),
            GroupId::Integer(number) => drop(integers.insert(*number)),
        }
    }
    let strings = (!strings.is_empty()).then_some(Scalars::Strings(strings));
    let integers = (!integers.is_empty()).then_some(Scalars::Integers(integers));
    strings.into_iter().chain(integers).collect()
}

/// The groups of a point: none if one of the values stands for no group.
fn group_ids(
    reader: &Reader<'_, '_>,
    request: &GroupRequest,
    number: PointNumber,
) -> Result<Vec<GroupId>> {
    let (_, payload) = reader.snapshot.payload(number)?;
    let ids = request.group_by.elements(&payload).map(GroupId::of);
    let mut ids = ids.collect::<Option<Vec<_>>>().unwrap_or_default();
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}
