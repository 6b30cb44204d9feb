//! Copies: documents to their room, and where they are to the table of places.

use std::ops::Range;

use bytemuck::cast_slice;
use wgpu::{Buffer, BufferSize};

use super::ResidentStore;
use super::matrix::Matrix;
use super::upload::{CHUNK_BYTES, Placed, Uploads};
use crate::Result;
use crate::gpu::shader::Place;
use crate::gpu::source::Piece;
use crate::ranking::DocumentId;

impl<Id: DocumentId> ResidentStore<Id> {
    /// Copies documents to their room, and where they are to the table.
    pub(super) fn copy(&self, placed: &[Placed<'_, Id>], uploads: &mut Uploads) -> Result<()> {
        self.gpu.checked(|| self.write_places(placed, &uploads.places))?;
        let chunk_rows = (CHUNK_BYTES / self.row_bytes).max(1);
        let mut rows: Vec<Rows<'_>> = placed.iter().flat_map(|it| cut(it, chunk_rows)).collect();
        rows.sort_unstable_by_key(|it| (it.piece.page, it.piece.first_row));
        let follows = |a: &Rows<'_>, b: &Rows<'_>| {
            let (a, b) = (&a.piece, &b.piece);
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
        let of = |(_, matrix, pieces): &Placed<'_, Id>| {
            let longest = matrix.longest();
            let place = move |it: &Piece| {
                (it.slot, Place { first_row: it.first_row, rows: it.rows, longest })
            };
            pieces.iter().map(place).collect::<Vec<_>>()
        };
        let mut places: Vec<(u32, Place)> = placed.iter().flat_map(of).collect();
        places.sort_unstable_by_key(|(slot, _)| *slot);
        for run in places.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            let values: Vec<Place> = run.iter().map(|(_, place)| *place).collect();
            let at = u64::from(run[0].0) * size_of::<Place>() as u64;
            self.gpu.queue.write_buffer(table, at, cast_slice(&values));
        }
    }

    /// Writes rows that follow one another in a page.
    fn write_rows(&self, neighbours: &[Rows<'_>]) {
        let pages = self.pages();
        let page = &pages[neighbours[0].piece.page as usize];
        self.write(&page.rows, self.row_bytes, neighbours, |rows, append| {
            rows.matrix.append_rows(rows.range.clone(), self.row_bytes, append);
        });
        if let Some(beside) = &page.beside {
            self.write(beside, self.format.beside(), neighbours, |rows, append| {
                rows.matrix.append_beside(rows.range.clone(), append);
            });
        }
    }

    /// Writes so many bytes of each of some neighbouring rows to a buffer of their page.
    fn write(
        &self,
        buffer: &Buffer,
        row_bytes: usize,
        neighbours: &[Rows<'_>],
        append: impl Fn(&Rows<'_>, &mut dyn FnMut(&[u8])),
    ) {
        let count = neighbours.iter().map(|it| it.piece.rows as usize).sum::<usize>();
        let at = (neighbours[0].piece.first_row as usize * row_bytes) as u64;
        let size = BufferSize::new((count * row_bytes) as u64);
        let view = size.and_then(|size| self.gpu.queue.write_buffer_with(buffer, at, size));
        // There is none where the device is lost, which is said elsewhere.
        let Some(mut view) = view else { return };
        let mut end = 0;
        for rows in neighbours {
            append(rows, &mut |bytes| {
                view.slice(end..end + bytes.len()).copy_from_slice(bytes);
                end += bytes.len();
            });
        }
    }
}

/// Rows of a document, and their place.
struct Rows<'a> {
    piece: Piece,
    matrix: Matrix<'a>,
    range: Range<usize>,
}

/// The rows of a document, at most `most` at a time.
fn cut<'a, Id>((_, matrix, pieces): &Placed<'a, Id>, most: usize) -> Vec<Rows<'a>> {
    let (mut next, mut rows) = (0, Vec::new());
    for piece in pieces {
        for start in (0..piece.rows).step_by(most) {
            let count = (piece.rows - start).min(most as u32);
            let piece = Piece { first_row: piece.first_row + start, rows: count, ..*piece };
            let range = next..next + count as usize;
            next = range.end;
            rows.push(Rows { piece, matrix: *matrix, range });
        }
    }
    rows
}
