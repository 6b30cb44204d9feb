//! How a request is split so that every limit of a device is kept. No GPU in it.
//!
//! ```text
//! request ─▶ rounds ─▶ batches ─▶ units
//! ```
//!
//! A *pair* is a query and one of its candidates. A round is as many pairs as their scores fit a
//! binding; its best, or its scores, are read back at its end. A batch is as many pairs as their
//! maxima and their queries' tokens fit a binding; it ends with a sum. A query beyond a binding is
//! cut into parts, whose sums add up. A unit is one submission: see `unit.rs`.

use std::ops::Range;

use super::shader::{Block, QUAD_BYTES, QUAD_COLUMNS, QuerySpan, Segment};
use super::tuning::QUERY_TILE;
use crate::{Error, Result};

/// Bytes of a streamed page at most, whatever the binding limit: copying one overlaps computing the
/// last.
const PAGE_BYTES: usize = 32 << 20;

/// Bytes of a batch's maxima at most.
const MAXIMA_BYTES: usize = 64 << 20;

/// Segments of a unit at most.
const UNIT_SEGMENTS: usize = 1 << 16;

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceLimits {
    /// Bytes of a storage binding.
    pub binding_bytes: usize,
    /// Workgroups in each dimension of a dispatch.
    pub workgroups: u32,
}

impl DeviceLimits {
    /// Workgroups of a dispatch, folded into x and y.
    pub(super) fn items(&self) -> usize {
        let width = self.workgroups as usize;
        width.saturating_mul(width)
    }

    /// Workgroups in x and y for a number of items.
    pub(super) fn fold(&self, items: usize) -> (u32, u32) {
        let width = self.workgroups as usize;
        (items.min(width) as u32, items.div_ceil(width) as u32)
    }

    /// Segments of a unit at most.
    pub(super) fn segments(&self) -> usize {
        UNIT_SEGMENTS.min(self.items()).min(self.binding_bytes / (2 * size_of::<Segment>()))
    }
}

/// Sizes of a request's pieces, all within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub limits: DeviceLimits,
    /// Columns of a row.
    pub dim: usize,
    /// Quads of a row.
    pub quads: usize,
    /// Query tokens of a batch.
    pub batch_tokens: usize,
    /// Maxima of a batch: one for each query token of each pair.
    pub batch_cells: usize,
    /// Pairs of a round.
    pub round_pairs: usize,
    /// Queries of a round.
    pub round_lists: usize,
    /// Rows of a streamed page.
    pub page_rows: usize,
    /// Segments of a unit.
    pub segments: usize,
}

impl Plan {
    /// Splits requests of `dim` columns whose queries and candidates have a result of `cell_bytes`
    /// for each query token of each pair.
    ///
    /// # Errors
    /// A single row exceeds a binding.
    pub(super) fn new(limits: DeviceLimits, dim: usize, cell_bytes: usize) -> Result<Self> {
        let quads = dim.div_ceil(QUAD_COLUMNS);
        let row_bytes = quads * QUAD_BYTES;
        let binding = limits.binding_bytes;
        if row_bytes > binding {
            let expected = format!("at most {}, what one binding holds", binding / 2);
            let got = dim.to_string();
            return Err(Error::InvalidParameter { name: "the dimension", expected, got });
        }
        let tiles = limits.workgroups as usize;
        // A query has a token at least, and an entry in the table of queries.
        let batch_tokens = (binding / row_bytes.max(cell_bytes).max(size_of::<QuerySpan>()))
            .clamp(1, QUERY_TILE * tiles);
        Ok(Self {
            limits,
            dim,
            quads,
            batch_tokens,
            batch_cells: binding.min(MAXIMA_BYTES.max(batch_tokens * cell_bytes)) / cell_bytes,
            // Scores of four bytes, entries of the best of eight.
            round_pairs: (binding / 8).min(limits.items()),
            // Each has a block in each pass of top-k, of which there are fewer than 32.
            round_lists: (binding / (32 * size_of::<Block>())).max(1),
            page_rows: (binding.min(PAGE_BYTES) / row_bytes).max(1),
            segments: limits.segments(),
        })
    }

    /// Bytes of a row on the device.
    pub(super) fn row_bytes(&self) -> usize {
        self.quads * QUAD_BYTES
    }

    /// The rounds of a request whose queries have these numbers of candidates.
    pub(super) fn rounds(&self, candidates: &[usize]) -> Vec<Round> {
        let mut rounds = Vec::new();
        let mut round = Round::default();
        for (query, &count) in candidates.iter().enumerate() {
            let mut next = 0;
            while next < count {
                let is_full = round.pairs == self.round_pairs;
                if is_full || round.lists.len() == self.round_lists {
                    rounds.push(std::mem::take(&mut round));
                }
                let end = count.min(next + self.round_pairs - round.pairs);
                round.pairs += end - next;
                round.lists.push(List { query, candidates: next..end });
                next = end;
            }
        }
        rounds.extend((round.pairs > 0).then_some(round));
        rounds
    }

    /// The batches of a round, whose queries have these numbers of tokens.
    pub(super) fn batches(&self, round: &Round, tokens: &[usize]) -> Vec<Batch> {
        let mut batches = vec![Batch::default()];
        let mut first_score = 0;
        for list in &round.lists {
            let tokens = tokens[list.query];
            for start in (0..tokens).step_by(self.batch_tokens) {
                let part = start..tokens.min(start + self.batch_tokens);
                self.add_part(&mut batches, list, part, first_score, tokens);
            }
            first_score += list.candidates.len();
        }
        batches.retain(|batch| batch.pairs > 0);
        batches
    }

    /// Adds the candidates of a list with a part of its query. Queries share a batch if they are
    /// whole: then the scores of a batch follow one another.
    fn add_part(
        &self,
        batches: &mut Vec<Batch>,
        list: &List,
        part: Range<usize>,
        first_score: usize,
        tokens: usize,
    ) {
        let whole = part.len() == tokens;
        let mut next = list.candidates.start;
        while next < list.candidates.end {
            let last = batches.len() - 1;
            let room = self.room(&batches[last], part.len());
            if room == 0 || (!whole && batches[last].pairs > 0) {
                batches.push(Batch::default());
                continue;
            }
            let end = list.candidates.end.min(next + room);
            let score = first_score + next - list.candidates.start;
            let slice = Slice { query: list.query, part: part.clone(), candidates: next..end };
            batches[last].push(slice, score);
            next = end;
        }
        if !whole {
            batches.push(Batch::default());
        }
    }

    /// How many pairs of a query of `tokens` a batch has room for.
    fn room(&self, batch: &Batch, tokens: usize) -> usize {
        if batch.tokens + tokens > self.batch_tokens {
            return 0;
        }
        (self.batch_cells - batch.cells) / tokens
    }
}

/// Pairs whose results are read back together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Their scores lie in this order.
    pub lists: Vec<List>,
    pub pairs: usize,
}

/// Some candidates of one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub query: usize,
    pub candidates: Range<usize>,
}

/// Pairs whose maxima are kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub slices: Vec<Slice>,
    /// The first pair's score, counted in its round.
    pub first_score: usize,
    pub pairs: usize,
    /// Query tokens.
    pub tokens: usize,
    /// Maxima.
    pub cells: usize,
}

impl Batch {
    fn push(&mut self, slice: Slice, score: usize) {
        if self.slices.is_empty() {
            self.first_score = score;
        }
        self.pairs += slice.candidates.len();
        self.tokens += slice.part.len();
        self.cells += slice.part.len() * slice.candidates.len();
        self.slices.push(slice);
    }
}

/// Some candidates of one query, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub query: usize,
    /// Its tokens.
    pub part: Range<usize>,
    pub candidates: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::super::top_k::Passes;
    use super::*;

    const SMALL: DeviceLimits = DeviceLimits { binding_bytes: 1 << 20, workgroups: 256 };
    const LARGE: DeviceLimits = DeviceLimits { binding_bytes: 2 << 30, workgroups: 65_535 };

    /// Every token of every query with every candidate exactly once, every score in its place, and
    /// nothing beyond a limit.
    fn check(plan: Plan, tokens: &[usize], candidates: &[usize]) {
        let mut seen: Vec<Vec<usize>> = candidates.iter().map(|&count| vec![0; count]).collect();
        let mut next = vec![0; candidates.len()];
        for round in plan.rounds(candidates) {
            assert!(round.pairs <= plan.round_pairs);
            let lists = round.lists.iter().map(|list| list.candidates.len());
            let blocks = Passes::new(lists, 1_024).blocks;
            assert!(size_of_val(&blocks[..]) <= plan.limits.binding_bytes);
            let mut places = Vec::new();
            for List { query, candidates } in &round.lists {
                assert_eq!(next[*query], candidates.start);
                next[*query] = candidates.end;
                places.extend(candidates.clone().map(|candidate| (*query, candidate)));
            }
            assert_eq!(places.len(), round.pairs);
            for batch in plan.batches(&round, tokens) {
                check_batch(&plan, &batch, &places);
                for Slice { query, part, candidates } in batch.slices {
                    candidates.for_each(|candidate| seen[query][candidate] += part.len());
                }
            }
        }
        assert_eq!(next, candidates);
        for (seen, tokens) in seen.iter().zip(tokens) {
            assert!(seen.iter().all(|seen| seen == tokens), "{seen:?} of {tokens}");
        }
    }

    fn check_batch(plan: &Plan, batch: &Batch, places: &[(usize, usize)]) {
        let sum = |of: fn(&Slice) -> usize| batch.slices.iter().map(of).sum::<usize>();
        assert_eq!(batch.pairs, sum(|slice| slice.candidates.len()));
        assert_eq!(batch.tokens, sum(|slice| slice.part.len()));
        assert_eq!(batch.cells, sum(|slice| slice.part.len() * slice.candidates.len()));
        assert!(batch.slices.len() * size_of::<QuerySpan>() <= plan.limits.binding_bytes);
        assert!(batch.tokens <= plan.batch_tokens && batch.cells <= plan.batch_cells);
        let pairs = batch
            .slices
            .iter()
            .flat_map(|slice| slice.candidates.clone().map(|candidate| (slice.query, candidate)));
        let pairs: Vec<_> = pairs.collect();
        assert_eq!(pairs, places[batch.first_score..][..batch.pairs]);
    }

    #[test]
    fn every_pair_is_scored_once() {
        for limits in [SMALL, LARGE, DeviceLimits { binding_bytes: 1024, workgroups: 8 }] {
            for dim in [1, 100, 128, 512] {
                let plan = Plan::new(limits, dim, 4).unwrap();
                check(plan, &[32], &[1_000]);
                check(plan, &[32; 16], &[100; 16]);
                check(plan, &[1, 300, 9_000, 2], &[400, 1, 7, 0]);
                check(plan, &[3, 3], &[0, 150_000]);
                check(plan, &vec![1; 5_000], &vec![1; 5_000]);
                check(plan, &[], &[]);
            }
        }
    }

    #[test]
    fn an_ordinary_request_is_one_batch() {
        let plan = Plan::new(LARGE, 128, 4).unwrap();
        for (tokens, candidates) in [(32, 1_000), (1_024, 1_000), (32, 100_000)] {
            let rounds = plan.rounds(&[candidates]);
            assert_eq!(rounds.len(), 1);
            assert_eq!(plan.batches(&rounds[0], &[tokens]).len(), 1);
        }
        let rounds = plan.rounds(&[1_000; 16]);
        assert_eq!(plan.batches(&rounds[0], &[32; 16]).len(), 1);
    }

    #[test]
    fn every_piece_keeps_the_limits() {
        for limits in [SMALL, LARGE] {
            for dim in [1, 3, 128, 768, 4_096] {
                for cell_bytes in [4, 8] {
                    let plan = Plan::new(limits, dim, cell_bytes).unwrap();
                    let binding = limits.binding_bytes;
                    assert!(plan.batch_tokens * plan.row_bytes() <= binding);
                    assert!(plan.page_rows * plan.row_bytes() <= binding);
                    assert!(plan.batch_cells * cell_bytes <= binding);
                    assert!(plan.batch_cells >= plan.batch_tokens);
                    assert!(plan.round_pairs * 8 <= binding);
                    assert!(plan.batch_tokens.div_ceil(QUERY_TILE) <= limits.workgroups as usize);
                    let (x, y) = limits.fold(plan.segments.max(plan.round_pairs));
                    assert!(x <= limits.workgroups && y <= limits.workgroups);
                }
            }
        }
    }

    #[test]
    fn a_row_beyond_a_binding_is_an_error() {
        let error = Plan::new(SMALL, 600_000, 4).unwrap_err().to_string();
        assert!(error.contains("524288") && error.contains("600000"), "{error}");
    }
}
