//! Many queries in one request, served by any backend.

use std::sync::Arc;

use super::backend::Execution;
use super::reranker::Reranker;
#[cfg(feature = "gpu")]
use crate::gpu::{Answer, GpuContext, ResidentStore, Statistics};
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::{DocumentId, Matrices, Query, Ranked, Scored, Wanted, top_k};
use crate::{Error, Result};

/// Queries, each with candidates of its own, and where the candidates' matrices are.
///
/// The same request can be answered by the CPU, by a GPU to which the matrices are sent, and by a
/// GPU that has them: with the same hits, but for rounding.
///
/// ```
/// use maxfold::multivector::TokenMatrix;
/// use maxfold::rerank::{Backend, Query, Request, Reranker, Wanted};
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let documents = [
///     TokenMatrix::new(&[-1.0_f32, 0.0], 2)?,
///     TokenMatrix::new(&[0.25_f32, 0.5, 0.75, -1.0], 2)?,
/// ];
/// let matrices = |id: u64| Some(documents.get(id as usize)?.view());
/// let queries = [Query { tokens: query.view(), candidates: &[0, 1] }];
/// let request = Request::new(&queries, &matrices, Wanted::best(1).with_matches());
///
/// let answer = Reranker::new(Backend::Auto)?.rank(&request)?;
/// let ranked = &answer.rankings[0];
/// assert_eq!((ranked.hits[0].id, ranked.hits[0].score), (1, 0.75 + 0.5));
/// assert_eq!(ranked.matches[0].iter().map(|it| it.token).collect::<Vec<_>>(), [1, 0]);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct Request<'a, 'm, Id: DocumentId = u64> {
    queries: &'a [Query<'a, Id>],
    matrices: &'a Matrices<'m, Id>,
    wanted: Wanted,
    #[cfg(feature = "gpu")]
    store: Option<&'a ResidentStore<Id>>,
}

impl<'a, 'm, Id: DocumentId> Request<'a, 'm, Id> {
    /// `matrices` is asked for a candidate's matrix where it is needed: on the CPU always, on a GPU
    /// if the candidate is not resident. It may look it up in a file.
    pub fn new(
        queries: &'a [Query<'a, Id>],
        matrices: &'a Matrices<'m, Id>,
        wanted: Wanted,
    ) -> Self {
        Self {
            queries,
            matrices,
            wanted,
            #[cfg(feature = "gpu")]
            store: None,
        }
    }

    /// With documents that are resident on the reranker's GPU. A store of another GPU is not looked
    /// at.
    #[cfg(feature = "gpu")]
    pub fn with_store(self, store: &'a ResidentStore<Id>) -> Self {
        Self { store: Some(store), ..self }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rankings<Id = u64> {
    /// One a query, in their order.
    pub rankings: Vec<Ranked<Id>>,
    /// What computed the scores.
    pub execution: Execution,
    /// What it cost, if a GPU did.
    #[cfg(feature = "gpu")]
    pub statistics: Option<Statistics>,
}

impl Reranker {
    /// Ranks each query's candidates.
    ///
    /// Where the GPU fails, the CPU answers. For that, and for candidates that are not resident,
    /// `matrices` of the request should know every candidate.
    ///
    /// # Errors
    /// Queries or documents have different dimensions; a candidate is nowhere.
    pub fn rank<Id: DocumentId>(&self, request: &Request<'_, '_, Id>) -> Result<Rankings<Id>> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            let Request { queries, matrices, wanted, .. } = *request;
            let answer = gpu.rank(queries, self.own_store(request), matrices, wanted);
            return self.answered(gpu, answer, request);
        }
        self.rank_on_cpu(request, self.cpu_reason())
    }

    /// [`Reranker::rank`], async, as [`Reranker::score_async`] is.
    ///
    /// # Errors
    /// The same.
    pub async fn rank_async<Id: DocumentId>(
        &self,
        request: &Request<'_, '_, Id>,
    ) -> Result<Rankings<Id>> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            let Request { queries, matrices, wanted, .. } = *request;
            let store = self.own_store(request);
            let answer = gpu.rank_async(queries, store, matrices, wanted).await;
            return self.answered(gpu, answer, request);
        }
        self.rank_on_cpu(request, self.cpu_reason())
    }

    /// The request's store, if it is this GPU's.
    #[cfg(feature = "gpu")]
    fn own_store<'a, Id: DocumentId>(
        &self,
        request: &Request<'a, '_, Id>,
    ) -> Option<&'a ResidentStore<Id>> {
        request.store.filter(|store| self.gpu().is_some_and(|gpu| store.is_of(gpu)))
    }

    /// What the GPU answered; or, where it failed, what the CPU does.
    #[cfg(feature = "gpu")]
    fn answered<Id: DocumentId>(
        &self,
        gpu: &GpuContext,
        answer: Result<Answer<Id>>,
        request: &Request<'_, '_, Id>,
    ) -> Result<Rankings<Id>> {
        match answer {
            Ok(Answer { rankings, statistics }) => Ok(Rankings {
                rankings,
                execution: self.gpu_execution(gpu),
                statistics: Some(statistics),
            }),
            Err(error) if error.is_the_callers() => Err(error),
            Err(error) => self.rank_on_cpu(request, self.note_failure(&error)),
        }
    }

    fn rank_on_cpu<Id: DocumentId>(
        &self,
        request: &Request<'_, '_, Id>,
        reason: Arc<str>,
    ) -> Result<Rankings<Id>> {
        let dim = request.queries.first().map_or(0, |query| query.tokens.dim());
        for (number, query) in request.queries.iter().enumerate() {
            check_dimension(|| format!("query {number}"), dim, query.tokens.dim())?;
        }
        let rankings = request.queries.iter().map(|query| self.rank_query(query, request));
        Ok(Rankings {
            rankings: rankings.collect::<Result<_>>()?,
            execution: self.cpu_execution(reason),
            #[cfg(feature = "gpu")]
            statistics: None,
        })
    }

    fn rank_query<Id: DocumentId>(
        &self,
        query: &Query<'_, Id>,
        request: &Request<'_, '_, Id>,
    ) -> Result<Ranked<Id>> {
        let documents = matrices(query.candidates.iter(), request)?;
        let limit = request.wanted.limit;
        let contenders = self.cpu().contenders(query.tokens, &documents, limit)?.into_iter();
        let scored = contenders.map(|(at, score)| Scored { id: query.candidates[at], score });
        let hits = top_k(scored.collect(), limit);
        let matches = if request.wanted.matches {
            let documents = matrices(hits.iter().map(|hit| &hit.id), request)?;
            self.cpu().matches(query.tokens, &documents)?
        } else {
            Vec::new()
        };
        Ok(Ranked { hits, matches })
    }
}

/// The matrices of some documents.
fn matrices<'m, 'i, Id: DocumentId + 'i>(
    ids: impl Iterator<Item = &'i Id>,
    request: &Request<'_, 'm, Id>,
) -> Result<Vec<TokenMatrixRef<'m>>> {
    let missing = |id: &Id| Error::NotResident { id: format!("{id:?}") };
    ids.map(|id| (request.matrices)(*id).ok_or_else(|| missing(id))).collect()
}
