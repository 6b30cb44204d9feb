//! [`Request`] and [`Ranking`]: queries with candidates, and their hits.

use super::backend::Execution;
#[cfg(feature = "gpu")]
use crate::gpu::{QuantizedStore, ResidentStore, Statistics};
use crate::ranking::{
    Bounding, Certified, DocumentId, Matrices, Query, Ranked, Scored, TokenMatch, Wanted,
};

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
/// let matrices = |id: u64| Ok(documents.get(id as usize).map(TokenMatrix::view));
/// let queries = [Query { tokens: query.view(), candidates: &[0, 1] }];
/// let request = Request::new(&queries, &matrices, Wanted::best(1).with_matches());
///
/// let answer = Reranker::new(Backend::Auto)?.rank(&request)?;
/// let ranking = &answer.rankings[0];
/// assert_eq!((ranking.hits[0].id, ranking.hits[0].score), (1, 0.75 + 0.5));
/// assert_eq!(ranking.matches[0].iter().map(|it| it.token).collect::<Vec<_>>(), [1, 0]);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct Request<'a, 'm, Id: DocumentId = u64> {
    pub(super) queries: &'a [Query<'a, Id>],
    pub(super) matrices: &'a Matrices<'m, Id>,
    pub(super) wanted: Wanted,
    #[cfg(feature = "gpu")]
    pub(super) store: Option<&'a ResidentStore<Id>>,
    #[cfg(feature = "gpu")]
    pub(super) quantized: Option<&'a QuantizedStore<Id>>,
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
            #[cfg(feature = "gpu")]
            quantized: None,
        }
    }

    /// With documents that are resident on the reranker's GPU. A store of another GPU is not looked
    /// at.
    #[cfg(feature = "gpu")]
    pub fn with_store(self, store: &'a ResidentStore<Id>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// With documents that are resident in int8 on the reranker's GPU, from which it knows for most candidates that they
    /// are not among the best. A store of another GPU is not looked at.
    #[cfg(feature = "gpu")]
    pub fn with_quantized(self, quantized: &'a QuantizedStore<Id>) -> Self {
        Self { quantized: Some(quantized), ..self }
    }
}

/// Hits of one query, in order, and the backend that scored them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ranking<Id = u64> {
    /// Score descending, then id ascending.
    pub hits: Vec<Scored<Id>>,
    /// For each hit, if asked for, one [`TokenMatch`] a query token, in their order; else empty.
    pub matches: Vec<Vec<TokenMatch>>,
    /// Processor that computed the scores, with the reason.
    pub execution: Execution,
    /// Numbers of candidates that were bounded from int8, and scored; none, where all were scored.
    pub certified: Option<Certified>,
}

impl<Id> Ranking<Id> {
    pub(crate) fn new(ranked: Ranked<Id>, execution: &Execution) -> Self {
        let Ranked { hits, matches, bounding } = ranked;
        let mut execution = execution.clone();
        let certified = match bounding {
            Bounding::NotAsked => None,
            Bounding::Certified(certified) => Some(certified),
            Bounding::Left(why) => {
                execution.reason = format!("{}; {why}", execution.reason).into();
                None
            }
        };
        Self { hits, matches, execution, certified }
    }
}

/// Answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rankings<Id = u64> {
    /// One a query, in their order.
    pub rankings: Vec<Ranking<Id>>,
    /// Cost of the request, if a GPU answered it.
    #[cfg(feature = "gpu")]
    pub statistics: Option<Statistics>,
}

/// Scores of some documents, in their order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scores {
    /// The MaxSim scores.
    pub scores: Vec<f32>,
    /// Processor that computed them, with the reason.
    pub execution: Execution,
}
