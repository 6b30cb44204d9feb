//! [`Reranker`]: the choice, the call, the fall back to the CPU.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::backend::{Backend, Execution, Processor};
use super::options::RerankerOptions;
use super::request::{Ranking, Rankings, Request, Scores};
use crate::background::Cancellation;
#[cfg(all(feature = "gpu", feature = "collection"))]
use crate::gpu::{Certification, Scorer};
#[cfg(feature = "gpu")]
use crate::gpu::{GpuContext, Statistics, Stores};
use crate::maxsim::CpuMaxSim;
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::{Bounding, DocumentId, Matrices, Query, Ranked, Scored, Wanted};
use crate::trace::span;
use crate::{Error, Result};

/// Ranks candidates by MaxSim, on the GPU or the CPU.
///
/// A GPU that fails in the middle of a request makes it a slower request, answered by the CPU; its
/// [`Execution`] says so. A device that was lost is not tried again: make a new `Reranker` to look
/// for a GPU once more. Calls may be made from any number of threads.
///
/// ```
/// use maxfold::{Backend, Reranker, TokenMatrix};
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
/// let scores = Reranker::new(Backend::Auto)?.score(query.view(), &[document.view()])?;
/// assert_eq!(scores.scores, [0.5 - 1.0]);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Debug)]
pub struct Reranker {
    cpu: CpuMaxSim,
    #[cfg(feature = "gpu")]
    gpu: Option<GpuContext>,
    /// Reason for which the GPU is not used any more.
    lost: OnceLock<Arc<str>>,
    /// Reason for this backend, of requests where nothing failed.
    reason: Arc<str>,
}

impl Reranker {
    /// With the given backend and everything else left to Maxfold.
    ///
    /// # Errors
    /// [`Backend::Gpu`] and there is no GPU that works.
    pub fn new(backend: Backend) -> Result<Self> {
        Self::with_options(&RerankerOptions::new().backend(backend))
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

    /// Execution of the next request, if nothing fails.
    pub fn execution(&self) -> Execution {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            return self.gpu_execution(gpu);
        }
        self.cpu_execution(self.cpu_reason())
    }

    /// Reason for which requests go to the CPU, if they do.
    fn cpu_reason(&self) -> Arc<str> {
        Arc::clone(self.lost.get().unwrap_or(&self.reason))
    }

    /// The GPU, unless there is none or it was lost.
    #[cfg(feature = "gpu")]
    fn working_gpu(&self) -> Option<&GpuContext> {
        self.gpu.as_ref().filter(|_| self.lost.get().is_none())
    }

    /// The CPU scorer, if requests go to no GPU.
    #[cfg(feature = "collection")]
    pub(crate) fn cpu_alone(&self) -> Option<&CpuMaxSim> {
        #[cfg(feature = "gpu")]
        if self.working_gpu().is_some() {
            return None;
        }
        Some(&self.cpu)
    }

    /// Hits of each query, of which `score` scores those that bounds from int8 leave; `None` where all have to be scored: none
    /// are worth bounding, or there is no GPU, or it failed. And what became of each query's bounds.
    ///
    /// # Errors
    /// Queries or stores have different dimensions; what `score` says.
    #[cfg(all(feature = "gpu", feature = "collection"))]
    pub(crate) fn certify<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        stores: &Stores<'_, Id>,
        wanted: Wanted,
        score: &mut Scorer<'_, Id>,
    ) -> Result<Certification<Id>> {
        let nothing = (None, vec![Bounding::NotAsked; queries.len()]);
        let Some(gpu) = self.working_gpu() else { return Ok(nothing) };
        match gpu.certify(queries, stores, wanted, score) {
            Err(error) if error.is_of_the_gpu() => {
                self.note_failure(&error);
                Ok(nothing)
            }
            certified => certified,
        }
    }

    /// The GPU, if requests go to one.
    #[cfg(feature = "gpu")]
    pub fn gpu(&self) -> Option<&GpuContext> {
        self.gpu.as_ref()
    }

    /// Ranks each query's candidates.
    ///
    /// The CPU answers where the GPU fails. For that, and for candidates that are not resident,
    /// `matrices` of the request should know every candidate.
    ///
    /// # Errors
    /// Queries or documents have different dimensions; a candidate is nowhere; what `matrices` of the
    /// request says.
    pub fn rank<Id: DocumentId>(&self, request: &Request<'_, '_, Id>) -> Result<Rankings<Id>> {
        let candidates = request.queries.iter().map(|query| query.candidates.len());
        let (queries, candidates) = (request.queries.len(), candidates.sum::<usize>());
        let span = span!("rerank", queries = queries, candidates = candidates, backend, reason);
        let answer = self.rank_anywhere(request)?;
        if let Some(Ranking { execution, .. }) = answer.rankings.first() {
            span.record("backend", execution.backend());
            span.record("reason", &execution.reason);
        }
        Ok(answer)
    }

    fn rank_anywhere<Id: DocumentId>(&self, request: &Request<'_, '_, Id>) -> Result<Rankings<Id>> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.working_gpu() {
            return match rank_on_gpu(gpu, request) {
                Ok((ranked, statistics)) => {
                    Ok(rankings(ranked, &self.gpu_execution(gpu), Some(statistics)))
                }
                Err(error) if !error.is_of_the_gpu() => Err(error),
                Err(error) => self.rank_on_cpu(request, self.note_failure(&error)),
            };
        }
        self.rank_on_cpu(request, self.cpu_reason())
    }

    /// Ranks documents that are at hand, each an id and a token matrix: the best `limit`, in order.
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub fn rerank<Id: DocumentId>(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[(Id, TokenMatrixRef<'_>)],
        limit: usize,
    ) -> Result<Ranking<Id>> {
        // An id may be given twice, with different matrices.
        let candidates: Vec<(Id, usize)> =
            documents.iter().enumerate().map(|(at, &(id, _))| (id, at)).collect();
        let matrix = |(_, at): (Id, usize)| Ok(documents.get(at).map(|(_, matrix)| *matrix));
        let ranking = self.rank_one(query, &candidates, &matrix, Wanted::best(limit))?;
        let Ranking { hits, matches, execution, certified } = ranking;
        let hits = hits.into_iter().map(|hit| Scored { id: hit.id.0, score: hit.score }).collect();
        Ok(Ranking { hits, matches, execution, certified })
    }

    /// Scores documents; one score a document, in their order.
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub fn score(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Scores> {
        let candidates: Vec<usize> = (0..documents.len()).collect();
        let matrix = |at: usize| Ok(documents.get(at).copied());
        let Ranking { hits, execution, .. } =
            self.rank_one(query, &candidates, &matrix, Wanted::all())?;
        let mut scores = vec![0.0; documents.len()];
        hits.iter().for_each(|hit| scores[hit.id] = hit.score);
        Ok(Scores { scores, execution })
    }

    fn rank_one<Id: DocumentId>(
        &self,
        tokens: TokenMatrixRef<'_>,
        candidates: &[Id],
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> Result<Ranking<Id>> {
        let queries = [Query { tokens, candidates }];
        let mut answer = self.rank(&Request::new(&queries, matrices, wanted))?;
        // One query, one ranking.
        Ok(answer.rankings.swap_remove(0))
    }

    fn rank_on_cpu<Id: DocumentId>(
        &self,
        request: &Request<'_, '_, Id>,
        reason: Arc<str>,
    ) -> Result<Rankings<Id>> {
        let dim = request.queries.first().map_or(0, |query| query.tokens.dim());
        for (number, query) in request.queries.iter().enumerate() {
            check_dimension(|| format!("query {number}"), dim, query.tokens.dim())?;
        }
        let cancellation = Cancellation::current();
        let rank = |query| cancellation.clone().during(|| rank_query(&self.cpu, query, request));
        // The first error of several, whichever thread met one first. One query is the calling thread's.
        let ranked: Vec<Result<Ranked<Id>>> = match request.queries {
            [query] => vec![rank(query)],
            queries => self.cpu.in_pool(|| queries.par_iter().map(rank).collect()),
        };
        let ranked = ranked.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(rankings(
            ranked,
            &self.cpu_execution(reason),
            #[cfg(feature = "gpu")]
            None,
        ))
    }

    /// A lost device stays lost: no later request tries it.
    #[cfg(feature = "gpu")]
    fn note_failure(&self, error: &Error) -> Arc<str> {
        log::warn!("the CPU answers, because the GPU failed: {error}");
        let reason: Arc<str> = format!("the GPU failed: {error}").into();
        if matches!(error, Error::DeviceLost { .. }) {
            // A request beside this one may have noted it already.
            drop(self.lost.set(Arc::clone(&reason)));
        }
        reason
    }

    #[cfg(feature = "gpu")]
    fn gpu_execution(&self, gpu: &GpuContext) -> Execution {
        let adapter = gpu.adapter().name.as_str().into();
        let processor = Processor::Gpu { adapter, variant: gpu.variant() };
        Execution { processor, reason: Arc::clone(&self.reason) }
    }

    fn cpu_execution(&self, reason: Arc<str>) -> Execution {
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

fn rankings<Id>(
    ranked: Vec<Ranked<Id>>,
    execution: &Execution,
    #[cfg(feature = "gpu")] statistics: Option<Statistics>,
) -> Rankings<Id> {
    Rankings {
        rankings: ranked.into_iter().map(|ranked| Ranking::new(ranked, execution)).collect(),
        #[cfg(feature = "gpu")]
        statistics,
    }
}

#[cfg(feature = "gpu")]
fn rank_on_gpu<Id: DocumentId>(
    gpu: &GpuContext,
    request: &Request<'_, '_, Id>,
) -> Result<(Vec<Ranked<Id>>, Statistics)> {
    let Request { queries, matrices, wanted, store, quantized } = *request;
    let exact = store.filter(|store| store.is_of(gpu));
    let quantized = quantized.filter(|store| store.is_of(gpu));
    gpu.answer(queries, &Stores { exact, quantized }, matrices, wanted)
}

fn rank_query<Id: DocumentId>(
    cpu: &CpuMaxSim,
    query: &Query<'_, Id>,
    request: &Request<'_, '_, Id>,
) -> Result<Ranked<Id>> {
    let documents = matrices(query.candidates.iter(), request)?;
    let contenders = cpu.contenders(query.tokens, &documents, request.wanted.limit)?.into_iter();
    let scored = contenders.map(|(at, score)| Scored { id: query.candidates[at], score });
    let hits = request.wanted.hits_of(scored.collect());
    let matches = if request.wanted.matches {
        let documents = matrices(hits.iter().map(|hit| &hit.id), request)?;
        cpu.matches(query.tokens, &documents)?
    } else {
        Vec::new()
    };
    Ok(Ranked { hits, matches, bounding: Bounding::NotAsked })
}

/// The matrices of some documents.
fn matrices<'m, 'i, Id: DocumentId + 'i>(
    ids: impl Iterator<Item = &'i Id>,
    request: &Request<'_, 'm, Id>,
) -> Result<Vec<TokenMatrixRef<'m>>> {
    let missing = |id: &Id| Error::NotResident { id: format!("{id:?}") };
    ids.map(|id| (request.matrices)(*id)?.ok_or_else(|| missing(id))).collect()
}
