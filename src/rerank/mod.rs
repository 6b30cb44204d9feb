//! One contract over both backends: a query, candidates, and the best of them in order.
//!
//! A [`Reranker`] takes candidates that any recall has found: this crate's, a database's, a search
//! engine's. It scores their token matrices on the GPU or the CPU, whichever it was made for, and
//! says afterwards which it was and why.
//!
//! ```
//! use maxfold::multivector::TokenMatrix;
//! use maxfold::rerank::{Backend, Reranker};
//!
//! let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
//! let near = TokenMatrix::new(&[0.9_f32, 0.1, 0.2, 0.8], 2)?;
//! let far = TokenMatrix::new(&[-1.0_f32, 0.0], 2)?;
//!
//! let reranker = Reranker::new(Backend::Auto)?;
//! let ranking = reranker.rerank(query.view(), &[(7, far.view()), (3, near.view())], 10)?;
//! assert_eq!(ranking.hits[0].id, 3);
//! println!("scored by {}", ranking.execution);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `backend.rs` | [`Backend`]s to choose from, and the [`Execution`] that came of it |
//! | `options.rs` | [`RerankerOptions`] |
//! | `request.rs` | [`Request`]: queries with candidates of their own; [`Ranking`]: hits |
//! | `reranker.rs` | [`Reranker`]: the choice, the call, the fall back to the CPU |

mod backend;
mod options;
mod request;
mod reranker;

pub use crate::ranking::{Certified, DocumentId, Matrices, Query, Scored, TokenMatch, Wanted};
pub use backend::{Backend, Execution, Processor};
pub use options::RerankerOptions;
pub use request::{Ranking, Rankings, Request, Scores};
pub use reranker::Reranker;
