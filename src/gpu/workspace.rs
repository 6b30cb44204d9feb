//! The buffers of a request, reused by the next.

use std::sync::atomic::{AtomicU64, Ordering};

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, Device, Features, QuerySet, QuerySetDescriptor,
    QueryType,
};

use super::device::Gpu;
use super::shader::{Block, Entry, MatchCell, MatchSegment, QuerySpan};
use super::slot::Slot;

pub(super) const STORAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);
const READBACK: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);
const RESOLVED: BufferUsages = BufferUsages::QUERY_RESOLVE.union(BufferUsages::COPY_SRC);

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
    pub shared: Shared,
    /// Results, then timestamps.
    pub readback: Buffer,
    pub clock: Option<Clock>,
    /// Two, so that one is filled while the GPU works on the other.
    pub slots: [Slot; 2],
}

/// What all units of a request work on.
pub(super) struct Shared {
    pub query: Buffer,
    pub spans: Buffer,
    pub maxima: Buffer,
    pub matches: Buffer,
    pub scores: Buffer,
    pub blocks: Buffer,
    pub entries: [Buffer; 2],
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
        let clock = Clock::new(gpu);
        let clock_bytes = clock.as_ref().map_or(0, |clock| clock.resolved.size() as usize);
        let shared = Shared::new(gpu, sizes);
        let slots = [(); 2].map(|()| Slot::new(gpu, &shared, sizes.segments));
        let readback = gpu.buffer("readback", sizes.results + clock_bytes, READBACK);
        Self { sizes, shared, readback, clock, slots }
    }
}

impl Shared {
    fn new(gpu: &Gpu, sizes: Needs) -> Self {
        let storage = |label, bytes| gpu.buffer(label, bytes, STORAGE);
        Self {
            query: storage("query", sizes.query),
            spans: storage("spans", sizes.spans),
            maxima: storage("maxima", sizes.maxima),
            matches: storage("matches", sizes.matches),
            scores: storage("scores", sizes.scores),
            blocks: storage("blocks", sizes.blocks),
            entries: [(); 2].map(|()| storage("entries", sizes.entries)),
        }
    }
}

impl Clock {
    fn new(gpu: &Gpu) -> Option<Self> {
        if !gpu.device.features().contains(Features::TIMESTAMP_QUERY) {
            return None;
        }
        let (label, ty, count) = (Some("timestamps"), QueryType::Timestamp, TIMESTAMPS);
        let set = gpu.device.create_query_set(&QuerySetDescriptor { label, ty, count });
        let resolved = gpu.buffer("timestamps", count as usize * size_of::<u64>(), RESOLVED);
        Some(Self { set, resolved })
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
