//! Late-interaction reranking for search backends.
pub mod error;
pub mod eval;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod maxsim;
pub mod multivector;
#[cfg(feature = "recall")]
pub mod recall;
pub mod rerank;
#[cfg(feature = "recall")]
pub mod search;
pub use error::{Error, Result};
