//! Token matrices in f16, one by one or packed, and the dense vectors beside them.
//!
//! A late-interaction model keeps one vector per token (or image patch) of a text. [`TokenMatrix`]
//! holds those of one text, [`MultiVectors`] those of many, packed without padding. Everything is
//! checked here, once, so that no kernel has to check again: a matrix has at least one token and one
//! column, and every value is finite in f16.
//!
//! ```
//! use maxfold::multivector::{MultiVectors, TokenMatrix};
//!
//! let two_tokens = TokenMatrix::new(&[0.6_f32, 0.8, 1.0, 0.0], 2)?;
//! assert_eq!((two_tokens.tokens(), two_tokens.dim()), (2, 2));
//!
//! let mut documents = MultiVectors::empty(2)?;
//! documents.push(two_tokens.view())?;
//! documents.push(TokenMatrix::normalized(&[3.0_f32, 4.0], 2)?.view())?;
//! assert_eq!(documents.offsets(), [0, 2, 3]);
//! # Ok::<(), maxfold::Error>(())
//! ```

mod cleanup;
mod dense;
mod element;
mod ids;
mod interchange;
#[cfg(feature = "collection")]
mod norms;
mod packed;
mod pooling;
mod quantized;
mod rotation;
mod tensors;
mod token_matrix;
mod vector_file;
mod ward;

pub use cleanup::{RowCleanup, RowCounts};
pub use dense::DenseVectors;
#[cfg(feature = "recall")]
pub(crate) use dense::check_finite;
pub use element::Element;
pub(crate) use element::check_dimension;
#[cfg(feature = "recall")]
pub(crate) use element::unit;
#[cfg(feature = "collection")]
pub(crate) use element::{flatten, rows};
pub use interchange::Interchange;
#[cfg(feature = "collection")]
pub(crate) use norms::{
    LONGEST_ROW, NORM_COLUMNS, NormedRows, norm_rounding, weighted, without_norms,
};
pub use packed::MultiVectors;
pub use pooling::Pooling;
#[cfg(feature = "gpu")]
pub(crate) use quantized::QuantizedRow;
pub use quantized::{QuantizedMatrix, QuantizedMatrixRef};
pub(crate) use quantized::{QuantizedRows, Quantizer};
pub(crate) use token_matrix::check_dimensions;
pub use token_matrix::{TokenMatrix, TokenMatrixRef};
pub use vector_file::VectorFile;
