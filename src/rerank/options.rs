//! Options of a reranker.

use super::backend::Backend;
#[cfg(feature = "gpu")]
use crate::gpu::GpuOptions;
use crate::maxsim::CpuMaxSim;

/// Options of a [`Reranker`](super::Reranker).
///
/// ```
/// use maxfold::maxsim::CpuMaxSim;
/// use maxfold::rerank::{Backend, Reranker, RerankerOptions};
///
/// let options = RerankerOptions::new().backend(Backend::Cpu).cpu(CpuMaxSim::new().with_threads(1)?);
/// assert_eq!(Reranker::with_options(&options)?.execution().backend(), Backend::Cpu);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RerankerOptions {
    pub(super) backend: Backend,
    pub(super) cpu: CpuMaxSim,
    #[cfg(feature = "gpu")]
    pub(super) gpu: GpuOptions,
}

impl RerankerOptions {
    /// [`Backend::Auto`], and everything else left to Maxfold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Backend to use.
    pub fn backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// Instructions and threads of the CPU.
    pub fn cpu(self, cpu: CpuMaxSim) -> Self {
        Self { cpu, ..self }
    }

    /// Adapter, shader variant and limits of the GPU.
    #[cfg(feature = "gpu")]
    pub fn gpu(self, gpu: GpuOptions) -> Self {
        Self { gpu, ..self }
    }
}
