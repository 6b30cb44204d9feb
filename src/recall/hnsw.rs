//! The fast way: a walk on a graph of neighbours, or a scan where that is better.

use std::fmt;

use super::graph::Graph;
use super::params::check;
use super::ranking::{Candidate, Top};
use super::{Allowed, Distance, ExactIndex, HnswParams};
use super::{Recalled, ScanReason, SearchParams, Strategy};
use crate::Result;
use crate::multivector::DenseVectors;

/// Dense vectors, searched by a walk on a hierarchical navigable small world graph
/// ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320)).
///
/// A walk looks at a small part of the vectors, and so may miss a near one. Every search decides
/// between the walk and a [scan](ExactIndex), and says which it was:
///
/// - It scans where no more documents are allowed than a walk would look at: 2 · `m` neighbours of
///   each of `ef` vectors.
/// - With a filter, it walks as though there were none, with an `ef` so much larger that enough of
///   what it finds is allowed. Few allowed documents make for a large `ef`, and so for a scan.
/// - It scans after a walk that found fewer documents than asked for, though more are allowed.
///
/// So a search always returns as many documents as are allowed, up to its limit, and with the same
/// scores as a scan.
///
/// A graph over [`Distance::Dot`] finds less where vectors are clustered and of different lengths:
/// the dot product is no metric. Vectors of unit length are best searched by [`Distance::Cosine`].
///
/// The graph is that of hnsw_rs, which logs under its own name, and keeps a copy of the vectors. Two
/// graphs built from the same vectors may differ, as vectors are inserted in parallel, on rayon's
/// current thread pool.
pub struct HnswIndex {
    exact: ExactIndex,
    graph: Graph,
    params: HnswParams,
}

impl HnswIndex {
    /// Takes vectors as documents 0, 1, 2 … and builds their graph.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(distance: Distance, params: HnswParams, vectors: DenseVectors) -> Result<Self> {
        check("ef_search", params.ef_search, 1..=usize::MAX)?;
        let mut graph = Graph::new(distance, params, vectors.len())?;
        let exact = ExactIndex::new(distance, vectors)?;
        graph.catch_up(exact.vectors());
        Ok(Self { exact, graph, params })
    }

    /// Appends one vector, as the next document.
    ///
    /// # Errors
    /// Another dimension, NaN or infinity.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        self.exact.push(vector)?;
        self.graph.catch_up(self.exact.vectors());
        Ok(())
    }

    /// Appends many vectors, in their order; faster than one by one, as it is done in parallel.
    ///
    /// # Errors
    /// Another dimension.
    pub fn extend(&mut self, vectors: &DenseVectors) -> Result<()> {
        self.exact.extend(vectors)?;
        self.graph.catch_up(self.exact.vectors());
        Ok(())
    }

    /// The `limit` documents that are nearest to `query`, or nearly so, of those allowed. `None`
    /// allows all.
    ///
    /// # Errors
    /// A query of another dimension, NaN or infinity; `hnsw_ef` of 0.
    pub fn search(
        &self,
        query: &[f32],
        limit: usize,
        params: SearchParams,
        allowed: Option<&Allowed>,
    ) -> Result<Recalled> {
        let query = self.exact.prepared(query)?;
        let documents = allowed.map_or(self.len(), |allowed| allowed.count_below(self.len()));
        let strategy = self.plan(params, limit, documents)?;
        let candidates = match strategy {
            Strategy::Graph { ef } => self.walk(&query, limit, ef, allowed),
            Strategy::Scan { .. } => self.exact.scan(&query, limit, allowed),
        };
        let (found, wanted) = (candidates.len(), limit.min(documents));
        if found == wanted {
            return Ok(Recalled { candidates, strategy });
        }
        let reason = ScanReason::WalkFellShort { found, wanted };
        let candidates = self.exact.scan(&query, limit, allowed);
        Ok(Recalled { candidates, strategy: Strategy::Scan { documents, reason } })
    }

    /// How to find the nearest of so many allowed documents.
    fn plan(&self, params: SearchParams, limit: usize, documents: usize) -> Result<Strategy> {
        let ef = params.hnsw_ef.unwrap_or(self.params.ef_search);
        check("hnsw_ef", ef, 1..=usize::MAX)?;
        let scan = |reason| Strategy::Scan { documents, reason };
        if params.exact {
            return Ok(scan(ScanReason::Requested));
        }
        let ef = self.ef_for(ef, limit, documents);
        // Measured with m from 4 to 255: for each vector that a walk keeps, it takes as long as a
        // scan of 2 · m to 18 · m. So a scan within this bound is no slower, and exact.
        let compared = ef.saturating_mul(2 * self.params.m);
        let scanned = documents <= compared;
        Ok(if scanned { scan(ScanReason::Cheaper { ef }) } else { Strategy::Graph { ef } })
    }

    /// The `ef` of a walk that finds `ef`, and `limit`, of `documents` allowed ones.
    fn ef_for(&self, ef: usize, limit: usize, documents: usize) -> usize {
        let all = self.len();
        if documents == all {
            return ef.max(limit);
        }
        // How many of those found are allowed is up to chance: twice the limit leaves room.
        let wanted = ef.max(limit.saturating_mul(2));
        (wanted as f64 * all as f64 / documents as f64).ceil() as usize
    }

    fn walk(
        &self,
        query: &[f32],
        limit: usize,
        ef: usize,
        allowed: Option<&Allowed>,
    ) -> Vec<Candidate> {
        let found = self.graph.walk(query, ef);
        let found = found.filter(|&document| allowed.is_none_or(|set| set.contains(document)));
        let mut top = Top::new(limit);
        top.extend(found.filter_map(|document| self.exact.candidate(query, document)));
        top.into_ranking()
    }

    /// The same vectors, for exact searches.
    pub fn exact(&self) -> &ExactIndex {
        &self.exact
    }

    /// The parameters it was built with.
    pub fn params(&self) -> HnswParams {
        self.params
    }

    /// What nearness means here.
    pub fn distance(&self) -> Distance {
        self.exact.distance()
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.exact.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.exact.dim()
    }
}

impl fmt::Debug for HnswIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut index = f.debug_struct("HnswIndex");
        index.field("distance", &self.distance()).field("params", &self.params);
        index.field("len", &self.len()).field("dim", &self.dim()).finish_non_exhaustive()
    }
}
