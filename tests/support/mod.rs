//! What the tests share: inputs, the bound on scores, and every backend of this machine.

#![allow(dead_code)]

use std::io::Write;

use half::f16;
#[cfg(feature = "gpu")]
use maxfold::gpu::{GpuContext, ResidentStore, Statistics};
use maxfold::maxsim::{CpuMaxSim, InstructionSet, reference};
use maxfold::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
#[cfg(feature = "gpu")]
use maxfold::rerank::{Backend, DocumentId, Matrices, Query, Ranking, Request, Reranker, Wanted};
use rand::prelude::*;
use rayon::prelude::*;

/// How far a score may be from the f64 reference over the same f16 inputs, relative to
/// Σ over query tokens of the largest |q|·|d|: the one place that says so.
///
/// Every backend multiplies f16 values exactly in f32 and adds in f32, in an order of its own; so
/// scores differ by rounding alone. A chain of n additions in f32 has an error of about √n·2⁻²⁴ of
/// Σ|product| ≤ |q|·|d| where rounding errors are independent (Higham & Mary 2019, "A new approach to
/// probabilistic rounding error analysis"), and of up to n·2⁻²⁵ where they are not: equal numbers are
/// all rounded the same way. So no backend adds more than 256 numbers in one chain: 256·2⁻²⁵ is
/// 7.6e-6, and chains of chains add little. Accumulating in f16 would cost 5e-4 at the least.
/// It does not hold for values that f16 can only keep as subnormals (below 6.1e-5) on a device that
/// flushes those to zero, as WGSL allows; `gpu/probe.rs` says why such a device is used all the same.
pub const RELATIVE_BOUND: f64 = 1e-5;

/// Asserts that scores are within [`RELATIVE_BOUND`] of the reference.
pub fn assert_scores(
    name: &str,
    query: TokenMatrixRef<'_>,
    documents: &[TokenMatrixRef<'_>],
    got: &[f32],
) {
    assert_eq!(got.len(), documents.len(), "{name}: one score a document");
    documents.par_iter().zip(got).enumerate().for_each(|(at, (document, got))| {
        let expected = reference::score(query, *document);
        let bound = RELATIVE_BOUND * scale(query, *document);
        let error = (f64::from(*got) - expected).abs();
        let shape = format!("{}×{}×{}", query.tokens(), document.tokens(), query.dim());
        assert!(
            error <= bound,
            "{name}: document {at} ({shape}): {got}, reference {expected}, off by {error:e}, allowed {bound:e}"
        );
    });
}

/// Σ over query tokens of the largest |q|·|d|.
fn scale(query: TokenMatrixRef<'_>, document: TokenMatrixRef<'_>) -> f64 {
    let norm = |row: &[f16]| row.iter().map(|x| x.to_f64().powi(2)).sum::<f64>().sqrt();
    let longest = document.rows().map(norm).fold(0.0, f64::max);
    query.rows().map(norm).sum::<f64>() * longest
}

/// What random matrices hold.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// Unit vectors in random directions.
    Unit,
    /// Values from −100 to 100.
    Large,
    /// One number everywhere: rounding errors that all have one sign.
    Constant,
    /// Values from 0 to 1 in queries and from −1 to 0 in documents: no similarity is positive.
    Opposed,
}

impl Values {
    pub const ALL: [Self; 4] = [Self::Unit, Self::Large, Self::Constant, Self::Opposed];

    pub fn query(self, rng: &mut StdRng, tokens: usize, dim: usize) -> TokenMatrix {
        self.matrix(rng, tokens, dim, 1.0)
    }

    pub fn document(self, rng: &mut StdRng, tokens: usize, dim: usize) -> TokenMatrix {
        self.matrix(rng, tokens, dim, -1.0)
    }

    /// Documents of these numbers of tokens.
    pub fn documents(self, rng: &mut StdRng, tokens: &[usize], dim: usize) -> MultiVectors {
        let mut documents = MultiVectors::empty(dim).unwrap();
        for &tokens in tokens {
            documents.push(self.document(rng, tokens, dim).view()).unwrap();
        }
        documents
    }

    fn matrix(self, rng: &mut StdRng, tokens: usize, dim: usize, sign: f32) -> TokenMatrix {
        let mut draw = |low: f32, high: f32| -> Vec<f32> {
            (0..tokens * dim).map(|_| rng.random_range(low..high)).collect()
        };
        match self {
            Self::Unit => TokenMatrix::normalized(&draw(-1.0, 1.0), dim),
            Self::Large => TokenMatrix::new(&draw(-100.0, 100.0), dim),
            Self::Constant => {
                let constant = draw(1.0, 2.0)[0];
                TokenMatrix::new(&vec![constant; tokens * dim], dim)
            }
            Self::Opposed => {
                let values: Vec<f32> = draw(0.01, 1.0).iter().map(|x| x * sign).collect();
                TokenMatrix::new(&values, dim)
            }
        }
        .unwrap()
    }
}

/// Something that scores.
pub struct Scorer {
    pub name: String,
    engine: Engine,
}

enum Engine {
    Cpu(CpuMaxSim),
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuContext>),
}

impl Scorer {
    pub fn score(&self, query: TokenMatrixRef<'_>, documents: &[TokenMatrixRef<'_>]) -> Vec<f32> {
        match &self.engine {
            Engine::Cpu(cpu) => cpu.score(query, documents).unwrap(),
            #[cfg(feature = "gpu")]
            Engine::Gpu(gpu) => gpu.score(query, documents),
        }
    }
}

/// Requests that a GPU has to answer itself.
#[cfg(feature = "gpu")]
pub trait OnGpu {
    fn score(&self, query: TokenMatrixRef<'_>, documents: &[TokenMatrixRef<'_>]) -> Vec<f32>;

    fn rank<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> maxfold::Result<Answer<Id>>;
}

/// What a GPU answered.
#[cfg(feature = "gpu")]
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<Id> {
    pub rankings: Vec<Ranking<Id>>,
    pub statistics: Statistics,
}

#[cfg(feature = "gpu")]
impl OnGpu for GpuContext {
    fn score(&self, query: TokenMatrixRef<'_>, documents: &[TokenMatrixRef<'_>]) -> Vec<f32> {
        let scored = Reranker::on_gpu(self.clone()).score(query, documents).unwrap();
        assert_eq!(scored.execution.backend(), Backend::Gpu, "{}", scored.execution);
        scored.scores
    }

    fn rank<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> maxfold::Result<Answer<Id>> {
        let request = Request::new(queries, matrices, wanted);
        let request = store.into_iter().fold(request, Request::with_store);
        let answer = Reranker::on_gpu(self.clone()).rank(&request)?;
        let statistics = answer.statistics.expect("a GPU answered, not the CPU");
        Ok(Answer { rankings: answer.rankings, statistics })
    }
}

/// The CPU with every instruction set, and the GPU with every shader variant.
pub fn scorers() -> Vec<Scorer> {
    let mut scorers = cpu_scorers();
    scorers.extend(gpu_scorers());
    scorers
}

/// Scores with each scorer, and checks every score.
pub fn check_every(scorers: &[Scorer], query: &TokenMatrix, documents: &[TokenMatrixRef<'_>]) {
    for scorer in scorers {
        let scores = scorer.score(query.view(), documents);
        assert_scores(&scorer.name, query.view(), documents, &scores);
    }
}

/// Instruction sets that any machine worth testing on has. AVX-512 is tested where it is there.
const EXPECTED_SETS: &[&str] = if cfg!(target_arch = "x86_64") { &["avx2"] } else { &[] };

pub fn cpu_scorers() -> Vec<Scorer> {
    let available = InstructionSet::available();
    for native in EXPECTED_SETS {
        if !available.iter().any(|set| set.name() == *native) {
            missing(&format!("instruction set {native}"), "this machine does not have it");
        }
    }
    let scorer = |set: InstructionSet| Scorer {
        name: set.to_string(),
        engine: Engine::Cpu(CpuMaxSim::new().with_instruction_set(set)),
    };
    available.into_iter().map(scorer).collect()
}

#[cfg(not(feature = "gpu"))]
pub fn gpu_scorers() -> Vec<Scorer> {
    missing("the GPU", "built without the feature `gpu`");
    Vec::new()
}

#[cfg(feature = "gpu")]
pub fn gpu_scorers() -> Vec<Scorer> {
    gpu_scorers_with(maxfold::gpu::GpuOptions::default())
}

/// The first adapter, once with each shader variant.
#[cfg(feature = "gpu")]
pub fn gpu_contexts(options: maxfold::gpu::GpuOptions) -> Vec<maxfold::gpu::GpuContext> {
    let contexts = maxfold::gpu::ShaderVariant::ALL.into_iter().filter_map(|variant| {
        let options = options.clone().variant(variant);
        let context = if required(variant) { gpu_context(options) } else { gpu_if_there(options) }?;
        assert_eq!(context.variant(), variant, "a forced variant is the one that runs");
        Some(context)
    });
    contexts.collect()
}

/// Every variant of the first adapter.
#[cfg(feature = "gpu")]
pub fn gpu_scorers_with(options: maxfold::gpu::GpuOptions) -> Vec<Scorer> {
    let scorer = |context: maxfold::gpu::GpuContext| Scorer {
        name: format!("{} on {}", context.variant(), context.adapter()),
        engine: Engine::Gpu(Box::new(context)),
    };
    gpu_contexts(options).into_iter().map(scorer).collect()
}

/// Whether every machine worth testing on has a variant. Those for matrix units are named by
/// MAXFOLD_REQUIRE_VARIANTS, with commas between them, where the driver has such units.
#[cfg(feature = "gpu")]
fn required(variant: maxfold::gpu::ShaderVariant) -> bool {
    let named = std::env::var("MAXFOLD_REQUIRE_VARIANTS").unwrap_or_default();
    !variant.has_matrices() || named.split(',').any(|name| name == variant.to_string())
}

/// A context, or `None`, said aloud, where the adapter has no such variant.
#[cfg(feature = "gpu")]
fn gpu_if_there(options: maxfold::gpu::GpuOptions) -> Option<maxfold::gpu::GpuContext> {
    use maxfold::Error;
    match maxfold::gpu::GpuContext::with_options(&options) {
        Err(error @ Error::VariantUnsupported { .. }) => {
            skipped("a GPU variant", &error.to_string());
            None
        }
        _ => gpu_context(options),
    }
}

/// A context, or `None`, said aloud, where this machine has no such GPU. A variant that the probe refuses
/// fails `every_variant_of_the_adapter_is_right`, and no other test.
#[cfg(feature = "gpu")]
pub fn gpu_context(options: maxfold::gpu::GpuOptions) -> Option<maxfold::gpu::GpuContext> {
    use maxfold::Error;
    match maxfold::gpu::GpuContext::with_options(&options) {
        Ok(context) => Some(context),
        Err(error @ (Error::NoAdapter { .. } | Error::VariantUnsupported { .. })) => {
            missing("a GPU variant", &error.to_string());
            None
        }
        Err(error @ Error::ProbeFailed { .. }) => {
            skipped("a GPU variant", &error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The reason why tests that need a GPU can't be run here. Where one is required there is none: they run, and
/// fail.
#[cfg(feature = "gpu")]
pub fn why_no_gpu() -> Option<String> {
    let required = std::env::var_os("MAXFOLD_REQUIRE_BACKENDS").is_some();
    match maxfold::gpu::GpuContext::new() {
        Err(error @ maxfold::Error::NoAdapter { .. }) if !required => Some(error.to_string()),
        _ => None,
    }
}

/// Says that a backend is skipped; fails if `MAXFOLD_REQUIRE_BACKENDS` is set, as it is in CI.
///
/// Written to stderr itself, because the test harness hides what passing tests print.
fn missing(what: &str, why: &str) {
    assert!(
        std::env::var_os("MAXFOLD_REQUIRE_BACKENDS").is_none(),
        "{what} is required, but missing: {why}"
    );
    skipped(what, why);
}

fn skipped(what: &str, why: &str) {
    // Once is enough.
    static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let line = format!("skipped: {what}: {why}\n");
    let mut said = SAID.lock().unwrap();
    if !said.contains(&line) {
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        said.push(line);
    }
}

/// A store with every document, by its position.
#[cfg(feature = "gpu")]
pub fn filled(
    gpu: &maxfold::gpu::GpuContext,
    documents: &MultiVectors,
) -> maxfold::gpu::ResidentStore {
    let store = maxfold::gpu::ResidentStore::new(gpu, documents.dim()).unwrap();
    let named: Vec<_> = (0..).zip(documents.iter()).collect();
    store.load(&named, |_| {}).unwrap();
    store
}

/// Every position.
pub fn ids(documents: &MultiVectors) -> Vec<u64> {
    (0..documents.len() as u64).collect()
}

/// Documents by position.
pub fn from<'a>(
    documents: &'a MultiVectors,
) -> impl Fn(u64) -> maxfold::Result<Option<TokenMatrixRef<'a>>> + Sync {
    move |id| Ok(documents.get(id as usize))
}
