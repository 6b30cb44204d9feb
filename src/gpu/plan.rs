//! How a request is split so that every limit of a device is kept. No GPU in it.
//!
//! ```text
//! request ─▶ query parts ─▶ groups of documents ─▶ pages of rows ─▶ segments
//! ```
//!
//! A part is as many query tokens as fit a binding; scores of parts add up. A group is as many
//! documents as their maxima fit a binding; it ends with a sum. A page is as many rows as fit a
//! binding, and one dispatch; maxima carry over from page to page, so a document may span pages. A
//! segment is the work of one workgroup in one tile of query tokens.

use super::shader::{QUAD_BYTES, QUAD_COLUMNS, QUERY_TILE, Segment};
use crate::{Error, Result};

/// Rows of a segment at most: a document of 20,000 tokens is spread over 40 workgroups.
const SEGMENT_ROWS: usize = 512;

/// Bytes of a page at most, whatever the binding limit: copying one overlaps computing the last.
const PAGE_BYTES: usize = 32 << 20;

/// Bytes of a group's maxima at most.
const MAXIMA_BYTES: usize = 64 << 20;

/// Multiplications of a dispatch at most: some 20 milliseconds on a slow GPU. Drivers take one that
/// keeps them waiting for seconds for a hang.
const DISPATCH_WORK: usize = 1 << 34;

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceLimits {
    /// Bytes of a storage binding.
    pub binding_bytes: usize,
    /// Workgroups in each dimension of a dispatch.
    pub workgroups: u32,
}

/// Sizes of a request's pieces, all within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Quads of a row.
    pub quads: usize,
    /// Query tokens of a part.
    pub part_tokens: usize,
    /// Documents of a group.
    pub group_documents: usize,
    /// Rows of a page.
    pub page_rows: usize,
    /// Segments of a page.
    pub page_segments: usize,
    /// Workgroups in x of a dispatch.
    pub fold_width: u32,
}

impl Plan {
    /// Splits a request of `query_tokens` × `dim`.
    ///
    /// # Errors
    /// A single row exceeds a binding.
    pub(super) fn new(limits: DeviceLimits, query_tokens: usize, dim: usize) -> Result<Self> {
        let quads = dim.div_ceil(QUAD_COLUMNS);
        let row_bytes = quads * QUAD_BYTES;
        let binding = limits.binding_bytes;
        if row_bytes > binding {
            let expected = format!("at most {}, what one binding holds", binding / 2);
            let got = dim.to_string();
            return Err(Error::InvalidParameter { name: "the dimension", expected, got });
        }
        let width = limits.workgroups as usize;
        let most_items = width.saturating_mul(width);
        let most_tokens = (binding / row_bytes).min(binding / 4).min(QUERY_TILE * width);
        let part_tokens = query_tokens.min(most_tokens);
        let worthwhile_rows = DISPATCH_WORK / (part_tokens * quads * QUAD_COLUMNS);
        let maxima = binding.min(MAXIMA_BYTES.max(part_tokens * 4));
        Ok(Self {
            quads,
            part_tokens,
            group_documents: (maxima / (part_tokens * 4)).min(most_items),
            page_rows: (binding.min(PAGE_BYTES) / row_bytes).min(worthwhile_rows).max(1),
            page_segments: (binding.min(PAGE_BYTES) / size_of::<Segment>()).min(most_items),
            fold_width: limits.workgroups,
        })
    }

    /// Bytes of a row on the device.
    pub(super) fn row_bytes(&self) -> usize {
        self.quads * QUAD_BYTES
    }

    /// The pages of a group of a part of the query, whose documents have these numbers of tokens.
    pub(super) fn pages<'a>(&self, query_tokens: usize, tokens: &'a [usize]) -> Pages<'a> {
        Pages { plan: *self, query_tokens, tokens, document: 0, next_row: 0 }
    }

    /// Workgroups in x and y for a number of items.
    pub(super) fn fold(&self, items: usize) -> (u32, u32) {
        let width = self.fold_width as usize;
        (items.min(width) as u32, items.div_ceil(width) as u32)
    }
}

/// A segment of a page, and where its rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// What the shader is told.
    pub segment: Segment,
    /// The document of the group.
    pub document: usize,
    /// First of its rows, counted in its document.
    pub source_row: usize,
}

/// Iterates over the pages of a group: each a list of segments, in the order of their rows.
pub(super) struct Pages<'a> {
    plan: Plan,
    /// Tokens of the part.
    query_tokens: usize,
    /// Rows of each document.
    tokens: &'a [usize],
    /// The document that is being cut, and the first of its rows that is in no page yet.
    document: usize,
    next_row: usize,
}

impl Iterator for Pages<'_> {
    type Item = Vec<Copy>;

    fn next(&mut self) -> Option<Vec<Copy>> {
        let mut page = Vec::new();
        let mut rows = 0;
        while rows < self.plan.page_rows && page.len() < self.plan.page_segments {
            let Some(copy) = self.cut(rows) else { break };
            rows += copy.segment.rows as usize;
            page.push(copy);
        }
        (!page.is_empty()).then_some(page)
    }
}

impl Pages<'_> {
    /// The next segment, of at most what is left of a page that has `filled` rows.
    fn cut(&mut self, filled: usize) -> Option<Copy> {
        let (document, source_row) = (self.document, self.next_row);
        let rows_left = self.tokens.get(document)? - source_row;
        let rows = rows_left.min(SEGMENT_ROWS).min(self.plan.page_rows - filled);
        (self.document, self.next_row) =
            if rows == rows_left { (document + 1, 0) } else { (document, source_row + rows) };
        // They fit u32: a page is at most PAGE_BYTES or one row, a group at most MAXIMA_BYTES.
        let first_maximum = document * self.query_tokens;
        let segment = Segment {
            first_row: filled as u32,
            rows: rows as u32,
            query: 0,
            first_maximum: first_maximum as u32,
        };
        Some(Copy { segment, document, source_row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: DeviceLimits = DeviceLimits { binding_bytes: 1 << 20, workgroups: 256 };

    /// Every row of every document exactly once, in order, and no page over its limits.
    fn check(plan: Plan, tokens: &[usize]) {
        let mut seen = vec![0; tokens.len()];
        for page in plan.pages(plan.part_tokens, tokens) {
            assert!(page.len() <= plan.page_segments);
            let mut filled = 0;
            for Copy { segment, document, source_row } in page {
                assert_eq!(segment.first_row as usize, filled);
                assert_eq!(source_row, seen[document]);
                assert!((1..=SEGMENT_ROWS).contains(&(segment.rows as usize)));
                filled += segment.rows as usize;
                seen[document] += segment.rows as usize;
            }
            assert!(filled <= plan.page_rows);
        }
        assert_eq!(seen, tokens);
    }

    #[test]
    fn pages_cover_every_row_once() {
        for dim in [1, 4, 100, 128, 4096] {
            let plan = Plan::new(SMALL, 32, dim).unwrap();
            check(plan, &[20_000, 5, 5, 1, 4_096, 513, 512, 511]);
            check(plan, &vec![3; 5_000]);
            check(plan, &[]);
        }
    }

    #[test]
    fn a_page_ends_at_its_number_of_segments() {
        let limits = DeviceLimits { binding_bytes: 1 << 20, workgroups: 8 };
        let plan = Plan::new(limits, 4, 8).unwrap();
        assert_eq!(plan.page_segments, 64);
        check(plan, &[1; 1_000]);
    }

    #[test]
    fn every_piece_keeps_the_limits() {
        for limits in [SMALL, DeviceLimits { binding_bytes: 2 << 30, workgroups: 65_535 }] {
            for (query_tokens, dim) in [(1, 1), (32, 128), (1_024, 768), (300_000, 3), (7, 4_096)] {
                let plan = Plan::new(limits, query_tokens, dim).unwrap();
                let binding = limits.binding_bytes;
                assert!(plan.part_tokens * plan.row_bytes() <= binding);
                assert!(plan.page_rows * plan.row_bytes() <= binding);
                let work = plan.page_rows * plan.part_tokens * dim;
                assert!(work <= DISPATCH_WORK || plan.page_rows == 1);
                assert!(plan.group_documents >= 1);
                assert!(plan.group_documents * plan.part_tokens * 4 <= binding);
                assert!(plan.part_tokens.div_ceil(QUERY_TILE) <= limits.workgroups as usize);
                let (x, y) = plan.fold(plan.page_segments);
                assert!(x <= limits.workgroups && y <= limits.workgroups);
            }
        }
    }

    #[test]
    fn a_row_beyond_a_binding_is_an_error() {
        let error = Plan::new(SMALL, 1, 600_000).unwrap_err().to_string();
        assert!(error.contains("524288") && error.contains("600000"), "{error}");
    }
}
