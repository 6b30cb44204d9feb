//! [`QueryRequest`]: what is asked of a collection, in Qdrant's shape.

use crate::collection::Vector;
use crate::filter::{Filter, PayloadSelector};
use crate::recall::SearchParams;
use crate::{Error, Result};

/// A query of a collection, with all that is wanted of the answer; in JSON the body of Qdrant's query
/// call.
///
/// With prefetches, the points that they find are scored by `query`; without, all points are.
///
/// ```
/// use maxfold::collection::Vector;
/// use maxfold::search::{Prefetch, QueryRequest};
///
/// let tokens = Vector::Multi { values: vec![1.0, 0.0, 0.0, 1.0], dim: 2 };
/// let request = QueryRequest::new(tokens)
///     .using("tokens")
///     .prefetch(Prefetch::new(vec![0.5, 0.25]).using("dense").limit(100))
///     .limit(3);
/// let json = r#"{
///     "prefetch": {"query": [0.5, 0.25], "using": "dense", "limit": 100},
///     "query": [[1, 0], [0, 1]], "using": "tokens", "limit": 3
/// }"#;
/// assert_eq!(request, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRequest {
    /// Searches whose results are the candidates; a point found by several is one candidate.
    pub prefetch: Vec<Prefetch>,
    /// Query vector that the points are compared with.
    pub query: Vector,
    /// The vector of the points that is compared; "" is the one without a name.
    pub using: String,
    /// Filter that points have to match.
    pub filter: Option<Filter>,
    /// Parameters of recall, if there are no prefetches.
    pub params: SearchParams,
    /// Results with a worse score are not wanted.
    pub score_threshold: Option<f32>,
    /// Most results, after `offset` better ones.
    pub limit: usize,
    /// Number of the best results that are left out.
    pub offset: usize,
    /// Part of the payloads that is returned.
    pub with_payload: PayloadSelector,
    /// Vectors that are returned.
    pub with_vector: WithVector,
}

/// A search whose results are candidates of a [`QueryRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Prefetch {
    /// Query vector that the points are compared with.
    pub query: Vector,
    /// The vector of the points that is compared.
    pub using: String,
    /// Filter that points have to match.
    pub filter: Option<Filter>,
    /// Parameters of recall.
    pub params: SearchParams,
    /// Candidates with a worse score are not wanted.
    pub score_threshold: Option<f32>,
    /// Most candidates.
    pub limit: usize,
}

/// Vectors of the results that are returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithVector {
    /// None.
    None,
    /// All that a point has.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

/// Qdrant's.
pub(super) const DEFAULT_LIMIT: usize = 10;

impl QueryRequest {
    /// The ten points nearest to `query`, by the vector without a name.
    pub fn new(query: impl Into<Vector>) -> Self {
        Self {
            prefetch: Vec::new(),
            query: query.into(),
            using: String::new(),
            filter: None,
            params: SearchParams::default(),
            score_threshold: None,
            limit: DEFAULT_LIMIT,
            offset: 0,
            with_payload: PayloadSelector::None,
            with_vector: WithVector::None,
        }
    }

    /// Adds a search for candidates.
    pub fn prefetch(mut self, prefetch: Prefetch) -> Self {
        self.prefetch.push(prefetch);
        self
    }

    /// Compares the vector of this name.
    pub fn using(self, name: impl Into<String>) -> Self {
        Self { using: name.into(), ..self }
    }

    /// Only points that this filter means.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Parameters of recall, if there are no prefetches.
    pub fn params(self, params: SearchParams) -> Self {
        Self { params, ..self }
    }

    /// Only results of this score or a better one.
    pub fn score_threshold(self, score: f32) -> Self {
        Self { score_threshold: Some(score), ..self }
    }

    /// So many results at most.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Leaves out so many of the best.
    pub fn offset(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    /// This part of the payloads.
    pub fn with_payload(self, with_payload: PayloadSelector) -> Self {
        Self { with_payload, ..self }
    }

    /// These vectors.
    pub fn with_vector(self, with_vector: WithVector) -> Self {
        Self { with_vector, ..self }
    }
}

impl Prefetch {
    /// The ten points nearest to `query`, by the vector without a name.
    pub fn new(query: impl Into<Vector>) -> Self {
        Self {
            query: query.into(),
            using: String::new(),
            filter: None,
            params: SearchParams::default(),
            score_threshold: None,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Compares the vector of this name.
    pub fn using(self, name: impl Into<String>) -> Self {
        Self { using: name.into(), ..self }
    }

    /// Only points that this filter means.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Parameters of recall.
    pub fn params(self, params: SearchParams) -> Self {
        Self { params, ..self }
    }

    /// Only candidates of this score or a better one.
    pub fn score_threshold(self, score: f32) -> Self {
        Self { score_threshold: Some(score), ..self }
    }

    /// So many candidates at most.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }
}

/// The fields that a request and a prefetch have in common.
pub(crate) struct Asked<'a> {
    pub query: &'a Vector,
    pub using: &'a str,
    pub filter: Option<&'a Filter>,
    pub params: SearchParams,
    pub score_threshold: Option<f32>,
    pub limit: usize,
}

impl QueryRequest {
    pub(crate) fn asked(&self) -> Asked<'_> {
        let Self { query, using, filter, params, score_threshold, limit, .. } = self;
        let (filter, params, score_threshold) = (filter.as_ref(), *params, *score_threshold);
        Asked { query, using, filter, params, score_threshold, limit: *limit }
    }
}

impl Prefetch {
    pub(crate) fn asked(&self) -> Asked<'_> {
        let Self { query, using, filter, params, score_threshold, limit } = self;
        let (filter, params, score_threshold) = (filter.as_ref(), *params, *score_threshold);
        Asked { query, using, filter, params, score_threshold, limit: *limit }
    }
}

impl Asked<'_> {
    /// Refuses what would only be noticed by some answers.
    pub(crate) fn check(&self) -> Result<()> {
        at_least_1("limit", self.limit)?;
        at_least_1("hnsw_ef", self.params.hnsw_ef.unwrap_or(1))?;
        match self.score_threshold {
            Some(threshold) if !threshold.is_finite() => {
                Err(refused("score_threshold", "finite", threshold))
            }
            _ => Ok(()),
        }
    }
}

fn at_least_1(name: &'static str, got: usize) -> Result<()> {
    if got > 0 { Ok(()) } else { Err(refused(name, "at least 1", got)) }
}

fn refused(name: &'static str, expected: &str, got: impl ToString) -> Error {
    Error::InvalidParameter { name, expected: expected.into(), got: got.to_string() }
}
