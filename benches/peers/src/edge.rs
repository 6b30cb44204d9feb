//! Qdrant Edge: a collection with a dense vector and a multivector, prefetch and rerank.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use maxfold::maxsim::CpuMaxSim;
use maxfold::multivector::TokenMatrixRef;
use qdrant_edge::external::serde_json::json;
use qdrant_edge::{
    Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams, HnswIndexConfig,
    MultiVectorConfig, NamedQuery, PointId, PointInsertOperations, PointOperations, PointStruct,
    Prefetch, QueryEnum, QueryRequest, ScoredPoint, ScoringQuery, TypedMultiDenseVector,
    UpdateOperation, Vector, VectorInternal, VectorStorageDatatype, Vectors,
};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};

use crate::inputs::Inputs;
use crate::peer::Peer;
use crate::scorers::score_queries;

/// Candidates that the dense vector hands to the multivector.
const CANDIDATES: usize = 1_000;
/// Hits of a search.
const LIMIT: usize = 10;
const DENSE: &str = "dense";
const TOKENS: &str = "tokens";

/// How the collection stores token vectors.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Datatype {
    Float32,
    Float16,
}

impl From<Datatype> for VectorStorageDatatype {
    fn from(datatype: Datatype) -> Self {
        match datatype {
            Datatype::Float32 => Self::Float32,
            Datatype::Float16 => Self::Float16,
        }
    }
}

/// How Qdrant Edge's scores of the candidates stand to Maxfold's.
#[derive(Serialize)]
pub struct Comparison {
    points: usize,
    candidates: usize,
    segments: usize,
    indexed_vectors: usize,
    /// Whether both put the same candidates on top.
    same_top: bool,
    /// The largest difference of two scores, relative to the query's tokens.
    error: f64,
}

/// `edge prefetch`, `edge rerank` (prefetch and rerank) and `maxfold` (the same candidates).
pub fn peers(
    inputs: &'static Inputs,
    pool: &Arc<ThreadPool>,
    threads: usize,
    datatype: Datatype,
    folder: &Path,
) -> Result<(Vec<Peer>, Comparison)> {
    let shard = Arc::new(collection(inputs, threads, datatype, folder)?);
    let query = *inputs.each_wide_query().first().context("there is no query")?;
    let prefetch = dense_query(query, inputs.dim());

    let candidates = shard
        .query(QueryRequest { query: Some(prefetch.clone()), ..QueryRequest::new(CANDIDATES) })?;
    let documents = matrices(inputs, &candidates)?;
    let scorer = CpuMaxSim::new().with_pool(Arc::clone(pool));
    let queries = inputs.query_views();
    let ours = score_queries(&scorer, &queries, &documents)?;
    let all = shard.query(rerank(query, inputs.dim(), &prefetch, CANDIDATES))?;
    let comparison = compare(&shard, inputs, &candidates, &ours, &all)?;

    let alone = QueryRequest { query: Some(prefetch.clone()), ..QueryRequest::new(CANDIDATES) };
    let both = rerank(query, inputs.dim(), &prefetch, LIMIT);
    let peers = vec![
        Peer::new("edge prefetch", searching(&shard, alone)),
        Peer::new("edge rerank", searching(&shard, both)),
        Peer::new("maxfold", move || {
            let scores = score_queries(&scorer, &queries, &documents)?;
            Ok(top(&scores).into_iter().map(|at| scores[at]).collect())
        }),
    ];
    Ok((peers, comparison))
}

fn searching(
    shard: &Arc<EdgeShard>,
    request: QueryRequest,
) -> impl FnMut() -> Result<Vec<f32>> + 'static {
    let shard = Arc::clone(shard);
    move || Ok(shard.query(request.clone())?.iter().map(|hit| hit.score).collect())
}

/// A collection of all documents, as many segments as threads: each is searched by one thread.
fn collection(
    inputs: &Inputs,
    threads: usize,
    datatype: Datatype,
    folder: &Path,
) -> Result<EdgeShard> {
    let shard = EdgeShard::new(folder, config(inputs.dim(), threads, datatype))?;
    let documents = inputs.each_wide_document();
    let points: Vec<_> = documents.into_iter().enumerate().collect();
    for segment in points.chunks(points.len().div_ceil(threads)) {
        for batch in segment.chunks(500) {
            let points = batch.iter().map(|&(id, tokens)| point(id, tokens, inputs.dim()));
            let points = PointInsertOperations::PointsList(points.collect());
            shard.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(points)))?;
        }
        shard.optimize()?;
    }
    Ok(shard)
}

fn config(dim: usize, threads: usize, datatype: Datatype) -> EdgeConfig {
    // Indexed however small, so that recall is by HNSW; the multivector has no graph.
    let graph = HnswIndexConfig { full_scan_threshold: 10, ..HnswIndexConfig::default() };
    let no_graph = HnswIndexConfig { m: 0, ..graph };
    let dense = EdgeVectorParams::builder(dim, Distance::Dot).hnsw_config(graph).build();
    let tokens = EdgeVectorParams::builder(dim, Distance::Dot)
        .multivector_config(MultiVectorConfig::default())
        .datatype(datatype.into())
        .hnsw_config(no_graph)
        .build();
    let optimizers = EdgeOptimizersConfig {
        // And the one that takes new points.
        default_segment_number: Some(threads + 1),
        indexing_threshold: Some(1),
        max_segment_size: Some(100_000_000),
        ..EdgeOptimizersConfig::default()
    };
    EdgeConfig::builder()
        .vector(DENSE, dense)
        .vector(TOKENS, tokens)
        .optimizers(optimizers)
        .wal_enabled(false)
        .max_search_threads(threads)
        .build()
}

fn point(id: usize, tokens: &[f32], dim: usize) -> qdrant_edge::PointStructPersisted {
    let tokens_of = |values: &[f32]| {
        Vector(VectorInternal::MultiDense(TypedMultiDenseVector::new(values.to_vec(), dim)))
    };
    let vectors = [(DENSE, Vector::new_dense(mean(tokens, dim))), (TOKENS, tokens_of(tokens))];
    PointStruct::new(id as u64, Vectors::new_named(vectors), json!({})).into()
}

/// The tokens' mean at unit length: the dense vector that recall goes by.
fn mean(tokens: &[f32], dim: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; dim];
    for token in tokens.chunks_exact(dim) {
        sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    sum.iter().map(|value| value / length).collect()
}

fn dense_query(tokens: &[f32], dim: usize) -> ScoringQuery {
    let dense = VectorInternal::Dense(mean(tokens, dim));
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(dense, DENSE)))
}

fn rerank(tokens: &[f32], dim: usize, prefetch: &ScoringQuery, limit: usize) -> QueryRequest {
    let matrix = VectorInternal::MultiDense(TypedMultiDenseVector::new(tokens.to_vec(), dim));
    let prefetch = Prefetch { query: Some(prefetch.clone()), ..Prefetch::new(CANDIDATES) };
    QueryRequest {
        prefetches: vec![prefetch],
        query: Some(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(matrix, TOKENS)))),
        ..QueryRequest::new(limit)
    }
}

/// The candidates' token matrices, where Maxfold has them.
fn matrices(
    inputs: &'static Inputs,
    candidates: &[ScoredPoint],
) -> Result<Vec<TokenMatrixRef<'static>>> {
    let matrix = |point: &ScoredPoint| {
        inputs.documents.get(index(point)?).ok_or_else(|| anyhow!("no document {}", point.id))
    };
    candidates.iter().map(matrix).collect()
}

fn index(point: &ScoredPoint) -> Result<usize> {
    match point.id {
        PointId::NumId(id) => Ok(id as usize),
        PointId::Uuid(id) => Err(anyhow!("a point that was never added: {id}")),
    }
}

/// Positions of the highest scores, best first.
fn top(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<_> = (0..scores.len()).collect();
    let best_first = |&a: &usize, &b: &usize| scores[b].total_cmp(&scores[a]).then(a.cmp(&b));
    let limit = LIMIT.min(order.len());
    if limit < order.len() {
        order.select_nth_unstable_by(limit, best_first);
        order.truncate(limit);
    }
    order.sort_unstable_by(best_first);
    order
}

fn compare(
    shard: &EdgeShard,
    inputs: &Inputs,
    candidates: &[ScoredPoint],
    ours: &[f32],
    theirs: &[ScoredPoint],
) -> Result<Comparison> {
    ensure!(theirs.len() == candidates.len(), "{} of the candidates came back", theirs.len());
    let mut scores = vec![None; inputs.documents.len()];
    for (candidate, score) in candidates.iter().zip(ours) {
        scores[index(candidate)?] = Some(f64::from(*score));
    }
    let mut error = 0.0_f64;
    for hit in theirs {
        let ours = scores[index(hit)?].with_context(|| format!("{} was no candidate", hit.id))?;
        error = error.max((ours - f64::from(hit.score)).abs());
    }
    let our_top: Vec<_> = top(ours).into_iter().map(|at| candidates[at].id).collect();
    let their_top: Vec<_> = theirs.iter().take(LIMIT).map(|hit| hit.id).collect();
    let query_tokens = inputs.queries.offsets()[1] as f64;
    let info = shard.info()?;
    Ok(Comparison {
        points: inputs.documents.len(),
        candidates: candidates.len(),
        segments: info.segments_count,
        indexed_vectors: info.indexed_vectors_count,
        same_top: our_top == their_top,
        error: error / query_tokens,
    })
}
