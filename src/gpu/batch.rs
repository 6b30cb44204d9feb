//! A batch: slices whose results are read back together, and what they need. No GPU in it.

use super::buffers::{ALIGNMENT, Needs, Section, TIMESTAMPS};
use super::layout::{Given, Layout, Unfit, Unit, lay_out};
use super::plan::{Group, Plan, ROW_SLACK, Slice, TOKEN_SLACK, Wish};
use super::shader::{Block, Entry};
use super::source::Source;
use super::top_k::Passes;
use crate::multivector::TokenMatrixRef;

/// Work for a device. Queries have one dimension.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub plan: &'a Plan,
    pub queries: &'a [QueryTokens<'a>],
    pub groups: &'a [Group],
    pub source: &'a dyn Source,
}

/// Tokens of a query, in the format of the rows that they are compared with.
#[derive(Clone, Copy)]
pub(super) enum QueryTokens<'a> {
    F16(TokenMatrixRef<'a>),
    /// As a device takes them.
    Int8 {
        bytes: &'a [u8],
        tokens: usize,
    },
}

impl QueryTokens<'_> {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::F16(matrix) => matrix.tokens(),
            Self::Int8 { tokens, .. } => *tokens,
        }
    }
}

/// Slices whose results are read back together.
pub(super) struct Batch<'a> {
    pub slices: Vec<Slice>,
    /// Matrices of the candidates that are streamed.
    pub given: Given<'a>,
    pub layout: Layout,
    /// Passes that find the best, if they are wanted.
    pub passes: Option<Passes>,
}

impl<'a> Batch<'a> {
    /// A batch that is not laid out yet.
    pub(super) fn new(slices: Vec<Slice>) -> Self {
        let (given, layout) = Default::default();
        Self { slices, given, layout, passes: None }
    }

    /// Lays it out; returns what it needs of each buffer.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(super) fn lay_out(
        &mut self,
        plan: &Plan,
        groups: &[Group],
        source: &dyn Source,
    ) -> Result<Needs, Unfit> {
        self.layout = lay_out(plan, groups, &self.slices, source, &self.given)?;
        self.passes = match plan.wish {
            Wish::Scores | Wish::Matches => None,
            Wish::Best(keep) => {
                let candidates = |slice: usize| self.slices[slice].candidates.len();
                let lists = self.layout.lists.iter().map(|list| candidates(list.slice));
                Some(Passes::new(lists, keep))
            }
        };
        let needs = self.needs(plan);
        let fits = |bytes: &usize| *bytes <= plan.limits.binding_bytes;
        if needs.sections.iter().all(fits) { Ok(needs) } else { Err(Unfit::TooLarge) }
    }

    fn needs(&self, plan: &Plan) -> Needs {
        let layout = &self.layout;
        let (entries, blocks) =
            self.passes.as_ref().map_or((0, 0), |passes| (passes.entries, passes.blocks.len()));
        let mut needs = Needs {
            results: layout.results * size_of::<u32>(),
            entries: entries * size_of::<Entry>(),
            read: self.read_bytes(plan),
            ..Needs::default()
        };
        needs.section(Section::Blocks, size_of_val(&layout.blocks[..]));
        needs.section(Section::Sums, size_of_val(&layout.sums[..]));
        needs.section(Section::Lists, blocks * size_of::<Block>());
        needs.section(Section::Query, (layout.tokens + TOKEN_SLACK) * plan.query_bytes());
        for unit in &layout.units {
            needs.section(Section::Params, self.most_dispatches(plan, unit) * ALIGNMENT);
            needs.section(Section::Runs, size_of_val(&unit.runs[..]));
            needs.section(Section::Items, size_of_val(&unit.items[..]));
            needs.section(Section::Places, size_of_val(&unit.places[..]));
            needs.page = needs.page.max(page_bytes(plan, unit.streamed_rows));
        }
        needs
    }

    /// Dispatches of a unit at most.
    fn most_dispatches(&self, plan: &Plan, unit: &Unit) -> usize {
        let limits = &plan.limits;
        let pages = unit
            .pages
            .iter()
            .map(|page| limits.split(0..page.chunks as usize, 1, limits.pieces(page.work)).count());
        let sums = limits.split(0..self.layout.summed, 1, 1).count();
        let passes = self.passes.iter().flat_map(|passes| passes.passes.iter());
        let passes = passes.map(|blocks| limits.split(blocks.clone(), 1, 1).count());
        pages.sum::<usize>() + sums + passes.sum::<usize>()
    }

    /// Bytes of its results that are read back.
    pub(super) fn read_bytes(&self, plan: &Plan) -> usize {
        match (plan.wish, &self.passes) {
            (Wish::Matches, _) => self.layout.results * size_of::<u32>(),
            (_, None) => self.layout.scores * size_of::<f32>(),
            (_, Some(passes)) => passes.kept.last().map_or(0, |it| it.end) * size_of::<Entry>(),
        }
    }
}

/// Bytes of a page with so many rows.
pub(super) fn page_bytes(plan: &Plan, rows: usize) -> usize {
    if rows == 0 { 0 } else { (rows + ROW_SLACK) * plan.row_bytes() }
}

/// Timestamps of so many submissions.
pub(super) fn timestamps(submissions: u32) -> u32 {
    (2 * submissions).min(TIMESTAMPS)
}
