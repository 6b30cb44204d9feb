//! Matrices as a store takes them: in f16, or in int8.

use std::ops::Range;

use crate::gpu::buffers::append_rows;
use crate::gpu::quantized::{append_codes, append_scales};
use crate::multivector::{QuantizedMatrixRef, TokenMatrixRef};

/// Matrix of a document, in the format of its store.
#[derive(Clone, Copy)]
pub(super) enum Matrix<'a> {
    F16(TokenMatrixRef<'a>),
    Int8(QuantizedMatrixRef<'a>),
}

impl Matrix<'_> {
    pub(super) fn tokens(&self) -> usize {
        match self {
            Self::F16(matrix) => matrix.tokens(),
            Self::Int8(matrix) => matrix.tokens(),
        }
    }

    pub(super) fn dim(&self) -> usize {
        match self {
            Self::F16(matrix) => matrix.dim(),
            Self::Int8(matrix) => matrix.dim(),
        }
    }

    /// Length of its longest row, if a kernel asks for it.
    pub(super) fn longest(&self) -> f32 {
        match self {
            Self::F16(_) => 0.0,
            Self::Int8(matrix) => matrix.parts().longest,
        }
    }

    /// Appends some of its rows, of so many bytes on the device.
    pub(super) fn append_rows(
        &self,
        rows: Range<usize>,
        row_bytes: usize,
        append: impl FnMut(&[u8]),
    ) {
        match self {
            Self::F16(matrix) => {
                let dim = matrix.dim();
                let values = &matrix.values()[rows.start * dim..rows.end * dim];
                append_rows(values, dim, row_bytes, append);
            }
            Self::Int8(matrix) => append_codes(*matrix, rows, append),
        }
    }

    /// Appends what is beside some of its rows.
    pub(super) fn append_beside(&self, rows: Range<usize>, append: impl FnMut(&[u8])) {
        match self {
            Self::F16(_) => {}
            Self::Int8(matrix) => append_scales(*matrix, rows, append),
        }
    }
}
