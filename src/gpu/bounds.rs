//! Upper bounds of scores, from documents that are resident in int8: one pass over all of them.

use super::batch::{QueryTokens, Work};
use super::device::Gpu;
use super::plan::Plan;
use super::quantized::{int8_tokens, prove_bounds};
use super::request::grouped;
use super::results::Results;
use super::statistics::Statistics;
use super::store::{QuantizedStore, Stored};
use crate::Result;
use crate::ranking::{DocumentId, Query};

/// Bounds of every candidate of each query, in their order; `None` where they would be of no use.
///
/// # Errors
/// A candidate is not resident; the device is lost or out of memory, or bounds a known batch wrong.
pub(super) fn bounds<Id: DocumentId>(
    gpu: &Gpu,
    store: &QuantizedStore<Id>,
    queries: &[Query<'_, Id>],
) -> Result<Option<(Vec<Vec<f32>>, Statistics)>> {
    let most = queries.iter().map(|query| query.tokens.tokens()).max().unwrap_or_default();
    let plan = Plan::of_bounds(gpu.limits, (most, store.dim()))?;
    prove_bounds(gpu, &plan)?;
    let tokens: Option<Vec<Vec<u8>>> = queries.iter().map(|it| int8_tokens(it.tokens)).collect();
    let Some(tokens) = tokens else { return Ok(None) };
    let tokens: Vec<_> = queries
        .iter()
        .zip(&tokens)
        .map(|(query, bytes)| QueryTokens::Int8 { bytes, tokens: query.tokens.tokens() })
        .collect();
    let (groups, candidates) = grouped(&plan, queries);
    let source =
        &Stored { store: Some(store.rows()), matrices: &|_| Ok(None), candidates: &candidates };
    let work = Work { plan: &plan, queries: &tokens, groups: &groups, source };
    match gpu.run(&work)? {
        (Results::Scores(bounds), statistics) => Ok(Some((bounds, statistics))),
        _ => Ok(None),
    }
}
