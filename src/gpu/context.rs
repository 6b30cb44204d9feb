//! [`GpuContext`]: a device that was found right, and what it needs to score.

use std::fmt;
use std::sync::{Arc, OnceLock};

use wgpu::{Adapter, Device, Queue};

use super::adapter::{self, AdapterDescription};
use super::calibration::Calibration;
use super::device::{Gpu, request_device, room};
use super::options::GpuOptions;
use super::probe;
use super::shader::ShaderVariant;
use super::tuning::{Room, Tunings};
use crate::{Error, Result};

/// A GPU that scored a known batch correctly, ready to score.
///
/// Calls may be made from any number of threads. Buffers and pipelines are kept from call to call; clones
/// share them. A [`Reranker`](crate::rerank::Reranker) on it ranks.
#[derive(Clone)]
pub struct GpuContext {
    pub(super) gpu: Arc<Gpu>,
    adapter: AdapterDescription,
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
        Self::first_that_works(options)
    }

    /// Tries the adapters that the options allow, in order; the error is the first one's.
    fn first_that_works(options: &GpuOptions) -> Result<Self> {
        let mut first_error = None;
        for adapter in adapter::matching(options.adapter.as_deref(), options.hardware_only)? {
            match Self::on_adapter(&adapter, options) {
                Ok(context) => return Ok(context),
                Err(error) => {
                    log::warn!("{} is not used: {error}", adapter::describe(&adapter));
                    first_error = first_error.or(Some(error));
                }
            }
        }
        Err(first_error.unwrap_or_else(no_variant))
    }

    fn on_adapter(adapter: &Adapter, options: &GpuOptions) -> Result<Self> {
        let description = adapter::describe(adapter);
        let (device, queue) = request_device(adapter, &description)?;
        let lost = Arc::new(OnceLock::new());
        let noted = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            // Set only once: the first reason is the cause.
            drop(noted.set(format!("{reason:?}: {message}")));
        });
        Self::build(device, queue, description, options, lost)
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
        let description =
            AdapterDescription::new(&device.adapter_info(), device.features(), &options.matrices);
        Self::build(device, queue, description, options, Arc::default())
    }

    /// Tries the variants, fastest first, until one scores the known batch correctly.
    fn build(
        device: Device,
        queue: Queue,
        adapter: AdapterDescription,
        options: &GpuOptions,
        lost: Arc<OnceLock<String>>,
    ) -> Result<Self> {
        let limits = options.limits(&device)?;
        let mut refused = None;
        for (variant, tunings) in candidates(&adapter, options, &room(&device))? {
            let (device, queue) = (device.clone(), queue.clone());
            match Gpu::new(device, queue, limits, (variant, tunings), Arc::clone(&lost)) {
                Ok(gpu) => match probe::check(&gpu) {
                    Ok(()) => return Ok(Self { gpu: Arc::new(gpu), adapter }),
                    Err(error) => refused = Some(error),
                },
                Err(error) => refused = Some(error),
            }
            log::warn!("{adapter}: {variant} is not used: {refused:?}");
        }
        Err(refused.unwrap_or_else(no_variant))
    }

    /// Measures the adapter's shader variants, with the sizes that each may have: some seconds. Every
    /// measurement is of a known batch, and what scores it wrong is left out.
    ///
    /// A context made with [`GpuOptions::calibration`] goes by the result. A variant that is forced stays
    /// forced.
    ///
    /// # Errors
    /// No variant is right; the device is lost or out of memory.
    pub fn calibrate(&self) -> Result<Calibration> {
        Calibration::measure(&self.gpu, &self.adapter)
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
        &self.gpu.maker.device
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

/// Error if no variant was tried. `packed-fma` needs no feature, so there is something.
fn no_variant() -> Error {
    Error::NoAdapter { wanted: "a GPU that runs a shader variant".into(), available: Vec::new() }
}

/// The variants to try, each with its sizes: those of a calibration first, then what is expected to be
/// fastest.
fn candidates(
    adapter: &AdapterDescription,
    options: &GpuOptions,
    room: &Room,
) -> Result<Vec<(ShaderVariant, Tunings)>> {
    if let Some(variant) = options.variant.filter(|it| !adapter.variants.contains(it)) {
        let supported = adapter.variants.iter().map(ToString::to_string).collect();
        let (variant, adapter) = (variant.to_string(), adapter.name.clone());
        return Err(Error::VariantUnsupported { variant, adapter, supported });
    }
    let calibrated = options.calibration.iter().filter(|it| it.is_of(adapter));
    let preferred = calibrated.flat_map(|it| it.preferred().iter().copied());
    let expected = adapter.variants.iter().flat_map(|variant| {
        // Where sizes are wrong, others of the variant may be right.
        Tunings::candidates(*variant, room).into_iter().map(move |tunings| (*variant, tunings))
    });
    let runs = |(variant, tunings): &(ShaderVariant, Tunings)| {
        adapter.variants.contains(variant)
            && tunings.fit(*variant, room)
            && options.variant.is_none_or(|forced| forced == *variant)
    };
    Ok(preferred.chain(expected).filter(runs).collect())
}
