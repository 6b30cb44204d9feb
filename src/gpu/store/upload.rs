//! Appending: room for some documents, their copies, and then their names.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytemuck::cast_slice;
use half::f16;
use wgpu::{
    BindGroup, Buffer, BufferSize, BufferUsages, CommandEncoderDescriptor, SubmissionIndex,
};

use super::documents::Pieces;
use super::{LoadProgress, ResidentStore, StorePage};
use crate::gpu::buffers::append_rows;
use crate::gpu::device::Gpu;
use crate::gpu::plan::ROW_SLACK;
use crate::gpu::shader::Place;
use crate::gpu::source::Piece;
use crate::gpu::wait;
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::DocumentId;
use crate::{Error, Result};

/// Bytes of a chunk: what a request waits for at most, behind an append.
const CHUNK_BYTES: usize = 8 << 20;

/// Entries of the table of places at first.
const FIRST_SLOTS: usize = 1024;

const USAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);

/// State of the writer.
pub(super) struct Uploads {
    /// The table of places.
    places: Buffer,
    /// The last submission.
    last: Option<SubmissionIndex>,
}

impl Uploads {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let places = gpu.maker.buffer("places", FIRST_SLOTS * size_of::<Place>(), USAGE);
        Self { places, last: None }
    }

    /// Submits what was written, and waits for what was submitted before: so no more than two chunks are
    /// under way.
    fn submit(&mut self, gpu: &Gpu) -> Result<()> {
        let submission = gpu.checked(|| gpu.queue.submit([]))?;
        wait::look(&gpu.maker.device)?;
        gpu.check_alive()?;
        match self.last.replace(submission) {
            None => Ok(()),
            Some(last) => wait::wait(&gpu.maker.device, last),
        }
    }
}

/// A document and its room.
type Placed<'a, Id> = (Id, TokenMatrixRef<'a>, Pieces);

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
        mut progress: impl FnMut(LoadProgress),
    ) -> Result<()> {
        let rows: usize = documents.iter().map(|(_, matrix)| matrix.tokens()).sum();
        let _span = crate::trace::span!("upload", documents = documents.len(), rows = rows);
        self.check(documents)?;
        let mut rest = documents;
        while !rest.is_empty() {
            let appended = self.append(rest)?;
            rest = &rest[appended..];
            progress(LoadProgress { documents: documents.len() - rest.len(), of: documents.len() });
        }
        Ok(())
    }

    fn check(&self, documents: &[(Id, TokenMatrixRef<'_>)]) -> Result<()> {
        let longest = self.space().longest();
        for (id, matrix) in documents {
            check_dimension(|| format!("document {id:?}"), self.dim, matrix.dim())?;
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
        let placed = self.place(documents, &uploads.places)?;
        let copied = self.grow_places(&mut uploads).and_then(|()| self.copy(&placed, &mut uploads));
        match copied {
            Ok(()) => Ok(self.publish(placed)),
            Err(error) => {
                // No reader has seen these rows.
                placed.iter().for_each(|(_, _, pieces)| self.space().free(pieces));
                Err(error)
            }
        }
    }

    /// Finds room for a chunk of documents.
    fn place<'a>(
        &self,
        documents: &[(Id, TokenMatrixRef<'a>)],
        places: &Buffer,
    ) -> Result<Vec<Placed<'a, Id>>> {
        let mut placed = Vec::new();
        let mut rows = 0;
        let mut waiting = documents.iter().map(|(_, matrix)| matrix.tokens()).sum::<usize>();
        for &(id, matrix) in documents {
            rows += matrix.tokens();
            if !placed.is_empty() && rows * self.row_bytes > CHUNK_BYTES {
                break;
            }
            match self.make_room(matrix.tokens(), waiting, places)? {
                Some(pieces) => placed.push((id, matrix, pieces)),
                // The documents of this chunk take everything: they make room once they are there.
                None if !placed.is_empty() => break,
                None => {
                    let longest = self.space().longest();
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
    fn make_room(&self, rows: usize, waiting: usize, places: &Buffer) -> Result<Option<Pieces>> {
        loop {
            if let Some(pieces) = self.space().allocate(rows) {
                return Ok(Some(pieces));
            }
            if !self.grow(waiting, places)? && !self.evict(rows) {
                return Ok(None);
            }
        }
    }

    /// Adds a page, if the budget and the device allow.
    fn grow(&self, waiting: usize, places: &Buffer) -> Result<bool> {
        let Some(rows) = self.space().next_page(waiting) else { return Ok(false) };
        let created = self.gpu.checked(|| {
            let bytes = (rows + ROW_SLACK) * self.row_bytes;
            let buffer = self.gpu.maker.buffer("store", bytes, USAGE);
            let bindings = bind(&self.gpu, &buffer, places);
            StorePage { rows: buffer, bindings }
        });
        match created {
            Ok(page) => {
                self.pages_mut().push(page);
                self.space().add_page(rows);
                Ok(true)
            }
            Err(Error::GpuOutOfMemory { .. }) => {
                let mut space = self.space();
                log::warn!("the resident store stays at {:?}: no memory for more", space.bytes());
                space.end_growth();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Frees `rows` rows or more of the least recently used documents; false if there are none.
    fn evict(&self, rows: usize) -> bool {
        let _alone = self.alone();
        let mut documents = self.documents_mut();
        let mut freed = 0;
        while freed < rows
            && let Some(pieces) = documents.remove_idle()
        {
            self.space().free(&pieces);
            self.evictions.fetch_add(1, Ordering::Relaxed);
            freed += pieces.iter().map(|piece| piece.rows as usize).sum::<usize>();
        }
        freed > 0
    }

    /// Makes the table of places as large as the slots that were given need it.
    fn grow_places(&self, uploads: &mut Uploads) -> Result<()> {
        let bytes = self.space().slots() * size_of::<Place>();
        let old = uploads.places.clone();
        if bytes <= old.size() as usize {
            return Ok(());
        }
        self.gpu.checked(|| {
            let places = self.gpu.maker.buffer("places", bytes.next_power_of_two(), USAGE);
            let device = &self.gpu.maker.device;
            let mut encoder = device.create_command_encoder(&CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(&old, 0, &places, 0, old.size());
            // Those who looked documents up before read the old table, in which they are.
            let _alone = self.alone();
            self.gpu.queue.submit([encoder.finish()]);
            for page in self.pages_mut().iter_mut() {
                page.bindings = bind(&self.gpu, &page.rows, &places);
            }
            uploads.places = places;
        })
    }

    /// Makes documents known, and frees the rows of those that they replace.
    fn publish(&self, placed: Vec<Placed<'_, Id>>) -> usize {
        let count = placed.len();
        let _alone = self.alone();
        let mut documents = self.documents_mut();
        for (id, _, pieces) in placed {
            if let Some(replaced) = documents.insert(id, pieces) {
                self.space().free(&replaced);
            }
        }
        count
    }

    /// Copies documents to their room, and where they are to the table.
    fn copy(&self, placed: &[Placed<'_, Id>], uploads: &mut Uploads) -> Result<()> {
        self.gpu.checked(|| self.write_places(placed, &uploads.places))?;
        let chunk_rows = (CHUNK_BYTES / self.row_bytes).max(1);
        let mut rows: Vec<Rows<'_>> = placed.iter().flat_map(|it| cut(it, chunk_rows)).collect();
        rows.sort_unstable_by_key(|(piece, _)| (piece.page, piece.first_row));
        let follows = |(a, _): &Rows<'_>, (b, _): &Rows<'_>| {
            let small = (a.rows.max(b.rows) as usize) < chunk_rows;
            small && (a.page, a.first_row + a.rows) == (b.page, b.first_row)
        };
        for neighbours in rows.chunk_by(follows) {
            self.gpu.checked(|| self.write_rows(neighbours))?;
            uploads.submit(&self.gpu)?;
        }
        Ok(())
    }

    /// Writes where documents lie: those of neighbouring slots at once.
    fn write_places(&self, placed: &[Placed<'_, Id>], table: &Buffer) {
        let pieces = placed.iter().flat_map(|(_, _, pieces)| pieces);
        let place = |it: &Piece| (it.slot, Place { first_row: it.first_row, rows: it.rows });
        let mut places: Vec<(u32, Place)> = pieces.map(place).collect();
        places.sort_unstable_by_key(|(slot, _)| *slot);
        for run in places.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            let values: Vec<Place> = run.iter().map(|(_, place)| *place).collect();
            let at = u64::from(run[0].0) * size_of::<Place>() as u64;
            self.gpu.queue.write_buffer(table, at, cast_slice(&values));
        }
    }

    /// Writes rows that follow one another in a page.
    fn write_rows(&self, neighbours: &[Rows<'_>]) {
        let (first, _) = neighbours[0];
        let count = neighbours.iter().map(|(piece, _)| piece.rows as usize).sum::<usize>();
        let pages = self.pages();
        let (page, at) =
            (&pages[first.page as usize].rows, first.first_row as usize * self.row_bytes);
        let size = BufferSize::new((count * self.row_bytes) as u64);
        let view = size.and_then(|size| self.gpu.queue.write_buffer_with(page, at as u64, size));
        // There is none where the device is lost, which is said elsewhere.
        let Some(mut view) = view else { return };
        let mut end = 0;
        for (_, values) in neighbours {
            append_rows(values, self.dim, self.row_bytes, |bytes| {
                view.slice(end..end + bytes.len()).copy_from_slice(bytes);
                end += bytes.len();
            });
        }
    }
}

/// Place of rows, and their values.
type Rows<'a> = (Piece, &'a [f16]);

/// The rows of a document, at most `most` at a time.
fn cut<'a, Id>((_, matrix, pieces): &Placed<'a, Id>, most: usize) -> Vec<Rows<'a>> {
    let mut rest = matrix.values();
    let mut rows = Vec::new();
    for piece in pieces {
        for start in (0..piece.rows).step_by(most) {
            let count = (piece.rows - start).min(most as u32);
            let (values, others) = rest.split_at(count as usize * matrix.dim());
            rows.push((
                Piece { first_row: piece.first_row + start, rows: count, ..*piece },
                values,
            ));
            rest = others;
        }
    }
    rows
}

fn bind(gpu: &Gpu, rows: &Buffer, places: &Buffer) -> BindGroup {
    let resources = vec![rows.as_entire_binding(), places.as_entire_binding()];
    gpu.kernels.bind(&gpu.kernels.layouts.page, resources)
}
