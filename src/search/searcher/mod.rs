//! [`Searcher`]: a collection that answers requests.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | [`SearcherOptions`] |
//! | `shared.rs` | what every search shares |
//! | `graphs.rs` | what is derived from the collection: graphs |
//! | `resident.rs`, `copies.rs` | the same on the GPU: which multivectors in which formats; one in a store |
//! | `upkeep.rs` | the threads that keep them in step, of all searchers |
//! | `answer.rs` | a request, from its plan to its points |
//! | `grouped.rs`, `grouping.rs` | one whose results are grouped; the points of groups |
//! | `plan.rs` | a request as a tree of stages, checked, with the vectors of examples |
//! | `run.rs` | stages, level by level, those of several requests together |
//! | `stage.rs` | a stage: which points may be found, and the best of them |
//! | `outcome.rs` | what a stage has found, and its order |
//! | `nearest.rs`, `dense.rs`, `sparse.rs`, `max_sim.rs`, `precise.rs`, `row_distances.rs` | how points are compared with a vector |
//! | `certified.rs`, `rank.rs` | the best by MaxSim, of points bounded first; MaxSim of points wherever they are |
//! | `examples.rs` | how they are compared with several |
//! | `mmr.rs`, `fusion.rs`, `unscored.rs` | how they are chosen else: diverse, fused, by payload or id |
//! | `statistics.rs` | [`SearcherStatistics`] |
//! | `reader.rs` | one state of the collection, for the requests of a call |

mod answer;
mod certified;
#[cfg(feature = "gpu")]
mod copies;
mod dense;
mod examples;
mod fusion;
mod graphs;
mod grouped;
mod grouping;
mod max_sim;
mod mmr;
mod nearest;
mod options;
mod outcome;
mod plan;
mod precise;
mod rank;
mod reader;
#[cfg(feature = "gpu")]
mod resident;
mod row_distances;
mod run;
mod shared;
mod sparse;
mod stage;
mod statistics;
mod unscored;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use options::SearcherOptions;
pub use plan::Collections;
pub use statistics::SearcherStatistics;

use answer::answer_each;
use grouped::grouped;
use reader::Reader;
use shared::Shared;
use upkeep::Upkeep;

use super::{FacetHit, FacetRequest, GroupRequest, GroupResponse};
use super::{QueryRequest, QueryResponse, RequestLimits};
use crate::background::run_async;
use crate::collection::{Collection, Values, Vector};
use crate::filter::PointId;
use crate::maxsim::{CpuMaxSim, SimilarityMatrix};
use crate::rerank::Reranker;
use crate::{Error, Result};

/// A collection that answers requests.
///
/// Searches may run on any number of threads, while others write: a call's answers are all from one
/// state of the collection, before or after a batch, and nobody waits for anybody.
///
/// The HNSW graphs of dense vectors are kept beside the collection; on a GPU, multivectors stay
/// resident as far as the budget goes. Both follow the collection in a few threads
/// that all searchers share, soon after it was written to. What they don't have yet is scanned, or sent along, so an answer never lacks what
/// was written before; its plan says how far they are behind.
///
/// ```
/// use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
/// use maxfold::recall::Distance;
/// use maxfold::search::{Prefetch, QueryRequest, Searcher};
///
/// let config = CollectionConfig::new()
///     .vector("dense", VectorConfig::dense(2, Distance::Cosine))
///     .vector("tokens", VectorConfig::multi(2, Distance::Dot));
/// let directory = tempfile::tempdir().unwrap();
/// let searcher = Searcher::new(Collection::create(directory.path(), config)?)?;
///
/// let tokens = |values: [f32; 4]| Vector::Multi { values: values.into(), dim: 2 };
/// searcher.collection().upsert(vec![
///     Point::new(7).vector("dense", vec![0.9, 0.1]).vector("tokens", tokens([1.0, 0.0, 0.5, 0.5])),
///     Point::new(8).vector("dense", vec![0.1, 0.9]).vector("tokens", tokens([0.0, 1.0, 0.5, 0.5])),
/// ])?;
///
/// let request = QueryRequest::new(tokens([0.0, 1.0, 0.25, 1.0]))
///     .using("tokens")
///     .prefetch(Prefetch::new(vec![0.5, 0.5]).using("dense").limit(100))
///     .limit(1);
/// let response = searcher.query(&request)?;
/// assert_eq!((response.points[0].id, response.points[0].score), (8.into(), 2.0));
/// println!("{}", response.plan);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct Searcher {
    /// Dropped first, as it uses the other.
    upkeep: Option<Upkeep>,
    shared: Arc<Shared>,
    limits: RequestLimits,
}

impl Searcher {
    /// Searches a collection, on what [`Backend::Auto`](crate::rerank::Backend::Auto) finds.
    ///
    /// # Errors
    /// As [`Searcher::with_options`].
    pub fn new(collection: Collection) -> Result<Self> {
        Self::with_options(collection, SearcherOptions::default())
    }

    /// Opens the collection in a directory, and searches it.
    ///
    /// # Errors
    /// As [`Collection::open`] and [`Searcher::with_options`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(Collection::open(path)?)
    }

    /// Opens the collection in a directory to search it, also while another process writes. Graphs are
    /// read from where that one saves them, and are not saved.
    ///
    /// # Errors
    /// As [`Collection::open_read_only`] and [`Searcher::with_options`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(Collection::open_read_only(path)?)
    }

    /// Searches a collection as the options say. Graphs are read, or built if need be, and resident
    /// documents are loaded before it returns, unless it is to open [at once](SearcherOptions::at_once).
    ///
    /// # Errors
    /// A record is damaged or can't be read; the GPU gives no memory; no thread can be started.
    pub fn with_options(collection: Collection, options: SearcherOptions) -> Result<Self> {
        let (limits, at_once) = (options.limits, options.at_once);
        let (reranker, resident_bytes) = options.take()?;
        let shared = Arc::new(Shared::open(collection, reranker, resident_bytes)?);
        if !at_once {
            shared.follow()?;
        }
        let derived = shared.clone();
        let upkeep = Some(Upkeep::start(move |asked| derived.catch_up(asked))?);
        Ok(Self { upkeep, shared, limits })
    }

    /// The collection, to be written and read.
    pub fn collection(&self) -> &Collection {
        &self.shared.collection
    }

    /// Reranker, which computes MaxSim.
    pub fn reranker(&self) -> &Reranker {
        &self.shared.reranker
    }

    /// Ceilings of what one request may ask for.
    pub fn limits(&self) -> &RequestLimits {
        &self.limits
    }

    /// Answers a request.
    ///
    /// # Errors
    /// A name that no vector has; a query of another dimension, without rows, or with NaN or
    /// infinity; one vector for a multivector, or many for a dense one; a limit of 0, or beyond the
    /// [`RequestLimits`]; a record is damaged or can't be read.
    pub fn query(&self, request: &QueryRequest) -> Result<QueryResponse> {
        self.query_among(request, &|_| None)
    }

    /// Answers a request that may look up vectors in other collections.
    ///
    /// # Errors
    /// As [`Searcher::query`]; there is no collection of a name.
    pub fn query_among(
        &self,
        request: &QueryRequest,
        others: &Collections<'_>,
    ) -> Result<QueryResponse> {
        // One request, one answer.
        self.query_each(&[(request, others)])?.swap_remove(0)
    }

    /// Answers requests, all from the same state of the collection. Filters and prefetches that they have
    /// in common are evaluated once.
    ///
    /// # Errors
    /// [`Error::InRequest`](crate::Error::InRequest) around what [`Searcher::query`] says of the first
    /// request that has an error.
    pub fn query_batch(&self, requests: &[QueryRequest]) -> Result<Vec<QueryResponse>> {
        self.query_batch_among(requests, &|_| None)
    }

    /// Answers requests that may look up vectors in other collections.
    ///
    /// # Errors
    /// As [`Searcher::query_batch`]; there is no collection of a name.
    pub fn query_batch_among(
        &self,
        requests: &[QueryRequest],
        others: &Collections<'_>,
    ) -> Result<Vec<QueryResponse>> {
        let asked: Vec<_> = requests.iter().map(|request| (request, others)).collect();
        let answers = self.query_each(&asked)?.into_iter().enumerate();
        answers.map(|(at, answer)| answer.map_err(|error| error.in_request(at))).collect()
    }

    /// Answers requests, all from the same state of the collection, each with the collections that it may look up
    /// vectors in: an error of one is nothing to the others.
    pub(crate) fn query_each(
        &self,
        requests: &[(&QueryRequest, &Collections<'_>)],
    ) -> Result<Vec<Result<QueryResponse>>> {
        Ok(answer_each(&mut self.reader()?, &self.limits, requests))
    }

    /// Answers a request, as [`Searcher::query`], on another thread. If the future is dropped, the
    /// search stops at its next step.
    ///
    /// # Errors
    /// As [`Searcher::query`]; no thread can be started.
    pub async fn query_async(self: &Arc<Self>, request: QueryRequest) -> Result<QueryResponse> {
        let searcher = Arc::clone(self);
        run_async(move || searcher.query(&request)).await
    }

    /// Answers a request in groups.
    ///
    /// # Errors
    /// As [`Searcher::query`]; an offset.
    pub fn query_groups(&self, request: &GroupRequest) -> Result<GroupResponse> {
        self.query_groups_among(request, &|_| None)
    }

    /// Answers a request in groups, which may look up vectors and groups in other collections.
    ///
    /// # Errors
    /// As [`Searcher::query_groups`]; there is no collection of a name.
    pub fn query_groups_among(
        &self,
        request: &GroupRequest,
        others: &Collections<'_>,
    ) -> Result<GroupResponse> {
        self.limits.check(&request.request)?;
        grouped(&mut self.reader()?, request, others)
    }

    /// Counts points by the values of a payload field.
    ///
    /// # Errors
    /// As [`Collection::snapshot`].
    pub fn facet(&self, request: &FacetRequest) -> Result<Vec<FacetHit>> {
        request.count(&self.collection().snapshot()?)
    }

    /// Compares each token of a multivector with each token of a point, which has the multivector `using`, by
    /// the dot product, or by the distance, negated, and with Euclid squared: `None` if there is no such point, or it doesn't have one.
    ///
    /// # Errors
    /// As [`Searcher::query`].
    pub fn similarities(
        &self,
        id: PointId,
        using: &str,
        query: &Vector,
    ) -> Result<Option<SimilarityMatrix>> {
        let snapshot = self.collection().snapshot()?;
        let config = snapshot.config();
        let Values::Tokens(query) = config.prepare(using, query)? else {
            let (name, expected, got) = (using.into(), "many vectors", "one");
            return Err(Error::VectorKind { name, expected, got });
        };
        let Some(number) = snapshot.number(id)? else { return Ok(None) };
        let Some(document) = snapshot.tokens(using, number)? else { return Ok(None) };
        let distance = config.get(using)?.distance;
        if distance.smaller_is_nearer() {
            let matrix = row_distances::matrix(&snapshot, using, &query, distance, number);
            return matrix.map(Some);
        }
        CpuMaxSim::new().similarities(query.matrix.view(), document).map(Some)
    }

    /// Counts points, vectors, bytes, and how far graphs and copies on the GPU are behind; cheap enough to
    /// be asked every second.
    ///
    /// # Errors
    /// As [`Collection::snapshot`].
    pub fn statistics(&self) -> Result<SearcherStatistics> {
        statistics::statistics(&self.shared)
    }

    fn reader(&self) -> Result<Reader<'_, '_>> {
        let reader = Reader::new(&self.shared)?;
        if reader.behind > 0
            && let Some(upkeep) = &self.upkeep
        {
            upkeep.wake();
        }
        Ok(reader)
    }

    /// Brings graphs and resident documents up to date with what was written, and saves the graphs.
    ///
    /// It need not be called: an answer never lacks anything. After a large import it saves the
    /// first requests from scanning, and the next open from building graphs.
    ///
    /// # Errors
    /// A record is damaged or can't be read; a file can't be written.
    pub fn flush(&self) -> Result<()> {
        self.shared.follow()?;
        self.shared.save()
    }

    /// [`Searcher::flush`], and the end. A searcher that is dropped saves graphs as they are.
    ///
    /// # Errors
    /// As [`Searcher::flush`].
    pub fn close(self) -> Result<()> {
        self.flush()
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(self.upkeep.take());
        if let Err(error) = self.shared.save() {
            log::warn!("graphs have to be built again: {error}");
        }
    }
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut searcher = f.debug_struct("Searcher");
        searcher.field("collection", self.collection()).field("reranker", self.reranker());
        searcher.finish_non_exhaustive()
    }
}
