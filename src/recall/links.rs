//! The upper layers of a graph, as hnsw_rs builds them, and everything that it has to be kept from.
//!
//! hnsw_rs ends the process for an `m` above 256 and keeps `m` in a byte; it reserves memory for
//! any `ef_construct`; it panics at a distance that is negative or NaN; it forgets vectors that
//! meet in an empty graph on several threads; it gives up the longest links first, which makes
//! islands of vectors that come side by side; it returns fewer vectors than there are; its filtered
//! search becomes a walk of everything; it ends the process at files that are not its own; it needs
//! 3 KB for each vector; it uses rayon when it is dropped, and panics then if the clock was set back.
//! Nothing here can lead there: it builds, its links are taken, and it goes. Its searches, its files,
//! its filters and its `set_keeping_pruned` (clustered vectors: recall 0.5 instead of 0.99) are not used.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use hnsw_rs::hnsw::{Hnsw, Point};

use super::near::ascending;
use super::threads::each;
use super::upper::Upper;
use super::vectors::Vectors;
use super::{Distance, HnswParams, NodeId};

/// hnsw_rs has no more.
const LAYERS: usize = 16;

/// The first few are linked one by one: those that meet in an empty graph would be forgotten.
const ALONE: usize = 16;

/// Nodes that are worth a thread.
const WORTH_A_THREAD: usize = 16;

/// Links nodes, on as many threads as rayon has here. `params` are [checked](HnswParams::check).
pub(super) fn build(params: HnswParams, vectors: &Arc<Vectors>, nodes: &[NodeId]) -> Upper {
    let HnswParams { m, ef_construct, .. } = params;
    let space = Space::new(Arc::clone(vectors));
    let links = Links(ManuallyDrop::new(Hnsw::new(m, 0, LAYERS, ef_construct, space)));
    let insert = |&node: &NodeId| links.0.insert_slice((&[node], node as usize));
    let (alone, rest) = nodes.split_at(ALONE.min(nodes.len()));
    alone.iter().for_each(insert);
    each(rest, WORTH_A_THREAD, insert);
    links.flat()
}

/// hnsw_rs's graph. To it a vector is a slice of `u32`, which has the number of the node alone. So
/// vectors are kept once, by [`Vectors`].
struct Links(ManuallyDrop<Hnsw<'static, u32, Space>>);

impl Links {
    /// The same links without hnsw_rs.
    fn flat(&self) -> Upper {
        let points = self.0.get_point_indexation();
        let top = points.get_max_level_observed().min(LAYERS as u8 - 1);
        let points = (0..=top).flat_map(|layer| points.get_layer_iterator(layer.into()));
        Upper::of(points.map(|point| linked(&point)).collect())
    }
}

/// The node of a point, and its links in each layer that it is in.
fn linked(point: &Point<'_, u32>) -> (NodeId, Vec<Vec<NodeId>>) {
    let layers = usize::from(point.get_point_id().0) + 1;
    let layers = point.get_neighborhood_id().into_iter().take(layers);
    let links = layers.map(|links| links.iter().map(|it| it.get_origin_id() as NodeId).collect());
    (point.get_origin_id() as NodeId, links.collect())
}

impl Drop for Links {
    fn drop(&mut self) {
        // SAFETY: taken here, once, and not used afterwards.
        let hnsw = unsafe { ManuallyDrop::take(&mut self.0) };
        let drop = || {
            if catch_unwind(AssertUnwindSafe(|| drop(hnsw))).is_err() {
                log::debug!("hnsw_rs panicked when its graph was dropped");
            }
        };
        // It waits for rayon, which the caller must not, as it may hold a lock. Without a thread it
        // is not dropped, but lost.
        _ = thread::Builder::new().name("maxfold drop".into()).spawn(drop);
    }
}

/// A distance for hnsw_rs, never negative, never NaN.
///
/// HNSW does nothing with distances but compare them, so any number will do that falls where the
/// similarity rises. What is lost is the farthest.
struct Space {
    vectors: Arc<Vectors>,
    /// Distance by which nodes are compared with each other.
    by: Distance,
}

impl anndists::dist::distances::Distance<u32> for Space {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        let similarity = match (a, b) {
            (&[a], &[b]) => self.vectors.nearness(self.by, a, b),
            _ => None,
        };
        similarity.map_or(f32::MAX, descending)
    }
}

impl Space {
    fn new(vectors: Arc<Vectors>) -> Self {
        // The longest vectors would have all the links that go by the dot product.
        let by = match vectors.distance {
            Distance::Dot => Distance::Euclid,
            other => other,
        };
        Self { vectors, by }
    }
}

/// Maps the finite f32s, from the largest to the smallest, onto those from 0 to the largest.
///
/// They are counted downwards, and half the count is read as the bits of an f32. So numbers of
/// every magnitude stay apart up to their last bit, where `1 - similarity` would make all the
/// tiny ones equal.
fn descending(similarity: f32) -> f32 {
    f32::from_bits(ascending(f32::MAX).saturating_sub(ascending(similarity)) / 2)
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
