//! [`QueryRequest`]: what is asked of a collection, in Qdrant's shape.
//!
//! | file | holds |
//! |---|---|
//! | `scoring.rs`, `scoring_json.rs` | [`Scoring`]: by which rule points are scored; its JSON |
//! | `json.rs` | requests and prefetches from JSON, and to it |

mod json;
mod scoring;
mod scoring_json;

pub(super) use json::GROUPED;
pub use scoring::{
    ContextPair, Direction, Example, Feedback, Fusion, Mmr, OrderBy, OrderValue, Recommend,
    RecommendStrategy, Scoring,
};

use std::collections::BTreeMap;

use crate::collection::{Snapshot, Vector};
use crate::filter::{Filter, PayloadSelector, PointNumber};
use crate::recall::SearchParams;
use crate::{Error, Result};

/// A query of a collection, with all that is wanted of the answer; in JSON the body of Qdrant's query
/// call.
///
/// With prefetches, the points that they find are scored by `query`; without, all points are. A prefetch may
/// have prefetches itself: so a request is a tree of stages, whose leaves look at all points.
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
    /// Rule by which points are scored; without one they come in the order of their ids.
    pub query: Option<Scoring>,
    /// The vector of the points that is compared; "" is the one without a name.
    pub using: String,
    /// Filter that points have to match, those of prefetches too.
    pub filter: Option<Filter>,
    /// Parameters of recall, if there are no prefetches.
    pub params: SearchParams,
    /// Points among which a sparse vector's frequencies of indices are counted, if its modifier is IDF; without it
    /// all points are. In JSON `params.idf.corpus`.
    pub idf_corpus: Option<Filter>,
    /// Only results with a better score are wanted; with a [`Fusion`], that score is good enough, too.
    pub score_threshold: Option<f32>,
    /// Place of the vectors of points that are examples, if it is not `using` in this collection.
    pub lookup_from: Option<Lookup>,
    /// Most results, after `offset` better ones.
    pub limit: usize,
    /// Number of the best results that are left out.
    pub offset: usize,
    /// Part of the payloads that is returned.
    pub with_payload: PayloadSelector,
    /// Vectors that are returned.
    pub with_vector: WithVector,
    /// For each token of a multivector query, the token of a result that it matched is returned.
    pub with_matches: bool,
}

/// A search whose results are candidates of a [`QueryRequest`], or of another prefetch.
///
/// ```
/// use maxfold::filter::{Condition, Filter, Match};
/// use maxfold::search::{Fusion, Prefetch, QueryRequest, Scoring};
///
/// // 100 of two recalls in English, fused.
/// let english = Filter::new().must(Condition::field("lang", Match::value("en"))?);
/// let recall = |using: &str| Prefetch::new(vec![0.5, 0.25]).using(using).limit(100);
/// let request = QueryRequest::new(Scoring::Fusion(Fusion::rrf()))
///     .prefetch(recall("title").filter(english.clone()))
///     .prefetch(recall("body").filter(english));
/// assert_eq!(request.prefetch[1].limit, 100);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Prefetch {
    /// Searches whose results are the candidates of this one.
    pub prefetch: Vec<Prefetch>,
    /// Rule by which points are scored; without one they come in the order of their ids.
    pub query: Option<Scoring>,
    /// The vector of the points that is compared.
    pub using: String,
    /// Filter that points have to match, those of its prefetches too.
    pub filter: Option<Filter>,
    /// Parameters of recall.
    pub params: SearchParams,
    /// Points among which a sparse vector's frequencies of indices are counted, if its modifier is IDF; without it
    /// all points are. In JSON `params.idf.corpus`.
    pub idf_corpus: Option<Filter>,
    /// Only candidates with a better score are wanted; with a [`Fusion`], that score is good enough, too.
    pub score_threshold: Option<f32>,
    /// Place of the vectors of points that are examples, if it is not `using` in this collection.
    pub lookup_from: Option<Lookup>,
    /// Most candidates.
    pub limit: usize,
}

/// Vector of a collection, from which the vectors of points are taken that are examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Name of the collection, as the host's [`Collections`](super::Collections) know it.
    pub collection: String,
    /// Name of the vector; by default that of the stage.
    pub vector: Option<String>,
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

impl WithVector {
    /// The vectors of a point that are wanted, if any are.
    pub(crate) fn of(
        &self,
        snapshot: &Snapshot<'_>,
        number: PointNumber,
    ) -> Result<Option<BTreeMap<String, Vector>>> {
        let vectors = match self {
            Self::None => return Ok(None),
            Self::All => snapshot.vectors(number, |_| true)?,
            Self::Named(names) => {
                snapshot.vectors(number, |name| names.iter().any(|it| it == name))?
            }
        };
        Ok(Some(vectors))
    }
}

/// Qdrant's.
pub(super) const DEFAULT_LIMIT: usize = 10;

impl QueryRequest {
    /// The ten best points by `query`, for example those nearest to a vector, by the vector without a name.
    pub fn new(query: impl Into<Scoring>) -> Self {
        Self { query: Some(query.into()), ..Self::unscored() }
    }

    /// Ten points by their ids.
    pub fn unscored() -> Self {
        Self {
            prefetch: Vec::new(),
            query: None,
            using: String::new(),
            filter: None,
            params: SearchParams::default(),
            idf_corpus: None,
            score_threshold: None,
            lookup_from: None,
            limit: DEFAULT_LIMIT,
            offset: 0,
            with_payload: PayloadSelector::None,
            with_vector: WithVector::None,
            with_matches: false,
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

    /// Only points that match this filter.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Parameters of recall, if there are no prefetches.
    pub fn params(self, params: SearchParams) -> Self {
        Self { params, ..self }
    }

    /// Counts frequencies of a sparse vector's indices among the points that match.
    pub fn idf_corpus(self, corpus: Filter) -> Self {
        Self { idf_corpus: Some(corpus), ..self }
    }

    /// Only results with a better score.
    pub fn score_threshold(self, score: f32) -> Self {
        Self { score_threshold: Some(score), ..self }
    }

    /// Takes the vectors of points that are examples from another collection.
    pub fn lookup_from(self, lookup: Lookup) -> Self {
        Self { lookup_from: Some(lookup), ..self }
    }

    /// Limits the number of results.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Leaves out so many of the best.
    pub fn offset(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    /// Returns this part of the payloads with the results.
    pub fn with_payload(self, with_payload: PayloadSelector) -> Self {
        Self { with_payload, ..self }
    }

    /// Returns these vectors with the results.
    pub fn with_vector(self, with_vector: WithVector) -> Self {
        Self { with_vector, ..self }
    }

    /// The tokens that the tokens of a multivector query matched.
    pub fn with_matches(self) -> Self {
        Self { with_matches: true, ..self }
    }
}

impl Prefetch {
    /// The ten best points by `query`, for example those nearest to a vector, by the vector without a name.
    pub fn new(query: impl Into<Scoring>) -> Self {
        Self { query: Some(query.into()), ..Self::unscored() }
    }

    /// Ten points by their ids.
    pub fn unscored() -> Self {
        Self {
            prefetch: Vec::new(),
            query: None,
            using: String::new(),
            filter: None,
            params: SearchParams::default(),
            idf_corpus: None,
            score_threshold: None,
            lookup_from: None,
            limit: DEFAULT_LIMIT,
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

    /// Only points that match this filter.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Parameters of recall.
    pub fn params(self, params: SearchParams) -> Self {
        Self { params, ..self }
    }

    /// Counts frequencies of a sparse vector's indices among the points that match.
    pub fn idf_corpus(self, corpus: Filter) -> Self {
        Self { idf_corpus: Some(corpus), ..self }
    }

    /// Only candidates with a better score.
    pub fn score_threshold(self, score: f32) -> Self {
        Self { score_threshold: Some(score), ..self }
    }

    /// Takes the vectors of points that are examples from another collection.
    pub fn lookup_from(self, lookup: Lookup) -> Self {
        Self { lookup_from: Some(lookup), ..self }
    }

    /// Limits the number of candidates.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }
}

/// Stage of a request: the fields that a request and a prefetch have in common.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Asked<'a> {
    pub prefetch: &'a [Prefetch],
    pub query: Option<&'a Scoring>,
    pub using: &'a str,
    pub filter: Option<&'a Filter>,
    pub params: SearchParams,
    pub idf_corpus: Option<&'a Filter>,
    pub score_threshold: Option<f32>,
    pub lookup_from: Option<&'a Lookup>,
    pub limit: usize,
}

macro_rules! asked {
    ($of:ty) => {
        impl $of {
            pub(crate) fn asked(&self) -> Asked<'_> {
                Asked {
                    prefetch: &self.prefetch,
                    query: self.query.as_ref(),
                    using: &self.using,
                    filter: self.filter.as_ref(),
                    params: self.params,
                    idf_corpus: self.idf_corpus.as_ref(),
                    score_threshold: self.score_threshold,
                    lookup_from: self.lookup_from.as_ref(),
                    limit: self.limit,
                }
            }
        }
    };
}

asked!(QueryRequest);
asked!(Prefetch);

impl<'a> Asked<'a> {
    /// Levels of prefetches that may be used; a request without any is one level.
    pub const DEEPEST: usize = 64;

    /// Number of levels, itself included; no more are looked at than `most` and one.
    pub fn depth(&self, most: usize) -> usize {
        match most {
            0 => 1,
            _ => 1 + self.below().map(|it| it.depth(most - 1)).max().unwrap_or(0),
        }
    }

    /// Stages whose results are its candidates.
    pub fn below(&self) -> impl Iterator<Item = Asked<'a>> + use<'a> {
        self.prefetch.iter().map(Prefetch::asked)
    }

    /// Refuses what would only be noticed by some answers. Its prefetches are not looked at.
    pub fn check(&self) -> Result<()> {
        at_least_1("limit", self.limit)?;
        at_least_1("hnsw_ef", self.params.hnsw_ef.unwrap_or(1))?;
        if let Some(scoring) = self.query {
            scoring.check(self.prefetch.len())?;
        }
        self.check_threshold()?;
        self.check_fusion()
    }

    fn check_threshold(&self) -> Result<()> {
        let scored = self.query.is_some_and(|it| !it.is_unscored());
        match self.score_threshold {
            Some(threshold) if !threshold.is_finite() => {
                Err(refused("score_threshold", "finite", threshold))
            }
            Some(threshold) if matches!(self.query, Some(Scoring::OrderBy(_))) => {
                Err(refused("score_threshold", "left out, as points are ordered", threshold))
            }
            Some(threshold) if !scored => {
                Err(refused("score_threshold", "left out, as nothing is scored", threshold))
            }
            _ => Ok(()),
        }
    }

    fn check_fusion(&self) -> Result<()> {
        if self.query.is_none() && !self.prefetch.is_empty() {
            return Err(refused("query", "given, as there are prefetches", "nothing"));
        }
        if !self.query.is_some_and(Scoring::needs_prefetch) {
            return Ok(());
        }
        if self.prefetch.is_empty() {
            return Err(refused("the number of prefetches", "at least 1, as they are fused", 0));
        }
        match self.using {
            "" => Ok(()),
            name => Err(refused("using", "left out, as no vector is compared", name)),
        }
    }
}

fn at_least_1(name: &'static str, got: usize) -> Result<()> {
    within(name, "at least 1", got, got > 0)
}

fn within(name: &'static str, expected: &str, got: impl ToString, fits: bool) -> Result<()> {
    if fits { Ok(()) } else { Err(refused(name, expected, got)) }
}

fn refused(name: &'static str, expected: &str, got: impl ToString) -> Error {
    Error::InvalidParameter { name, expected: expected.into(), got: got.to_string() }
}
