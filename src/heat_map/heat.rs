//! [`HeatMap`]: the similarities of a page's patches.

use super::Grid;
use crate::{Error, Result};

/// Similarities of a page's patches to a query token, or to several, of which the largest counts.
///
/// The rows of a [`SimilarityMatrix`](crate::maxsim::SimilarityMatrix) are what it is made of. Rows of a page
/// that come before the patches are for the caller to cut off; those after them, as ColPali has, are left out.
///
/// ```
/// use maxfold::heat_map::{Grid, HeatMap};
/// use maxfold::{TokenMatrix, maxsim::CpuMaxSim};
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let page = TokenMatrix::new(&[0.5_f32, 0.0, 0.25, 0.0, 0.0, 0.75, 0.0, 0.0, 9.0, 9.0], 2)?;
/// let similarities = CpuMaxSim::new().similarities(query.view(), page.view())?;
///
/// let all = HeatMap::new(similarities.rows(), Grid::new(2, 2)?)?;
/// assert_eq!(all.values(), [0.5, 0.25, 0.75, 0.0]);
/// let second = HeatMap::new(similarities.rows().skip(1), Grid::new(2, 2)?)?;
/// let hottest = second.hottest();
/// assert_eq!((hottest.column, hottest.row, hottest.similarity), (0, 1, 0.75));
/// let picture = all.png(None)?;
/// assert!(picture.starts_with(b"\x89PNG"));
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    grid: Grid,
    values: Vec<f32>,
}

/// Patch of a page, with its similarity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Patch {
    /// Column, from 0 at the left.
    pub column: usize,
    /// Row, from 0 at the top.
    pub row: usize,
    /// Similarity to the query token, or the largest of several.
    pub similarity: f32,
}

impl HeatMap {
    /// Takes for each query token its similarities to the rows of a page, of which the first are the patches.
    ///
    /// # Errors
    /// No query token; fewer rows than patches; a similarity that is not finite.
    pub fn new<'a>(similarities: impl IntoIterator<Item = &'a [f32]>, grid: Grid) -> Result<Self> {
        let mut values = vec![f32::NEG_INFINITY; grid.patches()];
        let mut tokens = 0;
        for row in similarities {
            let patches = row.get(..values.len()).ok_or(Error::CountMismatch {
                what: "patches of a page",
                expected: values.len(),
                got: row.len(),
            })?;
            if let Some(column) = patches.iter().position(|it| !it.is_finite()) {
                return Err(Error::NotFinite { row: tokens, column, value: patches[column] });
            }
            values.iter_mut().zip(patches).for_each(|(most, it)| *most = most.max(*it));
            tokens += 1;
        }
        if tokens == 0 {
            return Err(Error::NoTokens { item: 0 });
        }
        Ok(Self { grid, values })
    }

    /// Columns and rows of the patches.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The similarities of the patches, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The patch of the largest similarity; of equal ones the first.
    pub fn hottest(&self) -> Patch {
        let columns = usize::from(self.grid.columns());
        let first = Patch { column: 0, row: 0, similarity: f32::NEG_INFINITY };
        self.values.iter().enumerate().fold(first, |hottest, (at, &similarity)| {
            let (column, row) = (at % columns, at / columns);
            let hotter = similarity > hottest.similarity;
            if hotter { Patch { column, row, similarity } } else { hottest }
        })
    }

    /// The least similarity and the largest, which the coldest and the hottest colour stand for.
    pub(super) fn range(&self) -> (f32, f32) {
        let least = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        (least, self.hottest().similarity)
    }
}
