//! [`Reader`]: one state of a collection, and what is derived from it.

use std::rc::Rc;
use std::sync::Arc;

use super::graphs::Graph;
use super::outcome::Run;
use super::shared::Shared;
use crate::Result;
use crate::background::Cancellation;
use crate::collection::Snapshot;
use crate::filter::{Filter, PointSet, Selected};
use crate::recall::{Distance, HnswView, SearchParams};
use crate::search::query::Asked;

/// State of a collection, for the requests of one call.
pub(super) struct Reader<'s, 'r> {
    pub shared: &'s Shared,
    pub snapshot: Snapshot<'s>,
    /// Number of transactions that graphs and copies on a GPU are behind.
    pub behind: u64,
    pub cancellation: Cancellation,
    /// The graphs, by name.
    views: Vec<(Arc<Graph>, HnswView)>,
    /// Cache of what was selected so far. Requests of one call often have the same filters.
    selected: Vec<(&'r Filter, Rc<Selected>)>,
    /// Cache of the stages that were run so far. Requests of one call often have the same prefetches.
    runs: Vec<(Key<'r>, Rc<Run>)>,
}

/// All that the outcome of a stage depends on, in one state of a collection.
#[derive(Clone, PartialEq)]
pub(super) struct Key<'r> {
    pub asked: Asked<'r>,
    pub filters: Vec<&'r Filter>,
    pub excluded: PointSet,
}

/// Search for the best points by one vector.
pub(super) struct Search<'r> {
    pub using: &'r str,
    /// The points are those that earlier stages found.
    pub candidates: bool,
    pub params: SearchParams,
    pub corpus: Option<&'r Filter>,
    /// At least 1.
    pub limit: usize,
}

impl<'s, 'r> Reader<'s, 'r> {
    pub fn new(shared: &'s Shared) -> Result<Self> {
        let graphs = shared.graphs();
        let views = graphs.iter().map(|graph| (graph.clone(), graph.view())).collect();
        let snapshot = shared.collection.snapshot()?;
        let behind = shared.behind(snapshot.transaction());
        let cancellation = Cancellation::current();
        let (selected, runs) = (Vec::new(), Vec::new());
        Ok(Self { shared, snapshot, behind, cancellation, views, selected, runs })
    }

    /// The graph of a vector, if it has one. It may be of another state than the snapshot, and then even of
    /// another vector, which had the name or has it now.
    pub fn view(&self, name: &str) -> Option<&HnswView> {
        let config = self.snapshot.config().get(name).ok()?;
        let (_, view) = self.views.iter().find(|(graph, _)| graph.name() == name)?;
        let fits = (view.dim(), view.distance()) == (config.size, config.distance);
        Some(view).filter(|_| fits)
    }

    /// Distance by which a vector is compared.
    pub fn distance(&self, name: &str) -> Result<Distance> {
        Ok(self.snapshot.config().get(name)?.distance)
    }

    /// The outcome of a stage that was run before.
    pub fn known(&self, key: &Key<'r>) -> Option<Rc<Run>> {
        self.runs.iter().find(|(it, _)| it == key).map(|(_, run)| run.clone())
    }

    /// Keeps the outcome of a stage.
    pub fn keep(&mut self, key: Key<'r>, run: &Rc<Run>) {
        self.runs.push((key, run.clone()));
    }

    /// The points among which frequencies of indices are counted, if not all.
    pub fn corpus(&self, corpus: Option<&Filter>) -> Result<Option<PointSet>> {
        corpus.map(|filter| Ok(self.snapshot.select(filter)?.points)).transpose()
    }

    /// The points that match a filter, and how many payloads had to be read for that.
    pub fn select(&mut self, filter: &'r Filter) -> Result<(Rc<Selected>, u64)> {
        if let Some((_, known)) = self.selected.iter().find(|(it, _)| *it == filter) {
            return Ok((known.clone(), 0));
        }
        let selected = Rc::new(self.snapshot.select(filter)?);
        self.selected.push((filter, selected.clone()));
        let read = selected.scanned;
        Ok((selected, read))
    }
}
