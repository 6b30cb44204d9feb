//! The tensors of a safetensors file, read in pieces: no file is held in memory as a whole.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, SafeTensorError, TensorInfo};

use super::element::{self, Element};
use crate::{Error, Result};

/// The bytes that tensors are read from.
pub(super) trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// A safetensors file, open.
pub(super) struct Tensors<'a> {
    from: Box<dyn Source + 'a>,
    path: PathBuf,
    header: Metadata,
    /// The place of the first tensor.
    start: u64,
}

/// A tensor `[rows, dim]` of numbers.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub rows: usize,
    pub dim: usize,
    float: Float,
    start: u64,
}

/// The type of numbers.
#[derive(Clone, Copy)]
enum Float {
    F16,
    BF16,
    F32,
}

/// safetensors' own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// About so many values are read at once.
const PIECE: usize = 1 << 18;

const MATRIX: &str = "F16, BF16 or F32 of shape [rows, columns]";
const INTEGERS: &str = "integers of shape [items + 1]";

impl Tensors<'static> {
    /// Opens a file; what is no file, as a pipe, is read first.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::io("read", path, source);
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() {
            return Self::new(file, metadata.len(), path);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let length = bytes.len() as u64;
        Self::new(io::Cursor::new(bytes), length, path)
    }
}

impl<'a> Tensors<'a> {
    /// The bytes of a file.
    pub fn of(bytes: &'a [u8]) -> Result<Self> {
        Self::new(io::Cursor::new(bytes), bytes.len() as u64, Path::new("bytes"))
    }

    fn new(mut from: impl Source + 'a, length: u64, path: &Path) -> Result<Self> {
        let header = read_header(&mut from, length, path)?;
        let (metadata, bytes) = header.map_err(|source| invalid(length, source))?;
        let start = 8 + bytes;
        match start.checked_add(metadata.data_len() as u64) {
            Some(end) if end == length => {
                Ok(Self { from: Box::new(from), path: path.into(), header: metadata, start })
            }
            _ => Err(invalid(length, SafeTensorError::MetadataIncompleteBuffer)),
        }
    }

    /// The text that the file has beside its tensors.
    pub fn metadata(&self) -> Option<&HashMap<String, String>> {
        self.header.metadata().as_ref()
    }

    /// Tells whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// A tensor of numbers.
    pub fn table(&self, name: &'static str) -> Result<Table> {
        let info = self.info(name, MATRIX)?;
        let wrong = || wrong(name, MATRIX, info);
        let &[rows, dim] = info.shape.as_slice() else { return Err(wrong()) };
        let float = match info.dtype {
            Dtype::F16 => Float::F16,
            Dtype::BF16 => Float::BF16,
            Dtype::F32 => Float::F32,
            _ => return Err(wrong()),
        };
        // Checked with the header: the values of all tensors lie in the file.
        element::rows(rows * dim, dim)?;
        Ok(Table { rows, dim, float, start: info.data_offsets.0 as u64 })
    }

    /// A tensor of one row of integers.
    pub fn integers(&mut self, name: &'static str) -> Result<Vec<i128>> {
        let info = self.info(name, INTEGERS)?;
        let wrong = wrong(name, INTEGERS, info);
        let (dtype, shape, (start, end)) = (info.dtype, info.shape.len(), info.data_offsets);
        let data = self.bytes(start as u64, end - start)?;
        match decode_integers(dtype, &data) {
            Some(integers) if shape == 1 => Ok(integers),
            _ => Err(wrong),
        }
    }

    /// Rows of a table, as they are in f32.
    pub fn rows(&mut self, table: &Table, from: usize, to: usize) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity((to - from) * table.dim);
        self.pieces(table, from * table.dim, to * table.dim, |piece| {
            match table.float {
                Float::F16 => values.extend(decode(piece, f16::from_le_bytes).map(f16::to_f32)),
                Float::BF16 => values.extend(decode(piece, bf16::from_le_bytes).map(bf16::to_f32)),
                Float::F32 => values.extend(decode(piece, f32::from_le_bytes)),
            };
        })?;
        Ok(values)
    }

    /// All rows of a table, rounded to f16.
    pub fn halves(&mut self, table: &Table) -> Result<Vec<f16>> {
        let mut values = Vec::with_capacity(table.rows * table.dim);
        self.pieces(table, 0, table.rows * table.dim, |piece| match table.float {
            Float::F16 => values.extend(decode(piece, f16::from_le_bytes)),
            Float::BF16 => round(decode(piece, bf16::from_le_bytes), &mut values),
            Float::F32 => round(decode(piece, f32::from_le_bytes), &mut values),
        })?;
        Ok(values)
    }

    /// Calls `each` with the bytes of values of a table, a piece at a time.
    fn pieces(
        &mut self,
        table: &Table,
        mut from: usize,
        to: usize,
        mut each: impl FnMut(&[u8]),
    ) -> Result<()> {
        let size = match table.float {
            Float::F16 | Float::BF16 => 2,
            Float::F32 => 4,
        };
        while from < to {
            let count = (to - from).min(PIECE);
            let start = table.start + (from * size) as u64;
            each(&self.bytes(start, count * size)?);
            from += count;
        }
        Ok(())
    }

    fn bytes(&mut self, start: u64, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let read = self.from.seek(SeekFrom::Start(self.start + start));
        let read = read.and_then(|_| self.from.read_exact(&mut bytes));
        read.map_err(|source| Error::io("read", &self.path, source))?;
        Ok(bytes)
    }

    fn info(&self, name: &'static str, expected: &'static str) -> Result<&TensorInfo> {
        self.header.info(name).ok_or_else(|| {
            let mut names = self.header.offset_keys();
            names.sort_unstable();
            Error::InvalidTensor { tensor: name, expected, got: format!("only {names:?}") }
        })
    }
}

/// The header, and its length in bytes.
type Header = Result<(Metadata, u64), SafeTensorError>;

fn read_header(from: &mut impl Read, length: u64, path: &Path) -> Result<Header> {
    let failed = |source| Error::io("read", path, source);
    if length < 8 {
        return Ok(Err(SafeTensorError::HeaderTooSmall));
    }
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes).map_err(failed)?;
    let count = u64::from_le_bytes(bytes);
    if count > LONGEST_HEADER {
        return Ok(Err(SafeTensorError::HeaderTooLarge));
    }
    if count > length - 8 {
        return Ok(Err(SafeTensorError::InvalidHeaderLength));
    }
    let mut header = vec![0; count as usize];
    from.read_exact(&mut header).map_err(failed)?;
    let metadata = serde_json::from_slice(&header);
    Ok(metadata.map(|it| (it, count)).map_err(SafeTensorError::InvalidHeaderDeserialization))
}

fn invalid(length: u64, source: SafeTensorError) -> Error {
    Error::InvalidSafetensors { bytes: length, source: source.into() }
}

fn wrong(tensor: &'static str, expected: &'static str, info: &TensorInfo) -> Error {
    let got = format!("{:?} of shape {:?}", info.dtype, info.shape);
    Error::InvalidTensor { tensor, expected, got }
}

fn round<E: Element>(values: impl Iterator<Item = E>, to: &mut Vec<f16>) {
    E::round_into(&values.collect::<Vec<_>>(), to);
}

fn decode_integers(dtype: Dtype, data: &[u8]) -> Option<Vec<i128>> {
    Some(match dtype {
        Dtype::U8 => decode(data, u8::from_le_bytes).map(i128::from).collect(),
        Dtype::I8 => decode(data, i8::from_le_bytes).map(i128::from).collect(),
        Dtype::U16 => decode(data, u16::from_le_bytes).map(i128::from).collect(),
        Dtype::I16 => decode(data, i16::from_le_bytes).map(i128::from).collect(),
        Dtype::U32 => decode(data, u32::from_le_bytes).map(i128::from).collect(),
        Dtype::I32 => decode(data, i32::from_le_bytes).map(i128::from).collect(),
        Dtype::U64 => decode(data, u64::from_le_bytes).map(i128::from).collect(),
        Dtype::I64 => decode(data, i64::from_le_bytes).map(i128::from).collect(),
        _ => return None,
    })
}

/// Values from bytes that may stand at any address.
fn decode<const N: usize, T>(data: &[u8], one: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    let (elements, _) = data.as_chunks::<N>();
    elements.iter().map(move |&bytes| one(bytes))
}
