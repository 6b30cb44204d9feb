//! [`Statistics`]: what a request cost.

use std::time::Duration;

/// Cost of a request on the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Candidates that were read where they lie, in the store.
    pub resident: usize,
    /// Candidates whose matrices were sent along.
    pub streamed: usize,
    /// Documents that had to make room in the store since it was made.
    pub evictions: u64,
    /// Bytes sent to the GPU.
    pub bytes_up: u64,
    /// Bytes read back.
    pub bytes_down: u64,
    /// Bytes that the kernels have to move in the GPU's memory: each row of a document once for each
    /// query (or for each share of one, where workgroups share the query tokens), query tokens once,
    /// maxima and scores written and read. Counted, not measured.
    pub kernel_bytes: u64,
    /// Bytes of rows that workgroups fetch of documents and queries, from caches too: query tokens
    /// once for each workgroup at least. Counted, not measured.
    pub fetched_bytes: u64,
    /// Multiplications and additions of similarities. Counted, not measured.
    pub kernel_flops: u64,
    /// Time between the timestamps before and after the kernels, if the device has timestamps.
    pub gpu_time: Option<Duration>,
    /// Submissions to the queue.
    pub submissions: u64,
}

impl Statistics {
    /// Cost of nothing, beside a request that cost this.
    pub(super) fn free(beside: Self) -> Self {
        Self { gpu_time: beside.gpu_time.map(|_| Duration::ZERO), ..Self::default() }
    }

    /// The same, of candidates that were counted before.
    pub(super) fn of_same_candidates(self) -> Self {
        Self { resident: 0, streamed: 0, ..self }
    }

    /// Cost of two requests together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            resident: self.resident + other.resident,
            streamed: self.streamed + other.streamed,
            evictions: self.evictions.max(other.evictions),
            bytes_up: self.bytes_up + other.bytes_up,
            bytes_down: self.bytes_down + other.bytes_down,
            kernel_bytes: self.kernel_bytes + other.kernel_bytes,
            fetched_bytes: self.fetched_bytes + other.fetched_bytes,
            kernel_flops: self.kernel_flops + other.kernel_flops,
            gpu_time: self.gpu_time.zip(other.gpu_time).map(|(a, b)| a + b),
            submissions: self.submissions + other.submissions,
        }
    }
}
