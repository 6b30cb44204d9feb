//! Rows of numbers in few large blocks of memory, appended while others read them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::mapped::Numbers;

/// Rows of the first block. Each block has twice as many as the one before.
const FIRST: usize = 64;

/// Enough for 2³² rows.
const BLOCKS: usize = 27;

/// Numbers of a line of the cache, at which blocks begin.
const LINE: usize = 16;

/// Rows of one length, zero until they are written. A block never moves, so rows are read without a
/// lock; memory that no row has been written to is only reserved.
pub(super) struct Blocks {
    stride: usize,
    /// The first rows, if they come from a file.
    mapped: Option<Numbers>,
    /// Number of those.
    from_file: usize,
    /// The rows after those.
    blocks: [OnceLock<Block>; BLOCKS],
    len: AtomicUsize,
}

struct Block {
    memory: Box<[AtomicU32]>,
    /// Place of the first row in `memory`, at the beginning of a line of the cache.
    start: usize,
}

impl Blocks {
    /// No rows, each of which is to have so many numbers.
    pub(super) fn new(stride: usize) -> Self {
        let blocks = std::array::from_fn(|_| OnceLock::new());
        Self { stride, mapped: None, from_file: 0, blocks, len: AtomicUsize::new(0) }
    }

    /// The rows of a file.
    pub(super) fn from_file(stride: usize, numbers: Numbers) -> Self {
        let rows = numbers.get().len() / stride;
        let (mapped, len) = (Some(numbers), AtomicUsize::new(rows));
        Self { mapped, from_file: rows, len, ..Self::new(stride) }
    }

    /// Numbers of a row.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Appends a row. One thread at a time.
    pub(super) fn push(&self, row: impl IntoIterator<Item = u32>) {
        let at = self.len.load(Ordering::Relaxed);
        let (block, _) = place(at.saturating_sub(self.from_file));
        self.blocks[block].get_or_init(|| Block::new((FIRST << block) * self.stride));
        self.write(at, row);
        self.len.store(at + 1, Ordering::Release);
    }

    /// Writes the first numbers of a row; `false` if there is no such row.
    pub(super) fn write(&self, at: usize, row: impl IntoIterator<Item = u32>) -> bool {
        let there = self.get(at);
        let pairs = there.into_iter().flatten().zip(row);
        pairs.for_each(|(to, number)| to.store(number, Ordering::Relaxed));
        there.is_some()
    }

    /// The numbers of a row, if there is one.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&[AtomicU32]> {
        match at.checked_sub(self.from_file) {
            None => self.mapped.as_ref()?.get().get(at * self.stride..)?.get(..self.stride),
            Some(at) => {
                let (block, row) = place(at);
                Some(self.blocks.get(block)?.get()?.row(row, self.stride))
            }
        }
    }
}

impl Block {
    fn new(numbers: usize) -> Self {
        let memory = bytemuck::allocation::zeroed_slice_box::<AtomicU32>(numbers + LINE);
        let start = memory.as_ptr().align_offset(LINE * size_of::<u32>()).min(LINE);
        Self { memory, start }
    }

    fn row(&self, row: usize, stride: usize) -> &[AtomicU32] {
        &self.memory[self.start + row * stride..][..stride]
    }
}

/// The block of a row, and which of its rows it is.
fn place(at: usize) -> (usize, usize) {
    let at = at + FIRST;
    let block = (at.ilog2() - FIRST.ilog2()) as usize;
    (block, at - (FIRST << block))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::Blocks;

    #[test]
    fn rows_stay_where_they_were_written() {
        let blocks = Blocks::new(3);
        for row in 0..1000 {
            blocks.push([row, row * 2, row * 3]);
        }
        assert_eq!(blocks.len(), 1000);
        for row in 0..1000 {
            let there = blocks.get(row).unwrap().iter().map(|it| it.load(Ordering::Relaxed));
            let row = row as u32;
            assert_eq!(there.collect::<Vec<_>>(), [row, row * 2, row * 3]);
        }
        assert!(blocks.get(1 << 40).is_none());
    }
}
