//! Late-interaction reranking for search backends.
pub mod error;
pub mod eval;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod maxsim;
pub mod multivector;
pub mod rerank;
pub use error::{Error, Result};
