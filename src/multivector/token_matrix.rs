//! One item's token vectors, owned or borrowed.

use half::f16;

use super::element::{self, Element};
use crate::{Error, Result};

/// The token vectors of one text or image: row-major `[tokens, dim]` in f16.
///
/// At least one token, at least one column, every value finite.
///
/// ```
/// use maxfold::TokenMatrix;
///
/// let two_tokens = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// assert_eq!(two_tokens, TokenMatrix::from_rows(&[[1.0_f32, 0.0], [0.0, 1.0]])?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TokenMatrix {
    values: Vec<f16>,
    dim: usize,
}

impl TokenMatrix {
    /// Takes `[tokens, dim]` values as they are, rounded to f16.
    ///
    /// # Errors
    /// No values, no columns, a ragged last row, NaN or infinity, or a value beyond f16's range.
    pub fn new<E: Element>(values: &[E], dim: usize) -> Result<Self> {
        Self::checked(element::to_half(values, dim)?, dim)
    }

    /// Takes `[tokens, dim]` values, each row scaled to unit length before it is rounded to f16.
    ///
    /// The dot product of two such rows is their cosine. A row of zeros stays as it is.
    ///
    /// # Errors
    /// As [`TokenMatrix::new`], except that no row is too long to be scaled.
    pub fn normalized<E: Element>(values: &[E], dim: usize) -> Result<Self> {
        Self::checked(element::to_unit_half(values, dim)?, dim)
    }

    /// Takes one row a token, as they are, rounded to f16.
    ///
    /// ```
    /// use maxfold::TokenMatrix;
    ///
    /// let matrix = TokenMatrix::from_rows(&[vec![1.0_f32, 0.0], vec![0.5, 0.25]])?;
    /// assert_eq!((matrix.tokens(), matrix.dim()), (2, 2));
    /// assert_eq!(matrix.view().rows().nth(1).unwrap()[1].to_f32(), 0.25);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`TokenMatrix::new`]; rows of different lengths.
    pub fn from_rows<E: Element, R: AsRef<[E]>>(rows: &[R]) -> Result<Self> {
        let (values, dim) = element::flatten(rows, |value| value)?;
        Self::new(&values, dim)
    }

    fn checked(values: Vec<f16>, dim: usize) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::NoTokens { item: 0 });
        }
        Ok(Self { values, dim })
    }

    /// The matrix, borrowed.
    pub fn view(&self) -> TokenMatrixRef<'_> {
        TokenMatrixRef::trusted(&self.values, self.dim)
    }

    /// Number of rows.
    pub fn tokens(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f16] {
        &self.values
    }
}

/// A borrowed [`TokenMatrix`]: the caller's own f16 values, or an item of a
/// [`MultiVectors`](super::MultiVectors), with the same guarantees.
///
/// ```
/// use maxfold::TokenMatrixRef;
/// use maxfold::half::f16;
///
/// let own = [f16::ONE, f16::ZERO, f16::ZERO, f16::ONE];
/// assert_eq!(TokenMatrixRef::new(&own, 2)?.tokens(), 2);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenMatrixRef<'a> {
    values: &'a [f16],
    dim: usize,
}

impl<'a> TokenMatrixRef<'a> {
    /// Borrows `[tokens, dim]` values, without a copy.
    ///
    /// # Errors
    /// As [`TokenMatrix::new`].
    pub fn new(values: &'a [f16], dim: usize) -> Result<Self> {
        if element::rows(values.len(), dim)? == 0 {
            return Err(Error::NoTokens { item: 0 });
        }
        element::check_rounded(values, dim, |index| values[index].to_f32())?;
        Ok(Self { values, dim })
    }

    /// Borrows values that passed the checks of [`TokenMatrixRef::new`] before: at least one whole
    /// row of at least one column, every value finite. Whoever calls this vouches for that.
    pub(crate) fn trusted(values: &'a [f16], dim: usize) -> Self {
        Self { values, dim }
    }

    /// Number of rows.
    pub fn tokens(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [f16] {
        self.values
    }

    /// The row vectors, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f16]> {
        self.values.chunks_exact(self.dim)
    }

    /// A copy that owns its values.
    pub fn to_owned(&self) -> TokenMatrix {
        TokenMatrix { values: self.values.to_vec(), dim: self.dim }
    }
}

impl<'a> From<&'a TokenMatrix> for TokenMatrixRef<'a> {
    fn from(matrix: &'a TokenMatrix) -> Self {
        matrix.view()
    }
}

/// Every document has the query's dimension.
pub(crate) fn check_dimensions(
    query: TokenMatrixRef<'_>,
    documents: &[TokenMatrixRef<'_>],
) -> Result<()> {
    documents.iter().enumerate().try_for_each(|(index, document)| {
        element::check_dimension(|| format!("document {index}"), query.dim(), document.dim())
    })
}
