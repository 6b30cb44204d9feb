//! [`GpuContext`]: a device that was found right, and what it needs to score.

use std::fmt;
use std::sync::Mutex;
use std::sync::{Arc, OnceLock};

use wgpu::{
    Adapter, Device, DeviceDescriptor, ErrorFilter, Features, Limits, MemoryHints, Queue, Trace,
};

use super::adapter::{self, AdapterDescription};
use super::pipelines::Pipelines;
use super::plan::DeviceLimits;
use super::probe;
use super::shader::ShaderVariant;
use super::wait::{Poller, Polling};
use super::workspace::Workspace;
use crate::multivector::{TokenMatrixRef, check_dimensions};
use crate::{Error, Result};

/// Sets of buffers kept between requests: a burst of concurrent requests gives the rest back.
const IDLE_WORKSPACES: usize = 4;

/// What a [`GpuContext`] is made with. The default leaves every choice to Maxfold.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    adapter: Option<String>,
    hardware_only: bool,
    variant: Option<ShaderVariant>,
    binding_bytes: Option<u64>,
    workgroups: Option<u32>,
}

impl GpuOptions {
    /// Takes the first adapter whose name contains `name`, in any case.
    pub fn adapter(self, name: impl Into<String>) -> Self {
        Self { adapter: Some(name.into()), ..self }
    }

    /// Refuses software adapters.
    pub fn hardware_only(self) -> Self {
        Self { hardware_only: true, ..self }
    }

    /// Refuses software adapters, unless one was named.
    pub(crate) fn hardware_unless_named(self) -> Self {
        if self.adapter.is_some() { self } else { self.hardware_only() }
    }

    /// Forces a shader variant.
    pub fn variant(self, variant: ShaderVariant) -> Self {
        Self { variant: Some(variant), ..self }
    }

    /// Uses storage bindings of at most so many bytes, where the device allows more.
    pub fn binding_limit(self, bytes: u64) -> Self {
        Self { binding_bytes: Some(bytes), ..self }
    }

    /// Uses at most so many workgroups a dimension, where the device allows more.
    pub fn workgroup_limit(self, workgroups: u32) -> Self {
        Self { workgroups: Some(workgroups), ..self }
    }

    fn limits(&self, device: &Limits) -> Result<DeviceLimits> {
        let allowed = device.max_storage_buffer_binding_size.min(device.max_buffer_size);
        let binding_bytes = self.binding_bytes.unwrap_or(allowed).min(allowed);
        let allowed = device.max_compute_workgroups_per_dimension;
        let workgroups = self.workgroups.unwrap_or(allowed).min(allowed);
        let refused = |name, expected: &str, got: u64| {
            let (expected, got) = (expected.into(), got.to_string());
            Err(Error::InvalidParameter { name, expected, got })
        };
        if binding_bytes < 1024 {
            return refused("the binding limit", "at least 1024 bytes", binding_bytes);
        }
        if workgroups == 0 {
            return refused("the workgroup limit", "at least 1", 0);
        }
        let binding_bytes = usize::try_from(binding_bytes).unwrap_or(usize::MAX);
        Ok(DeviceLimits { binding_bytes, workgroups })
    }
}

/// A GPU that scored a known batch correctly, ready to score.
///
/// Calls may be made from any number of threads. Buffers and pipelines are kept from call to call.
pub struct GpuContext {
    gpu: Gpu,
    adapter: AdapterDescription,
}

/// What the modules of `gpu` work with.
pub(super) struct Gpu {
    pub device: Device,
    pub queue: Queue,
    pub limits: DeviceLimits,
    pub variant: ShaderVariant,
    pub pipelines: Pipelines,
    pub poller: Poller,
    lost: Arc<OnceLock<String>>,
    idle: Mutex<Vec<Workspace>>,
}

impl GpuContext {
    /// The first adapter, hardware before software, with its fastest variant that is right.
    ///
    /// # Errors
    /// No adapter, no device, or none of its variants scores the known batch correctly.
    pub fn new() -> Result<Self> {
        Self::with_options(&GpuOptions::default())
    }

    /// The first adapter whose name contains `name`, in any case.
    ///
    /// # Errors
    /// As [`GpuContext::new`]; [`Error::NoAdapter`] lists the adapters that there are.
    pub fn with_adapter(name: &str) -> Result<Self> {
        Self::with_options(&GpuOptions::default().adapter(name))
    }

    /// As the options say.
    ///
    /// # Errors
    /// As [`GpuContext::new`]; a forced variant that the adapter can't run; a limit of zero.
    pub fn with_options(options: &GpuOptions) -> Result<Self> {
        pollster::block_on(Self::first_that_works(options, Polling::Caller))
    }

    /// [`GpuContext::with_options`], async: the executor is free while the GPU computes, but not
    /// while adapters are looked for and shaders compiled.
    ///
    /// # Errors
    /// The same.
    pub async fn with_options_async(options: &GpuOptions) -> Result<Self> {
        Self::first_that_works(options, Polling::Thread).await
    }

    /// Tries the adapters that the options allow, in order; the error is the first one's.
    async fn first_that_works(options: &GpuOptions, polling: Polling) -> Result<Self> {
        let mut first_error = None;
        for adapter in adapter::matching(options.adapter.as_deref(), options.hardware_only)? {
            match Self::on_adapter(&adapter, options, polling).await {
                Ok(context) => return Ok(context),
                Err(error) => {
                    log::warn!("{} is not used: {error}", adapter::describe(&adapter));
                    first_error = first_error.or(Some(error));
                }
            }
        }
        Err(first_error.unwrap_or_else(no_variant))
    }

    async fn on_adapter(adapter: &Adapter, options: &GpuOptions, polling: Polling) -> Result<Self> {
        let description = adapter::describe(adapter);
        let (device, queue) = request_device(adapter, &description).await?;
        let lost = Arc::new(OnceLock::new());
        let noted = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            // Set only once: the first reason is the cause.
            drop(noted.set(format!("{reason:?}: {message}")));
        });
        Self::build(device, queue, description, options, lost, polling).await
    }

    /// A device that the host program owns, with the features and limits it was requested with.
    ///
    /// The host keeps its error and device-lost callbacks.
    ///
    /// # Errors
    /// None of the variants that the device's features allow scores the known batch correctly.
    pub fn from_device(device: Device, queue: Queue) -> Result<Self> {
        Self::from_device_with_options(device, queue, &GpuOptions::default())
    }

    /// [`GpuContext::from_device`] with options; those that choose an adapter are not looked at.
    ///
    /// # Errors
    /// As [`GpuContext::from_device`]; a forced variant that the device can't run; a limit of zero.
    pub fn from_device_with_options(
        device: Device,
        queue: Queue,
        options: &GpuOptions,
    ) -> Result<Self> {
        let description = AdapterDescription::new(&device.adapter_info(), device.features());
        let lost = Arc::default();
        let polling = Polling::Caller;
        pollster::block_on(Self::build(device, queue, description, options, lost, polling))
    }

    /// Tries the variants, fastest first, until one scores the known batch correctly.
    async fn build(
        device: Device,
        queue: Queue,
        adapter: AdapterDescription,
        options: &GpuOptions,
        lost: Arc<OnceLock<String>>,
        polling: Polling,
    ) -> Result<Self> {
        let limits = options.limits(&device.limits())?;
        let mut refused = None;
        for variant in candidates(&adapter, options.variant)? {
            let (device, queue) = (device.clone(), queue.clone());
            let gpu = Gpu::new(device, queue, limits, variant, Arc::clone(&lost));
            match gpu {
                Ok(gpu) => match probe::check(&gpu, polling).await {
                    Ok(()) => return Ok(Self { gpu, adapter }),
                    Err(error) => refused = Some(error),
                },
                Err(error) => refused = Some(error),
            }
            log::warn!("{adapter}: {variant} is not used: {refused:?}");
        }
        Err(refused.unwrap_or_else(no_variant))
    }

    /// The MaxSim score of each document, in their order. Blocks until they are there.
    ///
    /// # Errors
    /// A document's dimension is not the query's; the device is lost or out of memory.
    pub fn score(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        pollster::block_on(self.run(query, documents, Polling::Caller))
    }

    /// [`GpuContext::score`], async, for any executor.
    ///
    /// # Errors
    /// The same.
    pub async fn score_async(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        self.run(query, documents, Polling::Thread).await
    }

    async fn run(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        polling: Polling,
    ) -> Result<Vec<f32>> {
        check_dimensions(query, documents)?;
        self.gpu.check_alive()?;
        self.gpu.stream(query, documents, polling).await
    }

    /// The adapter it runs on.
    pub fn adapter(&self) -> &AdapterDescription {
        &self.adapter
    }

    /// The shader variant that scores.
    pub fn variant(&self) -> ShaderVariant {
        self.gpu.variant
    }

    /// The wgpu device, for a host program that wants to share it.
    pub fn device(&self) -> &Device {
        &self.gpu.device
    }

    /// The wgpu queue of [`GpuContext::device`].
    pub fn queue(&self) -> &Queue {
        &self.gpu.queue
    }
}

impl fmt::Debug for GpuContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuContext")
            .field("adapter", &self.adapter)
            .field("variant", &self.gpu.variant)
            .field("limits", &self.gpu.limits)
            .finish_non_exhaustive()
    }
}

impl Gpu {
    fn new(
        device: Device,
        queue: Queue,
        limits: DeviceLimits,
        variant: ShaderVariant,
        lost: Arc<OnceLock<String>>,
    ) -> Result<Self> {
        let pipelines = checked(&device, || Pipelines::new(&device, variant))?;
        let poller = Poller::new(device.clone());
        let idle = Mutex::default();
        Ok(Self { device, queue, limits, variant, pipelines, poller, lost, idle })
    }

    /// Runs wgpu calls and returns the error that they caused, if any.
    pub(super) fn checked<T>(&self, calls: impl FnOnce() -> T) -> Result<T> {
        let result = checked(&self.device, calls);
        self.check_alive()?;
        result
    }

    fn check_alive(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(reason) => Err(Error::DeviceLost { reason: reason.clone() }),
        }
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

/// What is said where nothing was tried. `packed-workgroup` needs no feature, so there is something.
fn no_variant() -> Error {
    Error::NoAdapter { wanted: "a GPU that runs a shader variant".into(), available: Vec::new() }
}

/// The variants to try.
fn candidates(
    adapter: &AdapterDescription,
    forced: Option<ShaderVariant>,
) -> Result<Vec<ShaderVariant>> {
    match forced {
        None => Ok(adapter.variants.clone()),
        Some(variant) if adapter.variants.contains(&variant) => Ok(vec![variant]),
        Some(variant) => {
            let (supported, adapter) = (adapter.variants.clone(), adapter.name.clone());
            Err(Error::VariantUnsupported { variant, adapter, supported })
        }
    }
}

/// A device with everything the adapter has that a variant can use.
async fn request_device(
    adapter: &Adapter,
    description: &AdapterDescription,
) -> Result<(Device, Queue)> {
    let wanted = ShaderVariant::ALL.iter().fold(Features::empty(), |all, v| all | v.features());
    let request = adapter.request_device(&DeviceDescriptor {
        label: Some("maxfold"),
        required_features: adapter.features() & wanted,
        required_limits: adapter.limits(),
        experimental_features: Default::default(),
        memory_hints: MemoryHints::Performance,
        trace: Trace::Off,
    });
    request.await.map_err(|source| Error::NoDevice { adapter: description.to_string(), source })
}
