//! A request, from its plan to its results: batch after batch, unit after unit.

use std::time::Duration;

use wgpu::{MapMode, SubmissionIndex};

use super::batch::{Batch, Work, page_bytes, timestamps};
use super::buffers::{Needs, Section, TIMESTAMPS, Workspace};
use super::device::Gpu;
use super::layout::{Unfit, page_rows};
use super::plan::{Group, Plan, Slice, Wish, halves};
use super::record::Recorder;
use super::results::Results;
use super::shader::Place;
use super::source::Source;
use super::statistics::Statistics;
use super::wait::Mapping;
use crate::background::Cancellation;
use crate::multivector::check_dimension;
use crate::{Error, Result};

impl Gpu {
    /// Answers, and says what it cost.
    pub(super) fn run(&self, work: &Work<'_>) -> Result<(Results, Statistics)> {
        self.check_alive()?;
        let mut run = Run::new(self, work)?;
        let slices = work.plan.slices(work.groups);
        let mut left = if slices.is_empty() { Vec::new() } else { vec![slices] };
        while let Some(slices) = left.pop() {
            run.cancellation.check()?;
            let halves = halves(&slices);
            let tokens = slices[0].tokens.len();
            if !run.batch(slices)? {
                let [first, second] = halves.ok_or_else(|| too_large(tokens))?;
                left.extend([second, first]);
            }
        }
        let (results, statistics) = run.finished();
        Ok((results, statistics))
    }

    /// Buffers that each of some requests finds large enough, wherever its candidates are, with so many
    /// rows to be streamed.
    pub(super) fn workspace_for(
        &self,
        works: &[(Plan, Vec<Group>)],
        source: &dyn Source,
        rows: usize,
    ) -> Result<Workspace> {
        let mut all = Needs::default();
        for (plan, groups) in works {
            let slices = plan.slices(groups);
            let candidates = slices.iter().map(|slice| slice.candidates.len()).sum::<usize>();
            let mut batch = Batch::new(slices);
            let Ok(mut needs) = batch.lay_out(plan, groups, source) else { continue };
            needs.section(Section::Places, candidates * size_of::<Place>());
            needs.page = page_bytes(plan, rows.min(page_rows(plan)));
            all = all.or(needs);
        }
        self.workspace(all, None)
    }
}

/// A document that exceeds a binding, however little else is asked for.
fn too_large(tokens: usize) -> Error {
    Error::DeviceLimit {
        what: "a candidate",
        expected: "one whose maxima fit a binding".into(),
        got: format!("one that doesn't, with {tokens} query tokens"),
    }
}

/// A request that is being answered.
struct Run<'a> {
    gpu: &'a Gpu,
    work: &'a Work<'a>,
    workspace: Option<Workspace>,
    /// The slot of the next unit.
    turn: usize,
    /// Submissions since results were last read.
    timed: u32,
    results: Results,
    statistics: Statistics,
    cancellation: Cancellation,
}

/// Outcome of the first unit of a batch.
enum First {
    Submitted(SubmissionIndex),
    Unfit(Unfit),
}

impl<'a> Run<'a> {
    fn new(gpu: &'a Gpu, work: &'a Work<'a>) -> Result<Self> {
        let workspace = gpu.workspace(Needs::default(), None)?;
        let statistics = Statistics {
            gpu_time: workspace.clock.as_ref().map(|_| Duration::ZERO),
            ..Default::default()
        };
        let results = Results::new(work.plan.wish, work.groups);
        let workspace = Some(workspace);
        let cancellation = Cancellation::current();
        Ok(Self { gpu, work, workspace, turn: 0, timed: 0, results, statistics, cancellation })
    }

    fn finished(self) -> (Results, Statistics) {
        if let Some(workspace) = self.workspace {
            self.gpu.return_workspace(workspace);
        }
        (self.results, self.statistics)
    }

    /// Answers some slices; false if they exceed a limit.
    fn batch(&mut self, slices: Vec<Slice>) -> Result<bool> {
        if !self.work.plan.may_fit(self.work.groups, &slices) {
            return Ok(false);
        }
        let mut batch = Batch::new(slices);
        let mut submission = loop {
            self.slot_ready()?;
            match self.first_unit(&mut batch)? {
                First::Submitted(submission) => break submission,
                First::Unfit(Unfit::TooLarge) => return Ok(false),
                First::Unfit(Unfit::Absent(absent)) => self.fetch(&mut batch, absent)?,
            }
        };
        for number in 1..batch.layout.units.len() {
            self.cancellation.check()?;
            self.slot_ready()?;
            submission = self.unit(&batch, number)?;
        }
        self.count(&batch);
        let words = self.read_back(&batch, submission)?;
        self.results.add(self.work.groups, &batch, &words);
        Ok(true)
    }

    /// Waits until the slot of the next unit can be filled.
    fn slot_ready(&mut self) -> Result<()> {
        let (gpu, turn) = (self.gpu, self.turn);
        match &mut self.workspace {
            None => Ok(()),
            Some(workspace) => workspace.slots[turn].staging.ready(&gpu.maker.device),
        }
    }

    /// Lays a batch out, and submits its first unit: from the look at the store to the submission, nothing
    /// that was found may move.
    fn first_unit(&mut self, batch: &mut Batch<'a>) -> Result<First> {
        let _held = self.work.source.hold();
        let Work { plan, groups, source, .. } = *self.work;
        let needs = match batch.lay_out(plan, groups, source) {
            Ok(needs) => needs,
            Err(unfit) => return Ok(First::Unfit(unfit)),
        };
        self.workspace = Some(self.gpu.workspace(needs, self.workspace.take())?);
        self.unit(batch, 0).map(First::Submitted)
    }

    /// Asks the caller for the matrices of some candidates.
    fn fetch(&self, batch: &mut Batch<'a>, absent: Vec<(usize, usize)>) -> Result<()> {
        for (group, candidate) in absent {
            let matrix = self.work.source.matrix(group, candidate)?;
            let dim = self.work.plan.dim;
            check_dimension(|| format!("candidate {candidate}"), dim, matrix.dim())?;
            batch.given.insert((group, candidate), matrix);
        }
        Ok(())
    }

    /// Submits a unit of a batch.
    fn unit(&mut self, batch: &Batch<'_>, number: usize) -> Result<SubmissionIndex> {
        let (gpu, work, turn) = (self.gpu, self.work, self.turn);
        let workspace = self.workspace.as_mut().ok_or_else(gone)?;
        let recorder = Recorder { gpu, work, batch, workspace, slot: turn };
        let recorded = gpu.checked(|| recorder.submit(number, self.timed))??;
        workspace.slots[turn].staging.recycle(recorded.submission.clone());
        self.turn = (turn + 1) % workspace.slots.len();
        self.timed += recorded.submissions;
        self.statistics.submissions += u64::from(recorded.submissions);
        self.statistics.bytes_up += recorded.bytes_up as u64;
        Ok(recorded.submission)
    }

    fn count(&mut self, batch: &Batch<'_>) {
        let plan = self.work.plan;
        let layout = &batch.layout;
        let statistics = &mut self.statistics;
        let query_bytes = layout.tokens * plan.query_bytes();
        let results = 2 * layout.results * size_of::<u32>();
        let row_bytes = (plan.row_bytes() + plan.format.beside()) as u64;
        statistics.kernel_bytes += layout.rows * row_bytes;
        statistics.kernel_bytes += (query_bytes + results) as u64;
        statistics.fetched_bytes += layout.fetched_rows * row_bytes;
        statistics.kernel_flops += 2 * layout.work;
        if plan.wish != Wish::Matches {
            statistics.resident += layout.resident;
            statistics.streamed += layout.streamed;
        }
    }

    /// The results of a batch, and the timestamps of its submissions.
    fn read_back(&mut self, batch: &Batch<'_>, submission: SubmissionIndex) -> Result<Vec<u32>> {
        let gpu = self.gpu;
        let workspace = self.workspace.as_ref().ok_or_else(gone)?;
        let buffer = &workspace.readback;
        let mapping = gpu.checked(|| Mapping::request(buffer, MapMode::Read, submission))?;
        mapping.finish(&gpu.maker.device)?;
        let bytes = batch.read_bytes(self.work.plan);
        let ticks_at = bytes.next_multiple_of(size_of::<u64>());
        let stamps = if workspace.clock.is_some() { timestamps(self.timed) } else { 0 };
        let all = ticks_at + stamps as usize * size_of::<u64>();
        let view = buffer.get_mapped_range(..all as u64);
        let view = view.map_err(|error| Error::DeviceLost { reason: error.to_string() })?;
        let words = bytemuck::pod_collect_to_vec(&view[..bytes]);
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view[ticks_at..]);
        drop(view);
        buffer.unmap();
        self.statistics.bytes_down += all as u64;
        self.add_time(&ticks);
        Ok(words)
    }

    /// Adds the time between pairs of timestamps.
    fn add_time(&mut self, ticks: &[u64]) {
        let ticks: u64 = ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0])).sum();
        let nanoseconds = ticks as f64 * f64::from(self.gpu.queue.get_timestamp_period());
        let time = Duration::from_nanos(nanoseconds as u64);
        let is_whole = 2 * self.timed <= TIMESTAMPS;
        self.statistics.gpu_time =
            self.statistics.gpu_time.filter(|_| is_whole).map(|all| all + time);
        self.timed = 0;
    }
}

fn gone() -> Error {
    Error::DeviceLost { reason: "a request's buffers are gone".into() }
}
