//! Rankings of several stages, put together: by a way of fusion, or by a formula.

use std::collections::HashMap;

use super::outcome::Scored;
use super::reader::Reader;
use crate::Result;
use crate::filter::{PointNumber, PointSet, Subject};
use crate::search::query::Fusion;
use crate::search::{Formula, Method};

/// All points of some rankings, which are in order and have scores as they are reported, with new scores.
pub(super) fn fuse(fusion: &Fusion, rankings: &[Vec<Scored>]) -> (Vec<Scored>, Method) {
    let mut scores: HashMap<PointNumber, f32> = HashMap::new();
    for (at, ranking) in rankings.iter().enumerate() {
        let normalized = match fusion {
            Fusion::Rrf { k, weights } => {
                by_rank(ranking.len(), *k, weights.get(at).copied().unwrap_or(1.0))
            }
            Fusion::Dbsf => by_distribution(ranking),
        };
        for ((number, _), score) in ranking.iter().zip(normalized) {
            *scores.entry(*number).or_default() += score;
        }
    }
    let method = match fusion {
        Fusion::Rrf { .. } => Method::Rrf,
        Fusion::Dbsf => Method::Dbsf,
    };
    (scores.into_iter().collect(), method)
}

/// All `points` with the scores that a formula gives them.
pub(super) fn compute(
    reader: &Reader<'_, '_>,
    formula: &Formula,
    rankings: &[Vec<Scored>],
    points: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let known: Vec<HashMap<PointNumber, f32>> =
        rankings.iter().map(|ranking| ranking.iter().copied().collect()).collect();
    let texts = reader.snapshot.texts();
    let score = |number: PointNumber| {
        reader.cancellation.check()?;
        let scores: Vec<_> = known.iter().map(|scores| scores.get(&number).copied()).collect();
        let (id, payload) = reader.snapshot.payload(number)?;
        let vectors = reader.snapshot.vector_names(number);
        let subject = Subject { id, payload: &payload, vectors: &vectors, texts: &texts };
        Ok((number, formula.score(&subject, &scores)?))
    };
    let scored = points.iter().map(score).collect::<Result<_>>()?;
    Ok((scored, Method::Formula))
}

/// Score that each place in a ranking adds.
fn by_rank(count: usize, k: usize, weight: f32) -> Vec<f32> {
    let score = |rank: usize| match weight > 0.0 {
        true => 1.0 / ((rank as f32 + 1.0) / weight + k as f32 - 1.0),
        false => 0.0,
    };
    (0..count).map(score).collect()
}

/// Scores by their distance from the mean, in standard deviations: 0 for three below, 1 for three above.
fn by_distribution(ranking: &[Scored]) -> Vec<f32> {
    let count = ranking.len() as f32;
    let scores = || ranking.iter().map(|(_, score)| *score);
    let mean = scores().sum::<f32>() / count;
    let squares = scores().map(|score| (score - mean).powi(2)).sum::<f32>();
    let deviation = (squares / (count - 1.0)).sqrt();
    if ranking.len() < 2 || deviation == 0.0 {
        return vec![0.5; ranking.len()];
    }
    let (low, high) = (mean - 3.0 * deviation, mean + 3.0 * deviation);
    scores().map(|score| (score - low) / (high - low)).collect()
}
