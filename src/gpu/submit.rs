//! One unit, from what is uploaded to the submission.

use std::ops::Range;

use bytemuck::{cast_slice, pod_collect_to_vec};
use wgpu::{BindGroup, Buffer, SubmissionIndex};

use super::engine::{Prepared, Run, Wish};
use super::plan::{Batch, Plan};
use super::progress::Progress;
use super::record::{Dispatch, Upload, compute};
use super::shader::{MatchSegment, Params, QuerySpan, Segment};
use super::slot::Slot;
use super::top_k::Passes;
use super::tuning::{QUERY_TILE, Spread};
use super::unit::{Cut, Group, Kernel, Page, Unit};
use super::workspace::TIMESTAMPS;
use crate::{Error, Result};

impl Run<'_> {
    /// Submits the next unit of a batch: of the `first` of a round, or with the `end` of one.
    pub(super) fn unit(
        &mut self,
        plan: &Plan,
        batch: &Batch,
        progress: &mut Progress<'_>,
        first: bool,
        end: Option<&Prepared>,
    ) -> Result<SubmissionIndex> {
        let slot = &self.workspace.slots[self.turn];
        let staging = slot.staging.as_ref().ok_or_else(|| gone("no staging buffer"))?;
        let mut upload = Upload::new(self.gpu, staging)?;
        let mut unit = Unit::new(*plan, self.work.wish.kernel());
        // Until it is submitted, nothing that was looked up may move.
        let _held = progress.looks_up().then(|| self.work.source.hold());
        fill(&mut unit, progress, &mut upload, slot, plan)?;
        if std::mem::take(&mut progress.first) {
            self.begin(&mut upload, plan, batch, first);
        }
        let mut dispatches = self.pages(&mut upload, slot, &unit, batch)?;
        let end = end.filter(|_| progress.is_done());
        if progress.is_done() && self.work.wish != Wish::Matches {
            dispatches.push(self.sum(slot, batch));
        }
        if let Some(passes) = end.and_then(|end| end.passes.as_ref()) {
            upload.write(cast_slice(&passes.blocks), &self.workspace.shared.blocks, 0);
            dispatches.extend(passes.passes.iter().enumerate().map(|it| self.top_k(slot, it)));
        }
        let clock = self.workspace.clock.as_ref().map(|clock| (clock, 2 * self.units));
        compute(&mut upload, slot, &dispatches, clock.filter(|(_, first)| *first < TIMESTAMPS));
        let rows = dispatches.iter().map(|it| it.rows).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        drop(dispatches);
        self.units += 1;
        if let Some(end) = end {
            self.finish(&mut upload, end, batch);
        }
        let bytes_up = upload.used();
        let submission = upload.submit(self.gpu);
        self.count_unit(&unit, plan, bytes_up, rows);
        self.workspace.slots[self.turn].recycle(submission.clone());
        self.turn = (self.turn + 1) % self.workspace.slots.len();
        Ok(submission)
    }

    /// Uploads the queries of a batch, and clears what its units add to.
    fn begin(&self, upload: &mut Upload<'_>, plan: &Plan, batch: &Batch, first: bool) {
        let workspace = &self.workspace;
        upload.write(cast_slice(&spans(batch)), &workspace.shared.spans, 0);
        let start = upload.used();
        for slice in &batch.slices {
            let values = self.work.queries[slice.query].values();
            let part = slice.part.start * plan.dim..slice.part.end * plan.dim;
            upload.append_rows(&values[part], plan.dim, plan.row_bytes());
        }
        upload.copy(start, &workspace.shared.query, 0);
        let cells = (batch.cells * self.work.wish.cell_bytes()) as u64;
        let results = match self.work.wish.kernel() {
            Kernel::MaxSim => &workspace.shared.maxima,
            Kernel::Matches => &workspace.shared.matches,
        };
        upload.encoder.clear_buffer(results, 0, Some(cells));
        if first {
            upload.encoder.clear_buffer(&workspace.shared.scores, 0, None);
        }
    }

    /// Uploads the segments of a unit; a dispatch for each group.
    fn pages<'s>(
        &'s self,
        upload: &mut Upload<'_>,
        slot: &'s Slot,
        unit: &Unit,
        batch: &Batch,
    ) -> Result<Vec<Dispatch<'s>>> {
        let cuts: Vec<Cut> = unit.groups.values().flatten().copied().collect();
        let kernel = self.work.wish.kernel();
        upload.write(&segments(kernel, &cuts), &slot.segments, 0);
        let (passes, bindings) = (&self.gpu.pipelines, &slot.bindings);
        let (pass, bindings) = match kernel {
            Kernel::MaxSim => (&passes.maxsim, &bindings.maxsim),
            Kernel::Matches => (&passes.matches, &bindings.matches),
        };
        let mut first_item = 0;
        let mut dispatches = Vec::with_capacity(unit.groups.len() + 8);
        for (Group { page, tiles, .. }, cuts) in &unit.groups {
            let items = first_item..first_item + cuts.len();
            first_item = items.end;
            let (params, x, y) = self.params(items, batch.slices.len());
            let page = Some(self.page(slot, *page)?);
            let count: usize = cuts.iter().map(|cut| cut.segment.rows as usize).sum();
            let (workgroups, rows) = ((x, y, *tiles), (count, count));
            let mut dispatch = Dispatch { pass, bindings, page, params, workgroups, rows };
            if kernel == Kernel::MaxSim {
                self.spread(&mut dispatch, cuts.len(), *tiles);
            }
            dispatches.push(dispatch);
        }
        Ok(dispatches)
    }

    /// Spreads the first pass over workgroups as the pipeline for queries of so many tiles likes it.
    fn spread<'s>(&'s self, dispatch: &mut Dispatch<'s>, segments: usize, tiles: u32) {
        let (passes, tunings) = (&self.gpu.pipelines, self.gpu.tunings);
        let (pass, tuning) = match tiles {
            1 => (&passes.maxsim, tunings.short),
            _ => (&passes.maxsim_long, tunings.long),
        };
        let (limits, (rows, _)) = (self.gpu.limits, dispatch.rows);
        let spread = Spread::new(tuning, limits, segments, rows, tiles as usize * QUERY_TILE);
        let (x, y) = limits.fold(spread.workgroups);
        dispatch.pass = pass;
        dispatch.params = spread.describe(dispatch.params);
        dispatch.workgroups = (x, y, spread.shares);
        let fetched = spread.fetched(tuning, rows, self.plan.quads);
        dispatch.rows = (rows * spread.shares as usize, fetched);
    }

    /// The page that a group reads, to be bound.
    fn page(&self, slot: &Slot, page: Page) -> Result<BindGroup> {
        let found = match page {
            Page::Resident(number) => self.work.source.page(number),
            Page::Streamed => slot.page.as_ref().map(|page| page.bindings.clone()),
        };
        found.ok_or_else(|| gone("no such page"))
    }

    /// The parameters of a dispatch over some items, and its workgroups in x and y.
    fn params(&self, items: Range<usize>, queries: usize) -> (Params, u32, u32) {
        let (x, y) = self.gpu.limits.fold(items.len());
        // They fit u32: items are counted within a binding.
        let params = Params {
            quads: self.plan.quads as u32,
            first_item: items.start as u32,
            items: items.len() as u32,
            fold_width: self.gpu.limits.workgroups,
            queries: queries as u32,
            group: 1,
            tiles: 1,
        };
        (params, x, y)
    }

    /// The second pass, over the pairs of a batch.
    fn sum<'s>(&'s self, slot: &'s Slot, batch: &Batch) -> Dispatch<'s> {
        let scores = batch.first_score..batch.first_score + batch.pairs;
        let (params, x, y) = self.params(scores, batch.slices.len());
        let (pass, bindings) = (&self.gpu.pipelines.sum, &slot.bindings.sum);
        Dispatch { pass, bindings, page: None, params, workgroups: (x, y, 1), rows: (0, 0) }
    }

    /// The third pass, or a repetition of it.
    fn top_k<'s>(&'s self, slot: &'s Slot, pass: (usize, &Range<usize>)) -> Dispatch<'s> {
        let (number, blocks) = pass;
        let (passes, bindings) = (&self.gpu.pipelines, &slot.bindings);
        let (pass, bindings) = match number {
            0 => (&passes.top_k_of_scores, &bindings.top_k_of_scores),
            _ => (&passes.top_k_of_entries, &bindings.top_k_of_entries[(number - 1) % 2]),
        };
        let (params, x, y) = self.params(blocks.clone(), 0);
        Dispatch { pass, bindings, page: None, params, workgroups: (x, y, 1), rows: (0, 0) }
    }

    /// Copies results and timestamps to where they are read.
    fn finish(&self, upload: &mut Upload<'_>, end: &Prepared, batch: &Batch) {
        let workspace = &self.workspace;
        let bytes = self.result_bytes(end, batch);
        let results: &Buffer = match (self.work.wish, &end.passes) {
            (Wish::Matches, _) => &workspace.shared.matches,
            (_, None) => &workspace.shared.scores,
            (_, Some(Passes { passes, .. })) => &workspace.shared.entries[(passes.len() - 1) % 2],
        };
        let (encoder, readback) = (&mut upload.encoder, &workspace.readback);
        encoder.copy_buffer_to_buffer(results, 0, readback, 0, bytes as u64);
        let timestamps = self.timestamps();
        if let Some(clock) = workspace.clock.as_ref().filter(|_| timestamps > 0) {
            encoder.resolve_query_set(&clock.set, 0..timestamps, &clock.resolved, 0);
            let at = self.timestamps_at(bytes) as u64;
            let bytes = u64::from(timestamps) * size_of::<u64>() as u64;
            encoder.copy_buffer_to_buffer(&clock.resolved, 0, readback, at, bytes);
        }
    }

    fn count_unit(&mut self, unit: &Unit, plan: &Plan, bytes_up: usize, rows: (usize, usize)) {
        let statistics = &mut self.statistics;
        statistics.bytes_up += bytes_up as u64;
        statistics.kernel_bytes += (rows.0 * plan.row_bytes()) as u64;
        statistics.fetched_bytes += (rows.1 * plan.row_bytes()) as u64;
        statistics.kernel_flops += 2 * unit.work as u64;
        statistics.submissions += 1;
    }
}

/// Fills a unit with pairs that are resident, or, once all were looked up, with streamed rows.
fn fill(
    unit: &mut Unit,
    progress: &mut Progress<'_>,
    upload: &mut Upload<'_>,
    slot: &Slot,
    plan: &Plan,
) -> Result<()> {
    if progress.looks_up() {
        return progress.look_up(unit);
    }
    let Some(page) = &slot.page else { return Ok(()) };
    progress.stream(unit, upload, plan);
    upload.copy(0, &page.rows, 0);
    Ok(())
}

/// The table of queries of a batch.
fn spans(batch: &Batch) -> Vec<QuerySpan> {
    let mut next = QuerySpan { first_token: 0, tokens: 0, first_pair: 0, first_maximum: 0 };
    let span = |slice: &super::plan::Slice| {
        let (tokens, pairs) = (slice.part.len() as u32, slice.candidates.len() as u32);
        let span = QuerySpan { tokens, ..next };
        next.first_token += tokens;
        next.first_pair += pairs;
        next.first_maximum += pairs * tokens;
        span
    };
    batch.slices.iter().map(span).collect()
}

/// Segments as the kernel reads them.
fn segments(kernel: Kernel, cuts: &[Cut]) -> Vec<u8> {
    match kernel {
        Kernel::MaxSim => {
            let segments: Vec<Segment> = cuts.iter().map(|cut| cut.segment).collect();
            pod_collect_to_vec(&segments)
        }
        Kernel::Matches => {
            let segment = |&Cut { segment, first_token }: &Cut| MatchSegment {
                first_row: segment.first_row,
                rows: segment.rows,
                query: segment.query,
                first_match: segment.first_maximum,
                first_token,
            };
            let segments: Vec<MatchSegment> = cuts.iter().map(segment).collect();
            pod_collect_to_vec(&segments)
        }
    }
}

fn gone(what: &str) -> Error {
    Error::DeviceLost { reason: what.into() }
}
