//! The engine: rounds, batches and units of a request, one after the other.

use std::time::Duration;

use wgpu::{MapMode, SubmissionIndex};

use super::device::Gpu;
use super::plan::{Batch, Plan, Round};
use super::progress::Progress;
use super::results::Results;
use super::shader::{Block, Entry, MatchCell, MatchSegment, QuerySpan};
use super::slot::PARAMS_BYTES;
use super::source::Source;
use super::statistics::Statistics;
use super::top_k::Passes;
use super::unit::Kernel;
use super::wait::{Mapping, Polling};
use super::workspace::{Needs, TIMESTAMPS, Workspace};
use crate::multivector::TokenMatrixRef;
use crate::{Error, Result};

/// Segments that a unit has room for at least, whatever the number of pairs.
const LEAST_SEGMENTS: usize = 1 << 14;

/// What is wanted of every pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Its score.
    Scores,
    /// Its score, if it is one of its query's best so many: from 1 to `top_k::MOST_KEPT`.
    Best(usize),
    /// Its matches.
    Matches,
}

impl Wish {
    pub(super) fn kernel(self) -> Kernel {
        match self {
            Self::Scores | Self::Best(_) => Kernel::MaxSim,
            Self::Matches => Kernel::Matches,
        }
    }

    /// Bytes for each query token of a pair.
    pub(super) fn cell_bytes(self) -> usize {
        match self.kernel() {
            Kernel::MaxSim => size_of::<u32>(),
            Kernel::Matches => size_of::<MatchCell>(),
        }
    }
}

/// What is asked of the engine. Queries have one dimension.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub queries: &'a [TokenMatrixRef<'a>],
    /// How many candidates each query has.
    pub candidates: &'a [usize],
    pub source: &'a dyn Source,
    pub wish: Wish,
}

impl Gpu {
    /// Answers, and says what it cost.
    pub(super) async fn run(
        &self,
        work: &Work<'_>,
        polling: Polling,
    ) -> Result<(Results, Statistics)> {
        self.check_alive()?;
        let mut results = Results::new(work.queries.len());
        let Some(query) = work.queries.first() else {
            return Ok((results, Statistics::default()));
        };
        let plan = Plan::new(self.limits, query.dim(), work.wish.cell_bytes())?;
        let rounds = prepare(&plan, work);
        let needs = needs(&plan, work, &rounds);
        let workspace = self.checked(|| Workspace::new(self, needs, self.take_workspace()))?;
        let statistics = Statistics {
            gpu_time: workspace.clock.as_ref().map(|_| Duration::ZERO),
            ..Default::default()
        };
        let mut run =
            Run { gpu: self, plan, work, polling, workspace, turn: 0, units: 0, statistics };
        for round in &rounds {
            run.round(round, &mut results).await?;
        }
        self.return_workspace(run.workspace);
        Ok((results.finished(work.wish), run.statistics))
    }
}

impl Gpu {
    /// Buffers that each of some requests finds large enough, with so many rows to be streamed.
    pub(super) fn workspace_for(&self, works: &[Work<'_>], rows: usize) -> Result<Workspace> {
        let mut all = Needs::default();
        let mut slot = (0, 0);
        for work in works {
            let dim = work.queries.first().map_or(0, |query| query.dim());
            let plan = Plan::new(self.limits, dim, work.wish.cell_bytes())?;
            let rounds = prepare(&plan, work);
            all = all.or(needs(&plan, work, &rounds));
            for prepared in &rounds {
                for batch in &prepared.batches {
                    let plan = Plan { segments: segments(&plan, batch), ..plan };
                    let (bytes, page_bytes) = room(&plan, batch, rows, Some(prepared));
                    slot = (slot.0.max(bytes), slot.1.max(page_bytes));
                }
            }
        }
        self.checked(|| {
            let mut workspace = Workspace::new(self, all, self.take_workspace());
            workspace.slots.iter_mut().for_each(|it| it.reserve(self, slot.0, slot.1));
            workspace
        })
    }
}

/// A round, its batches, and how its best are found.
pub(super) struct Prepared {
    pub round: Round,
    pub batches: Vec<Batch>,
    pub passes: Option<Passes>,
}

fn prepare(plan: &Plan, work: &Work<'_>) -> Vec<Prepared> {
    let tokens: Vec<usize> = work.queries.iter().map(TokenMatrixRef::tokens).collect();
    let prepared = plan.rounds(work.candidates).into_iter().map(|round| {
        let batches = plan.batches(&round, &tokens);
        let lists = round.lists.iter().map(|list| list.candidates.len());
        let passes = match work.wish {
            Wish::Best(keep) => Some(Passes::new(lists, keep)),
            Wish::Scores | Wish::Matches => None,
        };
        Prepared { round, batches, passes }
    });
    prepared.collect()
}

/// The largest that any piece of a request needs.
fn needs(plan: &Plan, work: &Work<'_>, rounds: &[Prepared]) -> Needs {
    let mut needs = Needs::default();
    for prepared in rounds {
        for batch in &prepared.batches {
            needs = needs.or(batch_needs(plan, work.wish, batch));
        }
        if work.wish != Wish::Matches {
            needs = needs.or(round_needs(prepared));
        }
    }
    needs
}

fn batch_needs(plan: &Plan, wish: Wish, batch: &Batch) -> Needs {
    let needs = Needs {
        query: batch.tokens * plan.row_bytes(),
        spans: batch.slices.len() * size_of::<QuerySpan>(),
        segments: segments(plan, batch) * size_of::<MatchSegment>(),
        ..Default::default()
    };
    let cells = batch.cells * wish.cell_bytes();
    match wish.kernel() {
        Kernel::MaxSim => Needs { maxima: cells, ..needs },
        Kernel::Matches => Needs { matches: cells, results: cells, ..needs },
    }
}

fn round_needs(prepared: &Prepared) -> Needs {
    let scores = prepared.round.pairs * size_of::<f32>();
    let Some(passes) = &prepared.passes else {
        return Needs { scores, results: scores, ..Default::default() };
    };
    let entries = passes.entries * size_of::<Entry>();
    let blocks = passes.blocks.len() * size_of::<Block>();
    Needs { scores, blocks, entries, results: entries, ..Default::default() }
}

/// Segments of a unit of a batch.
fn segments(plan: &Plan, batch: &Batch) -> usize {
    (4 * batch.pairs).max(LEAST_SEGMENTS).min(plan.segments)
}

/// A request that is being answered.
pub(super) struct Run<'a> {
    pub gpu: &'a Gpu,
    pub plan: Plan,
    pub work: &'a Work<'a>,
    polling: Polling,
    pub workspace: Workspace,
    /// The slot of the next unit.
    pub turn: usize,
    /// Units since results were last read.
    pub units: u32,
    pub statistics: Statistics,
}

impl<'a> Run<'a> {
    async fn round(&mut self, prepared: &Prepared, results: &mut Results) -> Result<()> {
        let last = prepared.batches.len() - 1;
        for (number, batch) in prepared.batches.iter().enumerate() {
            // Matches have room for one batch only.
            let reads = self.work.wish == Wish::Matches || number == last;
            let end = reads.then_some(prepared);
            let submission = self.batch(batch, number == 0, end).await?;
            if reads {
                let bytes = self.result_bytes(prepared, batch);
                let words = self.read_back(bytes, submission).await?;
                match (self.work.wish, &prepared.passes) {
                    (Wish::Matches, _) => results.add_matches(batch, &words),
                    (_, None) => results.add_scores(&prepared.round, &words),
                    (_, Some(passes)) => results.add_best(&prepared.round, passes, &words),
                }
            }
        }
        Ok(())
    }

    /// Bytes that are read at the end of a round, or of a batch of matches.
    pub(super) fn result_bytes(&self, prepared: &Prepared, batch: &Batch) -> usize {
        match (self.work.wish, &prepared.passes) {
            (Wish::Matches, _) => batch.cells * size_of::<MatchCell>(),
            (_, None) => prepared.round.pairs * size_of::<f32>(),
            (_, Some(passes)) => passes.kept.last().map_or(0, |it| it.end) * size_of::<Entry>(),
        }
    }

    /// Submits the units of a batch, and the end of its round with the last.
    async fn batch(
        &mut self,
        batch: &Batch,
        first: bool,
        end: Option<&Prepared>,
    ) -> Result<SubmissionIndex> {
        let plan = Plan { segments: segments(&self.plan, batch), ..self.plan };
        let mut progress = Progress::new(self.work.source, plan.dim, batch)?;
        loop {
            let (bytes, page_bytes) = room(&plan, batch, progress.rows_left(), end);
            let (gpu, slot) = (self.gpu, &mut self.workspace.slots[self.turn]);
            slot.ready(&gpu.poller, self.polling).await?;
            gpu.checked(|| slot.reserve(gpu, bytes, page_bytes))?;
            let submission =
                gpu.checked(|| self.unit(&plan, batch, &mut progress, first, end))??;
            progress.note_use();
            if progress.is_done() {
                self.count(batch, &progress);
                return Ok(submission);
            }
            progress.fetch()?;
        }
    }

    /// Counts a batch, and its candidates unless it is a later part of a query.
    fn count(&mut self, batch: &Batch, progress: &Progress<'_>) {
        // Queries are read once, results written and read.
        let bytes = batch.tokens * self.plan.row_bytes();
        let cells = batch.cells * self.work.wish.cell_bytes();
        self.statistics.kernel_bytes += (bytes + 2 * cells) as u64;
        let is_first = batch.slices.first().is_some_and(|slice| slice.part.start == 0);
        if is_first && self.work.wish != Wish::Matches {
            self.statistics.streamed += progress.absent;
            self.statistics.resident += batch.pairs - progress.absent;
        }
    }

    /// The results of a round, and the timestamps of its units.
    async fn read_back(&mut self, bytes: usize, submission: SubmissionIndex) -> Result<Vec<u32>> {
        let (gpu, buffer) = (self.gpu, &self.workspace.readback);
        let mapping = gpu.checked(|| Mapping::request(buffer, MapMode::Read, submission))?;
        mapping.finish(&gpu.poller, self.polling).await?;
        let all = self.timestamps_at(bytes) + self.timestamp_bytes();
        let view = buffer.get_mapped_range(..all as u64);
        let view = view.map_err(|error| Error::DeviceLost { reason: error.to_string() })?;
        let words = bytemuck::pod_collect_to_vec(&view[..bytes]);
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view[self.timestamps_at(bytes)..]);
        drop(view);
        buffer.unmap();
        self.statistics.bytes_down += all as u64;
        self.add_time(&ticks);
        Ok(words)
    }

    /// Where timestamps begin behind `bytes` of results.
    pub(super) fn timestamps_at(&self, bytes: usize) -> usize {
        bytes.next_multiple_of(size_of::<u64>())
    }

    fn timestamp_bytes(&self) -> usize {
        self.timestamps() as usize * size_of::<u64>()
    }

    /// Timestamps since results were last read.
    pub(super) fn timestamps(&self) -> u32 {
        if self.workspace.clock.is_some() { (2 * self.units).min(TIMESTAMPS) } else { 0 }
    }

    /// Adds the time between pairs of timestamps.
    fn add_time(&mut self, ticks: &[u64]) {
        let ticks: u64 = ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0])).sum();
        let nanoseconds = ticks as f64 * f64::from(self.gpu.queue.get_timestamp_period());
        let time = Duration::from_nanos(nanoseconds as u64);
        let is_whole = 2 * self.units <= TIMESTAMPS;
        self.statistics.gpu_time =
            self.statistics.gpu_time.filter(|_| is_whole).map(|all| all + time);
        self.units = 0;
    }
}

/// Bytes that the next unit has to have room for: beside streamed rows, and for those.
fn room(plan: &Plan, batch: &Batch, rows: usize, end: Option<&Prepared>) -> (usize, usize) {
    let segments = plan.segments * size_of::<MatchSegment>();
    let spans = batch.slices.len() * size_of::<QuerySpan>();
    let query = batch.tokens * plan.row_bytes();
    let passes = end.and_then(|end| end.passes.as_ref());
    let blocks = passes.map_or(0, |passes| passes.blocks.len() * size_of::<Block>());
    let page_bytes = rows.min(plan.page_rows) * plan.row_bytes();
    (PARAMS_BYTES + segments + spans + query + blocks, page_bytes)
}
