//! Records: what stands under which key, and the checksum that every value begins with.

use std::borrow::Cow;

use half::f16;
use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::filter::{Payload, PointId, PointNumber, PointSet};

/// The databases of a collection, in the order in which they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Counters and sets of points of a collection.
    Meta,
    /// Numbers of points, by id.
    Ids,
    /// Ids and payloads, by number.
    Points,
    /// Vectors, by slot and number.
    Vectors,
    /// Sets of points, by payload index and key.
    Index,
    /// Points and their values, by the slot of a sparse vector, segment and index.
    Postings,
    /// Rows of multivectors in f32, by slot and number.
    Rows,
    /// Multivectors in int8, by slot and number.
    Quantized,
}

impl Table {
    pub const ALL: [Self; 8] = [
        Self::Meta,
        Self::Ids,
        Self::Points,
        Self::Vectors,
        Self::Index,
        Self::Postings,
        Self::Rows,
        Self::Quantized,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Ids => "ids",
            Self::Points => "points",
            Self::Vectors => "vectors",
            Self::Index => "index",
            Self::Postings => "postings",
            Self::Rows => "rows",
            Self::Quantized => "quantized",
        }
    }

    /// Returns `true` if keys end with the number of a point, so that new ones mostly come last.
    pub fn is_by_number(self) -> bool {
        matches!(self, Self::Points | Self::Vectors | Self::Rows | Self::Quantized)
    }

    /// The checksum of a record: CRC-32 of its table, its key and the body of its value.
    pub fn checksum(self, key: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[self as u8, key.len() as u8, (key.len() >> 8) as u8]);
        hasher.update(key);
        hasher.update(body);
        hasher.finalize().to_le_bytes()
    }

    /// A whole value.
    pub fn seal(self, key: &[u8], body: &[u8]) -> Vec<u8> {
        [&self.checksum(key, body), body].concat()
    }

    /// The body of a value, if its checksum is right.
    pub fn open<'v>(self, key: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
        let (checksum, body) = value.split_first_chunk::<CHECKSUM>()?;
        (*checksum == self.checksum(key, body)).then_some(body)
    }
}

/// The checksum that a value begins with.
pub(super) fn checksum_in(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes: &[u8; CHECKSUM]| u32::from_le_bytes(*bytes))
}

/// The version of the format; see FORMAT.md.
pub(super) const FORMAT: u32 = 4;

/// Keys in [`Table::Meta`] that are the same in every version.
pub(super) const FORMAT_KEY: &[u8] = b"format";
pub(super) const STATE_KEY: &[u8] = b"state";
pub(super) const CONFIG_KEY: &[u8] = b"config";
pub(super) const SLOTS_KEY: &[u8] = b"slots";

/// The key in [`Table::Meta`] of the length of a slot's longest row.
pub(super) fn longest_key(slot: usize) -> Vec<u8> {
    [b"longest".as_slice(), &[slot as u8]].concat()
}

/// Bytes of a checksum. Even, and so are keys of vectors: LMDB puts values at even addresses, where
/// f16 can be read in place.
pub(super) const CHECKSUM: usize = 4;

/// The key of a point: its number.
pub(super) fn point_key(number: PointNumber) -> [u8; 4] {
    number.get().to_be_bytes()
}

/// Prefix of the keys of a slot.
pub(super) fn slot_key(slot: u8) -> [u8; 2] {
    u16::from(slot).to_be_bytes()
}

/// End of the keys of a slot: greater than all of them, and than none of the next.
pub(super) fn slot_key_end(slot: u8) -> [u8; 2] {
    (u16::from(slot) + 1).to_be_bytes()
}

/// The key of a vector: its name's slot, and the point's number.
pub(super) fn vector_key(slot: u8, number: PointNumber) -> [u8; 6] {
    let [a, b, c, d] = number.get().to_be_bytes();
    [0, slot, a, b, c, d]
}

/// The number in the key of a vector.
pub(super) fn parse_vector_number(key: &[u8]) -> Option<PointNumber> {
    key.last_chunk().map(|bytes| PointNumber::new(u32::from_be_bytes(*bytes)))
}

/// Bytes of the key of a block of postings.
pub(super) const POSTINGS_KEY: usize = 10;

/// The key of a block of postings: the slot of a sparse vector, the segment, and the index.
pub(super) fn postings_key(slot: u8, segment: u32, index: u32) -> [u8; POSTINGS_KEY] {
    let ([a, b, c, d], [e, f, g, h]) = (segment.to_be_bytes(), index.to_be_bytes());
    [0, slot, a, b, c, d, e, f, g, h]
}

/// The key of a set: its index, and what the point has in there.
pub(super) fn index_key(index: u32, key: &[u8]) -> Vec<u8> {
    [&index.to_be_bytes(), key].concat()
}

/// The key of an id, in the order of ids.
pub(super) fn id_key(id: PointId) -> Vec<u8> {
    match id {
        PointId::Number(number) => [[0].as_slice(), &number.to_be_bytes()].concat(),
        PointId::Uuid(uuid) => [[1].as_slice(), uuid.as_bytes()].concat(),
    }
}

fn read_id(bytes: &[u8]) -> Option<(PointId, &[u8])> {
    match bytes.split_first()? {
        (0, rest) => {
            let (number, rest) = rest.split_first_chunk()?;
            Some((PointId::Number(u64::from_be_bytes(*number)), rest))
        }
        (1, rest) => {
            let (uuid, rest) = rest.split_first_chunk()?;
            Some((PointId::Uuid(Uuid::from_bytes(*uuid)), rest))
        }
        _ => None,
    }
}

/// An id, whole.
pub(super) fn parse_id(bytes: &[u8]) -> Option<PointId> {
    read_id(bytes).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id)
}

/// Stands between the id and the version of a point; the payload of one that has no version begins with `{`.
const VERSION: u8 = 1;

/// An id, a version and the JSON of a payload.
pub(super) fn point_body(id: PointId, version: u64, payload: &[u8]) -> Vec<u8> {
    [id_key(id).as_slice(), &[VERSION], &version.to_le_bytes(), payload].concat()
}

fn read_point(body: &[u8]) -> Option<(PointId, u64, &[u8])> {
    let (id, rest) = read_id(body)?;
    match rest.split_first() {
        Some((&VERSION, rest)) => {
            let (version, payload) = rest.split_first_chunk()?;
            Some((id, u64::from_le_bytes(*version), payload))
        }
        _ => Some((id, 0, rest)),
    }
}

pub(super) fn parse_point_id(body: &[u8]) -> Option<PointId> {
    read_id(body).map(|(id, _)| id)
}

/// The id and the version of a point.
pub(super) fn parse_head(body: &[u8]) -> Option<(PointId, u64)> {
    read_point(body).map(|(id, version, _)| (id, version))
}

pub(super) fn parse_point(body: &[u8]) -> Option<(PointId, Payload)> {
    let (id, _, payload) = read_point(body)?;
    Some((id, serde_json::from_slice(payload).ok()?))
}

pub(super) fn parse_format(body: &[u8]) -> Option<u32> {
    body.try_into().ok().map(u32::from_le_bytes)
}

pub(super) fn parse_length(body: &[u8]) -> Option<f64> {
    body.try_into().ok().map(f64::from_le_bytes)
}

pub(super) fn parse_number(body: &[u8]) -> Option<PointNumber> {
    body.try_into().ok().map(u32::from_le_bytes).map(PointNumber::new)
}

/// The values of a vector, little-endian as the machine is.
pub(super) fn parse_dense(body: &[u8], dim: usize) -> Option<Vec<f32>> {
    let (values, rest) = body.as_chunks::<4>();
    let whole = rest.is_empty() && values.len() == dim;
    whole.then(|| values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

/// Rows of a multivector, little-endian as the machine is.
pub(super) fn parse_rows(body: &[u8], dim: usize) -> Option<Vec<f32>> {
    let whole = !body.is_empty() && body.len().is_multiple_of(dim * size_of::<f32>());
    whole.then(|| parse_dense(body, body.len() / size_of::<f32>())).flatten()
}

/// The values of a token matrix, in place.
pub(super) fn parse_tokens(body: &[u8], dim: usize) -> Option<&[f16]> {
    let values: &[f16] = bytemuck::try_cast_slice(body).ok()?;
    (!values.is_empty() && values.len().is_multiple_of(dim)).then_some(values)
}

pub(super) fn set_body(set: &PointSet) -> Vec<u8> {
    let set = set.bitmap();
    let mut body = Vec::with_capacity(set.serialized_size());
    // Writing to a Vec doesn't fail.
    let _ = set.serialize_into(&mut body);
    body
}

pub(super) fn parse_set(body: &[u8]) -> Option<PointSet> {
    RoaringBitmap::deserialize_from(body).ok().map(PointSet::from)
}

/// A key, for an error message.
pub(super) fn shown(key: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(key) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => text.into(),
        _ => key.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    }
}
