//! [`Reranker`]: the choice, the call, the fall back to the CPU.

use std::sync::{Arc, OnceLock};

use super::backend::{Backend, Execution, Processor};
#[cfg(feature = "gpu")]
use crate::gpu::{GpuContext, GpuOptions};
use crate::maxsim::CpuMaxSim;
use crate::multivector::TokenMatrixRef;
use crate::ranking::{Scored, top_k};
use crate::{Error, Result};

/// What a [`Reranker`] is made with.
#[derive(Clone, Debug, Default)]
pub struct RerankerOptions {
    /// Which backend to use.
    pub backend: Backend,
    /// Instructions and threads of the CPU.
    pub cpu: CpuMaxSim,
    /// Adapter, shader variant and limits of the GPU.
    #[cfg(feature = "gpu")]
    pub gpu: GpuOptions,
}

/// Scores of a request, one a candidate, in the candidates' order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The MaxSim scores.
    pub scores: Vec<f32>,
    /// What computed them.
    pub execution: Execution,
}

/// The best candidates of a request, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Score descending, then id ascending.
    pub hits: Vec<Scored>,
    /// What computed the scores.
    pub execution: Execution,
}

/// Ranks candidates by MaxSim, on the GPU or the CPU.
///
/// A GPU that fails in the middle of a request makes it a slower request, answered by the CPU; its
/// [`Execution`] says so. A device that was lost is not tried again: make a new `Reranker` to look
/// for a GPU once more. Calls may be made from any number of threads.
#[derive(Debug)]
pub struct Reranker {
    cpu: CpuMaxSim,
    #[cfg(feature = "gpu")]
    gpu: Option<GpuContext>,
    /// Why the GPU is not used any more.
    lost: OnceLock<Arc<str>>,
    /// Why this backend: what is said of requests where nothing failed.
    reason: Arc<str>,
}

impl Reranker {
    /// With the given backend and everything else left to Maxfold.
    ///
    /// # Errors
    /// [`Backend::Gpu`] and there is no GPU that works.
    pub fn new(backend: Backend) -> Result<Self> {
        Self::with_options(&RerankerOptions { backend, ..Default::default() })
    }

    /// As the options say.
    ///
    /// # Errors
    /// As [`Reranker::new`].
    pub fn with_options(options: &RerankerOptions) -> Result<Self> {
        let reranker = match options.backend {
            Backend::Cpu => Self::on_cpu(options.cpu.clone()),
            Backend::Gpu => Self::required_gpu(options)?,
            Backend::Auto => Self::hardware_gpu_or_cpu(options),
        };
        log::info!("reranking on {}", reranker.execution());
        Ok(reranker)
    }

    /// On the CPU.
    pub fn on_cpu(cpu: CpuMaxSim) -> Self {
        Self {
            cpu,
            #[cfg(feature = "gpu")]
            gpu: None,
            lost: OnceLock::new(),
            reason: "asked for".into(),
        }
    }

    /// On a GPU that the host program has set up, for example with its own wgpu device.
    #[cfg(feature = "gpu")]
    pub fn on_gpu(gpu: GpuContext) -> Self {
        Self { gpu: Some(gpu), ..Self::on_cpu(CpuMaxSim::new()) }
    }

    #[cfg(feature = "gpu")]
    fn required_gpu(options: &RerankerOptions) -> Result<Self> {
        let gpu = GpuContext::with_options(&options.gpu)?;
        Ok(Self { cpu: options.cpu.clone(), ..Self::on_gpu(gpu) })
    }

    #[cfg(not(feature = "gpu"))]
    fn required_gpu(_: &RerankerOptions) -> Result<Self> {
        Err(Error::FeatureMissing { what: "backend gpu", feature: "gpu" })
    }

    /// An adapter that was named is taken even if it is software.
    #[cfg(feature = "gpu")]
    fn hardware_gpu_or_cpu(options: &RerankerOptions) -> Self {
        let cpu = Self::on_cpu(options.cpu.clone());
        match GpuContext::with_options(&options.gpu.clone().hardware_unless_named()) {
            Ok(gpu) => Self { gpu: Some(gpu), reason: "auto: the GPU works".into(), ..cpu },
            Err(error) => Self { reason: why_not(&error).into(), ..cpu },
        }
    }

    #[cfg(not(feature = "gpu"))]
    fn hardware_gpu_or_cpu(options: &RerankerOptions) -> Self {
        let reason = "auto: built without the feature `gpu`".into();
        Self { reason, ..Self::on_cpu(options.cpu.clone()) }
    }

    /// What the next request runs on, if nothing fails.
    pub fn execution(&self) -> Execution {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            return self.gpu_execution(gpu);
        }
        self.cpu_execution(self.cpu_reason())
    }

    /// Why requests go to the CPU, if they do.
    pub(super) fn cpu_reason(&self) -> Arc<str> {
        Arc::clone(self.lost.get().unwrap_or(&self.reason))
    }

    /// The GPU, unless there is none or it was lost.
    #[cfg(feature = "gpu")]
    pub(super) fn working_gpu(&self) -> Option<&GpuContext> {
        self.gpu.as_ref().filter(|_| self.lost.get().is_none())
    }

    /// What answers where no GPU does.
    pub(super) fn cpu(&self) -> &CpuMaxSim {
        &self.cpu
    }

    /// The GPU, if requests go to one.
    #[cfg(feature = "gpu")]
    pub fn gpu(&self) -> Option<&GpuContext> {
        self.gpu.as_ref()
    }

    /// The MaxSim score of each document, in their order.
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub fn score(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Scores> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            let scored = gpu.score(query, documents);
            return self.or_cpu(gpu, scored, query, documents);
        }
        self.score_on_cpu(query, documents, self.cpu_reason())
    }

    /// [`Reranker::score`], async, for any executor.
    ///
    /// While the GPU computes, the executor is free. The CPU path computes before the first
    /// `.await` returns, on rayon's threads.
    ///
    /// # Errors
    /// The same.
    pub async fn score_async(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Scores> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            let scored = gpu.score_async(query, documents).await;
            return self.or_cpu(gpu, scored, query, documents);
        }
        self.score_on_cpu(query, documents, self.cpu_reason())
    }

    /// The best `limit` candidates, each an id of the caller's and a token matrix. A candidate given
    /// twice is ranked twice.
    ///
    /// # Errors
    /// A candidate's dimension is not the query's.
    pub fn rerank(
        &self,
        query: TokenMatrixRef<'_>,
        candidates: &[(u64, TokenMatrixRef<'_>)],
        limit: usize,
    ) -> Result<Ranking> {
        if self.uses_cpu() {
            return self.rerank_on_cpu(query, candidates, limit);
        }
        Ok(ranked(candidates, self.score(query, &matrices(candidates))?, limit))
    }

    /// [`Reranker::rerank`], async, as [`Reranker::score_async`] is.
    ///
    /// # Errors
    /// The same.
    pub async fn rerank_async(
        &self,
        query: TokenMatrixRef<'_>,
        candidates: &[(u64, TokenMatrixRef<'_>)],
        limit: usize,
    ) -> Result<Ranking> {
        if self.uses_cpu() {
            return self.rerank_on_cpu(query, candidates, limit);
        }
        let scores = self.score_async(query, &matrices(candidates)).await?;
        Ok(ranked(candidates, scores, limit))
    }

    fn uses_cpu(&self) -> bool {
        self.execution().backend() == Backend::Cpu
    }

    /// Without scoring what can't be among the best.
    fn rerank_on_cpu(
        &self,
        query: TokenMatrixRef<'_>,
        candidates: &[(u64, TokenMatrixRef<'_>)],
        limit: usize,
    ) -> Result<Ranking> {
        let contenders = self.cpu.contenders(query, &matrices(candidates), limit)?;
        let scored =
            contenders.into_iter().map(|(at, score)| Scored { id: candidates[at].0, score });
        let execution = self.cpu_execution(self.cpu_reason());
        Ok(Ranking { hits: top_k(scored.collect(), limit), execution })
    }

    /// What the GPU scored; or, where it failed, what the CPU does.
    #[cfg(feature = "gpu")]
    fn or_cpu(
        &self,
        gpu: &GpuContext,
        scored: Result<Vec<f32>>,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Scores> {
        match scored {
            Ok(scores) => Ok(Scores { scores, execution: self.gpu_execution(gpu) }),
            Err(error) if error.is_the_callers() => Err(error),
            Err(error) => {
                let reason = self.note_failure(&error);
                self.score_on_cpu(query, documents, reason)
            }
        }
    }

    /// A lost device stays lost: no later request tries it.
    #[cfg(feature = "gpu")]
    pub(super) fn note_failure(&self, error: &Error) -> Arc<str> {
        log::warn!("the CPU answers, because the GPU failed: {error}");
        let reason: Arc<str> = format!("the GPU failed: {error}").into();
        if matches!(error, Error::DeviceLost { .. }) {
            // A request beside this one may have noted it already.
            drop(self.lost.set(Arc::clone(&reason)));
        }
        reason
    }

    fn score_on_cpu(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        reason: Arc<str>,
    ) -> Result<Scores> {
        let scores = self.cpu.score(query, documents)?;
        Ok(Scores { scores, execution: self.cpu_execution(reason) })
    }

    #[cfg(feature = "gpu")]
    pub(super) fn gpu_execution(&self, gpu: &GpuContext) -> Execution {
        let adapter = gpu.adapter().name.as_str().into();
        let processor = Processor::Gpu { adapter, variant: gpu.variant() };
        Execution { processor, reason: Arc::clone(&self.reason) }
    }

    pub(super) fn cpu_execution(&self, reason: Arc<str>) -> Execution {
        let instruction_set = self.cpu.instruction_set();
        Execution { processor: Processor::Cpu { instruction_set }, reason }
    }
}

/// The reason why no GPU was chosen, as a fact.
#[cfg(feature = "gpu")]
fn why_not(error: &Error) -> String {
    let Error::NoAdapter { wanted, available } = error else {
        return format!("auto: no GPU that works: {error}");
    };
    let wanted = wanted.strip_prefix("a ").unwrap_or(wanted);
    match available.as_slice() {
        [] => format!("auto: no {wanted} here"),
        available => format!("auto: no {wanted} here, only {}", available.join(", ")),
    }
}

fn matrices<'a>(candidates: &[(u64, TokenMatrixRef<'a>)]) -> Vec<TokenMatrixRef<'a>> {
    candidates.iter().map(|&(_, matrix)| matrix).collect()
}

fn ranked(candidates: &[(u64, TokenMatrixRef<'_>)], scores: Scores, limit: usize) -> Ranking {
    let scored = candidates.iter().zip(scores.scores);
    let scored = scored.map(|(&(id, _), score)| Scored { id, score }).collect();
    Ranking { hits: top_k(scored, limit), execution: scores.execution }
}
