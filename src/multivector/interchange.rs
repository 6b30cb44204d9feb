//! The interchange file: how token matrices come from, and go to, other languages.

use std::borrow::Cow;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::View;

use super::tensors::Tensors;
use super::{DenseVectors, MultiVectors, element, ids, packed};
use crate::{Error, Result, files};

/// Token matrices, and with them dense vectors, of many items, as [safetensors].
///
/// | tensor | shape | type |
/// |---|---|---|
/// | `tokens` | `[sum of tokens, dim]` | F16, BF16 or F32 |
/// | `offsets` | `[items + 1]` | any integer type: item `i` owns rows `offsets[i] .. offsets[i + 1]` |
/// | `dense` (optional) | `[items, dense dim]` | F16, BF16 or F32 |
///
/// The metadata may have `ids`: the items' ids, a JSON list of strings, all different. Other tensors
/// and metadata are ignored.
///
/// [safetensors]: https://huggingface.co/docs/safetensors
///
/// ```
/// use maxfold::multivector::{Interchange, MultiVectors};
///
/// // Two rows of two columns, and one.
/// let tokens = MultiVectors::new(&[1.0_f32, 0.0, 0.5, 0.5, 0.25, 0.75], &[0, 2, 3], 2)?;
/// let items = Interchange::new(tokens).ids(vec!["a".into(), "b".into()]);
/// let bytes = items.to_bytes()?;
/// assert_eq!(Interchange::from_bytes(&bytes)?, items);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interchange {
    /// The items' token matrices.
    pub tokens: MultiVectors,
    /// The items' dense vectors, if the file has them.
    pub dense: Option<DenseVectors>,
    /// The items' ids, if the file has them.
    pub ids: Option<Vec<String>>,
}

impl Interchange {
    /// Items with these token matrices.
    pub fn new(tokens: MultiVectors) -> Self {
        Self { tokens, dense: None, ids: None }
    }

    /// With dense vectors, or without.
    pub fn dense(self, dense: impl Into<Option<DenseVectors>>) -> Self {
        Self { dense: dense.into(), ..self }
    }

    /// With ids, or without.
    pub fn ids(self, ids: impl Into<Option<Vec<String>>>) -> Self {
        Self { ids: ids.into(), ..self }
    }

    /// Reads a file, a piece at a time.
    ///
    /// # Errors
    /// [`Error::InFile`], with the path, around what [`Interchange::from_bytes`] or the operating
    /// system found.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = Tensors::open(path).and_then(|mut file| Self::read_from(&mut file));
        read.map_err(|source| source.in_file(path))
    }

    /// Reads `dense` of a file that need not have `tokens`.
    ///
    /// # Errors
    /// As [`Interchange::read`].
    pub fn read_dense(path: impl AsRef<Path>) -> Result<DenseVectors> {
        let path = path.as_ref();
        let read = Tensors::open(path).and_then(|mut file| dense(&mut file));
        read.map_err(|source| source.in_file(path))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Not a safetensors file or a truncated one; a tensor missing, or of another type or shape; ids
    /// that are not one an item, or not all different; what [`MultiVectors::new`] and [`DenseVectors::new`] refuse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read_from(&mut Tensors::of(bytes)?)
    }

    fn read_from(file: &mut Tensors<'_>) -> Result<Self> {
        let tokens = tokens(file)?;
        let dense = file.has("dense").then(|| dense(file)).transpose()?;
        if let Some(dense) = &dense {
            check_count(tokens.len(), dense.len())?;
        }
        let ids = ids::read(file.metadata(), tokens.len())?;
        Ok(Self { tokens, dense, ids })
    }

    /// Writes a file: `tokens` as F16, `offsets` as U64, `dense` as F32. A file that is there is
    /// replaced once the new one is complete.
    ///
    /// # Errors
    /// As [`Interchange::to_bytes`]; [`Error::Io`] if the file can't be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), &self.to_bytes()?)
    }

    /// The bytes of the file that [`Interchange::write`] writes.
    ///
    /// # Errors
    /// Not as many dense vectors, or ids, as token matrices; ids that are not all different.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let multi = &self.tokens;
        if let Some(dense) = &self.dense {
            check_count(multi.len(), dense.len())?;
        }
        let values = LittleEndian::new(Dtype::F16, [multi.tokens(), multi.dim()], multi.values());
        let offsets = LittleEndian::new(Dtype::U64, [multi.offsets().len()], multi.offsets());
        let dense = self.dense.as_ref();
        let dense = dense.map(|d| LittleEndian::new(Dtype::F32, [d.len(), d.dim()], d.values()));
        let tensors = [("tokens", values), ("offsets", offsets)];
        let tensors = tensors.into_iter().chain(dense.map(|dense| ("dense", dense)));
        let ids = self.ids.as_ref().map(|ids| ids::write(ids, multi.len())).transpose()?;
        safetensors::serialize(tensors, ids)
            .map_err(|source| Error::UnwritableSafetensors { source: source.into() })
    }
}

/// One dense vector an item.
fn check_count(expected: usize, got: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::CountMismatch { what: "rows in \"dense\"", expected, got })
}

fn tokens(file: &mut Tensors<'_>) -> Result<MultiVectors> {
    let table = file.table("tokens")?;
    let offsets = offsets(file, table.rows)?;
    let values = file.halves(&table)?;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        // As it was before it was rounded.
        let (row, column) = (at / table.dim, at % table.dim);
        let value = file.rows(&table, row, row + 1)?[column];
        return Err(element::unfit(row, column, value).in_item(&offsets));
    }
    MultiVectors::checked(values, offsets, table.dim)
}

/// The offsets of items that own `rows` rows.
pub(super) fn offsets(file: &mut Tensors<'_>, rows: usize) -> Result<Vec<u64>> {
    let offsets = file.integers("offsets")?;
    packed::check_offsets(offsets.iter().copied(), rows)?;
    // Checked: none is negative or beyond the rows.
    Ok(offsets.into_iter().map(|offset| offset as u64).collect())
}

fn dense(file: &mut Tensors<'_>) -> Result<DenseVectors> {
    let table = file.table("dense")?;
    DenseVectors::new(file.rows(&table, 0, table.rows)?, table.dim)
}

/// A tensor to be written, in the byte order of the format.
struct LittleEndian<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Cow<'a, [u8]>,
}

impl<'a> LittleEndian<'a> {
    fn new<T: bytemuck::NoUninit>(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        values: &'a [T],
    ) -> Self {
        let native: &[u8] = bytemuck::cast_slice(values);
        let data = if cfg!(target_endian = "little") {
            Cow::Borrowed(native)
        } else {
            let swapped = native.chunks_exact(size_of::<T>()).flat_map(|one| one.iter().rev());
            Cow::Owned(swapped.copied().collect())
        };
        Self { dtype, shape: shape.into(), data }
    }
}

impl View for LittleEndian<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}
