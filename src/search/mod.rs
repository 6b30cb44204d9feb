//! Recall and rerank in one request on a [`Collection`](crate::collection::Collection).
//!
//! A [`Searcher`] owns a collection and answers [`QueryRequest`]s, which have Qdrant's shape: prefetches
//! that find candidates, say by dense vectors, and a query that ranks them, say by MaxSim. The
//! [`QueryResponse`] has the points, and a [`QueryPlan`] that tells how they were found.
//!
//! An embedder with its own recall needs no collection: see [`Reranker`](crate::rerank::Reranker).

mod facet;
mod formula;
mod groups;
mod limits;
mod query;
mod query_response;
mod searcher;

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
