//! A unit: what one submission computes, as a list of dispatches. No GPU in it.
//!
//! A *segment* is some rows of a page for one pair: the least that a workgroup takes. How many it takes
//! is decided by `tuning.rs`. Segments of one page whose queries are about as long share a dispatch.

use std::collections::BTreeMap;

use super::plan::Plan;
use super::shader::Segment;
use super::tuning::QUERY_TILE;

/// Rows of a segment at most: a document of 20,000 tokens is spread over 40 workgroups.
const SEGMENT_ROWS: usize = 512;

/// Dispatches of a unit at most.
pub(super) const UNIT_GROUPS: usize = 192;

/// Multiplications of a unit at most: a third of a second on a slow GPU. Drivers take a submission
/// that keeps them waiting for seconds for a hang.
const UNIT_WORK: usize = 1 << 36;

/// What is computed for each query token of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// The maximum similarity.
    MaxSim,
    /// The document token that has it, too.
    Matches,
}

/// Rows of a document that follow one another in a page of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub page: u32,
    pub first_row: u32,
    pub rows: u32,
}

/// A query, or a part of one, and one of its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// The query, counted in the request, and the candidate, counted in the query's.
    pub query: usize,
    pub candidate: usize,
    /// The query, or part, counted in the batch.
    pub span: usize,
    /// Tokens of the query, or part.
    pub tokens: usize,
    /// Where the pair's results start, counted in the batch.
    pub first_cell: usize,
}

/// The page that a dispatch reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Page {
    /// One of the store's.
    Resident(u32),
    /// The unit's own.
    Streamed,
}

/// What the segments of a dispatch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    /// Groups of a later wave see what those of an earlier one wrote.
    pub wave: usize,
    pub page: Page,
    /// Tiles of query tokens, rounded up to a power of two, so that at most half of those that
    /// workgroups share among them have no tokens; tokens for matches.
    pub tiles: u32,
}

/// A segment, and the document token of its first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub segment: Segment,
    pub first_token: u32,
}

/// What one submission computes.
#[derive(Debug)]
pub(super) struct Unit {
    plan: Plan,
    kernel: Kernel,
    pub groups: BTreeMap<Group, Vec<Cut>>,
    pub segments: usize,
    /// Rows of the streamed page.
    pub streamed_rows: usize,
    /// Rows that it reads.
    pub rows: usize,
    /// Multiplications.
    pub work: usize,
}

impl Unit {
    pub(super) fn new(plan: Plan, kernel: Kernel) -> Self {
        let groups = BTreeMap::new();
        Self { plan, kernel, groups, segments: 0, streamed_rows: 0, rows: 0, work: 0 }
    }

    /// Adds a pair whose document lies in the store; false if the unit is full.
    pub(super) fn add(&mut self, pair: &Pair, extents: &[Extent]) -> bool {
        let rows = extents.iter().map(|extent| extent.rows as usize).sum::<usize>();
        let step = match self.kernel {
            // An enormous document alone has to fit the unit, too.
            Kernel::MaxSim => SEGMENT_ROWS.max((2 * rows).div_ceil(self.plan.segments)),
            Kernel::Matches => usize::MAX,
        };
        let segments = extents.iter().map(|it| (it.rows as usize).div_ceil(step)).sum::<usize>();
        let is_full = self.segments + segments > self.plan.segments
            || self.groups.len() + extents.len() > UNIT_GROUPS
            || self.work + self.work_of(pair, rows) > UNIT_WORK;
        if is_full && self.segments > 0 {
            return false;
        }
        let mut first_token = 0;
        for (number, extent) in extents.iter().enumerate() {
            let wave = if self.kernel == Kernel::Matches { number } else { 0 };
            let (first, rows) = (extent.first_row as usize, extent.rows as usize);
            self.cut(pair, wave, Page::Resident(extent.page), (first, rows), first_token, step);
            first_token += rows;
        }
        true
    }

    /// Adds rows of a pair's document to the streamed page: as many of `rows_left`, which begin with
    /// its token `first_token`, as there is room for.
    pub(super) fn stream(&mut self, pair: &Pair, first_token: usize, rows_left: usize) -> usize {
        let step = match self.kernel {
            Kernel::MaxSim => SEGMENT_ROWS,
            Kernel::Matches => usize::MAX,
        };
        let worthwhile = (UNIT_WORK - self.work.min(UNIT_WORK)) / self.work_of(pair, 1);
        let rows = if self.segments == 0 { worthwhile.max(1) } else { worthwhile };
        let segments_left = self.plan.segments.saturating_sub(self.segments);
        let rows = rows
            .min(self.plan.page_rows - self.streamed_rows)
            .min(segments_left.saturating_mul(step))
            .min(rows_left);
        if rows > 0 {
            let first = self.streamed_rows;
            self.cut(pair, 0, Page::Streamed, (first, rows), first_token, step);
            self.streamed_rows += rows;
        }
        rows
    }

    /// Cuts neighbouring rows into segments of at most `step` rows.
    fn cut(
        &mut self,
        pair: &Pair,
        wave: usize,
        page: Page,
        (first_row, rows): (usize, usize),
        first_token: usize,
        step: usize,
    ) {
        let group = Group { wave, page, tiles: self.tiles(pair.tokens) };
        let cuts = self.groups.entry(group).or_default();
        // No short one at the end.
        let step = rows.div_ceil(rows.div_ceil(step));
        for start in (0..rows).step_by(step) {
            // They fit u32: rows and cells are counted within a binding, tokens of a document within
            // the 4 GiB that the rows of u32 can count.
            let segment = Segment {
                first_row: (first_row + start) as u32,
                rows: step.min(rows - start) as u32,
                query: pair.span as u32,
                first_maximum: pair.first_cell as u32,
            };
            cuts.push(Cut { segment, first_token: (first_token + start) as u32 });
            self.segments += 1;
        }
        self.rows += rows;
        self.work += self.work_of(pair, rows);
    }

    fn tiles(&self, tokens: usize) -> u32 {
        let tiles = match self.kernel {
            Kernel::MaxSim => tokens.div_ceil(QUERY_TILE),
            Kernel::Matches => tokens,
        };
        (tiles.next_power_of_two()).min(self.plan.limits.workgroups as usize) as u32
    }

    fn work_of(&self, pair: &Pair, rows: usize) -> usize {
        rows.saturating_mul(pair.tokens * self.plan.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::DeviceLimits;
    use super::*;

    const SMALL: DeviceLimits = DeviceLimits { binding_bytes: 1 << 20, workgroups: 256 };

    fn pair(tokens: usize) -> Pair {
        Pair { query: 0, candidate: 0, span: 3, tokens, first_cell: 64 }
    }

    fn unit(kernel: Kernel) -> Unit {
        Unit::new(Plan::new(SMALL, 128, 4).unwrap(), kernel)
    }

    /// Rows (page, row) of all segments, in the order of document tokens.
    fn rows(unit: &Unit) -> Vec<(Page, u32)> {
        let cuts =
            unit.groups.iter().flat_map(|(group, cuts)| cuts.iter().map(move |it| (group, it)));
        let mut rows: Vec<_> = cuts
            .flat_map(|(group, Cut { segment, first_token })| {
                assert_eq!((segment.query, segment.first_maximum), (3, 64));
                (0..segment.rows)
                    .map(move |at| (first_token + at, (group.page, segment.first_row + at)))
            })
            .collect();
        rows.sort_unstable();
        assert!(rows.iter().enumerate().all(|(at, (token, _))| at == *token as usize));
        rows.into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn extents_are_covered_once_and_in_order() {
        let extents = [(0, 7, 1_300), (2, 0, 1), (0, 3_000, 512)];
        let extents = extents.map(|(page, first_row, rows)| Extent { page, first_row, rows });
        let expected: Vec<_> = extents
            .iter()
            .flat_map(|it| {
                (it.first_row..it.first_row + it.rows).map(|row| (Page::Resident(it.page), row))
            })
            .collect();
        for kernel in [Kernel::MaxSim, Kernel::Matches] {
            let mut unit = unit(kernel);
            assert!(unit.add(&pair(40), &extents));
            assert_eq!(rows(&unit), expected);
            assert_eq!((unit.rows, unit.work), (1_813, 1_813 * 40 * 128));
        }
    }

    /// Two workgroups that write the same cells are in different waves.
    #[test]
    fn matches_of_a_pair_are_found_one_extent_after_the_other() {
        let mut unit = unit(Kernel::Matches);
        let extent = |first_row| Extent { page: 0, first_row, rows: 4_000 };
        assert!(unit.add(&pair(40), &[extent(0), extent(9_000), extent(5_000)]));
        assert!(unit.groups.values().all(|cuts| cuts.len() == 1));
        let waves: Vec<_> = unit.groups.keys().map(|group| group.wave).collect();
        assert_eq!(waves, [0, 1, 2]);
    }

    #[test]
    fn a_page_is_filled_and_no_more() {
        let mut unit = unit(Kernel::MaxSim);
        let page_rows = (1 << 20) / 256;
        assert_eq!(unit.stream(&pair(8), 0, 3_000), 3_000);
        assert_eq!(unit.stream(&pair(8), 0, 3_000), page_rows - 3_000);
        assert_eq!(unit.stream(&pair(8), 1_096, 1_904), 0);
        assert_eq!(unit.streamed_rows, page_rows);
    }

    #[test]
    fn a_unit_is_full_at_its_work_its_segments_or_its_dispatches() {
        let extent = |page| Extent { page, first_row: 0, rows: 4_096 };
        let units = |tokens: usize, extents: &dyn Fn(usize) -> Vec<Extent>| {
            let mut unit = unit(Kernel::MaxSim);
            (0..100_000).take_while(|&at| unit.add(&pair(tokens), &extents(at))).count()
        };
        assert_eq!(units(4_096, &|_| vec![extent(0)]), UNIT_WORK / (4_096 * 4_096 * 128));
        let one_row = |_| vec![Extent { page: 0, first_row: 9, rows: 1 }];
        assert_eq!(units(1, &one_row), SMALL.segments());
        assert_eq!(units(1, &|at| vec![extent(at as u32)]), UNIT_GROUPS);
    }

    /// However long a document is, a unit takes it.
    #[test]
    fn an_enormous_document_fits_a_unit() {
        let mut unit = unit(Kernel::MaxSim);
        let extents = [Extent { page: 0, first_row: 0, rows: u32::MAX }; 20];
        assert!(unit.add(&pair(32), &extents));
        assert!(unit.segments <= SMALL.segments());
    }

    #[test]
    fn queries_of_different_lengths_waste_at_most_half() {
        let mut unit = unit(Kernel::MaxSim);
        for tokens in 1..=300 {
            assert!(unit.add(&pair(tokens), &[Extent { page: 0, first_row: 0, rows: 8 }]));
        }
        assert!(unit.groups.len() <= 5, "{}", unit.groups.len());
    }
}
