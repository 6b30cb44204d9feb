//! [`Kernels`]: the compute pipelines of a variant.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingResource, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, Device, PassthroughShaderEntryPoint, PipelineCompilationOptions,
    PipelineLayoutDescriptor, ShaderModule, ShaderModuleDescriptor,
    ShaderModuleDescriptorPassthrough, ShaderRuntimeChecks, ShaderSource, ShaderStages,
};

use super::plan::Plan;
use super::shader::{Format, Params, ShaderVariant};
use super::spirv;
use super::tuning::{Room, Shape, Tuning};
use crate::{Error, Result};

/// Size of a uniform binding of [`Params`].
pub(super) const PARAMS_BYTES: u64 = size_of::<Params>() as u64;

const UNIFORM: BufferBindingType = BufferBindingType::Uniform;
const READ: BufferBindingType = BufferBindingType::Storage { read_only: true };
const WRITE: BufferBindingType = BufferBindingType::Storage { read_only: false };

/// The compute pipelines of a variant, and the layouts of what they read and write. Those that score are
/// compiled for the shapes that are asked for, when they are.
pub(super) struct Kernels {
    device: Device,
    variant: ShaderVariant,
    room: Room,
    pub layouts: Layouts,
    pub sum: ComputePipeline,
    pub top_k_of_scores: ComputePipeline,
    pub top_k_of_entries: ComputePipeline,
    pub matches: ComputePipeline,
    maxsim: Mutex<HashMap<(Format, Shape, Tuning), ComputePipeline>>,
}

/// Layouts of bind groups.
pub(super) struct Layouts {
    /// Group 0 of what runs over tasks: parameters, runs, blocks, items, query tokens, results.
    pub request: BindGroupLayout,
    /// Group 1 of it: rows, and where documents lie among them.
    pub page: BindGroupLayout,
    /// The same of rows in int8, and what is beside each.
    pub int8_page: BindGroupLayout,
    /// Parameters, sums, results.
    pub sum: BindGroupLayout,
    /// Parameters, blocks, scores, entries of the pass before, entries.
    pub top_k: BindGroupLayout,
}

impl Layouts {
    fn new(device: &Device) -> Self {
        let layout = |label, types: &[_]| group_layout(device, label, types);
        Self {
            request: layout("request", &[UNIFORM, READ, READ, READ, READ, WRITE]),
            page: layout("page", &[READ, READ]),
            int8_page: layout("int8 page", &[READ, READ, READ]),
            sum: layout("sum", &[UNIFORM, READ, WRITE]),
            top_k: layout("top-k", &[UNIFORM, READ, READ, READ, WRITE]),
        }
    }
}

impl Kernels {
    pub(super) fn new(device: &Device, variant: ShaderVariant, room: Room) -> Self {
        let layouts = Layouts::new(device);
        let pass = |name, source, groups: &[&BindGroupLayout]| {
            let module = device.create_shader_module(descriptor(name, source));
            pipeline(device, name, &module, groups)
        };
        let (sum, top_k) = (ShaderVariant::sum_source, ShaderVariant::top_k_source);
        let over_tasks = [&layouts.request, &layouts.page];
        Self {
            sum: pass("sum", sum(), &[&layouts.sum]),
            top_k_of_scores: pass("top_k_of_scores", top_k(), &[&layouts.top_k]),
            top_k_of_entries: pass("top_k_of_entries", top_k(), &[&layouts.top_k]),
            matches: pass("find_matches", ShaderVariant::matches_source(), &over_tasks),
            maxsim: Mutex::default(),
            device: device.clone(),
            variant,
            room,
            layouts,
        }
    }

    /// The pipeline that scores, or bounds scores, as planned. Compiled by the first call.
    ///
    /// # Errors
    /// The kernel can't be compiled.
    pub(super) fn maxsim(&self, plan: &Plan) -> Result<ComputePipeline> {
        let Plan { format, shape, tuning, .. } = *plan;
        let mut compiled = self.maxsim.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = compiled.get(&(format, shape, tuning)) {
            return Ok(pipeline.clone());
        }
        let (module, page) = match format {
            Format::F16 => (self.module(shape, tuning)?, &self.layouts.page),
            Format::Int8 => {
                let sizes = tuning.sizes(self.variant, shape, &self.room);
                (self.trusted(ShaderVariant::bounds_source(&sizes)), &self.layouts.int8_page)
            }
        };
        let pipeline = pipeline(&self.device, "maxsim", &module, &[&self.layouts.request, page]);
        compiled.insert((format, shape, tuning), pipeline.clone());
        Ok(pipeline)
    }

    /// The kernel that scores: as SPIR-V where the device takes it, else as WGSL, without the checks that
    /// wgpu would add.
    fn module(&self, shape: Shape, tuning: Tuning) -> Result<ShaderModule> {
        let sizes = tuning.sizes(self.variant, shape, &self.room);
        let source = self.variant.maxsim_source(&sizes);
        if !self.room.spirv {
            return Ok(self.trusted(source));
        }
        // A compiler for CPUs takes minutes over what is unrolled.
        let words = spirv::compile(&source, "maxsim", !self.room.software)
            .map_err(|reason| Error::KernelRefused { variant: self.variant.to_string(), reason })?;
        let entry =
            PassthroughShaderEntryPoint { name: "maxsim".into(), workgroup_size: (1, 1, 1) };
        // SAFETY: as in `trusted`; the words are valid SPIR-V for Vulkan, which a test asks of `spirv-val`.
        Ok(unsafe {
            self.device.create_shader_module_passthrough(ShaderModuleDescriptorPassthrough {
                label: Some("maxsim"),
                entry_points: vec![entry].into(),
                spirv: Some(words.into()),
                ..Default::default()
            })
        })
    }

    /// A kernel as WGSL, without the checks that wgpu would add.
    fn trusted(&self, source: String) -> ShaderModule {
        let checks = ShaderRuntimeChecks::unchecked();
        // SAFETY: its loops count to bounds that do not change meanwhile, and its indices are those of
        // tables that `layout.rs` writes, whose rows lie within the page that is bound, slack included.
        unsafe { self.device.create_shader_module_trusted(descriptor("maxsim", source), checks) }
    }

    /// Binds resources in the order of a layout's bindings.
    pub(super) fn bind(
        &self,
        layout: &BindGroupLayout,
        resources: Vec<BindingResource<'_>>,
    ) -> BindGroup {
        let entry = |(binding, resource)| BindGroupEntry { binding, resource };
        let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
        self.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout,
            entries: &entries,
        })
    }
}

fn descriptor(name: &str, source: String) -> ShaderModuleDescriptor<'_> {
    ShaderModuleDescriptor { label: Some(name), source: ShaderSource::Wgsl(source.into()) }
}

/// Compiles entry point `name`.
fn pipeline(
    device: &Device,
    name: &str,
    module: &ShaderModule,
    groups: &[&BindGroupLayout],
) -> ComputePipeline {
    let label = Some(name);
    let groups: Vec<_> = groups.iter().map(|group| Some(*group)).collect();
    let layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &groups,
        immediate_size: 0,
    });
    // Nothing in workgroup memory is read before it is written.
    let compilation_options = PipelineCompilationOptions {
        zero_initialize_workgroup_memory: false,
        ..Default::default()
    };
    device.create_compute_pipeline(&ComputePipelineDescriptor {
        label,
        layout: Some(&layout),
        module,
        entry_point: Some(name),
        compilation_options,
        cache: None,
    })
}

fn group_layout(device: &Device, label: &str, types: &[BufferBindingType]) -> BindGroupLayout {
    let entries: Vec<_> = (0..).zip(types).map(|(at, ty)| layout_entry(at, *ty)).collect();
    device.create_bind_group_layout(&BindGroupLayoutDescriptor {
        label: Some(label),
        entries: &entries,
    })
}

fn layout_entry(binding: u32, ty: BufferBindingType) -> BindGroupLayoutEntry {
    let ty = BindingType::Buffer { ty, has_dynamic_offset: ty == UNIFORM, min_binding_size: None };
    BindGroupLayoutEntry { binding, visibility: ShaderStages::COMPUTE, ty, count: None }
}
