//! Appending: room for some documents, their copies, and then their names.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use wgpu::{BindGroup, Buffer, BufferUsages, CommandEncoderDescriptor, SubmissionIndex};

use super::documents::Pieces;
use super::matrix::Matrix;
use super::{LoadProgress, ResidentStore, StorePage};
use crate::gpu::device::Gpu;
use crate::gpu::plan::ROW_SLACK;
use crate::gpu::shader::Place;
use crate::gpu::wait;
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::DocumentId;
use crate::{Error, Result};

/// Bytes of a chunk: what a request waits for at most, behind an append.
pub(super) const CHUNK_BYTES: usize = 8 << 20;

/// Entries of the table of places at first.
const FIRST_SLOTS: usize = 1024;

const USAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);

/// State of the writer.
pub(super) struct Uploads {
    /// The table of places.
    pub(super) places: Buffer,
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
    pub(super) fn submit(&mut self, gpu: &Gpu) -> Result<()> {
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
pub(super) type Placed<'a, Id> = (Id, Matrix<'a>, Pieces);

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
        progress: impl FnMut(LoadProgress),
    ) -> Result<()> {
        let documents = documents.iter().map(|&(id, matrix)| (id, Matrix::F16(matrix)));
        self.load_all(&documents.collect::<Vec<_>>(), progress)
    }

    /// The same, of documents in the format of the store.
    pub(super) fn load_all(
        &self,
        documents: &[(Id, Matrix<'_>)],
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

    fn check(&self, documents: &[(Id, Matrix<'_>)]) -> Result<()> {
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
    fn append(&self, documents: &[(Id, Matrix<'_>)]) -> Result<usize> {
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
        documents: &[(Id, Matrix<'a>)],
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
            let buffer = |row_bytes: usize| {
                self.gpu.maker.buffer("store", (rows + ROW_SLACK) * row_bytes, USAGE)
            };
            let rows = buffer(self.row_bytes);
            let beside = (self.format.beside() > 0).then(|| buffer(self.format.beside()));
            let bindings = bind(&self.gpu, &rows, beside.as_ref(), places);
            StorePage { rows, beside, bindings }
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
                page.bindings = bind(&self.gpu, &page.rows, page.beside.as_ref(), &places);
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
}

fn bind(gpu: &Gpu, rows: &Buffer, beside: Option<&Buffer>, places: &Buffer) -> BindGroup {
    let layouts = &gpu.kernels.layouts;
    let layout = if beside.is_some() { &layouts.int8_page } else { &layouts.page };
    let resources = [Some(rows), Some(places), beside].into_iter().flatten();
    gpu.kernels.bind(layout, resources.map(Buffer::as_entire_binding).collect())
}
