//! [`Gpu`]: a device, what is compiled for it, and what is kept between requests.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use wgpu::{
    Adapter, Buffer, BufferUsages, Device, DeviceDescriptor, ErrorFilter, ExperimentalFeatures,
    Features, MemoryHints, Queue, Trace,
};

use super::adapter::AdapterDescription;
use super::pipelines::Pipelines;
use super::plan::DeviceLimits;
use super::shader::ShaderVariant;
use super::tuning::Tunings;
use super::wait::Poller;
use super::workspace::{self, Workspace};
use crate::{Error, Result};

/// Sets of buffers kept between requests: a burst of concurrent requests gives the rest back.
const IDLE_WORKSPACES: usize = 8;

/// What the modules of `gpu` work with.
pub(super) struct Gpu {
    pub device: Device,
    pub queue: Queue,
    pub limits: DeviceLimits,
    pub variant: ShaderVariant,
    pub tunings: Tunings,
    pub pipelines: Pipelines,
    pub poller: Poller,
    /// Buffers created so far: none in the steady state.
    pub buffers_created: AtomicU64,
    lost: Arc<OnceLock<String>>,
    idle: Mutex<Vec<Workspace>>,
}

impl Gpu {
    pub(super) fn new(
        device: Device,
        queue: Queue,
        limits: DeviceLimits,
        variant: ShaderVariant,
        tunings: Tunings,
        lost: Arc<OnceLock<String>>,
    ) -> Result<Self> {
        let pipelines = checked(&device, || Pipelines::new(&device, variant, tunings))?;
        let poller = Poller::new(device.clone());
        let (buffers_created, idle) = Default::default();
        Ok(Self {
            device,
            queue,
            limits,
            variant,
            tunings,
            pipelines,
            poller,
            buffers_created,
            lost,
            idle,
        })
    }

    /// The same device with another variant, or with other sizes.
    pub(super) fn compiled_with(&self, variant: ShaderVariant, tunings: Tunings) -> Result<Self> {
        let (device, queue) = (self.device.clone(), self.queue.clone());
        Self::new(device, queue, self.limits, variant, tunings, Arc::clone(&self.lost))
    }

    /// Runs wgpu calls and returns the error that they caused, if any.
    pub(super) fn checked<T>(&self, calls: impl FnOnce() -> T) -> Result<T> {
        let result = checked(&self.device, calls);
        self.check_alive()?;
        result
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(reason) => Err(Error::DeviceLost { reason: reason.clone() }),
        }
    }

    /// Creates a buffer, and counts it.
    pub(super) fn buffer(&self, label: &str, bytes: usize, usage: BufferUsages) -> Buffer {
        workspace::create(&self.device, &self.buffers_created, label, bytes, usage)
    }

    /// Buffers of a request that has ended, if there are any.
    pub(super) fn take_workspace(&self) -> Option<Workspace> {
        self.idle.lock().ok()?.pop()
    }

    /// Keeps buffers for the next request, unless enough are kept.
    pub(super) fn return_workspace(&self, workspace: Workspace) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE_WORKSPACES
        {
            idle.push(workspace);
        }
    }
}

/// wgpu reports errors to scopes, of one kind each, and panics where there is none.
fn checked<T>(device: &Device, calls: impl FnOnce() -> T) -> Result<T> {
    let kinds = [ErrorFilter::Internal, ErrorFilter::OutOfMemory, ErrorFilter::Validation];
    let scopes = kinds.map(|kind| device.push_error_scope(kind));
    let result = calls();
    let mut first = None;
    for scope in scopes.into_iter().rev() {
        // Ready at once: only a browser's scopes take time.
        first = first.or(pollster::block_on(scope.pop()));
    }
    match first {
        None => Ok(result),
        Some(source) => Err(Error::Gpu { source }),
    }
}

/// A device with everything the adapter has that a variant or a timestamp can use.
pub(super) async fn request_device(
    adapter: &Adapter,
    description: &AdapterDescription,
) -> Result<(Device, Queue)> {
    let wanted =
        ShaderVariant::ALL.iter().fold(Features::TIMESTAMP_QUERY, |all, v| all | v.features());
    let required_features = adapter.features() & wanted;
    // SAFETY: cooperative matrices are the only experimental feature asked for. The shader that uses
    // them, `multiply_matrix.wgsl`, does so in control flow that a subgroup takes together, and within
    // the arrays that it loads from and stores to.
    let experimental_features = unsafe { ExperimentalFeatures::enabled() };
    let request = adapter.request_device(&DeviceDescriptor {
        label: Some("maxfold"),
        required_features,
        required_limits: adapter.limits(),
        experimental_features,
        memory_hints: MemoryHints::Performance,
        trace: Trace::Off,
    });
    request.await.map_err(|source| Error::NoDevice { adapter: description.to_string(), source })
}
