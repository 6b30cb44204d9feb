//! [`GpuOptions`]: what a context is made with.

use wgpu::{CooperativeMatrixProperties, Device, DeviceType};

use super::calibration::Calibration;
use super::plan::DeviceLimits;
use super::shader::ShaderVariant;
use crate::{Error, Result};

/// Options of a [`GpuContext`](super::GpuContext). The default leaves every choice to Maxfold.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    pub(super) adapter: Option<String>,
    pub(super) hardware_only: bool,
    pub(super) variant: Option<ShaderVariant>,
    pub(super) calibration: Option<Calibration>,
    pub(super) matrices: Vec<CooperativeMatrixProperties>,
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

    /// Prefers what an adapter was found to be fastest with. It is not looked at where the adapter, or
    /// its driver, is another than the one that was measured.
    pub fn calibration(self, calibration: Calibration) -> Self {
        Self { calibration: Some(calibration), ..self }
    }

    /// Of a host's own device, what [`Adapter::cooperative_matrix_properties`] of its adapter says:
    /// without, [`GpuContext::from_device_with_options`] leaves matrix units alone.
    ///
    /// [`Adapter::cooperative_matrix_properties`]: wgpu::Adapter::cooperative_matrix_properties
    /// [`GpuContext::from_device_with_options`]: super::GpuContext::from_device_with_options
    pub fn matrix_units(self, properties: Vec<CooperativeMatrixProperties>) -> Self {
        Self { matrices: properties, ..self }
    }

    /// Uses storage bindings of at most so many bytes, where the device allows more.
    pub fn binding_limit(self, bytes: u64) -> Self {
        Self { binding_bytes: Some(bytes), ..self }
    }

    /// Uses at most so many workgroups a dimension, where the device allows more.
    pub fn workgroup_limit(self, workgroups: u32) -> Self {
        Self { workgroups: Some(workgroups), ..self }
    }

    pub(super) fn limits(&self, device: &Device) -> Result<DeviceLimits> {
        let (limits, info) = (device.limits(), device.adapter_info());
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let binding_bytes = self.binding_bytes.unwrap_or(allowed).min(allowed);
        let allowed = limits.max_compute_workgroups_per_dimension;
        let workgroups = self.workgroups.unwrap_or(allowed).min(allowed);
        let refused = |name, expected: &str, got: u64| {
            let (expected, got) = (expected.into(), got.to_string());
            Err(Error::InvalidParameter { name, expected, got })
        };
        if binding_bytes < 4096 {
            return refused("the binding limit", "at least 4096 bytes", binding_bytes);
        }
        if workgroups == 0 {
            return refused("the workgroup limit", "at least 1", 0);
        }
        Ok(DeviceLimits {
            binding_bytes: usize::try_from(binding_bytes).unwrap_or(usize::MAX),
            workgroups,
            most_lanes: info.subgroup_max_size.max(1),
            // Half a second at a trillion multiply-adds a second, and at a tenth of that.
            submission_work: match info.device_type {
                DeviceType::DiscreteGpu => 1 << 39,
                _ => 1 << 36,
            },
        })
    }
}
