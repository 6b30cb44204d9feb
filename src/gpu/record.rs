//! Recording a unit: what goes up, what is dispatched.

use bytemuck::{bytes_of, cast_slice};
use half::f16;
use wgpu::{
    BindGroup, Buffer, BufferViewMut, CommandEncoder, CommandEncoderDescriptor,
    ComputePassDescriptor, ComputePassTimestampWrites, SubmissionIndex,
};

use super::device::Gpu;
use super::pipelines::Pass;
use super::shader::Params;
use super::slot::{PARAMS_STRIDE, Slot, Staging};
use super::workspace::Clock;
use crate::{Error, Result};

/// Writes into a staging buffer, and records its copies to where the shaders read.
pub(super) struct Upload<'a> {
    staging: &'a Staging,
    view: BufferViewMut,
    used: usize,
    pub encoder: CommandEncoder,
}

impl<'a> Upload<'a> {
    /// Into a staging buffer that is mapped.
    pub(super) fn new(gpu: &Gpu, staging: &'a Staging) -> Result<Self> {
        let view = staging.buffer.get_mapped_range_mut(..).map_err(|error| Error::DeviceLost {
            reason: format!("a staging buffer is not mapped: {error}"),
        })?;
        let label = Some("maxfold");
        let encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label });
        Ok(Self { staging, view, used: 0, encoder })
    }

    /// Has `bytes` copied to `target`, from its byte `at` on.
    pub(super) fn write(&mut self, bytes: &[u8], target: &Buffer, at: u64) {
        let start = self.used;
        self.append(bytes);
        self.copy(start, target, at);
    }

    /// Appends rows `[rows, dim]` as the device stores them: at once if a row fills its quads, else
    /// one by one with zero columns after each, which add nothing to a product.
    pub(super) fn append_rows(&mut self, rows: &[f16], dim: usize, row_bytes: usize) {
        if dim * size_of::<f16>() == row_bytes {
            return self.append(cast_slice(rows));
        }
        let mut padded = vec![0; row_bytes];
        for row in rows.chunks_exact(dim) {
            let bytes: &[u8] = cast_slice(row);
            padded[..bytes.len()].copy_from_slice(bytes);
            self.append(&padded);
        }
    }

    /// Bytes written so far.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Has everything from byte `start` on copied to `target`.
    pub(super) fn copy(&mut self, start: usize, target: &Buffer, at: u64) {
        let bytes = (self.used - start) as u64;
        if bytes > 0 {
            let staging = &self.staging.buffer;
            self.encoder.copy_buffer_to_buffer(staging, start as u64, target, at, bytes);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.view.slice(self.used..self.used + bytes.len()).copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// Hands it to the GPU.
    pub(super) fn submit(self, gpu: &Gpu) -> SubmissionIndex {
        drop(self.view);
        self.staging.buffer.unmap();
        gpu.queue.submit([self.encoder.finish()])
    }
}

/// One dispatch.
pub(super) struct Dispatch<'a> {
    pub pass: &'a Pass,
    pub bindings: &'a BindGroup,
    /// Group 1, of a pass that reads a page.
    pub page: Option<BindGroup>,
    pub params: Params,
    /// Workgroups in each dimension.
    pub workgroups: (u32, u32, u32),
    /// Rows that it reads from memory, and rows that it fetches, from caches too.
    pub rows: (usize, usize),
}

/// Records dispatches, one after the other, between two timestamps.
pub(super) fn compute(
    upload: &mut Upload<'_>,
    slot: &Slot,
    dispatches: &[Dispatch<'_>],
    timestamps: Option<(&Clock, u32)>,
) {
    let mut params = vec![0; dispatches.len() * PARAMS_STRIDE];
    for (dispatch, bytes) in dispatches.iter().zip(params.chunks_exact_mut(PARAMS_STRIDE)) {
        bytes[..size_of::<Params>()].copy_from_slice(bytes_of(&dispatch.params));
    }
    upload.write(&params, &slot.params, 0);
    let timestamp_writes = timestamps.map(|(clock, first)| ComputePassTimestampWrites {
        query_set: &clock.set,
        beginning_of_pass_write_index: Some(first),
        end_of_pass_write_index: Some(first + 1),
    });
    let label = Some("maxfold");
    let descriptor = ComputePassDescriptor { label, timestamp_writes };
    let mut pass = upload.encoder.begin_compute_pass(&descriptor);
    for (offset, dispatch) in (0..).step_by(PARAMS_STRIDE).zip(dispatches) {
        pass.set_pipeline(&dispatch.pass.pipeline);
        pass.set_bind_group(0, dispatch.bindings, &[offset]);
        if let Some(page) = &dispatch.page {
            pass.set_bind_group(1, page, &[]);
        }
        let (x, y, z) = dispatch.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}
