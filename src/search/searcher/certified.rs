//! The best points by MaxSim, of which only those are read in f16 that int8 says may be among them.

use super::rank::rank;
use super::reader::Reader;
use crate::Result;
use crate::filter::{PointNumber, PointSet};
#[cfg(feature = "gpu")]
use crate::gpu::Stores;
use crate::multivector::TokenMatrix;
#[cfg(feature = "gpu")]
use crate::ranking::Query;
use crate::ranking::{Bounding, Certified, Ranked, Scored, Wanted};
use crate::rerank::Ranking;
#[cfg(feature = "gpu")]
use crate::rerank::{Backend, Execution};

/// The points that are wanted, bounded and scored by the CPU; `None` where all have to be scored anyway: they are not kept in
/// int8 or are too few.
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

/// The points that are wanted of each query, bounded on the GPU, where they are resident in int8; `None` where there is no
/// such GPU.
#[cfg(feature = "gpu")]
pub(super) fn certified_on_gpu(
    reader: &Reader<'_, '_>,
    using: &str,
    asked: &[(&TokenMatrix, &PointSet)],
    wanted: Wanted,
) -> Result<Option<Vec<Ranking<PointNumber>>>> {
    if reader.shared.reranker.cpu_alone().is_some() {
        return Ok(None);
    }
    let (residents, dim) = (reader.shared.residents(), asked.first().map_or(0, |it| it.0.dim()));
    let stores = residents.iter().find(|it| it.holds(using, dim)).map(|it| it.stores());
    let Some((quantized, exact)) = stores.and_then(|it| Some((it.quantized?, it.exact))) else {
        return Ok(None);
    };
    let stores = Stores {
        exact: exact.as_ref().map(|it| &it.store),
        quantized: Some(&quantized.store).filter(|it| it.statistics().documents > 0),
    };
    let candidates: Vec<Vec<PointNumber>> = asked.iter().map(|it| it.1.iter().collect()).collect();
    let queries = asked.iter().zip(&candidates);
    let queries =
        queries.map(|((tokens, _), candidates)| Query { tokens: tokens.view(), candidates });
    let queries: Vec<_> = queries.collect();
    let mut executions = Vec::new();
    let (hits, bounding) =
        reader.shared.reranker.certify(&queries, &stores, wanted, &mut |chosen| {
            let (scores, execution) = scores(reader, using, asked, chosen)?;
            executions.extend(execution);
            Ok(scores)
        })?;
    let on_gpu = executions.iter().all(|it| it.backend() == Backend::Gpu);
    let Some(hits) = hits.filter(|_| on_gpu) else {
        let rankings = rank(reader, using, asked, wanted)?.into_iter().zip(bounding);
        return Ok(Some(rankings.map(|(ranking, it)| again(ranking, it)).collect()));
    };
    let execution = executions.pop().unwrap_or_else(|| reader.shared.reranker.execution());
    let rankings = hits.into_iter().zip(bounding);
    let ranked = |(hits, bounding)| Ranked { hits, matches: Vec::new(), bounding };
    Ok(Some(rankings.map(|it| Ranking::new(ranked(it), &execution)).collect()))
}

/// The same ranking of all points, with the reason for which they were not bounded.
#[cfg(feature = "gpu")]
fn again(ranking: Ranking<PointNumber>, bounding: Bounding) -> Ranking<PointNumber> {
    let Ranking { hits, matches, execution, .. } = ranking;
    let left = matches!(bounding, Bounding::Left(_)) && execution.backend() == Backend::Gpu;
    let bounding = if left { bounding } else { Bounding::NotAsked };
    Ranking::new(Ranked { hits, matches, bounding }, &execution)
}

/// Scores of each query's chosen points, in their order.
#[cfg(feature = "gpu")]
fn scores(
    reader: &Reader<'_, '_>,
    using: &str,
    asked: &[(&TokenMatrix, &PointSet)],
    chosen: &[Query<'_, PointNumber>],
) -> Result<(Vec<Vec<f32>>, Option<Execution>)> {
    let sets: Vec<PointSet> =
        chosen.iter().map(|it| it.candidates.iter().copied().collect()).collect();
    let asked: Vec<_> = asked.iter().zip(&sets).map(|((tokens, _), set)| (*tokens, set)).collect();
    let rankings = rank(reader, using, &asked, Wanted::all())?;
    let execution = rankings.first().map(|it| it.execution.clone());
    let scores = chosen.iter().zip(rankings).map(|(query, mut ranking)| {
        ranking.hits.sort_unstable_by_key(|hit| hit.id);
        let score = |number: &PointNumber| {
            let found = ranking.hits.binary_search_by_key(number, |hit| hit.id).ok();
            found.map_or(f32::NEG_INFINITY, |at| ranking.hits[at].score)
        };
        query.candidates.iter().map(score).collect()
    });
    Ok((scores.collect(), execution))
}
