//! The graph: hnsw_rs, and everything that it has to be kept from.
//!
//! hnsw_rs ends the process for an `m` above 256 and keeps `m` in a byte; it reserves memory for
//! any `ef_construct`; it panics at a distance that is negative or NaN; it forgets vectors that
//! meet in an empty graph on several threads; a crowd of equal vectors cuts its graph to pieces;
//! it returns fewer vectors than there are; its filtered search becomes a walk of everything; and
//! it panics when it is dropped after the clock was set back.
//! Nothing here can lead there. Its filters, its files and its `set_keeping_pruned` (clustered
//! vectors: recall 0.5 instead of 0.99) are not used.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hnsw_rs::hnsw::Hnsw;
use rayon::prelude::*;

use super::twins::Twins;
use super::{Distance, HnswParams};
use crate::Result;
use crate::multivector::DenseVectors;

/// hnsw_rs has no more.
const LAYERS: usize = 16;

/// Documents, linked to their neighbours; of documents with equal vectors, one for all.
pub(super) struct Graph {
    hnsw: ManuallyDrop<Hnsw<'static, f32, Descending>>,
    twins: Twins,
    documents: usize,
}

impl Graph {
    /// No documents yet, and room for some.
    pub(super) fn new(distance: Distance, params: HnswParams, room: usize) -> Result<Self> {
        params.check()?;
        let HnswParams { m, ef_construct, .. } = params;
        let hnsw = Hnsw::new(m, room, LAYERS, ef_construct, Descending(distance));
        Ok(Self { hnsw: ManuallyDrop::new(hnsw), twins: Twins::default(), documents: 0 })
    }

    /// Inserts those of all prepared vectors that are not there yet.
    pub(super) fn catch_up(&mut self, vectors: &DenseVectors) {
        let arrived = self.documents..vectors.len();
        self.documents = vectors.len();
        let new: Vec<_> = arrived.filter(|&it| self.twins.note(it, vectors)).collect();
        let insert = |&document: &usize| {
            if let Some(vector) = vectors.get(document) {
                self.hnsw.insert_slice((vector, document));
            }
        };
        // The first alone: in an empty graph, those that come together don't see each other.
        let (first, rest) = new.split_at(new.len().min(1));
        first.iter().for_each(insert);
        rest.par_iter().for_each(insert);
    }

    /// The documents of about the `ef` vectors nearest to a prepared query, in no order.
    pub(super) fn walk(&self, query: &[f32], ef: usize) -> impl Iterator<Item = usize> {
        let nearest = self.hnsw.search(query, ef, ef);
        nearest.into_iter().flat_map(|neighbour| self.twins.of(neighbour.d_id))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: dropped here, once, and not used afterwards.
        let drop = || unsafe { ManuallyDrop::drop(&mut self.hnsw) };
        if catch_unwind(AssertUnwindSafe(drop)).is_err() {
            log::debug!("hnsw_rs panicked when its graph was dropped");
        }
    }
}

/// A distance for hnsw_rs, never negative, never NaN.
///
/// HNSW does nothing with distances but compare them, so any number will do that falls where the
/// similarity rises.
struct Descending(Distance);

impl anndists::dist::distances::Distance<f32> for Descending {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        descending(self.0.similarity(a, b))
    }
}

/// Maps the finite f32s, from the largest to the smallest, onto those from 0 to the largest.
///
/// They are counted downwards, and half the count is read as the bits of an f32. So numbers of
/// every magnitude stay apart up to their last bit, where `1 - similarity` would make all the
/// tiny ones equal.
fn descending(similarity: f32) -> f32 {
    let bits = similarity.to_bits() as i32;
    // As in f32::total_cmp: the bits of negative numbers count the wrong way.
    let ascending = bits ^ (((bits >> 31) as u32) >> 1) as i32;
    let count = i64::from(f32::MAX.to_bits()) - i64::from(ascending);
    f32::from_bits((count / 2) as u32)
}

#[cfg(test)]
mod tests {
    use super::descending;

    #[test]
    fn distances_fall_as_similarities_rise() {
        let magnitudes = [0.0, 1e-45, 1e-30, 1e-9, 0.5, 1.0, 1.000_001, 20.0, 1e19, f32::MAX];
        let negative = magnitudes.iter().rev().map(|magnitude| -magnitude);
        let ascending: Vec<f32> = negative.chain(magnitudes).collect();
        for pair in ascending.windows(2).filter(|pair| pair[0] != pair[1]) {
            assert!(descending(pair[0]) >= descending(pair[1]), "{pair:?}");
            let halved = pair[1].to_bits().abs_diff(pair[0].to_bits()) < 2;
            assert!(halved || descending(pair[0]) > descending(pair[1]), "{pair:?}");
        }
        assert_eq!(descending(f32::MAX), 0.0);
        assert_eq!(descending(f32::MIN), f32::MAX);
    }
}
