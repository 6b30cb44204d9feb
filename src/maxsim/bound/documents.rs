//! Many documents in parallel.

use std::borrow::Cow;
use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::integers::Integers;
use super::kernel::{Estimates, Scratch};
use super::query::{Bounds, QuantizedQuery};
use crate::background::Cancellation;
use crate::maxsim::scorer::{PART_TOKENS, values_of};
use crate::multivector::TokenMatrixRef;

/// Bounds on the scores of some of the documents; of none of the rest, once the call is cancelled.
pub(in crate::maxsim) fn bounds(
    integers: Integers,
    query: &QuantizedQuery,
    documents: &[TokenMatrixRef<'_>],
    some: Range<usize>,
    cancellation: &Cancellation,
) -> Vec<Bounds> {
    let bound = |scratch: &mut Scratch, number| {
        if cancellation.is_cancelled() {
            return Bounds { lower: 0.0, upper: 0.0 };
        }
        let (tokens, next) = (values_of(documents, number), values_of(documents, number + 1));
        estimates(integers, query, tokens, next, scratch).bounds(query)
    };
    some.into_par_iter().map_init(|| Scratch::new(query), bound).collect()
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
