//! [`Gpu`]: a device, what is compiled for it, and what is kept between requests.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wgpu::{
    Adapter, Backend, Device, DeviceDescriptor, DeviceType, ErrorFilter, ExperimentalFeatures,
    Features, MemoryHints, Queue, Trace,
};

use super::adapter::AdapterDescription;
use super::buffers::{Maker, Needs, Workspace};
use super::kernels::Kernels;
use super::plan::{DeviceLimits, Plan};
use super::shader::{Format, ShaderVariant};
use super::tuning::{Room, Shape, Tuning, Tunings};
use crate::{Error, Result};

/// Sets of buffers kept between requests: a burst of concurrent requests gives the rest back.
pub(super) const IDLE_WORKSPACES: usize = 8;

/// Device, queue, kernels and idle buffers, which the modules of `gpu` work with.
pub(super) struct Gpu {
    pub maker: Maker,
    pub queue: Queue,
    pub limits: DeviceLimits,
    pub variant: ShaderVariant,
    pub tunings: Tunings,
    pub kernels: Kernels,
    /// Kernels that were found right, each with numbers of columns.
    proven: Mutex<HashSet<(Format, Shape, Tuning, usize)>>,
    lost: Arc<OnceLock<String>>,
    idle: Mutex<Vec<Workspace>>,
}

impl Gpu {
    pub(super) fn new(
        device: Device,
        queue: Queue,
        limits: DeviceLimits,
        (variant, tunings): (ShaderVariant, Tunings),
        lost: Arc<OnceLock<String>>,
    ) -> Result<Self> {
        let room = room(&device);
        let kernels = checked(&device, || Kernels::new(&device, variant, room))?;
        let (proven, idle, created) = Default::default();
        let maker = Maker { device, created };
        Ok(Self { maker, queue, limits, variant, tunings, kernels, proven, lost, idle })
    }

    /// The same device with another variant, or with other sizes.
    pub(super) fn compiled_with(&self, variant: ShaderVariant, tunings: Tunings) -> Result<Self> {
        let (device, queue) = (self.maker.device.clone(), self.queue.clone());
        Self::new(device, queue, self.limits, (variant, tunings), Arc::clone(&self.lost))
    }

    /// Runs wgpu calls and returns the error that they caused, if any.
    pub(super) fn checked<T>(&self, calls: impl FnOnce() -> T) -> Result<T> {
        let result = checked(&self.maker.device, calls);
        self.check_alive()?;
        result
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(reason) => Err(Error::DeviceLost { reason: reason.clone() }),
        }
    }

    /// Returns `true` if the kernel of a plan was found right.
    pub(super) fn is_proven(&self, plan: &Plan) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.contains(&(plan.format, plan.shape, plan.tuning, plan.dim))
    }

    pub(super) fn note_proven(&self, plan: &Plan) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.insert((plan.format, plan.shape, plan.tuning, plan.dim));
    }

    /// Buffers for a batch: those of `old`, or of a request that has ended, where they are large enough.
    pub(super) fn workspace(&self, needs: Needs, old: Option<Workspace>) -> Result<Workspace> {
        let old = old.or_else(|| self.idle.lock().ok()?.pop());
        let limit = self.limits.binding_bytes;
        self.checked(|| Workspace::new(&self.maker, &self.kernels, needs, limit, old))
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

/// Returns what the sizes of kernels depend on.
pub(super) fn room(device: &Device) -> Room {
    let info = device.adapter_info();
    let passes = device.features().contains(Features::PASSTHROUGH_SHADERS);
    Room {
        limits: device.limits(),
        least_lanes: info.subgroup_min_size.max(1),
        spirv: passes && info.backend == Backend::Vulkan,
        software: info.device_type == DeviceType::Cpu,
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
        Some(source @ wgpu::Error::OutOfMemory { .. }) => {
            Err(Error::GpuOutOfMemory { source: source.into() })
        }
        Some(source) => Err(Error::Gpu { source: source.into() }),
    }
}

/// A device with everything the adapter has that a variant or a timestamp can use.
pub(super) fn request_device(
    adapter: &Adapter,
    description: &AdapterDescription,
) -> Result<(Device, Queue)> {
    let beside = Features::TIMESTAMP_QUERY | Features::PASSTHROUGH_SHADERS;
    let wanted = ShaderVariant::ALL.iter().fold(beside, |all, v| all | v.features());
    let required_features = adapter.features() & wanted;
    // SAFETY: cooperative matrices are the only experimental feature asked for. The shader that uses
    // them, `maxsim_matrix.wgsl`, does so in control flow that a subgroup takes together, and within the
    // arrays that it loads from and stores to, whose slack is that of `plan.rs`.
    let experimental_features = unsafe { ExperimentalFeatures::enabled() };
    let request = adapter.request_device(&DeviceDescriptor {
        label: Some("maxfold"),
        required_features,
        required_limits: adapter.limits(),
        experimental_features,
        memory_hints: MemoryHints::Performance,
        trace: Trace::Off,
    });
    pollster::block_on(request).map_err(|source| Error::NoDevice {
        adapter: description.to_string(),
        source: source.into(),
    })
}
