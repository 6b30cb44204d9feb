//! Appending: room for some documents, their copies, and then their names.

use std::sync::PoisonError;

use wgpu::{BufferUsages, Error as GpuError};

use super::space::Extents;
use super::{Loaded, ResidentStore, StorePage};
use crate::gpu::record::Upload;
use crate::gpu::slot::Staging;
use crate::gpu::unit::Extent;
use crate::gpu::wait::Polling;
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::DocumentId;
use crate::{Error, Result};

/// Bytes of a chunk: what a request waits for at most, behind an append.
const CHUNK_BYTES: usize = 8 << 20;

const PAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST);

/// Staging buffers, one of which is filled while the GPU copies from the other.
#[derive(Default)]
pub(super) struct Uploads {
    staging: [Option<Staging>; 2],
    turn: usize,
}

/// A document and its room.
type Placed<'a, Id> = (Id, TokenMatrixRef<'a>, Extents);

impl<Id: DocumentId> ResidentStore<Id> {
    /// Appends documents, or replaces those that have their ids; says how far it is after each
    /// chunk of about 8 MiB.
    ///
    /// Documents of a chunk can be found as soon as it is uploaded. What doesn't fit the budget
    /// makes room for what follows.
    ///
    /// # Errors
    /// A document of another dimension, or one that is longer than the whole store: then nothing
    /// was appended. The device is lost, and with it the store.
    pub fn load(
        &self,
        documents: &[(Id, TokenMatrixRef<'_>)],
        mut progress: impl FnMut(Loaded),
    ) -> Result<()> {
        self.check(documents)?;
        let mut rest = documents;
        while !rest.is_empty() {
            let appended = self.append(rest)?;
            rest = &rest[appended..];
            progress(Loaded { documents: documents.len() - rest.len(), of: documents.len() });
        }
        Ok(())
    }

    fn check(&self, documents: &[(Id, TokenMatrixRef<'_>)]) -> Result<()> {
        let longest = self.state().space.longest();
        for (id, matrix) in documents {
            check_dimension(|| format!("document {id:?}"), self.dim(), matrix.dim())?;
            if matrix.tokens() > longest {
                let (id, tokens) = (format!("{id:?}"), matrix.tokens());
                return Err(Error::StoreTooSmall { id, tokens, longest });
            }
        }
        self.gpu.check_alive()
    }

    /// Appends a chunk of `documents`, at least one of them; says how many.
    fn append(&self, documents: &[(Id, TokenMatrixRef<'_>)]) -> Result<usize> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = self.place(documents)?;
        match uploads.copy(self, &placed) {
            Ok(()) => Ok(self.publish(placed)),
            Err(error) => {
                // No reader has seen these rows.
                placed.iter().for_each(|(_, _, extents)| self.state().space.free(extents));
                Err(error)
            }
        }
    }

    /// Finds room for a chunk of documents.
    fn place<'a>(&self, documents: &[(Id, TokenMatrixRef<'a>)]) -> Result<Vec<Placed<'a, Id>>> {
        let mut placed = Vec::new();
        let mut rows = 0;
        let mut waiting = documents.iter().map(|(_, matrix)| matrix.tokens()).sum::<usize>();
        for &(id, matrix) in documents {
            rows += matrix.tokens();
            if !placed.is_empty() && rows * self.plan.row_bytes() > CHUNK_BYTES {
                break;
            }
            match self.make_room(matrix.tokens(), waiting)? {
                Some(extents) => placed.push((id, matrix, extents)),
                // The documents of this chunk take everything: they make room once they are there.
                None if !placed.is_empty() => break,
                None => {
                    let longest = self.state().space.longest();
                    let (id, tokens) = (format!("{id:?}"), matrix.tokens());
                    return Err(Error::StoreTooSmall { id, tokens, longest });
                }
            }
            waiting -= matrix.tokens();
        }
        Ok(placed)
    }

    /// Room for a document: what is free, a new page for what is `waiting`, or that of the least
    /// recently used.
    fn make_room(&self, rows: usize, waiting: usize) -> Result<Option<Extents>> {
        loop {
            if let Some(extents) = self.state().space.allocate(rows) {
                return Ok(Some(extents));
            }
            if !self.grow(waiting)? && !self.evict(rows) {
                return Ok(None);
            }
        }
    }

    /// Adds a page, if the budget and the device allow.
    fn grow(&self, waiting: usize) -> Result<bool> {
        let Some(rows) = self.state().space.next_page(waiting) else { return Ok(false) };
        let created = self.gpu.checked(|| {
            let bytes = rows * self.plan.row_bytes();
            let buffer = self.gpu.buffer("store", bytes, PAGE);
            let bindings = self.gpu.pipelines.maxsim.bind(&self.gpu.device, 1, &[&buffer]);
            StorePage { rows: buffer, bindings }
        });
        let mut state = self.state();
        match created {
            Ok(page) => {
                state.pages.push(page);
                state.space.add_page(rows);
                Ok(true)
            }
            Err(Error::Gpu { source: GpuError::OutOfMemory { .. } }) => {
                log::warn!(
                    "the resident store stays at {:?}: no memory for more",
                    state.space.bytes()
                );
                state.space.end_growth();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Frees `rows` rows or more of the least recently used documents; false if there are none.
    fn evict(&self, rows: usize) -> bool {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let mut freed = 0;
        while freed < rows
            && let Some((_, extents)) = state.documents.pop_lru()
        {
            state.space.free(&extents);
            state.evictions += 1;
            freed += extents.iter().map(|extent| extent.rows as usize).sum::<usize>();
        }
        freed > 0
    }

    /// Makes documents known, and frees the rows of those that they replace.
    fn publish(&self, placed: Vec<Placed<'_, Id>>) -> usize {
        let count = placed.len();
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        for (id, _, extents) in placed {
            if let Some(replaced) = state.documents.put(id, extents) {
                state.space.free(&replaced);
            }
        }
        count
    }
}

impl Uploads {
    /// Copies documents to their room, a staging buffer at a time.
    fn copy<Id: DocumentId>(
        &mut self,
        store: &ResidentStore<Id>,
        placed: &[Placed<'_, Id>],
    ) -> Result<()> {
        let row_bytes = store.plan.row_bytes();
        let chunk_rows = (CHUNK_BYTES / row_bytes).max(1);
        let rows = placed.iter().map(|(_, matrix, _)| matrix.tokens()).sum::<usize>();
        let mut pieces = placed.iter().flat_map(|it| pieces(it, chunk_rows)).peekable();
        while pieces.peek().is_some() {
            let staging = self.ready(store, rows.min(chunk_rows) * row_bytes)?;
            let submission = store.gpu.checked(|| {
                let mut upload = Upload::new(&store.gpu, staging)?;
                let fits = |used: usize, piece: &Piece<'_>| {
                    used / row_bytes + piece.extent.rows as usize <= rows.min(chunk_rows)
                };
                while let Some(piece) = pieces.next_if(|piece| fits(upload.used(), piece)) {
                    piece.write(store, &mut upload);
                }
                Ok(upload.submit(&store.gpu))
            })??;
            staging.recycle(submission);
            self.turn = (self.turn + 1) % self.staging.len();
        }
        Ok(())
    }

    /// The next staging buffer, of `bytes` at least, once the GPU has copied what was in it.
    fn ready<Id: DocumentId>(
        &mut self,
        store: &ResidentStore<Id>,
        bytes: usize,
    ) -> Result<&mut Staging> {
        let gpu = &store.gpu;
        let slot = &mut self.staging[self.turn];
        let large_enough = |staging: &Staging| staging.buffer.size() as usize >= bytes;
        let staging = match slot.take().filter(large_enough) {
            Some(staging) => staging,
            None => gpu.checked(|| Staging::new(gpu, bytes.next_power_of_two()))?,
        };
        let staging = slot.insert(staging);
        pollster::block_on(staging.ready(&gpu.poller, Polling::Caller))?;
        Ok(staging)
    }
}

/// Rows of a document that are copied at once, and where to.
struct Piece<'a> {
    values: &'a [half::f16],
    extent: Extent,
}

/// The pieces of a document, of at most `most` rows.
fn pieces<'a, Id>(
    (_, matrix, extents): &Placed<'a, Id>,
    most: usize,
) -> impl Iterator<Item = Piece<'a>> {
    let dim = matrix.dim();
    let mut rest = matrix.values();
    let mut pieces = Vec::new();
    for extent in extents {
        for start in (0..extent.rows).step_by(most) {
            let rows = (extent.rows - start).min(most as u32);
            let (values, others) = rest.split_at(rows as usize * dim);
            let extent = Extent { first_row: extent.first_row + start, rows, ..*extent };
            pieces.push(Piece { values, extent });
            rest = others;
        }
    }
    pieces.into_iter()
}

impl Piece<'_> {
    fn write<Id: DocumentId>(&self, store: &ResidentStore<Id>, upload: &mut Upload<'_>) {
        let row_bytes = store.plan.row_bytes();
        let start = upload.used();
        upload.append_rows(self.values, store.dim(), row_bytes);
        let at = u64::from(self.extent.first_row) * row_bytes as u64;
        upload.copy(start, &store.state().pages[self.extent.page as usize].rows, at);
    }
}
