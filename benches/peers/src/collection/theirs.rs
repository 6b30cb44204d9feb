//! Qdrant Edge's side, token vectors in float16.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use qdrant_edge::external::serde_json::json;
use qdrant_edge::{
    Distance, EdgeConfig, EdgeConfigBuilder, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams,
    HnswIndexConfig, MultiVectorConfig, PointId, PointInsertOperations, PointOperations,
    PointStruct, PointStructPersisted, QueryRequest, TypedMultiDenseVector, UpdateOperation,
    Vector, VectorInternal, VectorStorageDatatype, Vectors,
};

use super::points::{Points, Shape};
use super::{BATCH, DENSE, EF_CONSTRUCT, Hit, Ingested, M, TOKENS};

/// Writes all points, and optimises them: a segment for each thread, as one is searched by one.
pub fn ingest(points: &Points, threads: usize, folder: &Path) -> Result<(EdgeShard, Ingested)> {
    let shard = EdgeShard::new(folder, config(&points.shape, threads).build())?;
    let mut ingested = Ingested::default();
    let numbers: Vec<usize> = (0..points.shape.points).collect();
    for segment in numbers.chunks(numbers.len().div_ceil(threads)) {
        for batch in segment.chunks(BATCH) {
            let batch = batch.iter().map(|&it| point(points, it)).collect();
            let batch = PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch));
            let start = Instant::now();
            shard.update(UpdateOperation::PointOperation(batch))?;
            ingested.upsert += start.elapsed().as_secs_f64();
        }
        let start = Instant::now();
        shard.optimize()?;
        ingested.index += start.elapsed().as_secs_f64();
    }
    let start = Instant::now();
    shard.flush()?;
    ingested.save = start.elapsed().as_secs_f64();
    let info = shard.info()?;
    let segments = info.segments_count;
    // And the one that takes new points.
    ensure!(segments == threads + 1, "expected {} segments, got {segments}", threads + 1);
    Ok((shard, ingested))
}

/// Both vectors, the tokens in float16.
pub fn config(shape: &Shape, threads: usize) -> EdgeConfigBuilder {
    // Indexed however small, so that recall is by HNSW; the multivector has no graph.
    let graph = HnswIndexConfig {
        m: M,
        ef_construct: EF_CONSTRUCT,
        full_scan_threshold: 10,
        ..HnswIndexConfig::default()
    };
    let no_graph = HnswIndexConfig { m: 0, ..graph };
    let dense = EdgeVectorParams::builder(shape.dense, Distance::Cosine).hnsw_config(graph);
    let tokens = EdgeVectorParams::builder(shape.dim, Distance::Cosine)
        .multivector_config(MultiVectorConfig::default())
        .datatype(VectorStorageDatatype::Float16)
        .hnsw_config(no_graph);
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(threads + 1),
        indexing_threshold: Some(1),
        max_segment_size: Some(100_000_000),
        ..EdgeOptimizersConfig::default()
    };
    EdgeConfig::builder()
        .vector(DENSE, dense.build())
        .vector(TOKENS, tokens.build())
        .optimizers(optimizers)
        .wal_enabled(false)
        .max_search_threads(threads)
}

fn point(points: &Points, number: usize) -> PointStructPersisted {
    let vectors = Vectors::new_named(vectors(points, number));
    PointStruct::new(number as u64, vectors, json!({})).into()
}

pub fn vectors(points: &Points, number: usize) -> [(&'static str, Vector); 2] {
    let tokens = TypedMultiDenseVector::new(points.tokens(number), points.shape.dim);
    let tokens = Vector(VectorInternal::MultiDense(tokens));
    [(DENSE, Vector::new_dense(points.dense(number))), (TOKENS, tokens)]
}

pub fn ask(shard: &EdgeShard, request: &QueryRequest) -> Result<Vec<Hit>> {
    let hits = shard.query(request.clone())?;
    let hit = |it: &qdrant_edge::ScoredPoint| match it.id {
        PointId::NumId(id) => Ok((id, it.score)),
        PointId::Uuid(id) => Err(anyhow!("a point that was never added: {id}")),
    };
    hits.iter().map(hit).collect()
}
