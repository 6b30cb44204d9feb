//! The buffers of a request, reused by the next.

use wgpu::{BindGroup, Buffer, BufferDescriptor, BufferUsages, Device, MapMode, SubmissionIndex};

use super::pipelines::Pipelines;
use super::shader::{Params, QuerySpan};
use super::wait::{Mapping, Poller, Polling};
use crate::Result;

const STORAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST);
const UNIFORM: BufferUsages = BufferUsages::UNIFORM.union(BufferUsages::COPY_DST);

/// Bytes that a request needs of each buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub query: usize,
    pub page: usize,
    pub segments: usize,
    pub maxima: usize,
    pub scores: usize,
    /// No buffer grows beyond it.
    pub limit: usize,
}

/// The buffers of one request at a time; they grow and stay.
pub(super) struct Workspace {
    pub maxsim_params: Buffer,
    pub sum_params: Buffer,
    pub query: Buffer,
    pub spans: Buffer,
    pub page: Buffer,
    pub segments: Buffer,
    pub maxima: Buffer,
    pub scores: Buffer,
    pub readback: Buffer,
    /// Two, so that one is filled while the GPU copies from the other.
    pub staging: [Staging; 2],
    pub maxsim_bindings: BindGroup,
    pub page_bindings: BindGroup,
    pub sum_bindings: BindGroup,
}

impl Workspace {
    /// Buffers for a request: those of `old` where they are large enough.
    pub(super) fn new(
        device: &Device,
        pipelines: &Pipelines,
        needs: Needs,
        old: Option<Self>,
    ) -> Self {
        let old = match old {
            Some(old) if old.holds(needs) => return old,
            old => old,
        };
        let have = |buffer: fn(&Self) -> &Buffer| old.as_ref().map_or(0, |old| size(buffer(old)));
        let sized = |need: usize, have: usize| grown(need.max(have), needs.limit);
        let page_bytes = sized(needs.page, have(|old| &old.page));
        let segments_bytes = sized(needs.segments, have(|old| &old.segments));
        let scores_bytes = sized(needs.scores, have(|old| &old.scores));
        let buffer = |label, bytes, usage| create(device, label, bytes, usage);
        let maxsim_params = buffer("maxsim params", size_of::<Params>(), UNIFORM);
        let sum_params = buffer("sum params", size_of::<Params>(), UNIFORM);
        let query = buffer("query", sized(needs.query, have(|old| &old.query)), STORAGE);
        let spans = buffer("spans", size_of::<QuerySpan>(), STORAGE);
        let page = buffer("page", page_bytes, STORAGE);
        let segments = buffer("segments", segments_bytes, STORAGE);
        let maxima = buffer("maxima", sized(needs.maxima, have(|old| &old.maxima)), STORAGE);
        let scores = buffer("scores", scores_bytes, STORAGE | BufferUsages::COPY_SRC);
        let readback =
            buffer("readback", scores_bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        let staging = [(); 2].map(|()| Staging::new(device, page_bytes + segments_bytes));
        let maxsim_bindings =
            pipelines.maxsim.bind(device, 0, &[&maxsim_params, &query, &spans, &segments, &maxima]);
        let page_bindings = pipelines.maxsim.bind(device, 1, &[&page]);
        let sum_bindings = pipelines.sum.bind(device, 0, &[&sum_params, &spans, &maxima, &scores]);
        Self {
            maxsim_params,
            sum_params,
            query,
            spans,
            page,
            segments,
            maxima,
            scores,
            readback,
            staging,
            maxsim_bindings,
            page_bindings,
            sum_bindings,
        }
    }

    fn holds(&self, needs: Needs) -> bool {
        size(&self.query) >= needs.query
            && size(&self.page) >= needs.page
            && size(&self.segments) >= needs.segments
            && size(&self.maxima) >= needs.maxima
            && size(&self.scores) >= needs.scores
    }
}

/// A buffer that the CPU fills and the GPU copies from.
pub(super) struct Staging {
    pub buffer: Buffer,
    /// `None` while it is mapped, and so ours to fill.
    mapping: Option<Mapping>,
}

impl Staging {
    fn new(device: &Device, bytes: usize) -> Self {
        let buffer = device.create_buffer(&BufferDescriptor {
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

fn create(device: &Device, label: &str, bytes: usize, usage: BufferUsages) -> Buffer {
    let (label, size) = (Some(label), bytes as u64);
    device.create_buffer(&BufferDescriptor { label, size, usage, mapped_at_creation: false })
}

fn size(buffer: &Buffer) -> usize {
    buffer.size() as usize
}

/// Rounds up, so that slightly larger requests find room; never beyond `limit`, of which `bytes` is
/// within.
fn grown(bytes: usize, limit: usize) -> usize {
    bytes.next_power_of_two().max(256).min(limit - limit % 4)
}
