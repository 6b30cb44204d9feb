//! An index as of one moment, and how it is searched.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::documents::Documents;
use super::gauge::Gauge;
use super::graph::Graph;
use super::params::check;
use super::ranking::{Candidate, Top};
use super::scan;
use super::vectors::NodeId;
use super::{Allowed, Distance, HnswParams};
use super::{Recalled, ScanReason, SearchParams, Strategy};
use crate::Result;

/// An [`HnswIndex`](super::HnswIndex) as of one published batch. A clone costs nothing.
///
/// A walk looks at a small part of the vectors, and so may miss a near one. Every search decides
/// between the walk and an exact scan, and says which it was:
///
/// - It scans where no more documents are allowed than a walk would look at, or than it would take the time of.
/// - With a filter that allows much, it walks as though there were none, with an `ef` so much larger that
///   enough of what it finds is allowed. With others it looks at allowed documents only, and takes the links
///   of those between them for theirs.
/// - It walks with a larger `ef` than the index was made with where a sample of the graph's own vectors
///   says that less than 95 % of the ten nearest would be found. Queries that are unlike the vectors may
///   fare otherwise.
/// - It scans after a walk that found fewer documents than asked for, though more are allowed.
/// - Beside a walk it scans what was [appended](super::HnswBatch::append) and is not linked yet.
///
/// So a search always returns as many documents as are allowed, up to its limit, and with the same
/// scores as a scan.
#[derive(Clone)]
pub struct HnswView {
    pub(super) graph: Arc<Graph>,
    pub(super) documents: Arc<Documents>,
    /// Number of nodes that are linked, the first ones.
    pub(super) linked: usize,
    pub(super) gauge: Gauge,
    /// The caller's state that this belongs to.
    pub(super) stamp: u64,
}

impl HnswView {
    /// The `limit` documents that are nearest to `query`, or nearly so, of those allowed: score
    /// descending, then number ascending. `None` allows all.
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
        let query = self.graph.prepared(query)?;
        let search = Search { view: self, query: &query, limit, allowed: self.allowed(allowed) };
        search.run(params)
    }

    /// Links the next nodes, so many at most.
    pub(super) fn link(&mut self, most: usize) {
        self.graph.link_next(most);
        self.linked = self.graph.linked();
        self.gauge = self.gauge.after(&self.graph);
    }

    /// Those allowed documents that there are; `None` if there are no others.
    fn allowed(&self, allowed: Option<&Allowed>) -> Option<RoaringBitmap> {
        let there = self.documents.numbers();
        let allowed = allowed?.numbers().map(|allowed| allowed & there).unwrap_or_default();
        (allowed.len() < there.len()).then_some(allowed)
    }

    /// Stamp that the batch was published with; 0 before the first.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The numbers of all documents.
    pub fn numbers(&self) -> &RoaringBitmap {
        self.documents.numbers()
    }

    /// Returns `true` if there is a document of that number.
    pub fn contains(&self, number: u32) -> bool {
        self.documents.node_of(number).is_some()
    }

    /// A document's vector as it is compared: for the cosine at unit length.
    pub fn vector(&self, number: u32) -> Option<&[f32]> {
        self.graph.vector(self.documents.node_of(number)?)
    }

    /// Distance by which vectors are compared.
    pub fn distance(&self) -> Distance {
        self.graph.vectors.distance
    }

    /// The parameters that the index was made with.
    pub fn params(&self) -> HnswParams {
        self.graph.params
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.graph.vectors.dim
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Returns `true` if there are no documents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for HnswView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut view = f.debug_struct("HnswView");
        view.field("distance", &self.distance()).field("params", &self.params());
        view.field("dim", &self.dim()).field("len", &self.len()).field("stamp", &self.stamp());
        view.finish_non_exhaustive()
    }
}

/// Part of the documents: where less is allowed, a walk looks at nothing else. At a third, that takes
/// as long as a walk past all vectors.
const FEW: f64 = 0.3;

/// One search.
struct Search<'s> {
    view: &'s HnswView,
    /// Prepared.
    query: &'s [f32],
    limit: usize,
    /// `None` for all.
    allowed: Option<RoaringBitmap>,
}

impl Search<'_> {
    fn run(&self, params: SearchParams) -> Result<Recalled> {
        let strategy = self.plan(params)?;
        let documents = self.documents();
        let reason = match strategy {
            Strategy::Scan { reason, .. } => reason,
            Strategy::Graph { ef, .. } => {
                let (candidates, unlinked) = self.walk(ef)?;
                let (found, wanted) = (candidates.len(), self.limit.min(documents));
                if found == wanted {
                    return Ok(Recalled { candidates, strategy, unlinked });
                }
                ScanReason::WalkFellShort { found, wanted }
            }
        };
        let candidates = self.scan(self.held())?;
        Ok(Recalled { candidates, strategy: Strategy::Scan { documents, reason }, unlinked: 0 })
    }

    /// Number of allowed documents.
    fn documents(&self) -> usize {
        self.allowed.as_ref().map_or(self.view.len(), |allowed| allowed.len() as usize)
    }

    fn plan(&self, params: SearchParams) -> Result<Strategy> {
        let graph = self.view.params();
        let enough = self.view.gauge.ef();
        let ef = params.hnsw_ef.unwrap_or(graph.ef_search.max(enough.unwrap_or_default()));
        check("hnsw_ef", ef, 1..=usize::MAX)?;
        let documents = self.documents();
        let reason = match params.exact {
            true => ScanReason::Requested,
            _ if graph.m == 0 => ScanReason::NoGraph,
            _ if self.is_scan_cheaper(ef) => ScanReason::Cheaper { ef: self.ef_past_all(ef) },
            _ => {
                let enough = enough.map(|ef| self.ef_for(ef));
                return Ok(Strategy::Graph { ef: self.ef_for(ef), enough });
            }
        };
        Ok(Strategy::Scan { documents, reason })
    }

    fn is_scan_cheaper(&self, ef: usize) -> bool {
        let (graph, ef, documents) = (self.view.params(), self.ef_for(ef), self.documents());
        match self.part() < FEW {
            true => graph.is_scan_of_few_cheaper(ef, documents),
            false => graph.is_scan_cheaper(ef, documents),
        }
    }

    /// The part of the graph's vectors that is allowed, above 0.
    fn part(&self) -> f64 {
        let part = self.documents().max(1) as f64 / self.view.graph.len().max(1) as f64;
        part.min(1.0)
    }

    /// The `ef` of a walk that finds `ef`, and the limit, of allowed documents.
    fn ef_for(&self, ef: usize) -> usize {
        if self.part() < FEW { ef.max(self.limit) } else { self.ef_past_all(ef) }
    }

    /// The same of a walk past all vectors of the graph.
    fn ef_past_all(&self, ef: usize) -> usize {
        let part = self.part();
        // How many of those found are allowed is up to chance: three standard deviations of room.
        let limit = self.limit as f64;
        let wanted = limit + 3.0 * (limit * (1.0 - part)).sqrt();
        (wanted.max(ef as f64) / part).ceil() as usize
    }

    /// The best of a walk, and of those documents that no walk finds; and the number of these.
    fn walk(&self, ef: usize) -> Result<(Vec<Candidate>, usize)> {
        let mut top = Top::new(self.limit);
        let graph = &self.view.graph;
        let found = if self.allowed.is_some() && self.part() < FEW {
            let nodes = AllowedNodes::of(self);
            graph.nearest_allowed(self.query, ef, |node| nodes.contains(node))
        } else {
            graph.nearest(self.query, ef)
        };
        let linked = self.view.linked;
        for near in found.into_iter().filter(|near| (near.node() as usize) < linked) {
            let candidate =
                |number| Candidate { document: number as usize, score: near.nearness() };
            top.extend(self.documents_of(near.node()).map(candidate));
        }
        let unlinked = self.unlinked();
        let count = unlinked.len();
        top.extend(self.scan(unlinked)?);
        Ok((top.into_ranking(), count))
    }

    /// The allowed documents that are not linked yet, and their nodes.
    fn unlinked(&self) -> Vec<(u32, NodeId)> {
        let allows = |number| self.allowed.as_ref().is_none_or(|set| set.contains(number));
        let unlinked = self.view.documents.of_all(self.view.linked..self.view.graph.len());
        unlinked.filter(|&(number, _)| allows(number)).collect()
    }

    /// All allowed documents, and their nodes.
    fn held(&self) -> Vec<(u32, NodeId)> {
        let documents = &self.view.documents;
        let numbers = self.allowed.as_ref().unwrap_or(documents.numbers());
        let held = |number| Some((number, documents.node_of(number)?));
        numbers.iter().filter_map(held).collect()
    }

    /// The allowed documents that have a node's vector.
    fn documents_of(&self, node: NodeId) -> impl Iterator<Item = u32> {
        let allowed = |number: &u32| self.allowed.as_ref().is_none_or(|set| set.contains(*number));
        self.view.documents.of(node).filter(allowed)
    }

    /// The best of some documents.
    fn scan(&self, held: Vec<(u32, NodeId)>) -> Result<Vec<Candidate>> {
        if self.limit == 0 || held.is_empty() {
            return Ok(Vec::new());
        }
        let (graph, by) = (&self.view.graph, self.view.distance());
        let from = graph.vectors.from(by, self.query);
        // To code the query takes as long as comparing it with some documents.
        let is_rough = graph.is_rough() && scan::pays(held.len(), self.limit);
        let coded = if is_rough { from.coded() } else { None };
        scan::nearest(from.roughly(coded.as_ref()), self.view.dim(), self.limit, held)
    }
}

/// Nodes that have an allowed document: found out when one is first asked for, as a walk asks again and
/// again.
struct AllowedNodes<'s> {
    search: &'s Search<'s>,
    /// For each 64 nodes: which were asked for, and which of those are allowed.
    bits: Vec<Cell<[u64; 2]>>,
}

impl<'s> AllowedNodes<'s> {
    fn of(search: &'s Search<'s>) -> Self {
        Self { search, bits: vec![Cell::default(); search.view.graph.len().div_ceil(64)] }
    }

    fn contains(&self, node: NodeId) -> bool {
        let Some(bits) = self.bits.get(node as usize / 64) else { return false };
        let (bit, [mut asked, mut allowed]) = (1 << (node % 64), bits.get());
        if asked & bit == 0 {
            asked |= bit;
            if self.search.documents_of(node).next().is_some() {
                allowed |= bit;
            }
            bits.set([asked, allowed]);
        }
        allowed & bit != 0
    }
}
