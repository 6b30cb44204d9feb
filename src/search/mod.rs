//! Recall and rerank in one request: on a collection, or over documents held in memory.
//!
#![cfg_attr(
    feature = "collection",
    doc = "A [`Searcher`] answers [`QueryRequest`]s, Qdrant's, on a [`Collection`](crate::collection::Collection)."
)]
//!
//! A [`SearchEngine`] keeps each document twice, as one dense vector for recall and as a matrix of
//! token vectors for judging, and with them a payload of the caller's type. A [`Request`] says how
//! many documents to prefetch with the dense vector and how many of those to return, ranked by
//! MaxSim; the [`Response`] has them, and says what happened.
//!
//! ```
//! use maxfold::multivector::TokenMatrix;
//! use maxfold::search::{EngineConfig, Point, Request, SearchEngine};
//!
//! // Real vectors come from a model; these have two dimensions.
//! let mut engine = SearchEngine::new(EngineConfig::new(2, 2))?;
//! engine.add(vec![
//!     Point { id: 7, dense: vec![0.9, 0.1], tokens: TokenMatrix::new(&[1.0_f32, 0.0], 2)?, payload: "seven" },
//!     Point { id: 8, dense: vec![0.1, 0.9], tokens: TokenMatrix::new(&[0.0_f32, 1.0], 2)?, payload: "eight" },
//! ])?;
//!
//! let tokens = TokenMatrix::new(&[0.2_f32, 0.8], 2)?;
//! let response = engine.search(&Request::new(&[0.3, 0.7], tokens.view()).prefetch(50).limit(1))?;
//! assert_eq!((response.hits[0].id, response.hits[0].payload), (8, &"eight"));
//! println!("{}", response.report);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! An embedder with its own recall needs no engine: see [`Reranker`](crate::rerank::Reranker), or
//! [`SearchEngine::rerank`] for candidates by id.

mod engine;
#[cfg(feature = "collection")]
mod limits;
#[cfg(feature = "collection")]
mod query;
#[cfg(feature = "collection")]
mod query_json;
#[cfg(feature = "collection")]
mod query_response;
mod request;
mod response;
#[cfg(feature = "collection")]
mod searcher;

pub use engine::{EngineConfig, Point, SearchEngine};
#[cfg(feature = "collection")]
pub use limits::RequestLimits;
#[cfg(feature = "collection")]
pub use query::{Prefetch, QueryRequest, WithVector};
#[cfg(feature = "collection")]
pub use query_response::{Method, QueryPlan, QueryResponse, ScoredPoint, Stage};
pub use request::Request;
pub use response::{Hit, Recall, Report, Response};
#[cfg(feature = "collection")]
pub use searcher::{Searcher, SearcherOptions};
