//! Layout of a batch: the tables that kernels read, the dispatches over them, and where results
//! are. No GPU in it.
//!
//! A *unit* is one upload: first what is resident, in however many pages; then page after page of rows that
//! are streamed. Documents of a page that are divided into as many parts are a run. Scores of a slice follow
//! one another in the order of its runs, which [`Layout::order`] tells.

use std::collections::HashMap;
use std::ops::Range;

use super::plan::{Group, Plan, ROW_SLACK, Slice, Wish};
use super::shader::{Place, Run, Sum, TokenBlock};
use super::source::{Found, Piece, Source};
use crate::multivector::TokenMatrixRef;

/// Bytes of a streamed page at most, whatever the binding limit: copying one overlaps computing the last.
const PAGE_BYTES: usize = 32 << 20;

/// Rows of a part of a document at most, where it is divided; and at least, where that is to keep a GPU
/// busy.
const PART_ROWS: u32 = 2048;
const LEAST_PART_ROWS: u32 = 64;

/// Chunks that keep a large GPU busy, and more of which only cost: each loads its block of query tokens.
const BUSY_CHUNKS: usize = 1024;
const ENOUGH_CHUNKS: usize = 4096;

/// Documents of a chunk at most.
const MOST_GROUPED: usize = 16;

/// Matrices of candidates that are not in the store, by group and candidate.
pub(super) type Given<'a> = HashMap<(usize, usize), TokenMatrixRef<'a>>;

/// Reason for which a batch cannot be laid out.
#[derive(Debug)]
pub(super) enum Unfit {
    /// Candidates that are neither in the store nor given, by group and number.
    Absent(Vec<(usize, usize)>),
    /// It exceeds a limit.
    TooLarge,
}

/// The page that a dispatch reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Page {
    /// One of the store's.
    Resident(u32),
    /// The unit's own.
    Streamed,
}

/// A dispatch over some neighbouring runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageWork {
    pub page: Page,
    pub runs: Range<u32>,
    pub chunks: u32,
    /// Multiplications.
    pub work: u64,
}

/// Part of a batch that goes up together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// Those of a page follow one another.
    pub runs: Vec<Run>,
    pub items: Vec<u32>,
    pub pages: Vec<PageWork>,
    /// Of the streamed page: where its documents lie, and which rows of which they are.
    pub places: Vec<Place>,
    pub streamed: Vec<Streamed>,
    pub streamed_rows: usize,
    /// Runs, each with its page and its multiplications, until the unit is whole.
    pending: Vec<(Page, Run, u64)>,
}

/// Rows of a candidate that are streamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Streamed {
    /// Its group, and its number there.
    pub candidate: (usize, usize),
    pub rows: Range<usize>,
}

/// The scores of one query with the candidates of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub slice: usize,
    pub query: usize,
    pub first_score: usize,
}

/// Matches of one query with some rows of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    pub slice: usize,
    /// Counted in its group.
    pub candidate: usize,
    pub first_cell: usize,
    /// The document token of the first row.
    pub first_token: u32,
}

/// A batch, laid out.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub units: Vec<Unit>,
    pub blocks: Vec<TokenBlock>,
    pub sums: Vec<Sum>,
    /// Pairs that are summed up.
    pub summed: usize,
    pub lists: Vec<List>,
    /// Scores of all lists: they are the first of the results.
    pub scores: usize,
    /// For each slice, its candidates in the order of their scores, counted in its group.
    pub order: Vec<Vec<u32>>,
    pub matched: Vec<Matched>,
    /// Words of the results.
    pub results: usize,
    /// Query tokens of all slices.
    pub tokens: usize,
    /// Rows that are read of documents, however many blocks there are; and those of documents and
    /// queries that are fetched, from caches too.
    pub rows: u64,
    pub fetched_rows: u64,
    /// Multiplications.
    pub work: u64,
    /// Pairs whose candidate is in the store, and whose candidate is streamed.
    pub resident: usize,
    pub streamed: usize,
}

/// Lays out a batch.
///
/// # Errors
/// See [`Unfit`].
pub(super) fn lay_out(
    plan: &Plan,
    groups: &[Group],
    slices: &[Slice],
    source: &dyn Source,
    given: &Given<'_>,
) -> Result<Layout, Unfit> {
    let builder = Builder::new(plan, groups, slices);
    let divided = builder.parts > 1;
    match builder.lay_out(groups, slices, source, given) {
        // Maxima of fewer parts may fit.
        Err(Unfit::TooLarge) if divided => {
            let undivided = Builder { parts: 1, ..Builder::new(plan, groups, slices) };
            undivided.lay_out(groups, slices, source, given)
        }
        layout => layout,
    }
}

/// Key of documents of a slice that share a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    unit: usize,
    page: Page,
    /// `true` if they are pieces of documents.
    pieces: bool,
    parts: u32,
}

/// Documents of a slice that share a run.
#[derive(Debug)]
struct Bucket {
    key: Key,
    /// Slots; of pieces each with its row of maxima.
    items: Vec<u32>,
    candidates: Vec<u32>,
    rows: u64,
}

/// A document in several pieces: their rows of maxima follow one another.
#[derive(Debug)]
struct Divided {
    candidate: u32,
    /// Counted in the slice.
    first_maxima: u32,
    maxima: u32,
    /// Document tokens of each piece.
    pieces: Vec<u32>,
}

/// The candidates of a slice, by run.
#[derive(Debug, Default)]
struct Sorted {
    buckets: Vec<Bucket>,
    /// The bucket of the last document: mostly that of the next, too.
    current: usize,
    divided: Vec<Divided>,
    /// Rows of maxima of all divided documents.
    maxima: u32,
    /// Candidates of the slice, and those of them that are streamed.
    count: usize,
    streamed: usize,
}

impl Sorted {
    fn bucket(&mut self, key: Key) -> &mut Bucket {
        if self.buckets.get(self.current).is_none_or(|bucket| bucket.key != key) {
            let found = self.buckets.iter().position(|bucket| bucket.key == key);
            self.current = found.unwrap_or(self.buckets.len());
            if found.is_none() {
                // The first one is mostly that of all.
                let room = if self.buckets.is_empty() { self.count } else { 0 };
                let [items, candidates] = [(); 2].map(|()| Vec::with_capacity(room));
                self.buckets.push(Bucket { key, items, candidates, rows: 0 });
            }
        }
        &mut self.buckets[self.current]
    }

    fn add_whole(&mut self, candidate: u32, key: Key, piece: Piece) {
        let bucket = self.bucket(key);
        bucket.items.push(piece.slot);
        bucket.candidates.push(candidate);
        bucket.rows += u64::from(piece.rows);
    }

    fn add_streamed(&mut self, candidate: u32, pieces: &[(Key, Piece)]) {
        self.streamed += 1;
        match *pieces {
            [(key, piece)] => self.add_whole(candidate, key, piece),
            _ => self.add_pieces(candidate, pieces),
        }
    }

    fn add_pieces(&mut self, candidate: u32, pieces: &[(Key, Piece)]) {
        let first_maxima = self.maxima;
        for &(key, piece) in pieces {
            let maxima = self.maxima;
            let bucket = self.bucket(key);
            bucket.items.extend([piece.slot, maxima]);
            bucket.rows += u64::from(piece.rows);
            self.maxima += key.parts;
        }
        self.divided.push(Divided {
            candidate,
            first_maxima,
            maxima: self.maxima - first_maxima,
            pieces: pieces.iter().map(|(_, piece)| piece.rows).collect(),
        });
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    layout: Layout,
    /// Parts of a document where there are few, a power of two.
    parts: u32,
    /// Tasks of a chunk.
    group: usize,
    next_score: usize,
    /// Index of the next maxima, or matches.
    next_cell: usize,
}

impl<'a> Builder<'a> {
    fn new(plan: &'a Plan, groups: &[Group], slices: &[Slice]) -> Self {
        let blocks = |slice: &Slice| slice.tokens.len().div_ceil(plan.shape.tokens);
        let tasks: usize = slices.iter().map(|it| it.candidates.len() * blocks(it)).sum();
        let chunks = tasks.div_ceil(plan.tuning.teams()).max(1);
        let scores = |slice: &Slice| groups[slice.group].tokens.len() * slice.candidates.len();
        let scores = slices.iter().map(scores).sum();
        let (parts, group, scores) = match plan.wish {
            Wish::Matches => (1, 1, 0),
            Wish::Scores | Wish::Best(_) => (
                1 << (BUSY_CHUNKS / chunks).clamp(1, 64).ilog2(),
                (chunks / ENOUGH_CHUNKS).clamp(1, MOST_GROUPED) * plan.tuning.teams(),
                scores,
            ),
        };
        // The first unit is that of what is resident.
        let layout = Layout { scores, units: vec![Unit::default()], ..Layout::default() };
        Self { plan, layout, parts, group, next_score: 0, next_cell: scores }
    }

    fn lay_out(
        mut self,
        groups: &[Group],
        slices: &[Slice],
        source: &dyn Source,
        given: &Given<'_>,
    ) -> Result<Layout, Unfit> {
        let mut absent = Vec::new();
        for (number, slice) in slices.iter().enumerate() {
            let sorted = self.sort(slice, source, given, &mut absent);
            self.add(number, &groups[slice.group], slice, sorted);
        }
        if !absent.is_empty() {
            return Err(Unfit::Absent(absent));
        }
        self.finish().ok_or(Unfit::TooLarge)
    }

    /// Parts that a document, or a piece of one, is divided into: a power of two.
    fn parts_of(&self, rows: u32) -> u32 {
        if self.plan.wish == Wish::Matches || (self.parts == 1 && rows <= PART_ROWS) {
            return 1;
        }
        let wanted = self.parts.min(rows / LEAST_PART_ROWS).max(rows.div_ceil(PART_ROWS));
        wanted.next_power_of_two()
    }

    fn sort(
        &mut self,
        slice: &Slice,
        source: &dyn Source,
        given: &Given<'_>,
        absent: &mut Vec<(usize, usize)>,
    ) -> Sorted {
        let mut sorted = Sorted { count: slice.candidates.len(), ..Sorted::default() };
        let mut next = slice.candidates.start;
        source.locate(slice.group, slice.candidates.clone(), &mut |found| {
            let number = (slice.group, next);
            // Candidates fit u32: they are counted within a binding.
            let candidate = next as u32;
            next += 1;
            match found {
                Found::Whole(piece) => {
                    sorted.add_whole(candidate, self.resident_key(piece, false), piece);
                }
                Found::Pieces(pieces) => {
                    let keyed = pieces.iter().map(|it| (self.resident_key(*it, true), *it));
                    sorted.add_pieces(candidate, &keyed.collect::<Vec<_>>());
                }
                Found::Absent => match given.get(&number) {
                    None => absent.push(number),
                    Some(matrix) => {
                        sorted.add_streamed(candidate, &self.stream(number, matrix.tokens()))
                    }
                },
            }
        });
        sorted
    }

    fn resident_key(&self, piece: Piece, pieces: bool) -> Key {
        let parts = self.parts_of(piece.rows);
        Key { unit: 0, page: Page::Resident(piece.page), pieces, parts }
    }

    /// Finds room for a document in streamed pages: in one, if it fits one.
    fn stream(&mut self, candidate: (usize, usize), rows: usize) -> Vec<(Key, Piece)> {
        let page_rows = page_rows(self.plan);
        let divided = rows > page_rows;
        let mut pieces = Vec::new();
        let mut next = 0;
        while next < rows {
            let used = self.layout.units[1..].last().map_or(page_rows, |unit| unit.streamed_rows);
            let least = if divided { 1 } else { rows };
            if page_rows - used < least {
                self.layout.units.push(Unit::default());
                continue;
            }
            let piece = next..rows.min(next + page_rows - used);
            next = piece.end;
            pieces.push(self.streamed_piece(candidate, piece, divided));
        }
        pieces
    }

    /// Puts rows at the end of the last unit's page.
    fn streamed_piece(
        &mut self,
        candidate: (usize, usize),
        rows: Range<usize>,
        pieces: bool,
    ) -> (Key, Piece) {
        // They fit u32: rows of a page are counted within a binding.
        let count = rows.len() as u32;
        let parts = self.parts_of(count);
        let number = self.layout.units.len() - 1;
        let unit = &mut self.layout.units[number];
        let slot = unit.places.len() as u32;
        let first_row = unit.streamed_rows as u32;
        unit.places.push(Place { first_row, rows: count, longest: 0.0 });
        unit.streamed_rows += rows.len();
        unit.streamed.push(Streamed { candidate, rows });
        let key = Key { unit: number, page: Page::Streamed, pieces, parts };
        (key, Piece { page: 0, slot, first_row, rows: count })
    }

    /// Adds the runs of a slice, and what sums up its maxima.
    fn add(&mut self, number: usize, group: &Group, slice: &Slice, mut sorted: Sorted) {
        // Later parts of a query come back to the same candidates.
        let queries = if slice.tokens.start == 0 { group.tokens.len() } else { 0 };
        self.layout.streamed += queries * sorted.streamed;
        self.layout.resident += queries * (sorted.count - sorted.streamed);
        let run = self.add_blocks(slice);
        let divided_cell = self.next_cell;
        self.next_cell += sorted.maxima as usize * slice.tokens.len();
        sorted.buckets.sort_by_key(|bucket| bucket.key);
        let target = Target { number, group, slice, divided_cell };
        let mut order = Vec::new();
        for mut bucket in sorted.buckets {
            let run = self.results_of(&target, order.len(), &bucket, run);
            append(&mut order, std::mem::take(&mut bucket.candidates));
            self.add_run(bucket, run, slice.tokens.len());
        }
        for divided in sorted.divided {
            self.add_divided(&target, order.len(), &divided);
            order.push(divided.candidate);
        }
        for query in self.queries(group) {
            self.layout.lists.push(List { slice: number, query, first_score: self.next_score });
            self.next_score += slice.candidates.len();
        }
        self.layout.order.push(order);
    }

    /// Queries whose scores are wanted.
    fn queries(&self, group: &Group) -> Range<usize> {
        if self.plan.wish == Wish::Matches { 0..0 } else { group.queries.clone() }
    }

    /// Cuts the tokens of a slice into blocks; returns a run over them.
    fn add_blocks(&mut self, slice: &Slice) -> Run {
        let first_block = self.layout.blocks.len() as u32;
        let count = slice.tokens.len();
        for start in (0..count).step_by(self.plan.shape.tokens) {
            self.layout.blocks.push(TokenBlock {
                first_token: (self.layout.tokens + start) as u32,
                tokens: self.plan.shape.tokens.min(count - start) as u32,
                first_cell: start as u32,
            });
        }
        self.layout.tokens += count;
        let blocks = self.layout.blocks.len() as u32 - first_block;
        Run { first_block, blocks, ..Run::default() }
    }

    /// Says where the results of a bucket are, whose first document is number `at` of its slice.
    fn results_of(&mut self, target: &Target<'_>, at: usize, bucket: &Bucket, run: Run) -> Run {
        let Key { pieces, parts, .. } = bucket.key;
        let tokens = target.slice.tokens.len();
        let run = Run { parts, item_words: 1, cells: tokens as u32, ..run };
        if pieces {
            return Run { item_words: 2, first_result: target.divided_cell as u32, ..run };
        }
        if parts == 1 && self.plan.is_direct(target.group, target.slice) {
            return Run { cells: 0, first_result: (self.next_score + at) as u32, ..run };
        }
        let first_result = self.next_cell as u32;
        for (row, candidate) in bucket.candidates.iter().enumerate() {
            self.note_matches(target, *candidate, (self.next_cell + row * tokens, 0));
        }
        self.sum_up(target, (at, self.next_cell), (bucket.items.len(), parts));
        self.next_cell += bucket.items.len() * parts as usize * tokens;
        Run { first_result, ..run }
    }

    fn add_divided(&mut self, target: &Target<'_>, at: usize, divided: &Divided) {
        let tokens = target.slice.tokens.len();
        let cell = target.divided_cell + divided.first_maxima as usize * tokens;
        let mut first_token = 0;
        for (row, piece) in divided.pieces.iter().enumerate() {
            self.note_matches(target, divided.candidate, (cell + row * tokens, first_token));
            first_token += piece;
        }
        self.sum_up(target, (at, cell), (1, divided.maxima));
    }

    fn note_matches(
        &mut self,
        target: &Target<'_>,
        candidate: u32,
        (cell, first_token): (usize, u32),
    ) {
        if self.plan.wish == Wish::Matches {
            let (slice, candidate) = (target.number, candidate as usize);
            self.layout.matched.push(Matched { slice, candidate, first_cell: cell, first_token });
        }
    }

    /// Sums up the maxima of neighbouring candidates, for each query.
    fn sum_up(
        &mut self,
        target: &Target<'_>,
        (at, cell): (usize, usize),
        (candidates, parts): (usize, u32),
    ) {
        let Target { group, slice, .. } = target;
        let mut first_token = 0;
        for (query, _) in self.queries(group).enumerate() {
            // A part of a query is alone in its group.
            let tokens = group.tokens[query].min(slice.tokens.len());
            let first_score = self.next_score + query * slice.candidates.len() + at;
            self.layout.sums.push(Sum {
                first_pair: self.layout.summed as u32,
                first_score: first_score as u32,
                first_cell: (cell + first_token) as u32,
                cells: slice.tokens.len() as u32,
                parts,
                tokens: tokens as u32,
            });
            self.layout.summed += candidates;
            first_token += tokens;
        }
    }

    fn add_run(&mut self, bucket: Bucket, run: Run, tokens: usize) {
        let unit = &mut self.layout.units[bucket.key.unit];
        let first_item = unit.items.len() as u32;
        let items = bucket.items.len() as u32 / run.item_words;
        append(&mut unit.items, bucket.items);
        let run = Run { first_item, items, group: self.group as u32, ..run };
        let work = bucket.rows.saturating_mul((tokens * self.plan.dim) as u64);
        unit.pending.push((bucket.key.page, run, work));
        self.layout.rows += bucket.rows;
        let query_rows = chunks_of(&run) * self.plan.shape.tokens as u64;
        self.layout.fetched_rows += bucket.rows * u64::from(run.blocks) + query_rows;
        self.layout.work += work;
    }

    fn finish(mut self) -> Option<Layout> {
        self.layout.results = match self.plan.wish {
            Wish::Matches => 2 * self.next_cell,
            // Entries of the best have two words.
            Wish::Scores | Wish::Best(_) => self.next_cell.max(2 * self.layout.scores),
        };
        if self.layout.units.len() > 1 && self.layout.units[0].pending.is_empty() {
            self.layout.units.remove(0);
        }
        for unit in &mut self.layout.units {
            unit.finish()?;
        }
        // Whether the tables fit is seen where all of their sizes are known.
        let bytes = self.layout.results.saturating_mul(size_of::<u32>());
        (bytes <= self.plan.limits.binding_bytes).then_some(self.layout)
    }
}

/// Target that a slice's results are added for.
struct Target<'a> {
    number: usize,
    group: &'a Group,
    slice: &'a Slice,
    /// Index at which the maxima of divided documents start.
    divided_cell: usize,
}

impl Unit {
    /// Puts the runs of each page together; `None` if there are too many chunks.
    fn finish(&mut self) -> Option<()> {
        self.pending.sort_by_key(|(page, ..)| *page);
        for (page, run, work) in std::mem::take(&mut self.pending) {
            if self.pages.last().is_none_or(|last| last.page != page) {
                let first = self.runs.len() as u32;
                self.pages.push(PageWork { page, runs: first..first, chunks: 0, work: 0 });
            }
            let last = self.pages.last_mut()?;
            self.runs.push(Run { first_chunk: last.chunks, ..run });
            last.chunks = last.chunks.checked_add(u32::try_from(chunks_of(&run)).ok()?)?;
            last.runs.end += 1;
            last.work += work;
        }
        Some(())
    }
}

/// Appends `more`; takes its place in memory if there is nothing yet.
fn append(all: &mut Vec<u32>, more: Vec<u32>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.extend_from_slice(&more);
    }
}

fn chunks_of(run: &Run) -> u64 {
    let tasks = u64::from(run.items) * u64::from(run.parts);
    tasks.div_ceil(u64::from(run.group)) * u64::from(run.blocks)
}

/// Rows of a streamed page.
pub(super) fn page_rows(plan: &Plan) -> usize {
    let rows = plan.limits.binding_bytes.min(PAGE_BYTES) / plan.row_bytes();
    rows.saturating_sub(ROW_SLACK).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::RwLockReadGuard;

    use rand::prelude::*;

    use super::super::plan::tests::{LARGE, SMALL, plan};
    use super::*;

    /// Runs what the kernels would do: for each cell of the results, which query tokens and rows it
    /// is of.
    fn run(plan: &Plan, layout: &Layout) -> HashMap<usize, Vec<(usize, Page, u32, u32)>> {
        let mut written: HashMap<usize, Vec<_>> = HashMap::new();
        for (number, unit) in layout.units.iter().enumerate() {
            for page in &unit.pages {
                let runs = &unit.runs[page.runs.start as usize..page.runs.end as usize];
                let mut next = 0;
                for run in runs {
                    assert_eq!(run.first_chunk, next, "chunks go on from run to run");
                    next += chunks_of(run) as u32;
                    for task in 0..run.items * run.parts {
                        let item = (run.first_item + task / run.parts * run.item_words) as usize;
                        let row = if run.item_words == 2 {
                            unit.items[item + 1] + task % run.parts
                        } else {
                            task
                        };
                        let cells = if run.cells == 0 { 1 } else { run.cells };
                        let result = (run.first_result + row * cells) as usize;
                        let task = (number, page.page, unit.items[item], task % run.parts);
                        written.entry(result).or_default().push(task);
                        assert!(result + cells as usize <= layout.results);
                    }
                }
                assert_eq!(next, page.chunks);
            }
        }
        assert!(layout.blocks.iter().all(|block| block.tokens as usize <= plan.shape.tokens));
        written
    }

    /// Pieces of the candidates of each group.
    struct Candidates(Vec<Vec<Vec<Piece>>>);

    impl Source for Candidates {
        fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
            None
        }

        fn locate(&self, group: usize, range: Range<usize>, visit: &mut dyn FnMut(Found<'_>)) {
            for pieces in &self.0[group][range] {
                match pieces[..] {
                    [] => visit(Found::Absent),
                    [piece] => visit(Found::Whole(piece)),
                    ref pieces => visit(Found::Pieces(pieces)),
                }
            }
        }

        fn page(&self, _: u32) -> Option<wgpu::BindGroup> {
            None
        }

        fn matrix(&self, _: usize, candidate: usize) -> crate::Result<TokenMatrixRef<'_>> {
            Err(crate::Error::NotResident { id: candidate.to_string() })
        }
    }

    /// Candidates of which most are resident, over some pages; some in pieces, some nowhere.
    fn candidates(rng: &mut StdRng, groups: &[Group]) -> Candidates {
        let mut slot = 0;
        let mut piece = |rows| {
            slot += 1;
            Piece { page: slot % 3, slot, first_row: slot * 7, rows }
        };
        let mut candidate = || match rng.random_range(0..10) {
            0 => vec![],
            1 => (0..rng.random_range(2..5)).map(|_| piece(16_384)).collect(),
            _ => vec![piece(rng.random_range(1..5_000))],
        };
        let mut of_group = |it: &Group| (0..it.candidates).map(|_| candidate()).collect();
        Candidates(groups.iter().map(&mut of_group).collect())
    }

    /// Every result is written once, maxima behind all scores, and every candidate has its place.
    #[test]
    fn every_pair_has_results_of_its_own() {
        let mut rng = StdRng::seed_from_u64(1);
        let zeros = vec![half::f16::ZERO; 9_000 * 128];
        for limits in [LARGE, SMALL] {
            for wish in [Wish::Scores, Wish::Best(3), Wish::Matches] {
                for (tokens, counts) in
                    [(vec![32], vec![700]), (vec![5, 5, 300, 1], vec![40, 40, 3, 200])]
                {
                    let plan = plan(limits, wish, 300, 128);
                    let queries = tokens.iter().copied().zip(counts.iter().copied());
                    let groups = plan.groups(queries, |query| query == 1);
                    let slices = plan.slices(&groups);
                    let candidates = candidates(&mut rng, &groups);
                    let lay_out =
                        |given: &Given<'_>| lay_out(&plan, &groups, &slices, &candidates, given);
                    let absent = match lay_out(&Given::default()) {
                        Err(Unfit::Absent(absent)) => absent,
                        other => panic!("{other:?}"),
                    };
                    let matrix = TokenMatrixRef::new(&zeros, 128).unwrap();
                    let given: Given<'_> = absent.into_iter().map(|it| (it, matrix)).collect();
                    let Ok(layout) = lay_out(&given) else { continue };
                    assert!(layout.streamed > 0 && layout.resident > layout.streamed);
                    let written = run(&plan, &layout);
                    assert!(written.values().all(|tasks| tasks.len() == 1), "{wish:?}");
                    for (slice, order) in slices.iter().zip(&layout.order) {
                        let mut all = order.clone();
                        all.sort_unstable();
                        assert!(all.into_iter().eq(0..slice.candidates.len() as u32));
                    }
                    for sum in &layout.sums {
                        assert!((sum.first_score as usize) < layout.scores);
                        assert!(sum.first_cell as usize >= layout.scores);
                    }
                }
            }
        }
    }

    #[test]
    fn an_ordinary_request_is_one_run_that_writes_scores() {
        let plan = plan(LARGE, Wish::Best(11), 32, 128);
        let groups = plan.groups([(32, 10_000)].into_iter(), |_| false);
        let slices = plan.slices(&groups);
        let piece = |slot| vec![Piece { page: 2, slot, first_row: slot * 300, rows: 300 }];
        let candidates = Candidates(vec![(0..10_000).map(piece).collect()]);
        let layout = lay_out(&plan, &groups, &slices, &candidates, &Given::default()).unwrap();
        assert!(layout.sums.is_empty() && layout.units.len() == 1);
        assert_eq!(layout.units[0].runs.len(), 1);
        assert_eq!((layout.units[0].runs[0].cells, layout.units[0].runs[0].group), (0, 2));
        assert!(layout.units[0].items.iter().copied().eq(0..10_000));
        assert_eq!(layout.rows, 3_000_000);
        assert!(layout.fetched_rows < 3_180_000, "query tokens are fetched for each chunk");
    }

    #[test]
    fn few_documents_are_divided_and_long_ones() {
        let plan = plan(LARGE, Wish::Scores, 32, 128);
        let parts = |rows: &[u32]| {
            let groups = plan.groups([(32, rows.len())].into_iter(), |_| false);
            let whole = |rows: &u32| vec![Piece { page: 0, slot: 0, first_row: 0, rows: *rows }];
            let candidates = Candidates(vec![rows.iter().map(whole).collect()]);
            let slices = plan.slices(&groups);
            let layout = lay_out(&plan, &groups, &slices, &candidates, &Given::default()).unwrap();
            layout.units[0].runs.iter().map(|run| (run.items, run.parts)).collect::<Vec<_>>()
        };
        assert_eq!(parts(&[1_030; 10]), [(10, 16)]);
        assert_eq!(parts(&[300; 2_000]), [(2_000, 1)]);
        assert_eq!(parts(&[vec![5; 2_000], vec![16_000]].concat()), [(2_000, 1), (1, 8)]);
    }
}
