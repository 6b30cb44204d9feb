//! The best points by MaxSim, of which only those are read in f16 that int8 says may be among them.

use super::rank::rank;
use super::reader::Reader;
use crate::Result;
use crate::filter::{PointNumber, PointSet};
use crate::multivector::TokenMatrix;
use crate::ranking::{Bounding, Certified, Ranked, Scored, Wanted};
use crate::rerank::Ranking;

/// The points that are wanted; `None` where all have to be scored anyway: on a GPU, and where
/// they are not kept in int8 or are too few.
pub(super) fn certified(
    reader: &Reader<'_, '_>,
    using: &str,
    (query, points): (&TokenMatrix, &PointSet),
    wanted: Wanted,
) -> Result<Option<Ranking<PointNumber>>> {
    let Some(cpu) = reader.shared.reranker.cpu_alone() else { return Ok(None) };
    if !cpu.certifies(points.len() as usize, wanted.limit) {
        return Ok(None);
    }
    let Some(quantized) = reader.snapshot.quantized(using, points)? else { return Ok(None) };
    let numbers: Vec<PointNumber> = points.iter().collect();
    let mut execution = None;
    let contenders = cpu.certified(query.view(), &quantized, wanted.limit, |some| {
        let chosen = some.iter().map(|&at| numbers[at]).collect();
        // One query, one ranking.
        let ranking = rank(reader, using, &[(query, &chosen)], Wanted::all())?.swap_remove(0);
        execution = Some(ranking.execution);
        let place = |number| numbers.binary_search(&number).unwrap_or_default();
        Ok(ranking.hits.into_iter().map(|hit| (place(hit.id), hit.score)).collect())
    })?;
    let (bounded, scored) = (contenders.bounded, contenders.scored.len());
    let scored_points = contenders.scored.into_iter();
    let hits = scored_points.map(|(at, score)| Scored { id: numbers[at], score }).collect();
    let execution = execution.unwrap_or_else(|| reader.shared.reranker.execution());
    let bounding = match bounded {
        0 => Bounding::NotAsked,
        _ => Bounding::Certified(Certified { bounded, scored }),
    };
    let ranked = Ranked { hits: wanted.hits_of(hits), matches: Vec::new(), bounding };
    Ok(Some(Ranking::new(ranked, &execution)))
}
