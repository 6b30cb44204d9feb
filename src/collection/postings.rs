//! The inverted index of sparse vectors: postings, in blocks by ranges of numbers.
//!
//! A block has the postings of one index among [`SEGMENT`] consecutive numbers: so the points of one
//! transaction, which have consecutive numbers, lie in few pages, and a search takes the blocks of all
//! its indices together, range after range, with sums that stay in the cache.

use heed::{AnyTls, RoTxn, RwTxn};

use super::record::{self, Table};
use super::sparse::SparseVector;
use super::store::Store;
use crate::Result;
use crate::filter::PointNumber;

/// Numbers that share a block, a power of two.
pub(super) const SEGMENT: u32 = 1 << 14;

/// Bytes of a posting: where in its segment the point is, and the value.
const POSTING: usize = size_of::<u16>() + size_of::<f32>();

/// The postings of one index in one segment: all offsets in ascending order, then all values.
#[derive(Clone, Copy)]
pub(super) struct Block<'b> {
    offsets: &'b [[u8; 2]],
    values: &'b [[u8; 4]],
}

impl<'b> Block<'b> {
    pub fn parse(body: &'b [u8]) -> Option<Self> {
        let (offsets, values) = body.split_at(body.len() / POSTING * size_of::<u16>());
        let ((offsets, _), (values, rest)) = (offsets.as_chunks(), values.as_chunks());
        (rest.is_empty() && offsets.len() == values.len()).then_some(Self { offsets, values })
    }

    pub fn len(self) -> usize {
        self.offsets.len()
    }

    /// Offsets, all less than [`SEGMENT`], with their values.
    pub fn iter(self) -> impl Iterator<Item = (usize, f32)> {
        let offset = |it: &[u8; 2]| usize::from(u16::from_le_bytes(*it)) % SEGMENT as usize;
        let value = |it: &[u8; 4]| f32::from_le_bytes(*it);
        self.offsets.iter().map(offset).zip(self.values.iter().map(value))
    }
}

/// One posting that comes or goes.
struct Change {
    key: [u8; record::POSTINGS_KEY],
    offset: u16,
    /// `None` if it goes.
    value: Option<f32>,
}

/// Changes of a transaction, which are written together: blocks that several touch are read and
/// written once.
#[derive(Default)]
pub(super) struct PostingChanges(Vec<Change>);

impl PostingChanges {
    /// Notes the postings of a vector that a point gets.
    pub fn insert(&mut self, slot: u8, number: PointNumber, vector: &SparseVector) {
        self.note(slot, number, vector, Some);
    }

    /// Notes the postings of a vector that a point had.
    pub fn remove(&mut self, slot: u8, number: PointNumber, vector: &SparseVector) {
        self.note(slot, number, vector, |_| None);
    }

    fn note(
        &mut self,
        slot: u8,
        number: PointNumber,
        vector: &SparseVector,
        value: fn(f32) -> Option<f32>,
    ) {
        let (segment, offset) = (number.get() / SEGMENT, (number.get() % SEGMENT) as u16);
        self.0.extend(vector.iter().map(|(index, it)| {
            let key = record::postings_key(slot, segment, index);
            Change { key, offset, value: value(it) }
        }));
    }

    /// Writes them. Of two that are about the same posting, the later counts.
    pub fn write(mut self, store: &Store, txn: &mut RwTxn<'_>) -> Result<()> {
        self.0.sort_by_key(|change| (change.key, change.offset));
        for changes in self.0.chunk_by(|a, b| a.key == b.key) {
            let key = &changes[0].key;
            let old = read(store, txn, key)?;
            let body = changed(old, changes);
            match (body.is_empty(), old) {
                (true, None) => {}
                (true, Some(_)) => drop(store.delete(txn, Table::Postings, key)?),
                (false, _) => store.put(txn, Table::Postings, key, &body)?,
            }
        }
        Ok(())
    }
}

/// A block, its checksum compared.
fn read<'t>(store: &Store, txn: &'t RoTxn<'_, AnyTls>, key: &[u8]) -> Result<Option<Block<'t>>> {
    let body = store.get(txn, Table::Postings, key)?;
    body.map(|it| Block::parse(it).ok_or_else(|| store.damaged(Table::Postings, key))).transpose()
}

/// The body of a block after changes in the order of their offsets.
fn changed(old: Option<Block<'_>>, changes: &[Change]) -> Vec<u8> {
    let mut old = old.into_iter().flat_map(|it| it.offsets.iter().zip(it.values)).peekable();
    let (mut offsets, mut values) = (Vec::new(), Vec::new());
    for same in changes.chunk_by(|a, b| a.offset == b.offset) {
        let is_before = |it: &(&[u8; 2], &[u8; 4])| u16::from_le_bytes(*it.0) < same[0].offset;
        while let Some((offset, value)) = old.next_if(is_before) {
            offsets.extend(offset);
            values.extend(value);
        }
        old.next_if(|it| u16::from_le_bytes(*it.0) == same[0].offset);
        if let Some(Change { offset, value: Some(value), .. }) = same.last() {
            offsets.extend(offset.to_le_bytes());
            values.extend(value.to_le_bytes());
        }
    }
    for (offset, value) in old {
        offsets.extend(offset);
        values.extend(value);
    }
    offsets.append(&mut values);
    offsets
}

/// The sparse vector of a point that has one.
pub(super) fn vector(
    store: &Store,
    txn: &RoTxn<'_, AnyTls>,
    slot: u8,
    number: PointNumber,
) -> Result<SparseVector> {
    let key = record::vector_key(slot, number);
    let body = store.get(txn, Table::Vectors, &key)?;
    body.and_then(SparseVector::parse).ok_or_else(|| store.damaged(Table::Vectors, &key))
}
