//! Vectors of an interchange file, read item by item.

use std::path::{Path, PathBuf};

use super::interchange::offsets;
use super::tensors::{Table, Tensors};
use super::{MultiVectors, RowCleanup, RowCounts, TokenMatrix, ids};
use crate::{Error, Result};

/// The items of an [interchange file](super::Interchange), as they stand there: read when they are
/// asked for, so that a file may be larger than memory.
///
/// ```
/// # use maxfold::multivector::{Interchange, MultiVectors, VectorFile};
/// # let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
/// let tokens = MultiVectors::new(&[0.5_f32, 1.0, 2.0, 4.0, 8.0, 16.0], &[0, 1, 3], 2)?;
/// Interchange::new(tokens).write(&path)?;
/// let mut file = VectorFile::tokens(&path)?;
/// assert_eq!((file.len(), file.dim()), (2, 2));
/// assert_eq!(file.get(1)?.unwrap(), [2.0, 4.0, 8.0, 16.0]);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct VectorFile {
    path: PathBuf,
    tensors: Tensors<'static>,
    table: Table,
    /// The first rows of items, unless each is one row.
    offsets: Option<Vec<u64>>,
    ids: Option<Vec<String>>,
}

impl VectorFile {
    /// Opens a file for its `tokens`: an item is some rows.
    ///
    /// # Errors
    /// As [`Interchange::read`](super::Interchange::read), but for what is wrong with values.
    pub fn tokens(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), "tokens", |tensors, rows| offsets(tensors, rows).map(Some))
    }

    /// Opens a file for its `dense`: an item is one row.
    ///
    /// # Errors
    /// As [`VectorFile::tokens`].
    pub fn dense(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), "dense", |_, _| Ok(None))
    }

    fn open(
        path: &Path,
        name: &'static str,
        offsets: impl FnOnce(&mut Tensors<'static>, usize) -> Result<Option<Vec<u64>>>,
    ) -> Result<Self> {
        let open = || {
            let mut tensors = Tensors::open(path)?;
            let table = tensors.table(name)?;
            let offsets = offsets(&mut tensors, table.rows)?;
            let items = offsets.as_ref().map_or(table.rows, |offsets| offsets.len() - 1);
            let ids = ids::read(tensors.metadata(), items)?;
            Ok(Self { path: path.into(), tensors, table, offsets, ids })
        };
        open().map_err(|error: Error| error.in_file(path))
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.offsets.as_ref().map_or(self.table.rows, |offsets| offsets.len() - 1)
    }

    /// Returns `true` if there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.table.dim
    }

    /// The items' ids, if the file has them.
    pub fn ids(&self) -> Option<&[String]> {
        self.ids.as_deref()
    }

    /// All items, cleaned before they are rounded to f16, and what was found in their rows.
    ///
    /// # Errors
    /// [`Error::Io`]; within an [`Error::InFile`] what [`TokenMatrix::new`] refuses, also an item of
    /// which no row is left.
    pub fn read_all(&mut self, cleanup: RowCleanup) -> Result<(MultiVectors, RowCounts)> {
        let mut all = MultiVectors::empty(self.dim())?;
        let mut found = RowCounts::default();
        for item in 0..self.len() {
            let mut values = self.get(item)?.unwrap_or_default();
            let mut push = || {
                found += cleanup.apply(&mut values, all.dim())?;
                all.push(TokenMatrix::new(&values, all.dim())?.view())
            };
            push().map_err(|error| in_item(error, item).in_file(&self.path))?;
        }
        Ok((all, found))
    }

    /// The values of item `index`, row after row, or `None` past the end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn get(&mut self, index: usize) -> Result<Option<Vec<f32>>> {
        let rows = match &self.offsets {
            None => (index < self.table.rows).then(|| (index, index + 1)),
            // Checked: they are rows of the table.
            Some(offsets) => offsets
                .get(index)
                .zip(offsets.get(index + 1))
                .map(|(from, to)| (*from as usize, *to as usize)),
        };
        let values = rows.map(|(from, to)| self.tensors.rows(&self.table, from, to)).transpose();
        values.map_err(|error| error.in_file(&self.path))
    }
}

/// The error of a matrix that is an item of a file.
fn in_item(error: Error, item: usize) -> Error {
    match error {
        Error::NoTokens { .. } => Error::NoTokens { item },
        other => Error::InItem { item, source: Box::new(other) },
    }
}
