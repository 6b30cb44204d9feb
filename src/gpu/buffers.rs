//! The buffers of a request, reused by the next.

use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::cast_slice;
use half::f16;
use wgpu::{
    BindGroup, BindingResource, Buffer, BufferBinding, BufferDescriptor, BufferSize, BufferUsages,
    Device, Features, MapMode, QuerySet, QuerySetDescriptor, QueryType, SubmissionIndex,
};

use super::kernels::{Kernels, PARAMS_BYTES};
use super::wait::Mapping;
use crate::Result;

const STORAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);
const TABLES: BufferUsages = STORAGE.union(BufferUsages::UNIFORM);
const READBACK: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);
const RESOLVED: BufferUsages = BufferUsages::QUERY_RESOLVE.union(BufferUsages::COPY_SRC);
const STAGING: BufferUsages = BufferUsages::MAP_WRITE.union(BufferUsages::COPY_SRC);

/// Timestamps of a batch: two a submission. More submissions are not timed.
pub(super) const TIMESTAMPS: u32 = wgpu::QUERY_SET_MAX_QUERIES;

/// Bytes from one section of the tables to the next, and from the parameters of one dispatch to those of
/// the next: a multiple of the largest alignment that any device asks for.
pub(super) const ALIGNMENT: usize = 256;

/// Sections of the tables, in their order: those of any size are last, so that little is copied between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Params,
    Runs,
    Blocks,
    Sums,
    Lists,
    Items,
    Query,
    Places,
}

const SECTIONS: usize = 8;

/// Bytes that sections have at least, so that no ordinary request finds them too small.
const LEAST: [usize; SECTIONS] = [2048, 1024, 512, 1024, 512, 256, 256, 256];

/// Creates buffers, and counts them.
pub(super) struct Maker {
    pub device: Device,
    /// Buffers created so far: none in the steady state.
    pub created: AtomicU64,
}

impl Maker {
    pub(super) fn buffer(&self, label: &str, bytes: usize, usage: BufferUsages) -> Buffer {
        self.created.fetch_add(1, Ordering::Relaxed);
        self.device.create_buffer(&BufferDescriptor {
            label: Some(label),
            size: bytes.next_multiple_of(16) as u64,
            usage,
            mapped_at_creation: usage.contains(BufferUsages::MAP_WRITE),
        })
    }
}

/// Sizes of the buffers that a batch needs, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub sections: [usize; SECTIONS],
    pub results: usize,
    pub entries: usize,
    /// Results that are read back.
    pub read: usize,
    /// Rows that are streamed.
    pub page: usize,
}

impl Needs {
    /// Needs so many bytes of a section at least.
    pub(super) fn section(&mut self, section: Section, bytes: usize) {
        let all = &mut self.sections[section as usize];
        *all = bytes.max(*all);
    }

    /// At least what either needs.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            sections: std::array::from_fn(|at| self.sections[at].max(other.sections[at])),
            results: self.results.max(other.results),
            entries: self.entries.max(other.entries),
            read: self.read.max(other.read),
            page: self.page.max(other.page),
        }
    }

    /// Rounded up, so that slightly larger requests find room.
    fn grown(self, limit: usize) -> Self {
        let grown = |bytes: usize| bytes.next_power_of_two().clamp(256, limit.max(256)).max(bytes);
        Self {
            sections: std::array::from_fn(|at| {
                grown(self.sections[at].max(LEAST[at])).next_multiple_of(ALIGNMENT)
            }),
            results: grown(self.results),
            entries: grown(self.entries),
            read: grown(self.read),
            page: if self.page == 0 { 0 } else { grown(self.page) },
        }
    }
}

/// The buffers of one request at a time; they grow and stay.
pub(super) struct Workspace {
    capacity: Needs,
    pub shared: Shared,
    /// Results, then timestamps.
    pub readback: Buffer,
    pub clock: Option<Clock>,
    /// Two, so that one is filled while the GPU works on the other.
    pub slots: [Slot; 2],
}

/// Buffers that all units of a batch work on.
pub(super) struct Shared {
    /// Scores, then maxima; or matches.
    pub results: Buffer,
    /// The best of a pass, which the next reads.
    pub entries: [Buffer; 2],
}

/// Timestamps, where the device has them.
pub(super) struct Clock {
    pub set: QuerySet,
    pub resolved: Buffer,
}

impl Workspace {
    /// Buffers for a batch: those of `old` where they are large enough.
    pub(super) fn new(
        maker: &Maker,
        kernels: &Kernels,
        needs: Needs,
        limit: usize,
        old: Option<Self>,
    ) -> Self {
        let wanted = old.as_ref().map_or(needs, |old| old.capacity.or(needs));
        match old {
            Some(old) if old.capacity == wanted => old,
            _ => Self::create(maker, kernels, wanted.grown(limit)),
        }
    }

    fn create(maker: &Maker, kernels: &Kernels, capacity: Needs) -> Self {
        let clock = Clock::new(maker);
        let clock_bytes = clock.as_ref().map_or(0, |clock| clock.resolved.size() as usize);
        let shared = Shared {
            results: maker.buffer("results", capacity.results, STORAGE),
            entries: [(); 2].map(|()| maker.buffer("entries", capacity.entries, STORAGE)),
        };
        let slots = [(); 2].map(|()| Slot::new(maker, kernels, &shared, &capacity));
        let readback = maker.buffer("readback", capacity.read + clock_bytes, READBACK);
        Self { capacity, shared, readback, clock, slots }
    }
}

impl Clock {
    fn new(maker: &Maker) -> Option<Self> {
        if !maker.device.features().contains(Features::TIMESTAMP_QUERY) {
            return None;
        }
        let (label, ty, count) = (Some("timestamps"), QueryType::Timestamp, TIMESTAMPS);
        let set = maker.device.create_query_set(&QuerySetDescriptor { label, ty, count });
        let resolved = maker.buffer("timestamps", count as usize * size_of::<u64>(), RESOLVED);
        Some(Self { set, resolved })
    }
}

/// Buffers that a unit has to itself.
pub(super) struct Slot {
    /// Everything that goes up with a unit but streamed rows, in sections.
    pub tables: Buffer,
    /// Offsets of the sections.
    pub starts: [usize; SECTIONS],
    pub bindings: Bindings,
    pub page: Option<StreamedPage>,
    pub staging: Staging,
}

/// The bind groups of a unit.
pub(super) struct Bindings {
    pub request: BindGroup,
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
    fn new(maker: &Maker, kernels: &Kernels, shared: &Shared, capacity: &Needs) -> Self {
        let mut starts = [0; SECTIONS];
        for at in 1..SECTIONS {
            starts[at] = starts[at - 1] + capacity.sections[at - 1];
        }
        let bytes = capacity.sections.iter().sum::<usize>();
        let tables = maker.buffer("tables", bytes, TABLES);
        let section = |section: Section| {
            let (at, bytes) = (section as usize, capacity.sections[section as usize]);
            bind(&tables, starts[at] as u64, if at == 0 { PARAMS_BYTES } else { bytes as u64 })
        };
        let bindings = Bindings::new(kernels, shared, &section);
        let page = (capacity.page > 0).then(|| {
            let rows = maker.buffer("page", capacity.page, STORAGE);
            let resources = vec![rows.as_entire_binding(), section(Section::Places)];
            let bindings = kernels.bind(&kernels.layouts.page, resources);
            StreamedPage { rows, bindings }
        });
        let staging = Staging::new(maker, bytes + capacity.page);
        Self { tables, starts, bindings, page, staging }
    }
}

impl Bindings {
    fn new<'a>(
        kernels: &Kernels,
        Shared { results, entries: [a, b] }: &'a Shared,
        section: &dyn Fn(Section) -> BindingResource<'a>,
    ) -> Self {
        use Section::{Blocks, Items, Lists, Params, Query, Runs, Sums};
        let layouts = &kernels.layouts;
        let whole = |buffer: &'a Buffer| buffer.as_entire_binding();
        let top_k = |from: &'a Buffer, to: &'a Buffer| {
            let resources =
                vec![section(Params), section(Lists), whole(results), whole(from), whole(to)];
            kernels.bind(&layouts.top_k, resources)
        };
        let mut request: Vec<_> = [Params, Runs, Blocks, Items, Query].map(section).into();
        request.push(whole(results));
        Self {
            request: kernels.bind(&layouts.request, request),
            sum: kernels.bind(&layouts.sum, vec![section(Params), section(Sums), whole(results)]),
            // From scores, and from each of the entries to the other.
            top_k_of_scores: top_k(b, a),
            top_k_of_entries: [top_k(a, b), top_k(b, a)],
        }
    }
}

fn bind(buffer: &Buffer, offset: u64, bytes: u64) -> BindingResource<'_> {
    BindingResource::Buffer(BufferBinding { buffer, offset, size: BufferSize::new(bytes) })
}

/// A buffer that the CPU fills and the GPU copies from.
pub(super) struct Staging {
    pub buffer: Buffer,
    /// `None` while it is mapped, and so ours to fill.
    mapping: Option<Mapping>,
}

impl Staging {
    pub(super) fn new(maker: &Maker, bytes: usize) -> Self {
        Self { buffer: maker.buffer("staging", bytes, STAGING), mapping: None }
    }

    /// Waits until the GPU has copied what was in it.
    pub(super) fn ready(&mut self, device: &Device) -> Result<()> {
        match self.mapping.take() {
            None => Ok(()),
            Some(mapping) => mapping.finish(device),
        }
    }

    /// Takes it back once `after`, which copies from it, has finished.
    pub(super) fn recycle(&mut self, after: SubmissionIndex) {
        self.mapping = Some(Mapping::request(&self.buffer, MapMode::Write, after));
    }
}

/// Appends rows `[rows, dim]` as the device stores them: at once if a row fills its octets, else one by
/// one with zero columns after each, which add nothing to a product.
pub(super) fn append_rows(
    rows: &[f16],
    dim: usize,
    row_bytes: usize,
    mut append: impl FnMut(&[u8]),
) {
    if size_of_val(&rows[..dim.min(rows.len())]) == row_bytes {
        return append(cast_slice(rows));
    }
    let mut padded = vec![0; row_bytes];
    for row in rows.chunks_exact(dim) {
        let bytes: &[u8] = cast_slice(row);
        padded[..bytes.len()].copy_from_slice(bytes);
        append(&padded);
    }
}
