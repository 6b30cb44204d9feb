//! Allocation of the rows of pages. No GPU in it.

use range_alloc::RangeAllocator;

use super::documents::Pieces;
use crate::gpu::source::Piece;

/// Pieces of a document at most.
const MOST_PIECES: usize = 192;

/// Rows of a piece at most: longer documents have several, so that they can span pages.
const PIECE_ROWS: usize = 1 << 14;

/// Bytes of the first page, where the budget allows: small collections don't take much, and large
/// ones, whose pages double, don't have many.
const FIRST_PAGE_BYTES: u64 = 64 << 20;

/// The rows of a store: pages within a budget, and what is free in them.
#[derive(Debug)]
pub(super) struct Space {
    row_bytes: u64,
    /// Rows of a page at most.
    page_rows: usize,
    /// Rows of all pages at most.
    budget_rows: u64,
    pages: Vec<RangeAllocator<u32>>,
    /// Rows of all pages, and those in use.
    held_rows: u64,
    used_rows: u64,
    /// Entries of the table of places: those that are free again, and the first that was never used.
    free_slots: Vec<u32>,
    next_slot: u32,
}

impl Space {
    pub(super) fn new(row_bytes: usize, page_bytes: usize, budget: u64) -> Self {
        let row_bytes = row_bytes as u64;
        // Rows of a page are counted in u32.
        let page_rows = (page_bytes as u64 / row_bytes).min(u64::from(u32::MAX)) as usize;
        let (pages, budget_rows) = (Vec::new(), budget / row_bytes);
        let (held_rows, used_rows, free_slots, next_slot) = Default::default();
        Self {
            row_bytes,
            page_rows,
            budget_rows,
            pages,
            held_rows,
            used_rows,
            free_slots,
            next_slot,
        }
    }

    /// Room for a document, if there is any as things are.
    pub(super) fn allocate(&mut self, rows: usize) -> Option<Pieces> {
        let mut pieces = Pieces::new();
        for start in (0..rows).step_by(self.piece_rows()) {
            match self.piece(self.piece_rows().min(rows - start) as u32) {
                Some(piece) => pieces.push(piece),
                None => {
                    self.free(&pieces);
                    return None;
                }
            }
        }
        Some(pieces)
    }

    fn piece(&mut self, rows: u32) -> Option<Piece> {
        let (page, range) = (0..)
            .zip(&mut self.pages)
            .find_map(|(page, free)| Some((page, free.allocate_range(rows).ok()?)))?;
        self.used_rows += u64::from(rows);
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        Some(Piece { page, slot, first_row: range.start, rows })
    }

    /// Takes a document's room back.
    pub(super) fn free(&mut self, pieces: &[Piece]) {
        for &Piece { page, slot, first_row, rows } in pieces {
            self.pages[page as usize].free_range(first_row..first_row + rows);
            self.free_slots.push(slot);
            self.used_rows -= u64::from(rows);
        }
    }

    /// Entries that the table of places has to have.
    pub(super) fn slots(&self) -> usize {
        self.next_slot as usize
    }

    /// Rows of the next page, which `wanted` rows are waiting for; `None` if the budget is spent.
    pub(super) fn next_page(&self, wanted: usize) -> Option<usize> {
        let first = FIRST_PAGE_BYTES / self.row_bytes;
        let rows = (wanted as u64).max(self.held_rows).max(first);
        let rows = rows.min(self.budget_rows - self.held_rows).min(self.page_rows as u64);
        (rows > 0).then_some(rows as usize)
    }

    pub(super) fn add_page(&mut self, rows: usize) {
        self.pages.push(RangeAllocator::new(0..rows as u32));
        self.held_rows += rows as u64;
    }

    /// Has no more pages than there are.
    pub(super) fn end_growth(&mut self) {
        self.budget_rows = self.held_rows;
    }

    /// Tokens of the longest document that fits while there is no other.
    pub(super) fn longest(&self) -> usize {
        let piece = self.piece_rows();
        let sizes = self.pages.iter().map(|page| page.initial_range().end as usize);
        let to_come = self.pages_to_come();
        let sizes: Vec<usize> = sizes.chain(to_come).collect();
        let whole = sizes.iter().map(|rows| rows / piece).sum::<usize>();
        let rest = sizes.iter().map(|rows| rows % piece).max().unwrap_or_default();
        if whole >= MOST_PIECES { MOST_PIECES * piece } else { whole * piece + rest }
    }

    fn pages_to_come(&self) -> impl Iterator<Item = usize> {
        let page = self.page_rows as u64;
        let mut left = self.budget_rows - self.held_rows;
        std::iter::from_fn(move || {
            let rows = left.min(page);
            left -= rows;
            (rows > 0).then_some(rows as usize)
        })
        .take(MOST_PIECES)
    }

    fn piece_rows(&self) -> usize {
        PIECE_ROWS.min(self.page_rows)
    }

    /// Bytes that pages may take, that they take, and that documents take.
    pub(super) fn bytes(&self) -> [u64; 3] {
        [self.budget_rows, self.held_rows, self.used_rows].map(|rows| rows * self.row_bytes)
    }
}

#[cfg(test)]
mod tests {
    use rand::prelude::*;

    use super::*;

    /// 100 rows a page, ten pages.
    fn space() -> Space {
        Space::new(8, 800, 8_000)
    }

    fn filled() -> Space {
        let mut space = space();
        while let Some(rows) = space.next_page(1) {
            space.add_page(rows);
        }
        space
    }

    #[test]
    fn pages_stay_within_the_budget() {
        for (budget, pages) in [(0, 0), (7, 0), (8, 1), (800, 1), (801, 1), (808, 2), (8_000, 10)] {
            let mut space = Space::new(8, 800, budget);
            while let Some(rows) = space.next_page(1_000_000) {
                space.add_page(rows);
            }
            assert_eq!(space.pages.len(), pages, "{budget}");
            assert!(space.bytes()[1] <= budget);
        }
    }

    /// 4 TiB: rows of a page fit u32, bytes don't.
    #[test]
    fn addresses_go_past_two_to_the_31() {
        let mut space = Space::new(256, 1 << 40, 4 << 40);
        while let Some(rows) = space.next_page(usize::MAX >> 9) {
            assert!(rows as u64 <= u64::from(u32::MAX));
            space.add_page(rows);
        }
        assert_eq!(space.bytes()[1], 4 << 40);
        let pieces = space.allocate(3_000_000).unwrap();
        assert_eq!(pieces.iter().map(|it| it.rows as usize).sum::<usize>(), 3_000_000);
    }

    #[test]
    fn no_row_is_given_twice() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut space = filled();
        let mut taken: Vec<Pieces> = Vec::new();
        for _ in 0..20_000 {
            match rng.random_bool(0.55).then(|| space.allocate(rng.random_range(1..=250))) {
                Some(Some(pieces)) => taken.push(pieces),
                _ if !taken.is_empty() => {
                    let pieces = taken.swap_remove(rng.random_range(0..taken.len()));
                    space.free(&pieces);
                }
                _ => {}
            }
        }
        let mut rows: Vec<_> = taken
            .iter()
            .flatten()
            .flat_map(|it| (it.first_row..it.first_row + it.rows).map(|row| (it.page, row)))
            .collect();
        let used = rows.len() as u64;
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len() as u64, used);
        assert_eq!(space.bytes()[2], used * 8);
        assert!(rows.iter().all(|&(page, row)| page < 10 && row < 100));
        let mut slots: Vec<_> = taken.iter().flatten().map(|it| it.slot).collect();
        let pieces = slots.len();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), pieces);
        assert!(slots.iter().all(|slot| (*slot as usize) < space.slots()));
    }

    /// A document that cannot be allocated whole takes nothing.
    #[test]
    fn the_longest_document_fits_and_no_longer_one() {
        for space in [filled, space] {
            assert_eq!(space().longest(), 1_000);
        }
        let mut space = filled();
        assert!(space.allocate(1_001).is_none());
        assert_eq!(space.bytes()[2], 0);
        let all = space.allocate(1_000).unwrap();
        assert!(space.allocate(1).is_none());
        space.free(&all);
        assert_eq!(space.bytes()[2], 0);
    }
}
