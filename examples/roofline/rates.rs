//! What the machine can do: how fast a shader reads, and multiplies. Every result is checked, so that nothing
//! is measured that a compiler has left out.

use std::error::Error;
use std::time::Duration;

use maxfold::gpu::{GpuContext, ShaderVariant};
use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, ComputePipeline, ComputePipelineDescriptor, MapMode,
    PollType, ShaderModuleDescriptor, ShaderSource,
};

/// The limits that a variant is held against.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Bytes a second that a shader reads.
    pub bytes: f64,
    /// Additions and multiplications a second, of the kind that the variant uses.
    pub operations: f64,
}

/// Beyond the caches of any GPU.
const READ_BYTES: usize = 512 << 20;

/// Workgroups that keep any GPU busy.
const WORKGROUPS: u32 = 4_096;

/// What the loops in `fma.wgsl` and `matrix.wgsl` do.
const STEPS: f64 = 512.0;
const FMA_CHAINS: f64 = 8.0 * 4.0;
const FMA_THREADS: f64 = 256.0;
const MATRIX_CHAINS: f64 = 4.0;

impl Rates {
    pub fn measure(
        gpu: &GpuContext,
        variant: ShaderVariant,
        quick: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let meter = match quick {
            true => Meter { gpu, workgroups: 16, long_enough: Duration::from_millis(2) },
            false => Meter { gpu, workgroups: WORKGROUPS, long_enough: Duration::from_millis(100) },
        };
        let limits = gpu.device().limits();
        let most = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let read = if quick { 16 << 20 } else { READ_BYTES }.min(most as usize);
        let operations = match variant {
            ShaderVariant::F16Matrix16 => meter.matrices(16)?,
            ShaderVariant::F16Matrix8 => meter.matrices(8)?,
            _ => meter.multiply_adds()?,
        };
        Ok(Self { bytes: meter.read(read & !15)?, operations })
    }
}

struct Meter<'a> {
    gpu: &'a GpuContext,
    workgroups: u32,
    long_enough: Duration,
}

impl Meter<'_> {
    /// Bytes a second that a shader reads.
    fn read(&self, bytes: usize) -> Result<f64, Box<dyn Error>> {
        let words: Vec<u32> = (0..bytes as u32 / 4).collect();
        let expected = words.iter().fold(0_u32, |sum, word| sum.wrapping_add(*word));
        let threads = self.workgroups as usize * 256;
        let shader = include_str!("read.wgsl");
        let (seconds, output) = self.run(shader, bytemuck::cast_slice(&words), threads)?;
        let sums: &[u32] = bytemuck::cast_slice(&output);
        check(
            f64::from(expected),
            f64::from(sums.iter().fold(0, |all: u32, it| all.wrapping_add(*it))),
        )?;
        Ok(bytes as f64 / seconds)
    }

    /// Operations a second of multiply-adds.
    fn multiply_adds(&self) -> Result<f64, Box<dyn Error>> {
        // Starts, factor and summand.
        let input: Vec<f32> = [[0.0; 32].as_slice(), &[1.0; 8]].concat();
        let threads = self.workgroups as usize * FMA_THREADS as usize;
        let (seconds, output) =
            self.run(include_str!("fma.wgsl"), bytemuck::cast_slice(&input), threads)?;
        let sums: &[f32] = bytemuck::cast_slice(&output);
        for sum in sums {
            check(STEPS * FMA_CHAINS, f64::from(*sum))?;
        }
        Ok(2.0 * STEPS * FMA_CHAINS * threads as f64 / seconds)
    }

    /// Operations a second of matrix units.
    fn matrices(&self, tile: usize) -> Result<f64, Box<dyn Error>> {
        let cells = tile * tile;
        let input = vec![half::f16::ONE; 5 * cells];
        let shader = include_str!("matrix.wgsl").replace("TILE", &format!("{tile}u"));
        let shader =
            shader.replace(&format!("coop_mat{tile}ux{tile}u"), &format!("coop_mat{tile}x{tile}"));
        let stride = cells + 4;
        let count = self.workgroups as usize * stride;
        let (seconds, output) = self.run(&shader, bytemuck::cast_slice(&input), count)?;
        let sums: &[f32] = bytemuck::cast_slice(&output);
        let mut subgroups = 0.0;
        for workgroup in sums.chunks_exact(stride) {
            for cell in &workgroup[..cells] {
                check(STEPS * MATRIX_CHAINS * tile as f64, f64::from(*cell))?;
            }
            subgroups += f64::from(workgroup[cells]);
        }
        let of_subgroup = 2.0 * (tile * tile * tile) as f64 * MATRIX_CHAINS * STEPS;
        Ok(of_subgroup * subgroups / seconds)
    }

    /// Seconds of one dispatch, and what it wrote: `words` words.
    fn run(
        &self,
        shader: &str,
        input: &[u8],
        words: usize,
    ) -> Result<(f64, Vec<u8>), Box<dyn Error>> {
        let device = self.gpu.device();
        let pipeline = self.pipeline(shader);
        let usage = BufferUsages::STORAGE;
        let input = device.create_buffer_init(&BufferInitDescriptor {
            label: None,
            contents: input,
            usage,
        });
        let output = device.create_buffer(&BufferDescriptor {
            label: None,
            size: words as u64 * 4,
            usage: usage | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let entries = [(0, &input), (1, &output)].map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding,
            resource: buffer.as_entire_binding(),
        });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let seconds = self.seconds(|times| {
            let mut encoder = device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bindings, &[]);
            (0..times).for_each(|_| pass.dispatch_workgroups(self.workgroups, 1, 1));
            drop(pass);
            encoder.finish()
        })?;
        Ok((seconds, self.contents(&output)?))
    }

    /// Seconds of one of many, in one submission that takes long enough. The least of three counts.
    fn seconds(&self, record: impl Fn(u32) -> wgpu::CommandBuffer) -> Result<f64, Box<dyn Error>> {
        let timed = |times| -> Result<Duration, Box<dyn Error>> {
            let commands = record(times);
            let start = std::time::Instant::now();
            self.gpu.queue().submit([commands]);
            self.gpu.device().poll(PollType::wait_indefinitely())?;
            Ok(start.elapsed())
        };
        let mut times = 1;
        timed(times)?;
        while timed(times)? < self.long_enough {
            times *= 2;
        }
        let least = timed(times)?.min(timed(times)?).min(timed(times)?);
        Ok(least.as_secs_f64() / f64::from(times))
    }

    fn contents(&self, buffer: &Buffer) -> Result<Vec<u8>, Box<dyn Error>> {
        let (device, queue) = (self.gpu.device(), self.gpu.queue());
        let readback = device.create_buffer(&BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &readback, 0, buffer.size());
        queue.submit([encoder.finish()]);
        readback.map_async(MapMode::Read, .., |_| {});
        device.poll(PollType::wait_indefinitely())?;
        Ok(readback.get_mapped_range(..)?.to_vec())
    }

    fn pipeline(&self, source: &str) -> ComputePipeline {
        let source = ShaderSource::Wgsl(source.into());
        let descriptor = ShaderModuleDescriptor { label: None, source };
        let checks = wgpu::ShaderRuntimeChecks::unchecked();
        // SAFETY: the loops in these shaders count to constants, or to a buffer's length; indices are
        // constants, or within what was dispatched; nothing is divided by.
        let module = unsafe { self.gpu.device().create_shader_module_trusted(descriptor, checks) };
        self.gpu.device().create_compute_pipeline(&ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("measure"),
            compilation_options: Default::default(),
            cache: None,
        })
    }
}

fn check(expected: f64, got: f64) -> Result<(), Box<dyn Error>> {
    if expected == got {
        Ok(())
    } else {
        Err(format!("a rate's result is {got}, not {expected}").into())
    }
}
