//! [`CollectionHandle`]: searches of, and writes to, one collection.

use std::sync::Arc;

use super::options::CallOptions;
use super::search::Search;
use super::service::Service;
use super::write::Write;
use crate::collection::Operation;
use crate::search::{QueryRequest, QueryResponse, Searcher};
use crate::{Error, Result};

/// A collection whose calls are futures: cheap to clone, made by [`Service::collection`].
///
/// Dropping a future takes its work out of the queue; what has been begun ends at its next step, if nobody else's is
/// done along with it. Of a write that has been begun nothing or all is kept.
#[derive(Clone, Debug)]
pub struct CollectionHandle {
    service: Service,
    searcher: Arc<Searcher>,
    options: CallOptions,
}

impl Service {
    /// A handle of a collection. Requests of handles whose searcher is the same one are gathered.
    pub fn collection(&self, searcher: Arc<Searcher>) -> CollectionHandle {
        CollectionHandle { service: self.clone(), searcher, options: CallOptions::new() }
    }
}

impl CollectionHandle {
    /// The same, with a deadline or a priority for its calls.
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self { options, ..self.clone() }
    }

    /// Searcher that answers.
    pub fn searcher(&self) -> &Arc<Searcher> {
        &self.searcher
    }

    /// Answers a request, together with others that wait.
    ///
    /// # Errors
    /// As [`Searcher::query`]; [those of every call](super#errors).
    pub fn query(
        &self,
        request: QueryRequest,
    ) -> impl Future<Output = Result<QueryResponse>> + Send + use<> {
        self.query_among(request, Vec::new())
    }

    /// Answers a request that may look up vectors in other collections, which have these names.
    ///
    /// # Errors
    /// As [`Searcher::query_among`]; [those of every call](super#errors).
    pub fn query_among(
        &self,
        request: QueryRequest,
        others: Vec<(String, Arc<Searcher>)>,
    ) -> impl Future<Output = Result<QueryResponse>> + Send + use<> {
        let answers = self.search(vec![request], others);
        async move { answers.await?.into_iter().next().unwrap_or(Err(Error::Cancelled)) }
    }

    /// Answers requests, all from the same state of the collection.
    ///
    /// # Errors
    /// As [`Searcher::query_batch`]; [those of every call](super#errors).
    pub fn query_batch(
        &self,
        requests: Vec<QueryRequest>,
    ) -> impl Future<Output = Result<Vec<QueryResponse>>> + Send + use<> {
        self.query_batch_among(requests, Vec::new())
    }

    /// Answers requests that may look up vectors in other collections, which have these names.
    ///
    /// # Errors
    /// As [`Searcher::query_batch_among`]; [those of every call](super#errors).
    pub fn query_batch_among(
        &self,
        requests: Vec<QueryRequest>,
        others: Vec<(String, Arc<Searcher>)>,
    ) -> impl Future<Output = Result<Vec<QueryResponse>>> + Send + use<> {
        let answers = self.search(requests, others);
        async move {
            let answers = answers.await?.into_iter().enumerate();
            answers.map(|(at, answer)| answer.map_err(|error| error.in_request(at))).collect()
        }
    }

    fn search(
        &self,
        requests: Vec<QueryRequest>,
        others: Vec<(String, Arc<Searcher>)>,
    ) -> impl Future<Output = Result<Vec<Result<QueryResponse>>>> + Send + use<> {
        let (searcher, weight) = (Arc::clone(&self.searcher), requests.len());
        let work = |reply| Search { searcher, requests, others, reply };
        self.service.call(self.options, weight, work)
    }

    /// Makes changes, one after the other: all of them, or, if one fails, none. They are durable when it returns. Gives
    /// the number of points that each was about.
    ///
    /// Changes of several callers that wait share a transaction; those that fail don't touch the others.
    ///
    /// # Errors
    /// As [`Collection::apply`](crate::Collection::apply); [those of every call](super#errors).
    pub fn apply(
        &self,
        operations: Vec<Operation>,
    ) -> impl Future<Output = Result<Vec<u64>>> + Send + use<> {
        let searcher = Arc::clone(&self.searcher);
        let work = |reply| Write { searcher, operations, reply };
        self.service.call(self.options, 1, work)
    }

    /// Calls the searcher on a thread of the service: for groups, facets, scrolling, statistics, backups.
    ///
    /// # Errors
    /// Those of the closure; [those of every call](super#errors).
    pub fn run<T: Send + 'static, F: FnOnce(&Searcher) -> Result<T> + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T>> + Send + use<T, F> {
        let searcher = Arc::clone(&self.searcher);
        self.service.run(self.options, move || work(&searcher))
    }
}
