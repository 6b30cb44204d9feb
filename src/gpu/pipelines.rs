//! A shader variant, compiled.

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingResource, BindingType, Buffer, BufferBinding, BufferBindingType,
    BufferSize, BufferUsages, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModule, ShaderModuleDescriptor,
    ShaderRuntimeChecks, ShaderSource, ShaderStages,
};

use super::shader::{Params, ShaderVariant};
use super::tuning::{Tuning, Tunings};

const UNIFORM: BufferBindingType = BufferBindingType::Uniform;
const READ: BufferBindingType = BufferBindingType::Storage { read_only: true };
const WRITE: BufferBindingType = BufferBindingType::Storage { read_only: false };

/// The passes of a variant.
pub(super) struct Pipelines {
    /// For queries that fit one tile; its bindings are those of `maxsim_long`, too.
    pub maxsim: Pass,
    pub maxsim_long: Pass,
    pub sum: Pass,
    pub top_k_of_scores: Pass,
    pub top_k_of_entries: Pass,
    pub matches: Pass,
}

impl Pipelines {
    pub(super) fn new(device: &Device, variant: ShaderVariant, tunings: Tunings) -> Self {
        const RESULTS_OF_THREE: &[BufferBindingType] = &[UNIFORM, READ, READ, READ, WRITE];
        let pass = |name, source, groups: &[_]| {
            let module = checked_module(device, name, source);
            Pass::new(device, name, &module, groups, PipelineCompilationOptions::default())
        };
        let module = maxsim_module(device, variant);
        let maxsim = |tuning: Tuning| {
            let options = PipelineCompilationOptions {
                constants: &tuning.constants(),
                // Nothing is read there before it is written.
                zero_initialize_workgroup_memory: false,
            };
            Pass::new(device, "maxsim", &module, &[RESULTS_OF_THREE, &[READ]], options)
        };
        let (sum, top_k) = (ShaderVariant::sum_source, ShaderVariant::top_k_source);
        Self {
            maxsim: maxsim(tunings.short),
            maxsim_long: maxsim(tunings.long),
            sum: pass("sum", sum(), &[&[UNIFORM, READ, READ, WRITE]]),
            top_k_of_scores: pass("top_k_of_scores", top_k(), &[RESULTS_OF_THREE]),
            top_k_of_entries: pass("top_k_of_entries", top_k(), &[RESULTS_OF_THREE]),
            matches: pass("find_matches", variant.matches_source(), &[RESULTS_OF_THREE, &[READ]]),
        }
    }
}

/// A compute pipeline and the layouts of its bind groups: what is the request's, and the page.
pub(super) struct Pass {
    pub pipeline: ComputePipeline,
    layouts: Vec<BindGroupLayout>,
    name: &'static str,
}

impl Pass {
    /// Compiles entry point `name`; binding `b` of group `g` is of type `groups[g][b]`.
    fn new(
        device: &Device,
        name: &'static str,
        module: &ShaderModule,
        groups: &[&[BufferBindingType]],
        compilation_options: PipelineCompilationOptions<'_>,
    ) -> Self {
        let label = Some(name);
        let layouts: Vec<_> =
            groups.iter().map(|types| group_layout(device, name, types)).collect();
        let bind_group_layouts: Vec<_> = layouts.iter().map(Some).collect();
        let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &bind_group_layouts,
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some(name),
            compilation_options,
            cache: None,
        });
        Self { pipeline, layouts, name }
    }

    /// Binds group `group`: buffers as a whole, in the order of the bindings, except that of a
    /// uniform buffer one [`Params`] is bound, at an offset that is given with each dispatch.
    pub(super) fn bind(&self, device: &Device, group: usize, buffers: &[&Buffer]) -> BindGroup {
        let entries: Vec<_> = (0..).zip(buffers).map(|(at, buffer)| entry(at, buffer)).collect();
        device.create_bind_group(&BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layouts[group],
            entries: &entries,
        })
    }
}

fn descriptor(name: &str, source: String) -> ShaderModuleDescriptor<'_> {
    ShaderModuleDescriptor { label: Some(name), source: ShaderSource::Wgsl(source.into()) }
}

fn checked_module(device: &Device, name: &str, source: String) -> ShaderModule {
    device.create_shader_module(descriptor(name, source))
}

/// The first pass, without the counters in its loops and the comparisons at its divisions that wgpu
/// would add: they keep compilers from unrolling. Accesses stay checked.
fn maxsim_module(device: &Device, variant: ShaderVariant) -> ShaderModule {
    let mut checks = ShaderRuntimeChecks::checked();
    checks.force_loop_bounding = false;
    checks.int_div_checks = false;
    // SAFETY: each of its loops counts to a bound that does not change meanwhile; the one over tiles
    // goes on by at least a row, since a tile ends after the row that it starts with. It divides u32
    // alone, by sizes of a `Tuning` and by numbers of quads in a block, none of which is zero.
    unsafe {
        device.create_shader_module_trusted(descriptor("maxsim", variant.maxsim_source()), checks)
    }
}

fn group_layout(device: &Device, name: &str, types: &[BufferBindingType]) -> BindGroupLayout {
    let entries: Vec<_> = (0..).zip(types).map(|(at, ty)| layout_entry(at, *ty)).collect();
    let label = Some(name);
    device.create_bind_group_layout(&BindGroupLayoutDescriptor { label, entries: &entries })
}

fn layout_entry(binding: u32, ty: BufferBindingType) -> BindGroupLayoutEntry {
    let ty = BindingType::Buffer { ty, has_dynamic_offset: ty == UNIFORM, min_binding_size: None };
    BindGroupLayoutEntry { binding, visibility: ShaderStages::COMPUTE, ty, count: None }
}

fn entry(binding: u32, buffer: &Buffer) -> BindGroupEntry<'_> {
    let params = buffer.usage().contains(BufferUsages::UNIFORM);
    let size = params.then_some(BufferSize::new(size_of::<Params>() as u64)).flatten();
    let resource = BindingResource::Buffer(BufferBinding { buffer, offset: 0, size });
    BindGroupEntry { binding, resource }
}
