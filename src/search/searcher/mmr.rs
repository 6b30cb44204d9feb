//! Near points that are unlike one another: maximal marginal relevance.

use super::examples::similarities;
use super::nearest::nearest;
use super::outcome::{Outcome, Scored, best};
use super::plan::Planned;
use super::reader::Reader;
use crate::Result;
use crate::collection::Values;
use crate::filter::{PointNumber, PointSet};
use crate::search::Method;
use crate::search::query::Mmr;

/// Near and diverse points, in the order in which they are chosen, with their similarity to the query.
pub(super) fn diverse(
    reader: &Reader<'_, '_>,
    plan: &Planned<'_>,
    (query, mmr): (&Values, &Mmr),
    points: &PointSet,
) -> Result<(Outcome, Method)> {
    let using = plan.asked.using;
    let count = mmr.candidates_limit.unwrap_or(plan.asked.limit);
    let (mut outcome, method) = nearest(reader, plan, query, points, count)?;
    outcome.scored = best(&reader.snapshot, outcome.scored, count)?;
    outcome.keep_better(plan.asked.score_threshold, false);
    let ranked = outcome.ranked(&reader.snapshot)?;
    let numbers: PointSet = ranked.iter().map(|(number, _)| *number).collect();
    let vectors = numbers.iter().map(|number| reader.snapshot.vector(using, number));
    let vectors = vectors.collect::<Result<Vec<_>>>()?;
    let (relevance, _) =
        similarities(reader, &plan.asked, std::slice::from_ref(query), &numbers, 0.0)?;
    let (alike, _) = similarities(reader, &plan.asked, &vectors, &numbers, 0.0)?;
    let place = |number: PointNumber| numbers.place(number) as usize;
    let relevance: Vec<f32> = ranked.iter().map(|it| relevance[0][place(it.0)]).collect();
    let alike = |a: usize, b: usize| alike[place(ranked[a].0)][place(ranked[b].0)];
    let chosen = choose(&relevance, alike, mmr.diversity, plan.limit);
    outcome.scored = chosen.into_iter().map(|at| ranked[at]).collect::<Vec<Scored>>();
    outcome.in_order = true;
    let (candidates, nearest) = (ranked.len(), Box::new(method));
    Ok((outcome, Method::Mmr { candidates, nearest }))
}

/// The places of up to `limit` candidates, chosen one after the other. Of equally good ones the first.
fn choose(
    relevance: &[f32],
    alike: impl Fn(usize, usize) -> f32,
    diversity: f32,
    limit: usize,
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    // For each candidate the similarity to the chosen one that it is most similar to.
    let mut nearest = vec![f32::NEG_INFINITY; relevance.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < limit && !left.is_empty() {
        let score = |at: usize| match chosen.is_empty() {
            true => relevance[at],
            false => (1.0 - diversity) * relevance[at] - diversity * nearest[at],
        };
        let better = |a: &usize, b: &usize| match score(left[*b]) > score(left[*a]) {
            true => *b,
            false => *a,
        };
        let next = (0..left.len()).reduce(|a, b| better(&a, &b)).unwrap_or(0);
        let next = left.remove(next);
        for &at in &left {
            nearest[at] = nearest[at].max(alike(at, next));
        }
        chosen.push(next);
    }
    chosen
}
