//! [`Grid`]: columns and rows of patches.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Columns and rows of the patches that a model cuts a page into, row by row; written `32x32`.
///
/// ```
/// use maxfold::heat_map::Grid;
///
/// let grid: Grid = "26x39".parse()?;
/// assert_eq!((grid.columns(), grid.rows(), grid.patches()), (26, 39, 1014));
/// assert_eq!(grid.to_string(), "26x39");
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    columns: u16,
    rows: u16,
}

impl Grid {
    /// ColPali's.
    pub const COLPALI: Self = Self { columns: 32, rows: 32 };

    /// A grid of so many columns and rows.
    ///
    /// # Errors
    /// One of them is 0.
    pub fn new(columns: u16, rows: u16) -> Result<Self> {
        if columns == 0 || rows == 0 {
            return Err(refused(format!("{columns}x{rows}")));
        }
        Ok(Self { columns, rows })
    }

    /// Number of columns.
    pub fn columns(self) -> u16 {
        self.columns
    }

    /// Number of rows.
    pub fn rows(self) -> u16 {
        self.rows
    }

    /// Number of patches.
    pub fn patches(self) -> usize {
        usize::from(self.columns) * usize::from(self.rows)
    }
}

impl FromStr for Grid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let sides = text.split_once(['x', '×']);
        let sides = sides.and_then(|(columns, rows)| {
            Some((columns.trim().parse().ok()?, rows.trim().parse().ok()?))
        });
        let (columns, rows) = sides.ok_or_else(|| refused(text.into()))?;
        Self::new(columns, rows)
    }
}

fn refused(got: String) -> Error {
    let expected = "columns and rows from 1 to 65535, as in 32x32".into();
    Error::InvalidParameter { name: "a grid", expected, got }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}
