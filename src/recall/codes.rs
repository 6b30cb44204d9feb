//! Vectors in a byte a value, which walks look at first.

use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Distance;
use super::blocks::Blocks;
use super::fetch::{fetch, fetched_ahead};
use crate::maxsim::{Coded, CodedQuery, Head, Nearly};

/// With fewer values, a row of f32 is a line or two of the cache, and bytes save nothing.
const WORTH_CODING: usize = 48;

/// Codes of a number.
const PER_NUMBER: usize = size_of::<u32>();

/// Numbers before the codes: those of [`Head`].
const HEAD: usize = 4;

/// Vectors by node, coded.
pub(super) struct Codes {
    dim: usize,
    rows: Blocks,
}

impl Codes {
    /// None where the vectors can't be coded, or would gain nothing.
    pub(super) fn new(distance: Distance, dim: usize) -> Option<Self> {
        Self::stride(distance, dim).map(|stride| Self { dim, rows: Blocks::new(stride) })
    }

    /// Those of a file.
    pub(super) fn from_file(dim: usize, rows: Blocks) -> Self {
        Self { dim, rows }
    }

    /// Numbers that a coded vector takes; none where vectors can't be coded, or would gain nothing.
    pub(super) fn stride(distance: Distance, dim: usize) -> Option<usize> {
        let pays = dim >= WORTH_CODING && Coded::is_possible(dim);
        let stride = HEAD + dim.div_ceil(PER_NUMBER);
        (pays && distance != Distance::Manhattan).then_some(stride)
    }

    /// Appends a vector. One thread at a time.
    pub(super) fn push(&self, vector: &[f32]) {
        self.rows.push(row(vector));
    }

    /// Appends the nearness of each of some vectors to a query, nearly. Of those that aren't there, it
    /// may be anything.
    pub(super) fn nearness_of(
        &self,
        by: Distance,
        query: &CodedQuery,
        which: impl Iterator<Item = usize> + Clone,
        to: &mut Vec<f32>,
    ) {
        let rows = self.rows(which);
        let mut add = |it: f64| to.push(if it.is_nan() { f32::MIN } else { it as f32 });
        match by {
            Distance::Euclid => query.squared_distances(rows, |squared| add(-squared.value)),
            _ => query.products(rows, |product| add(product.value)),
        }
    }

    /// Calls `to` with what the similarity of each of some vectors and a query is at least, and at most.
    pub(super) fn bounds_of(
        &self,
        by: Distance,
        query: &CodedQuery,
        which: impl Iterator<Item = usize> + Clone,
        mut to: impl FnMut([f64; 2]),
    ) {
        let rows = self.rows(which);
        let mut bounds = |Nearly { value, off }: Nearly| to([value - off, value + off]);
        match by {
            Distance::Euclid => query.squared_distances(rows, |squared| {
                bounds(Nearly { value: -squared.value.max(0.0).sqrt(), ..squared });
            }),
            _ => query.products(rows, bounds),
        }
    }

    #[inline(always)]
    fn rows(&self, which: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = Coded<'_>> {
        fetched_ahead(which, |at| fetch(self.row(at))).map(|at| self.coded(at))
    }

    /// A vector as it is written; no numbers if there is none.
    #[inline(always)]
    pub(super) fn row(&self, at: usize) -> &[AtomicU32] {
        self.rows.get(at).unwrap_or_default()
    }

    /// A vector; one without values if there is none.
    #[inline(always)]
    fn coded(&self, at: usize) -> Coded<'_> {
        let value = |number: &AtomicU32| f32::from_bits(number.load(Ordering::Relaxed));
        let (head, codes) = self.row(at).split_at_checked(HEAD).unwrap_or_default();
        let mut head = head.iter().map(value);
        let [first, step, norm, error] = std::array::from_fn(|_| head.next().unwrap_or_default());
        let dim = self.dim.min(codes.len() * PER_NUMBER);
        // SAFETY: bytes of the same memory, which nobody writes to any more: see `values`.
        let codes = unsafe { slice::from_raw_parts(codes.as_ptr().cast(), dim) };
        Coded { head: Head { first, step, norm, error }, codes }
    }
}

/// A vector as numbers of a row.
fn row(vector: &[f32]) -> impl Iterator<Item = u32> {
    let mut codes = vec![0_u32; vector.len().div_ceil(PER_NUMBER)];
    let bytes = &mut bytemuck::cast_slice_mut(&mut codes)[..vector.len()];
    let Head { first, step, norm, error } = Head::encode(vector, bytes);
    [first, step, norm, error].map(f32::to_bits).into_iter().chain(codes)
}
