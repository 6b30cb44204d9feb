//! Recall of candidates: the documents whose dense vectors are nearest to the query's.
//!
//! Recall is the first of two stages. It has to be fast and to miss little; the order of what it
//! finds is settled by reranking. [`HnswIndex`] walks a graph, [`ExactIndex`] compares every
//! vector. Both keep vectors in memory and name a document by its position in the order of
//! insertion, both search only [`Allowed`] documents if told so, and both give the same scores.
//!
//! ```
//! use maxfold::multivector::DenseVectors;
//! use maxfold::recall::{Allowed, Distance, HnswIndex, HnswParams, SearchParams};
//!
//! let vectors = DenseVectors::new(vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -1.0, 0.0], 2)?;
//! let index = HnswIndex::build(Distance::Cosine, HnswParams::default(), &vectors)?;
//! index.insert([(4, &[3.0, 4.0][..])])?;
//!
//! let query = [2.0, 0.0];
//! let found = index.search(&query, 2, SearchParams::default(), None)?;
//! assert_eq!(found.candidates.iter().map(|it| it.document).collect::<Vec<_>>(), [0, 1]);
//! assert_eq!(
//!     found.strategy.to_string(),
//!     "exact scan of 5 documents: cheaper than a graph walk with ef 128"
//! );
//!
//! let odd: Allowed = [1, 3].into_iter().collect();
//! let found = index.search(&query, 10, SearchParams::default(), Some(&odd))?;
//! assert_eq!(found.candidates.iter().map(|it| it.document).collect::<Vec<_>>(), [1, 3]);
//! assert_eq!(found.candidates[1].score, -1.0);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `metric.rs` | [`Distance`]: what nearness means |
//! | `ranking.rs` | [`Candidate`], the order of results, and the first few of many |
//! | `allowed.rs` | [`Allowed`]: a set of documents that a search is restricted to |
//! | `exact.rs` | [`ExactIndex`]: every vector is compared |
//! | `params.rs` | [`HnswParams`], [`SearchParams`] |
//! | `graph.rs` | the graph: vectors, and links between near ones |
//! | `blocks.rs` | rows of numbers in large blocks of memory, appended while others read them |
//! | `mapped.rs` | the rows that come from a file |
//! | `codes.rs` | vectors in a byte a value, for a first look |
//! | `vectors.rs` | the vectors of its nodes |
//! | `web.rs` | its lowest layer |
//! | `upper.rs`, `uppers.rs` | its upper layers: those built together, and all of them |
//! | `links.rs` | how upper layers are built: hnsw_rs |
//! | `walk.rs` | a walk along links |
//! | `near.rs` | a node and its nearness in one number |
//! | `fetch.rs` | memory fetched into the cache ahead of its use |
//! | `gauge.rs` | how far walks have to go, measured on a sample |
//! | `threads.rs` | threads that aren't rayon's |
//! | `scan.rs` | exact scans, which look at coded vectors first |
//! | `documents.rs` | which documents have which vectors |
//! | `hnsw.rs` | [`HnswIndex`]: a graph that grows while it is searched, and how it is rebuilt |
//! | `batch.rs` | [`HnswBatch`]: changes that show together |
//! | `view.rs` | [`HnswView`]: a walk on the graph, or a scan, whichever is better |
//! | `snapshot/` | the index on disk |
//! | `loader.rs` | [`HnswLoader`]: an index from a snapshot and the vectors that there are now |
//! | `strategy.rs` | [`Recalled`]: candidates, and which of the two it was |
//!
//! | word | |
//! |---|---|
//! | document, number | what is searched, and what a caller names it by: a point's number, or its position |
//! | node | a vector in the graph; documents with equal vectors share one, and it stays when they go |
//! | link | a way from a node to another that is near |
//! | layer | nodes with links; the lowest, the *web*, has all of them, the upper ones every sixteenth |
//! | code | a byte that stands for a value of a vector, nearly |
//! | fresh | to be in the upper layers, and not in them yet: walks look at each |
//! | walk | a search along links, from where the upper layers lead to |
//! | scan | a search that compares every allowed document |
//! | ef | number of near nodes that a walk keeps, and so how far it goes |
//! | gauge | the least `ef` that finds what a scan finds, measured on the graph's own vectors |
//! | view | the graph and its documents at one moment |
//! | batch | changes of documents that show together |
//! | stamp | a number of the caller's, for the state that a batch brought the graph to |
//! | rebuild | a new graph of the vectors that are in use, made beside the old one |
//! | snapshot | the index in a file |
//! | revision | a number of the caller's, by which it is seen whether a document has the vector of a snapshot |

mod allowed;
mod batch;
mod blocks;
mod codes;
mod documents;
mod exact;
mod fetch;
mod gauge;
mod graph;
mod hnsw;
mod links;
mod loader;
mod mapped;
mod metric;
mod near;
mod params;
mod ranking;
mod scan;
mod snapshot;
mod strategy;
mod threads;
mod upper;
mod uppers;
mod vectors;
mod view;
mod walk;
mod web;

use vectors::NodeId;

pub use allowed::Allowed;
pub use batch::HnswBatch;
pub use exact::ExactIndex;
pub use hnsw::HnswIndex;
pub use loader::{HnswLoader, LoadedIndex};
pub use metric::Distance;
pub use params::{HnswParams, SearchParams};
pub use ranking::Candidate;
pub use strategy::{Recalled, ScanReason, Strategy};
pub use view::HnswView;
