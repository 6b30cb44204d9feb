//! A file mapped into memory, in which numbers may change: for the process alone, not in the file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use memmap2::{MmapMut, MmapOptions, MmapRaw};

/// Maps a file. It may lose its name or be replaced meanwhile, but nobody may cut it off.
pub(super) fn map(path: &Path) -> io::Result<MmapMut> {
    let mut file = File::open(path)?;
    // Elsewhere a file that is mapped can't be replaced, when the next one is saved.
    if cfg!(unix) {
        // SAFETY: no file of this name is ever written in place: a new one takes its name.
        return unsafe { MmapOptions::new().map_copy(&file) };
    }
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut memory = MmapMut::map_anon(length.max(1))?;
    io::Read::read_exact(&mut file, &mut memory[..length])?;
    Ok(memory)
}

/// Some of the numbers of a mapped file.
pub(super) struct Numbers {
    map: Arc<MmapRaw>,
    /// As a place among all numbers of the file.
    range: Range<usize>,
}

impl Numbers {
    /// The numbers in a range of bytes, which begins with a whole number; none if the file has no such bytes.
    pub(super) fn new(map: &Arc<MmapRaw>, bytes: Range<usize>) -> Self {
        let (start, end) = (bytes.start / size_of::<u32>(), bytes.end / size_of::<u32>());
        let there = start <= end && end * size_of::<u32>() <= map.len();
        Self { map: Arc::clone(map), range: if there { start..end } else { 0..0 } }
    }

    #[inline(always)]
    pub(super) fn get(&self) -> &[AtomicU32] {
        let numbers = self.map.as_mut_ptr().cast::<AtomicU32>();
        // SAFETY: `new` saw that they are inside of the map, which is a page's multiple of bytes from 0, so
        // they are aligned; any bits are a number; and they are only ever used as these atomics.
        unsafe { slice::from_raw_parts(numbers.add(self.range.start), self.range.len()) }
    }
}
