//! Points compared with several examples, and the similarities put together.

use super::outcome::Scored;
use super::reader::Reader;
use super::{max_sim, row_distances};
use crate::Result;
use crate::collection::Values;
use crate::filter::{PointNumber, PointSet};
use crate::recall::Distance;
use crate::rerank::Execution;
use crate::search::Method;
use crate::search::query::Asked;

/// Way of putting the similarities to examples together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Combine {
    /// The first so many examples are positive, the others negative: the nearest decides.
    BestScore { positives: usize },
    /// The same: sums.
    SumScores { positives: usize },
    /// A target, then pairs.
    Discover,
    /// Pairs alone.
    Context,
    /// A target, then others, of which pairs count with a weight.
    Feedback { target: f32, pairs: Vec<(usize, usize, f32)> },
}

impl Combine {
    /// The score of a point with these similarities to the examples.
    fn score(&self, similarities: &[f32]) -> f32 {
        match self {
            Self::BestScore { positives } => {
                let (positive, negative) = similarities.split_at(*positives);
                let best = |of: &[f32]| of.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let (positive, negative) = (best(positive), best(negative));
                if positive > negative { scaled(positive) } else { -scaled(negative) }
            }
            Self::SumScores { positives } => {
                let (positive, negative) = similarities.split_at(*positives);
                positive.iter().sum::<f32>() - negative.iter().sum::<f32>()
            }
            Self::Discover => match similarities {
                [target, pairs @ ..] => sides(pairs).sum::<f32>() + scaled(*target),
                [] => f32::NEG_INFINITY,
            },
            Self::Context => similarities.chunks_exact(2).map(wrong_side).sum(),
            Self::Feedback { target, pairs } => {
                let pair = |&(a, b, weight): &_| weight * (similarities[a] - similarities[b]);
                target * similarities[0] + pairs.iter().map(pair).sum::<f32>()
            }
        }
    }
}

/// Monotonous, from −1 to 1.
fn sigmoid(x: f32) -> f32 {
    if x.is_finite() { x / (1.0 + x.abs()) } else { x }
}

/// The same, from 0 to 1.
fn scaled(x: f32) -> f32 {
    0.5 * (sigmoid(x) + 1.0)
}

/// 1 for each pair on whose right side a point is, −1 for the wrong one.
fn sides(pairs: &[f32]) -> impl Iterator<Item = f32> {
    pairs.chunks_exact(2).map(|pair| match pair[0].partial_cmp(&pair[1]) {
        Some(std::cmp::Ordering::Greater) => 1.0,
        Some(std::cmp::Ordering::Less) => -1.0,
        _ => 0.0,
    })
}

/// 0 on the right side of a pair; below it the farther on the wrong one.
fn wrong_side(pair: &[f32]) -> f32 {
    sigmoid((pair[0] - pair[1] - f32::EPSILON).min(0.0))
}

/// All of the `points`, which have the vector, with their scores. Those that share nothing with a sparse
/// example have none.
pub(super) fn scored(
    reader: &Reader<'_, '_>,
    asked: &Asked<'_>,
    examples: &[Values],
    combine: &Combine,
    points: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let (columns, execution) = similarities(reader, asked, examples, points, f32::NEG_INFINITY)?;
    let mut row = vec![0.0; columns.len()];
    let score = |(at, number): (usize, PointNumber)| {
        row.iter_mut().zip(&columns).for_each(|(value, column)| *value = column[at]);
        (number, combine.score(&row))
    };
    let scored = points.iter().enumerate().map(score).filter(|(_, score)| score.is_finite());
    Ok((scored.collect(), Method::Examples { count: examples.len(), execution }))
}

/// For each example the similarities of all `points`, in the order of their numbers: distances, negated,
/// and with Euclid squared; `nothing` for a sparse vector without an index in common.
pub(super) fn similarities(
    reader: &Reader<'_, '_>,
    asked: &Asked<'_>,
    examples: &[Values],
    points: &PointSet,
    nothing: f32,
) -> Result<(Vec<Vec<f32>>, Option<Execution>)> {
    let (using, distance) = (asked.using, reader.distance(asked.using)?);
    let mut execution = None;
    let mut columns: Vec<Vec<f32>> = Vec::with_capacity(examples.len());
    let tokens: Vec<_> = examples.iter().filter_map(Values::tokens).collect();
    if tokens.len() == examples.len() && !tokens.is_empty() {
        if distance.smaller_is_nearer() {
            return Ok((row_distances::similarities(reader, using, &tokens, points)?, None));
        }
        let (all, ran) = max_sim::similarities(reader, using, &tokens, points)?;
        (columns, execution) = (all, ran);
    }
    let dense: Vec<_> = examples.iter().filter_map(Values::dense).collect();
    if !dense.is_empty() {
        // Each vector is read once, for all examples.
        let rows = reader.snapshot.map_dense(using, points, |_, vector| {
            dense.iter().map(|it| distance.similarity(it, vector)).collect::<Vec<f32>>()
        })?;
        columns.extend((0..dense.len()).map(|at| rows.iter().map(|row| row[at]).collect()));
    }
    let corpus = reader.corpus(asked.idf_corpus)?;
    for example in examples.iter().filter_map(Values::sparse) {
        let (snapshot, corpus) = (&reader.snapshot, corpus.as_ref());
        let scored = snapshot.sparse_scores(using, example, points, usize::MAX, corpus)?.scored;
        let mut column = vec![nothing; points.len() as usize];
        scored.iter().for_each(|(number, score)| column[points.place(*number) as usize] = *score);
        columns.push(column);
    }
    if distance == Distance::Euclid {
        columns.iter_mut().flatten().for_each(|it| *it = -(*it * *it));
    }
    Ok((columns, execution))
}
