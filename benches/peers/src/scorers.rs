//! Maxfold, lateweave and NumKong, each through its public API.
//!
//! What an API wants once a collection (a layout of its own) is made here, before anything is timed;
//! what it wants once a query is in the call.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use lateweave::maxsim_scores;
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::multivector::TokenMatrixRef;
use numkong::{MaxSim, MaxSimPackedMatrix, Tensor};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::inputs::Inputs;
use crate::peer::{Call, Peer};

/// Maxfold with each instruction set, as `maxfold` the one it chooses itself, and the peers;
/// of these only those in `only`, unless that is empty.
pub fn peers(
    inputs: &'static Inputs,
    pool: &Arc<ThreadPool>,
    only: &[String],
) -> Result<Vec<Peer>> {
    let mut peers = maxfold(inputs, pool);
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    if wanted("lateweave") {
        peers.push(lateweave(inputs, pool)?);
    }
    if wanted("numkong") {
        peers.push(numkong(inputs, pool)?);
    }
    Ok(peers)
}

fn maxfold(inputs: &'static Inputs, pool: &Arc<ThreadPool>) -> Vec<Peer> {
    let scorer = CpuMaxSim::new().with_pool(Arc::clone(pool));
    let documents = Arc::new(inputs.document_views());
    let peer = |name: String, scorer: CpuMaxSim| {
        let (queries, documents) = (inputs.query_views(), Arc::clone(&documents));
        Peer::new(name, move || score_queries(&scorer, &queries, &documents))
    };
    let sets = InstructionSet::available().into_iter();
    let each =
        sets.map(|set| peer(format!("maxfold {set}"), scorer.clone().with_instruction_set(set)));
    each.collect()
}

/// Every query over the same documents, in one call.
pub fn score_queries(
    scorer: &CpuMaxSim,
    queries: &[TokenMatrixRef<'_>],
    documents: &[TokenMatrixRef<'_>],
) -> Result<Vec<f32>> {
    Ok(scorer.score_batch(queries, documents)?.concat())
}

/// lateweave's kernel. It divides documents into batches of a number of tokens; its own number, and
/// some whose similarities fit smaller caches, are tried.
fn lateweave(inputs: &'static Inputs, pool: &Arc<ThreadPool>) -> Result<Peer> {
    let lengths = inputs.documents.iter().map(|document| document.tokens());
    let lengths: Arc<[usize]> = lengths.collect();
    let variant = |batch: Option<usize>| -> (String, Call) {
        let name = batch.map_or("its own batches".into(), |batch| format!("batches of {batch}"));
        let (pool, lengths, queries) =
            (Arc::clone(pool), Arc::clone(&lengths), inputs.each_wide_query());
        let call = move || {
            let mut scores = Vec::with_capacity(queries.len() * lengths.len());
            for query in &queries {
                let documents = &inputs.wide_documents;
                let score = || maxsim_scores(query, documents, &lengths, inputs.dim(), batch, None);
                scores.extend(pool.install(score)?);
            }
            Ok(scores)
        };
        (name, Box::new(call))
    };
    let batches = [None, Some(256), Some(1_024), Some(4_096)];
    Peer::fastest("lateweave", batches.into_iter().map(variant).collect())
}

/// NumKong scores one packed document at a time; documents are divided among the pool's threads.
fn numkong(inputs: &'static Inputs, pool: &Arc<ThreadPool>) -> Result<Peer> {
    let narrow = |matrix: TokenMatrixRef<'_>| -> Vec<numkong::f16> {
        matrix.values().iter().map(|value| numkong::f16(value.to_bits())).collect()
    };
    let (queries, documents) = (inputs.queries.iter(), inputs.documents.iter());
    let in_half = (queries.map(narrow).collect(), documents.map(narrow).collect());
    let owned = |each: Vec<&[f32]>| each.into_iter().map(<[f32]>::to_vec).collect();
    let in_single = (owned(inputs.each_wide_query()), owned(inputs.each_wide_document()));
    let variants = vec![
        ("f16".into(), numkong_call(in_half, inputs.dim(), pool)?),
        ("f32".into(), numkong_call(in_single, inputs.dim(), pool)?),
    ];
    Peer::fastest("numkong", variants)
}

type Matrices<T> = (Vec<Vec<T>>, Vec<Vec<T>>);

fn numkong_call<T>(
    (queries, documents): Matrices<T>,
    dim: usize,
    pool: &Arc<ThreadPool>,
) -> Result<Call>
where
    T: MaxSim + Send + Sync + 'static,
    T::Score: Into<f64>,
{
    let packed: Vec<_> = documents.iter().map(|one| pack(one, dim)).collect::<Result<_>>()?;
    let pool = Arc::clone(pool);
    Ok(Box::new(move || {
        let mut scores = Vec::with_capacity(queries.len() * packed.len());
        for query in &queries {
            let (tokens, query) = ((query.len() / dim) as f64, pack(query, dim)?);
            let score = |document: &MaxSimPackedMatrix<T>| {
                let distance = query.try_score(document).map_err(numkong_error)?;
                // It sums 1 − cosine; for unit vectors this is MaxSim again.
                Ok((tokens - distance.into()) as f32)
            };
            let of_query: Result<Vec<_>> = pool.install(|| packed.par_iter().map(score).collect());
            scores.extend(of_query?);
        }
        Ok(scores)
    }))
}

fn pack<T: MaxSim>(values: &[T], dim: usize) -> Result<MaxSimPackedMatrix<T>> {
    let tensor: Tensor<T> =
        Tensor::try_from_slice(values, &[values.len() / dim, dim]).map_err(numkong_error)?;
    MaxSimPackedMatrix::try_pack(&tensor.view()).map_err(numkong_error)
}

fn numkong_error(error: numkong::TensorError) -> anyhow::Error {
    anyhow!("NumKong: {error:?}")
}

/// The OpenBLAS that lateweave is linked with, and the kernels that it chose.
pub fn openblas() -> String {
    unsafe extern "C" {
        fn openblas_get_config() -> *const c_char;
        fn openblas_get_corename() -> *const c_char;
    }
    // SAFETY: both return a string that lives as long as the library.
    let text = |pointer| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned();
    // SAFETY: functions without arguments, linked through lateweave.
    let (config, core) = unsafe { (text(openblas_get_config()), text(openblas_get_corename())) };
    let version = config.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    format!("{version}, {core} kernels")
}
