//! One unit, from what is uploaded to the submission.

use std::ops::Range;

use bytemuck::{bytes_of, cast_slice};
use half::f16;
use wgpu::{
    BindGroup, Buffer, BufferViewMut, CommandEncoder, CommandEncoderDescriptor,
    ComputePassDescriptor, ComputePassTimestampWrites, ComputePipeline, SubmissionIndex,
};

use super::batch::{Batch, QueryTokens, Work, timestamps};
use super::buffers::{ALIGNMENT, Section, Slot, TIMESTAMPS, Workspace, append_rows};
use super::device::Gpu;
use super::layout::{Page, PageWork, Unit};
use super::plan::{Plan, Wish};
use super::shader::Params;
use crate::{Error, Result};

/// Threads of a workgroup of sums, and query tokens that one sums up: `THREADS`, `RUN` in `sum.wgsl`.
const SUM_THREADS: usize = 64;
const SUM_TOKENS: u32 = 64;

/// Records the commands of a unit of a batch.
pub(super) struct Recorder<'a> {
    pub gpu: &'a Gpu,
    pub work: &'a Work<'a>,
    pub batch: &'a Batch<'a>,
    pub workspace: &'a Workspace,
    /// The slot of the workspace that is filled.
    pub slot: usize,
}

/// A unit that was handed to the GPU.
pub(super) struct Recorded {
    pub submission: SubmissionIndex,
    pub submissions: u32,
    pub bytes_up: usize,
}

/// Kernel that is dispatched.
#[derive(Clone)]
struct Kernel<'a> {
    pipeline: &'a ComputePipeline,
    bindings: &'a BindGroup,
    /// Group 1, of what reads a page.
    page: Option<BindGroup>,
    units_of_workgroup: usize,
}

struct Dispatch<'a> {
    kernel: Kernel<'a>,
    params: Params,
    workgroups: (u32, u32),
    /// Multiplications.
    work: u64,
}

impl<'a> Recorder<'a> {
    /// Submits unit `number`; with the last one of a batch, what makes its results of it. `timed`
    /// submissions of the batch came before.
    pub(super) fn submit(&self, number: usize, timed: u32) -> Result<Recorded> {
        let layout = &self.batch.layout;
        let unit = &layout.units[number];
        let is_last = number + 1 == layout.units.len();
        let pipeline = self.pipeline()?;
        let mut dispatches = Vec::new();
        for page in &unit.pages {
            self.over_page(page, &pipeline, &mut dispatches)?;
        }
        if is_last {
            self.sums(&mut dispatches);
            self.top_k(&mut dispatches);
        }
        let (mut encoder, bytes_up) = self.upload(unit, &dispatches)?;
        let mut submissions = 0;
        for dispatches in by_work(&dispatches, self.gpu.limits.submission_work) {
            if submissions > 0 {
                self.gpu.queue.submit([encoder.finish()]);
                encoder = self.encoder();
            }
            self.compute(&mut encoder, dispatches, timed + submissions);
            submissions += 1;
        }
        if is_last {
            self.read_back(&mut encoder, timed + submissions);
        }
        let submission = self.gpu.queue.submit([encoder.finish()]);
        Ok(Recorded { submission, submissions, bytes_up })
    }

    fn slot(&self) -> &'a Slot {
        &self.workspace.slots[self.slot]
    }

    fn plan(&self) -> &'a Plan {
        self.work.plan
    }

    fn encoder(&self) -> CommandEncoder {
        let label = Some("maxfold");
        self.gpu.maker.device.create_command_encoder(&CommandEncoderDescriptor { label })
    }

    /// The pipeline that runs over tasks.
    fn pipeline(&self) -> Result<ComputePipeline> {
        let kernels = &self.gpu.kernels;
        match self.plan().wish {
            Wish::Matches => Ok(kernels.matches.clone()),
            Wish::Scores | Wish::Best(_) => kernels.maxsim(self.plan()),
        }
    }

    /// Adds the dispatches over a page.
    fn over_page(
        &self,
        page: &PageWork,
        pipeline: &'a ComputePipeline,
        dispatches: &mut Vec<Dispatch<'a>>,
    ) -> Result<()> {
        let bindings = match page.page {
            Page::Resident(number) => self.work.source.page(number),
            Page::Streamed => self.slot().page.as_ref().map(|page| page.bindings.clone()),
        };
        let gone = || Error::DeviceLost { reason: "no such page".into() };
        let kernel = Kernel {
            pipeline,
            bindings: &self.slot().bindings.request,
            page: Some(bindings.ok_or_else(gone)?),
            units_of_workgroup: match self.plan().wish {
                Wish::Matches => 1,
                _ => self.plan().tuning.chunks_of_workgroup(self.gpu.limits.most_lanes),
            },
        };
        let entries = page.runs.start as usize..page.runs.end as usize;
        self.over(&kernel, entries, 0..page.chunks as usize, page.work, dispatches);
        Ok(())
    }

    /// Adds what sums up maxima: a thread takes a pair, or, of long queries, a workgroup.
    fn sums(&self, dispatches: &mut Vec<Dispatch<'a>>) {
        let layout = &self.batch.layout;
        let long = layout.sums.iter().any(|sum| sum.tokens > SUM_TOKENS);
        let kernel = Kernel {
            pipeline: &self.gpu.kernels.sum,
            bindings: &self.slot().bindings.sum,
            page: None,
            units_of_workgroup: if long { 1 } else { SUM_THREADS },
        };
        self.over(&kernel, 0..layout.sums.len(), 0..layout.summed, 0, dispatches);
    }

    /// Adds the passes that find the best.
    fn top_k(&self, dispatches: &mut Vec<Dispatch<'a>>) {
        let (kernels, bindings) = (&self.gpu.kernels, &self.slot().bindings);
        let passes = self.batch.passes.iter().flat_map(|passes| &passes.passes);
        for (number, blocks) in passes.enumerate() {
            let (pipeline, bindings) = match number {
                0 => (&kernels.top_k_of_scores, &bindings.top_k_of_scores),
                _ => (&kernels.top_k_of_entries, &bindings.top_k_of_entries[(number - 1) % 2]),
            };
            let kernel = Kernel { pipeline, bindings, page: None, units_of_workgroup: 1 };
            self.over(&kernel, 0..0, blocks.clone(), 0, dispatches);
        }
    }

    /// Adds the dispatches of a kernel over some units of work, which are described by entries of a table.
    fn over(
        &self,
        kernel: &Kernel<'a>,
        entries: Range<usize>,
        units: Range<usize>,
        work: u64,
        dispatches: &mut Vec<Dispatch<'a>>,
    ) {
        let limits = &self.gpu.limits;
        let all = units.len().max(1) as u128;
        let split = limits.split(units, kernel.units_of_workgroup, limits.pieces(work));
        dispatches.extend(split.map(|(units, workgroups)| Dispatch {
            kernel: kernel.clone(),
            workgroups,
            work: (u128::from(work) * units.len() as u128 / all) as u64,
            // They fit u32: all are counted within a binding.
            params: Params {
                row_octets: self.plan().row_octets as u32,
                query_octets: self.plan().query_octets as u32,
                first_entry: entries.start as u32,
                entries: entries.len() as u32,
                first_unit: units.start as u32,
                end_unit: units.end as u32,
                fold_width: limits.workgroups,
                units_of_workgroup: kernel.units_of_workgroup as u32,
            },
        }));
    }

    /// Fills the staging buffer; returns its copies to where kernels read, and its bytes.
    fn upload(&self, unit: &Unit, dispatches: &[Dispatch<'_>]) -> Result<(CommandEncoder, usize)> {
        let slot = self.slot();
        let staging = &slot.staging.buffer;
        let view = staging.get_mapped_range_mut(..).map_err(|error| Error::DeviceLost {
            reason: format!("a staging buffer is not mapped: {error}"),
        })?;
        let mut writer = Writer { view, end: 0 };
        let table_bytes = self.tables(unit, dispatches, &mut writer);
        writer.end = slot.tables.size() as usize;
        let rows_at = writer.end;
        self.rows(unit, &mut writer);
        let row_bytes = writer.end - rows_at;
        drop(writer);
        staging.unmap();
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(staging, 0, &slot.tables, 0, table_bytes as u64);
        if let Some(page) = slot.page.as_ref().filter(|_| row_bytes > 0) {
            encoder.copy_buffer_to_buffer(staging, rows_at as u64, &page.rows, 0, row_bytes as u64);
        }
        Ok((encoder, table_bytes + row_bytes))
    }

    /// Writes the tables of a unit; returns their end.
    fn tables(&self, unit: &Unit, dispatches: &[Dispatch<'_>], writer: &mut Writer) -> usize {
        let (slot, layout) = (self.slot(), &self.batch.layout);
        let mut end = 0;
        let mut section = |writer: &mut Writer, section: Section, bytes: &[u8]| {
            if !bytes.is_empty() {
                writer.end = slot.starts[section as usize];
                writer.append(bytes);
                end = end.max(writer.end);
            }
        };
        let blocks = self.batch.passes.as_ref().map_or(&[][..], |passes| &passes.blocks);
        section(writer, Section::Runs, cast_slice(&unit.runs));
        section(writer, Section::Blocks, cast_slice(&layout.blocks));
        section(writer, Section::Sums, cast_slice(&layout.sums));
        section(writer, Section::Lists, cast_slice(blocks));
        section(writer, Section::Items, cast_slice(&unit.items));
        section(writer, Section::Places, cast_slice(&unit.places));
        for (at, dispatch) in dispatches.iter().enumerate() {
            writer.end = slot.starts[Section::Params as usize] + at * ALIGNMENT;
            writer.append(bytes_of(&dispatch.params));
        }
        writer.end = slot.starts[Section::Query as usize];
        self.query(writer);
        end.max(writer.end)
    }

    /// Writes the query tokens of all slices.
    fn query(&self, writer: &mut Writer) {
        let dim = self.plan().dim;
        for slice in &self.batch.slices {
            let mut first = 0;
            for query in &self.work.queries[self.work.groups[slice.group].queries.clone()] {
                let tokens = first..first + query.count();
                let start = slice.tokens.start.clamp(first, tokens.end) - first;
                let end = slice.tokens.end.clamp(first, tokens.end) - first;
                let bytes_of_token = self.plan().query_bytes();
                match query {
                    QueryTokens::F16(matrix) => {
                        let values = &matrix.values()[start * dim..end * dim];
                        writer.append_rows(values, dim, bytes_of_token);
                    }
                    QueryTokens::Int8 { bytes, .. } => {
                        writer.append(&bytes[start * bytes_of_token..end * bytes_of_token]);
                    }
                }
                first = tokens.end;
            }
        }
    }

    /// Writes the rows that a unit brings along.
    fn rows(&self, unit: &Unit, writer: &mut Writer) {
        let dim = self.plan().dim;
        for streamed in &unit.streamed {
            if let Some(matrix) = self.batch.given.get(&streamed.candidate) {
                let values = &matrix.values()[streamed.rows.start * dim..streamed.rows.end * dim];
                writer.append_rows(values, dim, self.plan().row_bytes());
            }
        }
    }

    /// Records dispatches, one after the other, between two timestamps.
    fn compute(&self, encoder: &mut CommandEncoder, dispatches: Numbered<'_, 'a>, timed: u32) {
        let clock = self.workspace.clock.as_ref().filter(|_| 2 * timed < TIMESTAMPS);
        let timestamp_writes = clock.map(|clock| ComputePassTimestampWrites {
            query_set: &clock.set,
            beginning_of_pass_write_index: Some(2 * timed),
            end_of_pass_write_index: Some(2 * timed + 1),
        });
        let label = Some("maxfold");
        let descriptor = ComputePassDescriptor { label, timestamp_writes };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        for (number, dispatch) in (dispatches.first..).zip(dispatches.dispatches) {
            pass.set_pipeline(dispatch.kernel.pipeline);
            pass.set_bind_group(0, dispatch.kernel.bindings, &[number * ALIGNMENT as u32]);
            if let Some(page) = &dispatch.kernel.page {
                pass.set_bind_group(1, page, &[]);
            }
            let (x, y) = dispatch.workgroups;
            pass.dispatch_workgroups(x, y, 1);
        }
    }

    /// Copies results and timestamps to where they are read.
    fn read_back(&self, encoder: &mut CommandEncoder, timed: u32) {
        let workspace = self.workspace;
        let bytes = self.batch.read_bytes(self.plan());
        let results: &Buffer = match &self.batch.passes {
            None => &workspace.shared.results,
            Some(passes) => &workspace.shared.entries[(passes.passes.len() - 1) % 2],
        };
        encoder.copy_buffer_to_buffer(results, 0, &workspace.readback, 0, bytes as u64);
        if let Some(clock) = workspace.clock.as_ref() {
            let timestamps = timestamps(timed);
            encoder.resolve_query_set(&clock.set, 0..timestamps, &clock.resolved, 0);
            let at = bytes.next_multiple_of(size_of::<u64>());
            let bytes = timestamps as usize * size_of::<u64>();
            let readback = &workspace.readback;
            encoder.copy_buffer_to_buffer(&clock.resolved, 0, readback, at as u64, bytes as u64);
        }
    }
}

/// Neighbouring dispatches of one submission, the first of which has this number.
struct Numbered<'d, 'a> {
    first: u32,
    dispatches: &'d [Dispatch<'a>],
}

/// Cuts dispatches into submissions of at most so many multiplications.
fn by_work<'d, 'a>(
    dispatches: &'d [Dispatch<'a>],
    most: u64,
) -> impl Iterator<Item = Numbered<'d, 'a>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = &dispatches[first..];
        let mut work = 0;
        let fits = |dispatch: &&Dispatch<'_>| {
            work += dispatch.work;
            work <= most
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let numbered = Numbered { first: first as u32, dispatches: &rest[..count] };
        first += count;
        (count > 0).then_some(numbered)
    })
}

/// Writes into a staging buffer that is mapped.
struct Writer {
    view: BufferViewMut,
    end: usize,
}

impl Writer {
    fn append(&mut self, bytes: &[u8]) {
        self.view.slice(self.end..self.end + bytes.len()).copy_from_slice(bytes);
        self.end += bytes.len();
    }

    fn append_rows(&mut self, rows: &[f16], dim: usize, row_bytes: usize) {
        append_rows(rows, dim, row_bytes, |bytes| self.append(bytes));
    }
}
