//! Exact scans, which look at coded vectors first: these say how near the vectors are at most.

use super::exact::{VALUES_PER_THREAD, best};
use super::ranking::Candidate;
use super::vectors::{NodeId, Outlook};
use crate::Result;
use crate::background::Cancellation;
use crate::maxsim::claimed;

/// With less than so many documents for each that is wanted, most would be looked at twice.
const WORTH_BOUNDS: usize = 3;

/// Codes of so many vectors take the time of one.
const CODES_PER_VECTOR: usize = 4;

/// A document, and the node of its vector.
type Held = (u32, NodeId);

/// Tells whether it pays to look at codes first, where so many documents are compared.
pub(super) fn pays(documents: usize, limit: usize) -> bool {
    documents / WORTH_BOUNDS > limit
}

/// The `limit` of these documents that are nearest; those that are far by their codes are left out first, if it is
/// codes that are looked at.
pub(super) fn nearest(
    from: Outlook<'_>,
    dim: usize,
    limit: usize,
    documents: Vec<Held>,
) -> Result<Vec<Candidate>> {
    let documents = match from.is_rough() {
        true => without_far(from, dim, limit, documents)?,
        false => documents,
    };
    let exact = from.exact();
    best(limit, dim, (documents.len(), |at| documents[at]), |(number, node), top| {
        top.push(Candidate { document: number as usize, score: exact.nearness(node) });
    })
}

/// Documents that may be among the nearest.
fn without_far(
    from: Outlook<'_>,
    dim: usize,
    limit: usize,
    documents: Vec<Held>,
) -> Result<Vec<Held>> {
    let cancellation = Cancellation::current();
    let worth_a_thread = CODES_PER_VECTOR * VALUES_PER_THREAD.div_ceil(dim);
    let bounds = |chunk: &[Held]| {
        let mut bounds = Vec::with_capacity(chunk.len());
        if !cancellation.is_cancelled() {
            from.bounds_of(chunk.iter().map(|&(_, node)| node), |it| bounds.push(it));
        }
        bounds
    };
    let chunks: Vec<&[Held]> = documents.chunks(worth_a_thread).collect();
    let bounds: Vec<Vec<_>> = claimed((chunks.len(), 1), || (), |(), at| Some(bounds(chunks[at])));
    cancellation.check()?;
    let least = bounds.iter().flatten().map(|&[least, _]| least);
    // What is NaN says nothing.
    let mut least: Vec<f64> = least.map(|it| it.max(f64::NEG_INFINITY)).collect();
    if least.len() < documents.len() {
        return Ok(documents);
    }
    // So many are as near as this at least.
    let nth = limit.saturating_sub(1);
    let (_, &mut bar, _) = least.select_nth_unstable_by(nth, |a, b| b.total_cmp(a));
    // Similarities beyond f32 are all the same.
    let bar = bar.min(f32::MAX.into());
    let is_far = |&[_, most]: &[f64; 2]| most < bar && bar > f32::MIN.into();
    let pairs = documents.into_iter().zip(bounds.iter().flatten());
    Ok(pairs.filter(|(_, bounds)| !is_far(bounds)).map(|(held, _)| held).collect())
}
