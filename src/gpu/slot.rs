//! What one unit has to itself, so that the next can be filled while the GPU works on it.

use std::sync::atomic::Ordering;

use wgpu::{BindGroup, Buffer, BufferDescriptor, BufferUsages, MapMode, SubmissionIndex};

use super::device::Gpu;
use super::pipelines::Pass;
use super::unit::UNIT_GROUPS;
use super::wait::{Mapping, Poller, Polling};
use super::workspace::{STORAGE, Shared};
use crate::Result;

const UNIFORM: BufferUsages = BufferUsages::UNIFORM.union(BufferUsages::COPY_DST);

/// Bytes from the parameters of one dispatch to those of the next: the largest alignment that any
/// device asks for.
pub(super) const PARAMS_STRIDE: usize = 256;

/// Dispatches that a unit has room for: its groups, a sum, and passes of top-k.
const DISPATCHES: usize = UNIT_GROUPS + 64;

/// Bytes of the parameters of a unit.
pub(super) const PARAMS_BYTES: usize = DISPATCHES * PARAMS_STRIDE;

/// What a unit has to itself.
pub(super) struct Slot {
    pub params: Buffer,
    pub segments: Buffer,
    pub bindings: Bindings,
    /// None before the first unit.
    pub staging: Option<Staging>,
    /// None before the first unit that streams.
    pub page: Option<StreamedPage>,
}

/// Group 0 of each pass.
pub(super) struct Bindings {
    pub maxsim: BindGroup,
    pub matches: BindGroup,
    pub sum: BindGroup,
    pub top_k_of_scores: BindGroup,
    pub top_k_of_entries: [BindGroup; 2],
}

impl Bindings {
    fn new(gpu: &Gpu, shared: &Shared, params: &Buffer, segments: &Buffer) -> Self {
        let Shared { query, spans, maxima, matches, scores, blocks, entries: [a, b] } = shared;
        let passes = &gpu.pipelines;
        let bind = |pass: &Pass, others: [&Buffer; 4]| {
            let [first, second, third, fourth] = others;
            pass.bind(&gpu.device, 0, &[params, first, second, third, fourth])
        };
        Self {
            maxsim: bind(&passes.maxsim, [query, spans, segments, maxima]),
            matches: bind(&passes.matches, [query, spans, segments, matches]),
            sum: passes.sum.bind(&gpu.device, 0, &[params, spans, maxima, scores]),
            // From scores, and from each of the entries to the other.
            top_k_of_scores: bind(&passes.top_k_of_scores, [blocks, scores, b, a]),
            top_k_of_entries: [(a, b), (b, a)]
                .map(|(from, to)| bind(&passes.top_k_of_entries, [blocks, scores, from, to])),
        }
    }
}

/// The rows that a unit brings along.
pub(super) struct StreamedPage {
    pub rows: Buffer,
    pub bindings: BindGroup,
}

impl Slot {
    pub(super) fn new(gpu: &Gpu, shared: &Shared, segment_bytes: usize) -> Self {
        let params = gpu.buffer("params", PARAMS_BYTES, UNIFORM);
        let segments = gpu.buffer("segments", segment_bytes, STORAGE);
        let bindings = Bindings::new(gpu, shared, &params, &segments);
        Self { params, segments, bindings, staging: None, page: None }
    }

    /// Waits until the GPU has read what was staged here.
    pub(super) async fn ready(&mut self, poller: &Poller, polling: Polling) -> Result<()> {
        match &mut self.staging {
            None => Ok(()),
            Some(staging) => staging.ready(poller, polling).await,
        }
    }

    /// Takes the staging buffer back once `after`, which copies from it, has finished.
    pub(super) fn recycle(&mut self, after: SubmissionIndex) {
        if let Some(staging) = &mut self.staging {
            staging.recycle(after);
        }
    }

    /// Sees to room for a unit of so many bytes, and so many of streamed rows.
    pub(super) fn reserve(&mut self, gpu: &Gpu, bytes: usize, page_bytes: usize) {
        let limit = gpu.limits.binding_bytes;
        let has = |buffer: &Buffer| buffer.size() as usize;
        if self.page.as_ref().map_or(0, |page| has(&page.rows)) < page_bytes {
            let bytes = page_bytes.next_power_of_two().min(limit - limit % 4).max(page_bytes);
            let rows = gpu.buffer("page", bytes, STORAGE);
            let bindings = gpu.pipelines.maxsim.bind(&gpu.device, 1, &[&rows]);
            self.page = Some(StreamedPage { rows, bindings });
        }
        let page_bytes = if page_bytes == 0 { 0 } else { page_bytes.next_power_of_two() };
        let bytes = bytes.next_power_of_two() + page_bytes;
        if self.staging.as_ref().map_or(0, |staging| has(&staging.buffer)) < bytes {
            self.staging = Some(Staging::new(gpu, bytes));
        }
    }
}

/// A buffer that the CPU fills and the GPU copies from.
pub(super) struct Staging {
    pub buffer: Buffer,
    /// `None` while it is mapped, and so ours to fill.
    mapping: Option<Mapping>,
}

impl Staging {
    pub(super) fn new(gpu: &Gpu, bytes: usize) -> Self {
        gpu.buffers_created.fetch_add(1, Ordering::Relaxed);
        let buffer = gpu.device.create_buffer(&BufferDescriptor {
            label: Some("staging"),
            size: bytes as u64,
            usage: BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        Self { buffer, mapping: None }
    }

    /// Waits until the GPU has copied what was in it.
    pub(super) async fn ready(&mut self, poller: &Poller, polling: Polling) -> Result<()> {
        match self.mapping.take() {
            None => Ok(()),
            Some(mapping) => mapping.finish(poller, polling).await,
        }
    }

    /// Takes it back once `after`, which copies from it, has finished.
    pub(super) fn recycle(&mut self, after: SubmissionIndex) {
        self.mapping = Some(Mapping::request(&self.buffer, MapMode::Write, after));
    }
}
