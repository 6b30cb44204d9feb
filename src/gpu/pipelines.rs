//! A shader variant, compiled.

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingType, Buffer, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, Device, PipelineLayoutDescriptor, ShaderModuleDescriptor,
    ShaderSource, ShaderStages,
};

use super::shader::ShaderVariant;

const UNIFORM: BufferBindingType = BufferBindingType::Uniform;
const READ: BufferBindingType = BufferBindingType::Storage { read_only: true };
const WRITE: BufferBindingType = BufferBindingType::Storage { read_only: false };

/// Both passes of a variant.
pub(super) struct Pipelines {
    pub maxsim: Pass,
    pub sum: Pass,
}

impl Pipelines {
    pub(super) fn new(device: &Device, variant: ShaderVariant) -> Self {
        let bindings = [UNIFORM, READ, READ, READ, WRITE];
        let maxsim = Pass::new(device, "maxsim", variant.maxsim_source(), &bindings);
        let sum = Pass::new(device, "sum", ShaderVariant::sum_source(), &[UNIFORM, READ, WRITE]);
        Self { maxsim, sum }
    }
}

/// A compute pipeline and the layout of its one bind group.
pub(super) struct Pass {
    pub pipeline: ComputePipeline,
    layout: BindGroupLayout,
    name: &'static str,
}

impl Pass {
    /// Compiles entry point `name`; binding `i` is of type `bindings[i]`.
    fn new(
        device: &Device,
        name: &'static str,
        source: String,
        bindings: &[BufferBindingType],
    ) -> Self {
        let label = Some(name);
        let module = device.create_shader_module(ShaderModuleDescriptor {
            label,
            source: ShaderSource::Wgsl(source.into()),
        });
        let entries: Vec<_> = (0..).zip(bindings).map(|(at, ty)| layout_entry(at, *ty)).collect();
        let layout = device
            .create_bind_group_layout(&BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(name),
            compilation_options: Default::default(),
            cache: None,
        });
        Self { pipeline, layout, name }
    }

    /// Binds whole buffers, in the order of the bindings.
    pub(super) fn bind(&self, device: &Device, buffers: &[&Buffer]) -> BindGroup {
        let resources = buffers.iter().map(|buffer| buffer.as_entire_binding());
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| BindGroupEntry { binding, resource })
            .collect();
        device.create_bind_group(&BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        })
    }
}

fn layout_entry(binding: u32, ty: BufferBindingType) -> BindGroupLayoutEntry {
    BindGroupLayoutEntry {
        binding,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
