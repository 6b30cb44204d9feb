//! Adapters of this machine, and the choice among them.

use std::fmt;

use wgpu::{
    Adapter, AdapterInfo, Backends, CooperativeMatrixProperties, DeviceType, Features, Instance,
    InstanceDescriptor,
};

use super::shader::ShaderVariant;
use crate::{Error, Result};

/// A GPU, or a software imitation of one, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterDescription {
    /// The driver's name for it, for example `llvmpipe (LLVM 15.0.6, 256 bits)`.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// The driver's name and version, for example `llvmpipe Mesa 22.3.6`.
    pub driver: String,
    /// `true` if it computes on the CPU.
    pub software: bool,
    /// The shader variants it can run, fastest first.
    pub variants: Vec<ShaderVariant>,
}

impl AdapterDescription {
    pub(super) fn new(
        info: &AdapterInfo,
        features: Features,
        matrices: &[CooperativeMatrixProperties],
    ) -> Self {
        Self {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info),
            software: info.device_type == DeviceType::Cpu,
            variants: ShaderVariant::supported(features, matrices),
        }
    }
}

impl fmt::Display for AdapterDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.software { ", software" } else { "" };
        write!(f, "{} ({}{kind})", self.name, self.backend)
    }
}

/// The adapters of this machine: hardware before software.
pub fn adapters() -> Vec<AdapterDescription> {
    enumerate().iter().map(describe).collect()
}

pub(super) fn describe(adapter: &Adapter) -> AdapterDescription {
    let matrices = adapter.cooperative_matrix_properties();
    AdapterDescription::new(&adapter.get_info(), adapter.features(), &matrices)
}

/// The adapters whose name contains `name`, in any case, software ones only if they may be used.
pub(super) fn matching(name: Option<&str>, hardware_only: bool) -> Result<Vec<Adapter>> {
    let adapters = enumerate();
    let part = name.unwrap_or_default().to_lowercase();
    let matches = |adapter: &Adapter| {
        let AdapterDescription { name, software, .. } = describe(adapter);
        name.to_lowercase().contains(&part) && !(hardware_only && software)
    };
    let (matching, others): (Vec<_>, Vec<_>) = adapters.into_iter().partition(matches);
    if !matching.is_empty() {
        return Ok(matching);
    }
    let kind = if hardware_only { "a hardware GPU" } else { "a GPU" };
    let wanted = match name {
        None => kind.into(),
        Some(name) => format!("{kind} with {name:?} in its name"),
    };
    let available = others.iter().map(|adapter| describe(adapter).to_string()).collect();
    Err(Error::NoAdapter { wanted, available })
}

fn enumerate() -> Vec<Adapter> {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle().with_env());
    let mut adapters = pollster::block_on(instance.enumerate_adapters(Backends::all()));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu | DeviceType::Other => 2,
        DeviceType::Cpu => 3,
    });
    adapters
}
