//! What the machine can do: the bandwidth of a copy, and the rate of multiply-adds.

use std::error::Error;
use std::time::{Duration, Instant};

use maxfold::gpu::{GpuContext, Multiply, ShaderVariant};
use wgpu::{
    BufferDescriptor, BufferUsages, CommandEncoder, ComputePipeline, ComputePipelineDescriptor,
    Device, MapMode, PollType, ShaderModuleDescriptor, ShaderSource,
};

/// The limits that a variant is held against.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Bytes a second, read and written.
    pub bytes: f64,
    /// Additions and multiplications a second, of the kind that the variant uses.
    pub operations: f64,
}

/// Beyond the caches of any GPU.
const COPY_BYTES: u64 = 512 << 20;

/// Workgroups that keep any GPU busy.
const WORKGROUPS: u32 = 4_096;

impl Rates {
    pub fn measure(
        gpu: &GpuContext,
        variant: ShaderVariant,
        quick: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let (copied, workgroups, long_enough) = match quick {
            true => (16 << 20, 16, Duration::from_millis(2)),
            false => (COPY_BYTES, WORKGROUPS, Duration::from_millis(100)),
        };
        let limits = gpu.device().limits();
        let copied = copied.min(limits.max_buffer_size).min(limits.max_storage_buffer_binding_size);
        let meter = Meter { gpu, long_enough };
        let operations = meter.operations(variant.multiply, workgroups)?;
        Ok(Self { bytes: meter.bytes(copied)?, operations })
    }
}

struct Meter<'a> {
    gpu: &'a GpuContext,
    long_enough: Duration,
}

impl Meter<'_> {
    /// Bytes a second that a copy reads and writes.
    fn bytes(&self, bytes: u64) -> Result<f64, Box<dyn Error>> {
        let bytes = bytes & !3;
        let usage = BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let [from, to] = ["from", "to"].map(|label| {
            let label = Some(label);
            let descriptor =
                BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false };
            self.gpu.device().create_buffer(&descriptor)
        });
        let seconds = self.seconds_each(|encoder, times| {
            for _ in 0..times {
                encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes);
            }
        })?;
        Ok(2.0 * bytes as f64 / seconds)
    }

    /// Operations a second of a loop of multiply-adds that touches no memory.
    fn operations(&self, multiply: Multiply, workgroups: u32) -> Result<f64, Box<dyn Error>> {
        let device = self.gpu.device();
        let pipeline = pipeline(device, &source(multiply)?);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
        let size = u64::from(workgroups) * 4;
        let descriptor = BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let out = device.create_buffer(&descriptor);
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: out.as_entire_binding() }],
        });
        let seconds = self.seconds_each(|encoder, times| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bindings, &[]);
            for _ in 0..times {
                pass.dispatch_workgroups(workgroups, 1, 1);
            }
        })?;
        let workgroup = self.first_number(&out)?;
        Ok(f64::from(workgroup) * f64::from(workgroups) / seconds)
    }

    /// Seconds of one of many, in one submission that takes long enough. The least of three counts.
    fn seconds_each(
        &self,
        record: impl Fn(&mut CommandEncoder, u32),
    ) -> Result<f64, Box<dyn Error>> {
        let (device, queue) = (self.gpu.device(), self.gpu.queue());
        let timed = |times| -> Result<Duration, Box<dyn Error>> {
            let mut encoder = device.create_command_encoder(&Default::default());
            record(&mut encoder, times);
            let start = Instant::now();
            queue.submit([encoder.finish()]);
            device.poll(PollType::wait_indefinitely())?;
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

    /// The first number of a buffer.
    fn first_number(&self, buffer: &wgpu::Buffer) -> Result<f32, Box<dyn Error>> {
        let (device, queue) = (self.gpu.device(), self.gpu.queue());
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let descriptor =
            BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
        let readback = device.create_buffer(&descriptor);
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &readback, 0, 4);
        queue.submit([encoder.finish()]);
        readback.map_async(MapMode::Read, .., |_| {});
        device.poll(PollType::wait_indefinitely())?;
        Ok(bytemuck::pod_read_unaligned(&readback.get_mapped_range(..)?))
    }
}

fn pipeline(device: &Device, source: &str) -> ComputePipeline {
    let source = ShaderSource::Wgsl(source.into());
    let descriptor = ShaderModuleDescriptor { label: None, source };
    // SAFETY: the loops in `fma.wgsl` and `matrix.wgsl` count to a constant, indices are constants or
    // within what was dispatched, and nothing is divided by.
    let module = unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    };
    device.create_compute_pipeline(&ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("operations"),
        compilation_options: Default::default(),
        cache: None,
    })
}

/// A shader that writes how many operations a workgroup of it is.
fn source(multiply: Multiply) -> Result<String, String> {
    let matrix = |tile: u32| {
        let tile = tile.to_string();
        include_str!("matrix.wgsl").replace("TILE", &tile)
    };
    match multiply {
        Multiply::Fma => Ok(include_str!("fma.wgsl").into()),
        Multiply::Matrix16 => Ok(matrix(16)),
        Multiply::Matrix8 => Ok(matrix(8)),
        other => Err(format!("expected a multiplication that has a rate, got {other:?}")),
    }
}
