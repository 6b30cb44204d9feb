//! [`RerankHandle`]: queries to a reranker, answered together.

use std::sync::Arc;

use tokio::sync::oneshot::Sender;

use super::options::CallOptions;
use super::service::Service;
use super::work::{Crew, Job, Lane, Sharing, Threads, Work, guarded};
use crate::background::Cancellation;
use crate::multivector::TokenMatrix;
use crate::rerank::{Query, Ranking, Request, Reranker, Scored, Wanted};
use crate::{Error, Result};

/// Query of one caller, and the documents that it ranks.
pub(super) struct Rerank {
    pub reranker: Arc<Reranker>,
    pub query: TokenMatrix,
    pub documents: Vec<(u64, TokenMatrix)>,
    pub limit: usize,
    pub reply: Sender<Result<Ranking>>,
}

/// A reranker whose calls are futures: cheap to clone, made by [`Service::reranker`].
///
/// Queries that wait are answered together, on a GPU in one submission.
///
/// ```
/// use std::sync::Arc;
/// use maxfold::service::{Service, ServiceOptions};
/// use maxfold::{Reranker, TokenMatrix};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> maxfold::Result<()> {
/// let service = Service::new(ServiceOptions::new())?;
/// let reranker = service.reranker(Arc::new(Reranker::new(Default::default())?));
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let pages = vec![(7, TokenMatrix::new(&[0.9_f32, 0.5], 2)?), (8, TokenMatrix::new(&[0.0_f32, 1.0], 2)?)];
/// assert_eq!(reranker.rerank(query, pages, 10).await?.hits[0].id, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RerankHandle {
    service: Service,
    reranker: Arc<Reranker>,
    options: CallOptions,
}

impl Service {
    /// A handle of a reranker.
    pub fn reranker(&self, reranker: Arc<Reranker>) -> RerankHandle {
        RerankHandle { service: self.clone(), reranker, options: CallOptions::new() }
    }
}

impl RerankHandle {
    /// The same, with a deadline or a priority for its calls.
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self { options, ..self.clone() }
    }

    /// Reranker that answers.
    pub fn reranker(&self) -> &Arc<Reranker> {
        &self.reranker
    }

    /// Ranks documents, each an id and a token matrix: the best `limit`, in order.
    ///
    /// # Errors
    /// A document's dimension is not the query's; [those of every call](super#errors).
    pub fn rerank(
        &self,
        query: TokenMatrix,
        documents: Vec<(u64, TokenMatrix)>,
        limit: usize,
    ) -> impl Future<Output = Result<Ranking>> + Send + use<> {
        let reranker = Arc::clone(&self.reranker);
        let work = move |reply| Rerank { reranker, query, documents, limit, reply };
        self.service.call(self.options, 1, work)
    }

    /// Calls the reranker on a thread of the service: for resident documents, scores, matches.
    ///
    /// # Errors
    /// Those of the closure; [those of every call](super#errors).
    pub fn run<T: Send + 'static, F: FnOnce(&Reranker) -> Result<T> + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T>> + Send + use<T, F> {
        let reranker = Arc::clone(&self.reranker);
        self.service.run(self.options, move || work(&reranker))
    }
}

impl Work for Rerank {
    fn crew(&self) -> Crew {
        Crew::Searchers
    }

    fn lane(&self) -> Option<(Lane, Sharing)> {
        let of = Arc::as_ptr(&self.reranker).addr();
        let lane = Lane { kind: "rerank", of, shape: [self.query.dim(), self.limit] };
        Some((lane, Sharing::of(&self.reranker)))
    }

    fn doer(&self) -> fn(Vec<Job>, Threads<'_>) {
        rank
    }
}

/// Answers the queries of jobs, which are of one reranker, dimension and limit.
fn rank(jobs: Vec<Job>, threads: Threads<'_>) {
    let cancellation = Cancellation::of(jobs.iter().map(|job| job.call.clone()));
    let queries = jobs.into_iter().filter_map(Job::into::<Rerank>);
    let mut queries: Vec<_> = queries.map(|(query, _)| *query).collect();
    let ranked = |queries: &[Rerank]| {
        guarded(|| threads.run(|| cancellation.clone().during(|| rank_together(queries))))
    };
    match ranked(&queries) {
        Ok(rankings) => {
            // Who doesn't wait any more needs no answer.
            let replies = queries.into_iter().map(|query| query.reply);
            replies.zip(rankings).for_each(|(reply, it)| drop(reply.send(Ok(it))));
        }
        // A document of one may have another dimension.
        Err(_) if queries.len() > 1 => {
            for query in queries {
                let ranking = ranked(std::slice::from_ref(&query));
                drop(query.reply.send(ranking.and_then(|mut it| it.pop().ok_or(Error::Cancelled))));
            }
        }
        Err(error) => {
            if let Some(query) = queries.pop() {
                drop(query.reply.send(Err(error)));
            }
        }
    }
}

/// Place of a document: its id, which decides between equal scores, its query, and its place there.
type Place = (u64, usize, usize);

fn rank_together(asked: &[Rerank]) -> Result<Vec<Ranking>> {
    let Some(first) = asked.first() else { return Ok(Vec::new()) };
    let candidates = asked.iter().enumerate().map(|(query, it)| {
        let place = |(at, (id, _)): (usize, &(u64, TokenMatrix))| (*id, query, at);
        it.documents.iter().enumerate().map(place).collect::<Vec<Place>>()
    });
    let candidates: Vec<_> = candidates.collect();
    let queries = asked.iter().zip(&candidates);
    let queries = queries.map(|(it, candidates)| Query { tokens: it.query.view(), candidates });
    let queries: Vec<_> = queries.collect();
    let matrix = |(_, query, at): Place| {
        Ok(asked.get(query).and_then(|it| it.documents.get(at)).map(|(_, it)| it.view()))
    };
    let answer =
        first.reranker.rank(&Request::new(&queries, &matrix, Wanted::best(first.limit)))?;
    let by_id = |Ranking { hits, matches, execution, certified }: Ranking<Place>| {
        let hits = hits.into_iter().map(|hit| Scored { id: hit.id.0, score: hit.score });
        Ranking { hits: hits.collect(), matches, execution, certified }
    };
    Ok(answer.rankings.into_iter().map(by_id).collect())
}
