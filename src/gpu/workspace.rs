//! The buffers of a request, reused by the next.

use std::sync::atomic::{AtomicU64, Ordering};

use wgpu::{
    BindGroup, Buffer, BufferDescriptor, BufferUsages, Device, Features, MapMode, QuerySet,
    QuerySetDescriptor, QueryType, SubmissionIndex,
};

use super::device::Gpu;
use super::pipelines::Pipelines;
use super::shader::{Block, Entry, MatchCell, MatchSegment, QuerySpan};
use super::unit::UNIT_GROUPS;
use super::wait::{Mapping, Poller, Polling};
use crate::Result;

const STORAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);
const UNIFORM: BufferUsages = BufferUsages::UNIFORM.union(BufferUsages::COPY_DST);
const READBACK: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);
const RESOLVED: BufferUsages = BufferUsages::QUERY_RESOLVE.union(BufferUsages::COPY_SRC);

/// Bytes from the parameters of one dispatch to those of the next: the largest alignment that any
/// device asks for.
pub(super) const PARAMS_STRIDE: usize = 256;

/// Dispatches that a unit has room for: its groups, a sum, and passes of top-k.
const DISPATCHES: usize = UNIT_GROUPS + 64;

/// Bytes of the parameters of a unit.
pub(super) const PARAMS_BYTES: usize = DISPATCHES * PARAMS_STRIDE;

/// Timestamps of a round: two a unit. More units are not timed.
pub(super) const TIMESTAMPS: u32 = wgpu::QUERY_SET_MAX_QUERIES;

/// What a request needs of each buffer, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    pub query: usize,
    pub spans: usize,
    pub segments: usize,
    pub maxima: usize,
    pub matches: usize,
    pub scores: usize,
    pub blocks: usize,
    pub entries: usize,
    pub results: usize,
}

impl Needs {
    /// Each of them, rounded up, so that slightly larger requests find room.
    fn sizes(self, limit: usize) -> Self {
        let grown =
            |bytes: usize| bytes.next_power_of_two().clamp(256, limit - limit % 8).max(bytes);
        Self {
            query: grown(self.query),
            spans: grown(self.spans.max(size_of::<QuerySpan>())),
            segments: grown(self.segments.max(size_of::<MatchSegment>())),
            maxima: grown(self.maxima),
            matches: grown(self.matches.max(size_of::<MatchCell>())),
            scores: grown(self.scores),
            blocks: grown(self.blocks.max(size_of::<Block>())),
            entries: grown(self.entries.max(size_of::<Entry>())),
            results: grown(self.results),
        }
    }

    fn each(self) -> [usize; 9] {
        let Self { query, spans, segments, maxima, matches, scores, blocks, entries, results } =
            self;
        [query, spans, segments, maxima, matches, scores, blocks, entries, results]
    }

    /// At least what either needs.
    pub(super) fn or(self, other: Self) -> Self {
        let [query, spans, segments, maxima, matches, scores, blocks, entries, results] =
            std::array::from_fn(|at| self.each()[at].max(other.each()[at]));
        Self { query, spans, segments, maxima, matches, scores, blocks, entries, results }
    }
}

/// The buffers of one request at a time; they grow and stay.
pub(super) struct Workspace {
    sizes: Needs,
    pub query: Buffer,
    pub spans: Buffer,
    pub maxima: Buffer,
    pub matches: Buffer,
    pub scores: Buffer,
    pub blocks: Buffer,
    pub entries: [Buffer; 2],
    /// Results, then timestamps.
    pub readback: Buffer,
    pub clock: Option<Clock>,
    /// Two, so that one is filled while the GPU works on the other.
    pub slots: [Slot; 2],
}

/// Timestamps, where the device has them.
pub(super) struct Clock {
    pub set: QuerySet,
    pub resolved: Buffer,
}

impl Workspace {
    /// Buffers for a request: those of `old` where they are large enough.
    pub(super) fn new(gpu: &Gpu, needs: Needs, old: Option<Self>) -> Self {
        let sizes = match &old {
            Some(old) => old.sizes.or(needs),
            None => needs,
        };
        match old {
            Some(old) if old.sizes.each() == sizes.each() => old,
            _ => Self::create(gpu, sizes.sizes(gpu.limits.binding_bytes)),
        }
    }

    fn create(gpu: &Gpu, sizes: Needs) -> Self {
        let storage = |label, bytes| gpu.buffer(label, bytes, STORAGE);
        let clock =
            gpu.device.features().contains(Features::TIMESTAMP_QUERY).then(|| Clock::new(gpu));
        let clock_bytes = if clock.is_some() { TIMESTAMPS as usize * 8 } else { 0 };
        let query = storage("query", sizes.query);
        let spans = storage("spans", sizes.spans);
        let maxima = storage("maxima", sizes.maxima);
        let matches = storage("matches", sizes.matches);
        let scores = storage("scores", sizes.scores);
        let blocks = storage("blocks", sizes.blocks);
        let entries = [(); 2].map(|()| storage("entries", sizes.entries));
        let slots = [(); 2].map(|()| {
            let params = gpu.buffer("params", PARAMS_BYTES, UNIFORM);
            let segments = storage("segments", sizes.segments);
            let bind = |pass: &super::pipelines::Pass, buffers: &[&Buffer]| {
                let buffers: Vec<_> =
                    std::iter::once(&params).chain(buffers.iter().copied()).collect();
                pass.bind(&gpu.device, 0, &buffers)
            };
            let Pipelines { maxsim, sum, top_k_of_scores, top_k_of_entries, matches: match_pass } =
                &gpu.pipelines;
            let [a, b] = &entries;
            let bindings = Bindings {
                maxsim: bind(maxsim, &[&query, &spans, &segments, &maxima]),
                matches: bind(match_pass, &[&query, &spans, &segments, &matches]),
                sum: bind(sum, &[&spans, &maxima, &scores]),
                // From scores, and from each of the entries to the other.
                top_k_of_scores: bind(top_k_of_scores, &[&blocks, &scores, b, a]),
                top_k_of_entries: [(a, b), (b, a)]
                    .map(|(from, to)| bind(top_k_of_entries, &[&blocks, &scores, from, to])),
            };
            Slot { params, segments, bindings, staging: None, page: None }
        });
        let readback = gpu.buffer("readback", sizes.results + clock_bytes, READBACK);
        Self {
            sizes,
            query,
            spans,
            maxima,
            matches,
            scores,
            blocks,
            entries,
            readback,
            clock,
            slots,
        }
    }
}

impl Clock {
    fn new(gpu: &Gpu) -> Self {
        let label = Some("timestamps");
        let (ty, count) = (QueryType::Timestamp, TIMESTAMPS);
        let set = gpu.device.create_query_set(&QuerySetDescriptor { label, ty, count });
        Self { set, resolved: gpu.buffer("timestamps", count as usize * 8, RESOLVED) }
    }
}

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

/// The rows that a unit brings along.
pub(super) struct StreamedPage {
    pub rows: Buffer,
    pub bindings: BindGroup,
}

impl Slot {
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
        let bytes = bytes + page_bytes;
        if self.staging.as_ref().map_or(0, |staging| has(&staging.buffer)) < bytes {
            self.staging = Some(Staging::new(gpu, bytes.next_power_of_two()));
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

/// Creates a buffer, and counts it.
pub(super) fn create(
    device: &Device,
    count: &AtomicU64,
    label: &str,
    bytes: usize,
    usage: BufferUsages,
) -> Buffer {
    count.fetch_add(1, Ordering::Relaxed);
    let (label, size) = (Some(label), bytes as u64);
    device.create_buffer(&BufferDescriptor { label, size, usage, mapped_at_creation: false })
}
