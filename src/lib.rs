//! Late-interaction reranking for search backends, on a GPU or the CPU.
//!
//! Models like ColBERT (text) and ColPali (page images) keep one vector per token or patch. Ranking
//! with them, MaxSim, is far more precise than one vector a document, and far more expensive: so a
//! search recalls candidates with one dense vector each, and reranks those with MaxSim.
//!
//! There are three doors:
//!
//! - A search engine that has candidates: [`Reranker`] ranks them.
//!
//! ```
//! use maxfold::{Backend, Reranker, TokenMatrix};
//!
//! let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
//! let near = TokenMatrix::new(&[0.9_f32, 0.1, 0.2, 0.8], 2)?;
//! let far = TokenMatrix::new(&[-1.0_f32, 0.0], 2)?;
//!
//! let reranker = Reranker::new(Backend::Auto)?;
//! let ranking = reranker.rerank(query.view(), &[(7, far.view()), (3, near.view())], 10)?;
//! assert_eq!(ranking.hits[0].id, 3);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
#![cfg_attr(
    feature = "collection",
    doc = r##"
- No search engine yet: a [`Collection`] keeps points with vectors and payloads on disk, and a
  [`Searcher`] recalls, filters and reranks them in one request.

```
use maxfold::{Collection, CollectionConfig, Distance, Point, Prefetch, QueryRequest, Searcher};
use maxfold::{Vector, VectorConfig};

let config = CollectionConfig::new()
    .vector("dense", VectorConfig::dense(2, Distance::Cosine))
    .vector("tokens", VectorConfig::multi(2, Distance::Dot));
let searcher = Searcher::new(Collection::temporary(config)?)?;

let tokens = |values: [f32; 4]| Vector::Multi { values: values.into(), dim: 2 };
searcher.collection().upsert(vec![
    Point::new(7).vector("dense", vec![0.9, 0.1]).vector("tokens", tokens([1.0, 0.0, 0.5, 0.5])),
    Point::new(8).vector("dense", vec![0.1, 0.9]).vector("tokens", tokens([0.0, 1.0, 0.5, 0.5])),
])?;
let request = QueryRequest::new(tokens([0.0, 1.0, 0.25, 1.0]))
    .using("tokens")
    .prefetch(Prefetch::new(vec![0.5, 0.5]).using("dense").limit(100))
    .limit(1);
assert_eq!(searcher.query(&request)?.points[0].id, 8.into());
# Ok::<(), maxfold::Error>(())
```
"##
)]
//! - Judgements, and the question which ranking is better: [`eval`].
//!
//! Calls block; [`run_async`] is the async door to all of them. Nothing panics on bad input: what was
//! expected and what came is in the [`Error`], and [`Error::kind`] says whose fault it is.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `gpu` | yes | `gpu`: WGSL compute shaders through wgpu, on Vulkan, Metal or DirectX 12 |
//! | `recall` | yes | `recall`: HNSW over dense vectors |
//! | `collection` | yes | `collection`, `filter`, `search`: points kept on disk, with payloads and filters |
//! | `tracing` | no | spans of `tracing` around reranking, writes, upkeep and uploads to a GPU, of the target `maxfold` |
//! | `server` | no | `server`: Qdrant's REST API over the collections of a directory, as a router of axum |
//! | `grpc` | no | Qdrant's gRPC API, too, as another router |
//! | `tls` | no | `server::Tls`: both encrypted |
//! | `encoder` | no | `encoder`: text to token matrices, by models in folders |
//! | `heat-map` | no | `heat_map`: what a query matched on a page, as a picture |
//! | `service` | no | `service`: searches and writes as futures, gathered, on a bounded pool of threads |
//! | `cli` | no | nothing here: the program `maxfold` |
//!
//! The rest, CPU MaxSim included, is always there and has few dependencies.
#![warn(missing_docs)]

mod background;
#[cfg(feature = "collection")]
pub mod collection;
mod decimal;
#[cfg(any(feature = "encoder", feature = "server"))]
pub mod encoder;
pub mod error;
pub mod eval;
mod files;
#[cfg(feature = "collection")]
pub mod filter;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(feature = "heat-map")]
pub mod heat_map;
#[cfg(feature = "collection")]
mod json;
pub mod maxsim;
pub mod multivector;
mod ranking;
#[cfg(feature = "recall")]
pub mod recall;
pub mod rerank;
#[cfg(feature = "collection")]
pub mod search;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "service")]
pub mod service;
pub mod text;
mod trace;

pub use background::run_async;
#[cfg(feature = "collection")]
pub use collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "collection")]
pub use filter::{Filter, Payload, PointId};
pub use multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
#[cfg(feature = "recall")]
pub use recall::Distance;
pub use rerank::{Backend, Reranker};
#[cfg(feature = "collection")]
pub use search::{Prefetch, QueryRequest, QueryResponse, Searcher};

// Crates whose types are in public signatures, in the versions that fit.
pub use half;
pub use rayon;
#[cfg(feature = "collection")]
pub use roaring;
#[cfg(feature = "collection")]
pub use serde_json;
#[cfg(feature = "gpu")]
pub use wgpu;

/// Compiles the examples of the README.
#[cfg(all(doctest, feature = "gpu", feature = "collection"))]
#[doc = include_str!("../README.md")]
struct Readme;
