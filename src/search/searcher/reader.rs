//! [`Reader`]: one state of a collection, and what is asked of it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use roaring::RoaringBitmap;

use super::best::{Scored, ranked};
use super::shared::Shared;
use super::stage::Search;
use crate::Result;
use crate::collection::{Snapshot, Vector, VectorKind};
use crate::filter::{Filter, PayloadSelector, PointId, Selected};
use crate::recall::{Distance, HnswView};
use crate::search::{
    Prefetch, QueryPlan, QueryRequest, QueryResponse, ScoredPoint, Stage, WithVector,
};

/// One state of a collection, for the requests of one call.
pub(super) struct Reader<'s, 'r> {
    pub shared: &'s Shared,
    pub snapshot: Snapshot<'s>,
    /// How many transactions what is derived is behind.
    pub behind: u64,
    /// The graphs, by name.
    views: Vec<(&'s str, HnswView)>,
    /// What was selected so far. Requests of one call often have the same filters.
    selected: Vec<(&'r Filter, Rc<Selected>)>,
}

impl<'s, 'r> Reader<'s, 'r> {
    pub fn new(shared: &'s Shared) -> Result<Self> {
        let views = shared.graphs.iter().map(|graph| (graph.name(), graph.view())).collect();
        let snapshot = shared.collection.snapshot()?;
        let behind = shared.behind(snapshot.transaction());
        Ok(Self { shared, snapshot, behind, views, selected: Vec::new() })
    }

    /// The graph of a vector, if it has one. It may be of another state than the snapshot.
    pub fn view(&self, name: &str) -> Option<&HnswView> {
        self.views.iter().find(|(it, _)| *it == name).map(|(_, view)| view)
    }

    pub fn answer(&mut self, request: &'r QueryRequest) -> Result<QueryResponse> {
        let start = Instant::now();
        self.check(request)?;
        let (mut candidates, mut prefetch) = (RoaringBitmap::new(), Vec::new());
        for one in &request.prefetch {
            let (scored, stage) = self.prefetch(one, request.filter.as_ref())?;
            candidates.extend(scored.iter().map(|(number, _)| *number));
            prefetch.push(stage);
        }
        let candidates = (!prefetch.is_empty()).then_some(candidates);
        let (scored, query) = self.query(request, candidates)?;
        let points = self.points(request, scored)?;
        let (transaction, behind) = (self.snapshot.transaction(), self.behind);
        let plan = QueryPlan { transaction, behind, prefetch, query, time: start.elapsed() };
        Ok(QueryResponse { points, plan })
    }

    /// Refuses what would only be noticed by some answers.
    fn check(&self, request: &QueryRequest) -> Result<()> {
        request.prefetch.iter().try_for_each(|prefetch| prefetch.asked().check())?;
        request.asked().check()?;
        if let WithVector::Named(names) = &request.with_vector {
            let config = self.shared.collection.config();
            names.iter().try_for_each(|name| config.get(name).map(drop))?;
        }
        Ok(())
    }

    /// The filter of a request holds for its prefetches, too: they would find in vain what it
    /// forbids.
    fn prefetch(
        &mut self,
        prefetch: &'r Prefetch,
        filter: Option<&'r Filter>,
    ) -> Result<(Vec<Scored>, Stage)> {
        let Prefetch { query, using, filter: own, params, score_threshold, limit } = prefetch;
        self.search(Search {
            using,
            query,
            filters: [filter, own.as_ref()],
            candidates: None,
            params: *params,
            score_threshold: *score_threshold,
            limit: *limit,
        })
    }

    fn query(
        &mut self,
        request: &'r QueryRequest,
        candidates: Option<RoaringBitmap>,
    ) -> Result<(Vec<Scored>, Stage)> {
        self.search(Search {
            using: &request.using,
            query: &request.query,
            filters: [request.filter.as_ref(), None],
            candidates,
            params: request.params,
            score_threshold: request.score_threshold,
            limit: request.limit.saturating_add(request.offset),
        })
    }

    /// The points that a filter means, and how many payloads had to be read for that.
    pub fn select(&mut self, filter: &'r Filter) -> Result<(Rc<Selected>, u64)> {
        if let Some((_, known)) = self.selected.iter().find(|(it, _)| *it == filter) {
            return Ok((known.clone(), 0));
        }
        let selected = Rc::new(self.snapshot.select(filter)?);
        self.selected.push((filter, selected.clone()));
        let read = selected.scanned;
        Ok((selected, read))
    }

    fn points(&self, request: &QueryRequest, scored: Vec<Scored>) -> Result<Vec<ScoredPoint>> {
        let distance = self.shared.collection.config().get(&request.using)?.distance;
        let ranked = ranked(&self.snapshot, scored)?.into_iter();
        let wanted = ranked.skip(request.offset);
        wanted.map(|(id, scored)| self.point(request, distance, id, scored)).collect()
    }

    fn point(
        &self,
        request: &QueryRequest,
        distance: Distance,
        id: PointId,
        (number, score): Scored,
    ) -> Result<ScoredPoint> {
        let payload = match &request.with_payload {
            PayloadSelector::None => None,
            some => some.select(self.snapshot.payload(number)?.1),
        };
        let vectors = match &request.with_vector {
            WithVector::None => None,
            WithVector::All => Some(self.vectors(number, |_| true)?),
            WithVector::Named(names) => {
                Some(self.vectors(number, |name| names.iter().any(|it| it == name))?)
            }
        };
        Ok(ScoredPoint { id, score: reported(distance, score), payload, vectors })
    }

    fn vectors(
        &self,
        number: u32,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vector>> {
        let mut vectors = BTreeMap::new();
        let config = self.shared.collection.config();
        for (name, config) in config.vectors().filter(|(name, _)| wanted(name)) {
            let vector = match config.kind {
                VectorKind::Dense(_) => self.snapshot.dense(name, number)?.map(Vector::Dense),
                VectorKind::Multi => self.snapshot.tokens(name, number)?.map(Vector::from),
            };
            vectors.extend(vector.map(|vector| (name.to_owned(), vector)));
        }
        Ok(vectors)
    }
}

/// A score as Qdrant reports it, or one that it reports as we compare it: the Euclidean distance is
/// the one score of which the smaller is the better.
pub(super) fn reported(distance: Distance, score: f32) -> f32 {
    match distance {
        // Not `-score`: that would be -0 for equal vectors.
        Distance::Euclid => 0.0 - score,
        Distance::Cosine | Distance::Dot => score,
    }
}
