//! The upper layers of a graph: hnsw_rs, and everything that it has to be kept from.
//!
//! hnsw_rs ends the process for an `m` above 256 and keeps `m` in a byte; it reserves memory for
//! any `ef_construct`; it panics at a distance that is negative or NaN; it forgets vectors that
//! meet in an empty graph on several threads; it gives up the longest links first, which makes
//! islands of vectors that come side by side; it returns fewer vectors than there are; its filtered
//! search becomes a walk of everything; it ends the process at files that are not its own, and
//! panics where it can't write them; when it has read them it links by other rules than before; it
//! uses rayon when it is dropped, and panics then if the clock was set back.
//! Nothing here can lead there. Its filters and its `set_keeping_pruned` (clustered vectors: recall
//! 0.5 instead of 0.99) are not used.

use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use hnsw_rs::api::AnnT;
use hnsw_rs::hnsw::Hnsw;
use hnsw_rs::hnswio::HnswIo;

use super::vectors::Vectors;
use super::{Distance, HnswParams, NodeId};

/// hnsw_rs has no more.
const LAYERS: usize = 16;

/// Nodes that are linked to near ones, layer upon layer. May be walked while it grows. It has every
/// sixteenth node; a walk on all nodes begins with what it finds.
///
/// To hnsw_rs a vector is a slice of `u32`: a node is its number alone, and a query the bits of its
/// columns, with one more so that it is never taken for a node. So vectors are kept once, by
/// [`Vectors`], and hnsw_rs writes only links to its files.
pub(super) struct Links(ManuallyDrop<Hnsw<'static, u32, Space>>);

impl Links {
    /// `params` are [checked](HnswParams::check).
    pub(super) fn new(params: HnswParams, vectors: Arc<Vectors>) -> Self {
        let HnswParams { m, ef_construct, .. } = params;
        let space = Space::new(vectors);
        Self(ManuallyDrop::new(Hnsw::new(m, 0, LAYERS, ef_construct, space)))
    }

    /// Links a node to its neighbours, and them to it.
    pub(super) fn insert(&self, node: NodeId) {
        self.0.insert_slice((&[node], node as usize));
    }

    /// About the `ef` nodes here that are nearest to a prepared query, in no order.
    pub(super) fn nearest(&self, query: &[f32], ef: usize) -> impl Iterator<Item = NodeId> {
        let mut bits: Vec<u32> = Vec::with_capacity(query.len() + 1);
        bits.extend_from_slice(bytemuck::cast_slice(query));
        bits.push(0);
        self.search(&bits, ef)
    }

    /// About the `ef` nodes here that are nearest to a node, in no order.
    pub(super) fn near(&self, node: NodeId, ef: usize) -> impl Iterator<Item = NodeId> {
        self.search(&[node], ef)
    }

    fn search(&self, point: &[u32], ef: usize) -> impl Iterator<Item = NodeId> + use<> {
        self.0.search(point, ef, ef).into_iter().map(|neighbour| neighbour.d_id as NodeId)
    }

    /// Writes the two [files](files) of a graph that is not empty, into a folder that is there.
    pub(super) fn dump(&self, folder: &Path, name: &str) -> io::Result<()> {
        caught(|| {
            let dumped = self.0.file_dump(folder, name).map(drop);
            dumped.map_err(|error| error.downcast().unwrap_or_else(io::Error::other))
        })
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.0.get_nb_point()
    }

    /// Reads what [`Links::dump`] wrote on a machine like this one, and nothing else.
    pub(super) fn load(folder: &Path, name: &str, vectors: Arc<Vectors>) -> io::Result<Self> {
        // hnsw_rs wants the graph to outlive this, in case that vectors are mapped from the file:
        // 200 bytes, once for each graph.
        let files: &'static HnswIo = Box::leak(Box::new(HnswIo::new(folder, name)));
        let load = || files.load_hnsw_with_dist(Space::new(vectors)).map_err(io::Error::other);
        let hnsw = caught(load)?;
        let mut links = Self(ManuallyDrop::new(hnsw));
        links.0.set_extend_candidates(false);
        Ok(links)
    }
}

/// The files that a graph is dumped to.
pub(super) fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["graph", "data"].map(|kind| folder.join(format!("{name}.hnsw.{kind}")))
}

/// A panic as an error.
fn caught<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast::<String>().map_or_else(|_| "hnsw_rs panicked".into(), |it| *it);
        Err(io::Error::other(text))
    })
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
            (query, &[node]) | (&[node], query) => self.query(query, node),
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

    fn query(&self, bits: &[u32], node: NodeId) -> Option<f32> {
        let (_, bits) = bits.split_last()?;
        self.vectors.score(bytemuck::cast_slice(bits), node)
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
