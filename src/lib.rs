//! Late-interaction reranking for search backends.
pub mod error;
pub mod eval;
pub mod maxsim;
pub mod multivector;
pub use error::{Error, Result};
