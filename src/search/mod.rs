//! Recall and rerank in one request on a [`Collection`](crate::collection::Collection).
//!
//! A [`Searcher`] owns a collection and answers [`QueryRequest`]s, which have Qdrant's shape: a tree of stages.
//! Prefetches find candidates, say by dense and by sparse vectors, another stage fuses them, and the query ranks
//! what is left, say by MaxSim. The [`QueryResponse`] has the points, and a [`QueryPlan`] that tells how they were
//! found.
//!
//! | stands for | in a request |
//! |---|---|
//! | [`Prefetch`] | a stage that finds candidates for the one above it |
//! | [`Scoring`] | the rule of a stage: by vectors, fusion, formula, payload |
//! | [`GroupRequest`], [`FacetRequest`] | results in groups; counts by payload values |
//!
//! An embedder with its own recall needs no collection: see [`Reranker`](crate::rerank::Reranker).

mod facet;
mod formula;
mod groups;
mod limits;
mod query;
mod query_response;
mod searcher;

pub use crate::ranking::Certified;
pub use facet::{FacetHit, FacetRequest, FacetValue};
pub use formula::{Decay, DecayShape, Expression, Fold, Formula, Function, Variable};
pub use groups::{GroupId, GroupRequest, GroupResponse, PointGroup, WithLookup};
pub use limits::RequestLimits;
pub use query::{
    ContextPair, Direction, Example, Feedback, Fusion, Lookup, Mmr, OrderBy, OrderValue, Prefetch,
    QueryRequest, Recommend, RecommendStrategy, Scoring, WithVector,
};
pub use query_response::{Method, QueryPlan, QueryResponse, ScoredPoint, Stage};
pub use searcher::{Collections, Searcher, SearcherOptions, SearcherStatistics};
