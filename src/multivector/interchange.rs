//! The interchange file: how token matrices come from, and go to, other languages.

use std::borrow::Cow;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{SafeTensorError, TensorView, View};
use safetensors::{Dtype, SafeTensors};

use super::{DenseVectors, MultiVectors, element, packed};
use crate::{Error, Result, files};

/// Token matrices, and with them dense vectors, of many items, as [safetensors].
///
/// | tensor | shape | type |
/// |---|---|---|
/// | `tokens` | `[sum of tokens, dim]` | F16, BF16 or F32 |
/// | `offsets` | `[items + 1]` | any integer type: item `i` owns rows `offsets[i] .. offsets[i + 1]` |
/// | `dense` (optional) | `[items, dense dim]` | F16, BF16 or F32 |
///
/// Other tensors are ignored.
///
/// [safetensors]: https://huggingface.co/docs/safetensors
#[derive(Clone, Debug, PartialEq)]
pub struct Interchange {
    /// The items' token matrices.
    pub tokens: MultiVectors,
    /// The items' dense vectors, if the file has them.
    pub dense: Option<DenseVectors>,
}

impl Interchange {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::InFile`], with the path, around what [`Interchange::from_bytes`] or the operating
    /// system found.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::io("read", path, source))?;
        Self::from_bytes(&bytes).map_err(|source| source.in_file(path))
    }

    /// Reads `dense` of a file that need not have `tokens`.
    ///
    /// # Errors
    /// As [`Interchange::read`].
    pub fn read_dense(path: impl AsRef<Path>) -> Result<DenseVectors> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::io("read", path, source))?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|source| Error::InvalidSafetensors { bytes: bytes.len(), source });
        file.and_then(|file| dense(&file)).map_err(|source| source.in_file(path))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Not a safetensors file or a truncated one; a tensor missing, or of another type or shape;
    /// what [`MultiVectors::new`] and [`DenseVectors::new`] refuse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| Error::InvalidSafetensors { bytes: bytes.len(), source })?;
        let tokens = read_tokens(&file)?;
        let dense = read_dense(&file, tokens.len())?;
        Ok(Self { tokens, dense })
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
    /// Not as many dense vectors as token matrices.
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
        safetensors::serialize(tensors, None)
            .map_err(|source| Error::UnwritableSafetensors { source })
    }
}

/// One dense vector an item.
fn check_count(expected: usize, got: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::CountMismatch { what: "rows in \"dense\"", expected, got })
}

const FLOATS: &str = "F16, BF16 or F32";
const MATRIX: &str = "F16, BF16 or F32 of shape [rows, columns]";
const INTEGERS: &str = "integers of shape [items + 1]";

fn read_tokens(file: &SafeTensors<'_>) -> Result<MultiVectors> {
    let (tokens, offsets) = (tensor(file, "tokens", MATRIX)?, tensor(file, "offsets", INTEGERS)?);
    let &[rows, dim] = tokens.shape() else { return Err(wrong("tokens", MATRIX, &tokens)) };
    let offsets = read_integers(&offsets)?;
    packed::check_offsets(offsets.iter().copied(), rows)?;
    // Checked: none is negative or beyond the rows.
    let offsets: Vec<u64> = offsets.into_iter().map(|offset| offset as u64).collect();
    let data = tokens.data();
    match tokens.dtype() {
        Dtype::F16 => MultiVectors::from_vec(decode(data, f16::from_le_bytes), offsets, dim),
        Dtype::BF16 => MultiVectors::new(&decode(data, bf16::from_le_bytes), &offsets, dim),
        Dtype::F32 => MultiVectors::new(&decode(data, f32::from_le_bytes), &offsets, dim),
        _ => Err(wrong("tokens", FLOATS, &tokens)),
    }
}

fn read_dense(file: &SafeTensors<'_>, items: usize) -> Result<Option<DenseVectors>> {
    if !file.names().contains(&"dense") {
        return Ok(None);
    }
    let dense = dense(file)?;
    check_count(items, dense.len())?;
    Ok(Some(dense))
}

fn dense(file: &SafeTensors<'_>) -> Result<DenseVectors> {
    let dense = tensor(file, "dense", MATRIX)?;
    let &[rows, dim] = dense.shape() else { return Err(wrong("dense", MATRIX, &dense)) };
    element::rows(rows * dim, dim)?;
    let data = dense.data();
    let values = match dense.dtype() {
        Dtype::F16 => decode(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => decode(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Dtype::F32 => decode(data, f32::from_le_bytes),
        _ => return Err(wrong("dense", FLOATS, &dense)),
    };
    DenseVectors::new(values, dim)
}

fn read_integers(view: &TensorView<'_>) -> Result<Vec<i128>> {
    if view.shape().len() != 1 {
        return Err(wrong("offsets", INTEGERS, view));
    }
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::U8 => decode(data, |bytes| u8::from_le_bytes(bytes).into()),
        Dtype::I8 => decode(data, |bytes| i8::from_le_bytes(bytes).into()),
        Dtype::U16 => decode(data, |bytes| u16::from_le_bytes(bytes).into()),
        Dtype::I16 => decode(data, |bytes| i16::from_le_bytes(bytes).into()),
        Dtype::U32 => decode(data, |bytes| u32::from_le_bytes(bytes).into()),
        Dtype::I32 => decode(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U64 => decode(data, |bytes| u64::from_le_bytes(bytes).into()),
        Dtype::I64 => decode(data, |bytes| i64::from_le_bytes(bytes).into()),
        _ => return Err(wrong("offsets", INTEGERS, view)),
    })
}

/// Values from bytes that may stand at any address.
fn decode<const N: usize, T>(data: &[u8], one: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _) = data.as_chunks::<N>();
    elements.iter().map(|&bytes| one(bytes)).collect()
}

fn tensor<'a>(
    file: &SafeTensors<'a>,
    name: &'static str,
    expected: &'static str,
) -> Result<TensorView<'a>> {
    file.tensor(name).map_err(|error| match error {
        SafeTensorError::TensorNotFound(_) => {
            let got = format!("only {:?}", sorted(file.names()));
            Error::InvalidTensor { tensor: name, expected, got }
        }
        source => Error::InvalidSafetensors { bytes: 0, source },
    })
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

fn wrong(tensor: &'static str, expected: &'static str, view: &TensorView<'_>) -> Error {
    let got = format!("{:?} of shape {:?}", view.dtype(), view.shape());
    Error::InvalidTensor { tensor, expected, got }
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
