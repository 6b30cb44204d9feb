//! Many documents in parallel.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use half::f16;
use rayon::prelude::*;

use super::integers::Integers;
use super::kernel::{Estimates, Scratch};
use super::query::{Bounds, QuantizedQuery};
use crate::background::Cancellation;
use crate::maxsim::claims;
use crate::maxsim::scorer::{PART_TOKENS, values_of};
use crate::multivector::TokenMatrixRef;

/// Bounds on the scores of documents, of which the first are a `sample`; `None` where their bounds say, by `pays`, that those
/// of the others aren't worth their time, or where the call is cancelled.
pub(in crate::maxsim) fn bounds(
    integers: Integers,
    query: &QuantizedQuery,
    documents: &[TokenMatrixRef<'_>],
    (sample, pays): (usize, impl Fn(&[Bounds]) -> bool + Sync),
    cancellation: &Cancellation,
) -> Option<Vec<Bounds>> {
    let (count, first) = (documents.len(), Mutex::new(Vec::with_capacity(sample)));
    // Whoever bounds the last of the sample decides, while others go on.
    let go_on = |bounds| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        first.push(bounds);
        first.len() != sample || pays(&first)
    };
    let bound = |scratch: &mut Scratch, number| {
        if cancellation.is_cancelled() {
            return None;
        }
        let (tokens, next) = (values_of(documents, number), values_of(documents, number + 1));
        let bounds = estimates(integers, query, tokens, next, scratch).bounds(query);
        (number >= sample || go_on(bounds)).then_some(bounds)
    };
    let found = claims::each((count, claims::fair(count)), || Scratch::new(query), bound);
    (found.len() == count).then_some(found)
}

/// The estimates of a document; of a long one, from parts that several threads may take.
fn estimates<'a>(
    integers: Integers,
    query: &QuantizedQuery,
    tokens: &[f16],
    next: &[f16],
    scratch: &'a mut Scratch,
) -> Cow<'a, Estimates> {
    let part = PART_TOKENS * query.dim();
    if tokens.len() <= part {
        scratch.reset();
        integers.fold(query, tokens, next, scratch);
        return Cow::Borrowed(scratch.estimates());
    }
    let fold = |scratch: &mut Scratch, tokens| {
        scratch.reset();
        integers.fold(query, tokens, &[], scratch);
        scratch.estimates().clone()
    };
    let parts = tokens.par_chunks(part).map_init(|| Scratch::new(query), fold);
    Cow::Owned(parts.reduce(|| Estimates::new(query), |all, more| all.merge(&more)))
}
