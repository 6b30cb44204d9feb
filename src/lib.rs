//! Late-interaction reranking for search backends, on any GPU or the CPU.
//!
//! Models like ColBERT (text) and ColPali (page images) keep one vector per token or patch. Ranking
//! with them, MaxSim, is far more precise than one vector a document, and far more expensive: so a
//! search recalls candidates with one dense vector each, and reranks those with MaxSim.
//!
//! - [`rerank::Reranker`] ranks candidates that any recall has found. Start here if you have a
//!   search engine.
#![cfg_attr(
    feature = "recall",
    doc = "- [`search::SearchEngine`] recalls and reranks in one request, in memory."
)]
//! - [`multivector`] holds what is scored, and reads it from a file that Python writes in a line.
#![cfg_attr(
    feature = "collection",
    doc = "- [`collection::Collection`] keeps points on disk, with payloads to [`filter`] by; a [`search::Searcher`] recalls and reranks them."
)]
//! - [`eval`] says whether it was worth it; [`text`] decodes the files that it and others read.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `gpu` | yes | `gpu`: WGSL compute shaders through wgpu, on Vulkan, Metal or DirectX 12 |
//! | `recall` | yes | `recall` and `search`: HNSW over dense vectors, both stages in one request |
//! | `collection` | yes | `collection` and `filter`: points kept on disk, with payloads and filters |
//! | `cli` | no | nothing: it is the program's |
//!
//! The rest, CPU MaxSim included, is always there and has few dependencies.
#![warn(missing_docs)]

#[cfg(feature = "collection")]
pub mod collection;
pub mod error;
pub mod eval;
mod files;
#[cfg(feature = "collection")]
pub mod filter;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(feature = "collection")]
mod json;
pub mod maxsim;
pub mod multivector;
mod ranking;
#[cfg(feature = "recall")]
pub mod recall;
pub mod rerank;
#[cfg(feature = "recall")]
pub mod search;
pub mod text;

pub use error::{Error, Result};

/// Compiles the examples of the README.
#[cfg(all(doctest, feature = "gpu", feature = "collection"))]
#[doc = include_str!("../README.md")]
struct Readme;
