//! Maxfold's side: a collection and its searcher, on the CPU.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, Vector, VectorConfig};
use maxfold::filter::PointId;
use maxfold::recall::{Distance, HnswParams};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{QueryRequest, Searcher, SearcherOptions};
use serde_json::Value;

use super::points::{Points, Shape};
use super::{BATCH, DENSE, EF_CONSTRUCT, Hit, Ingested, M, TOKENS};

/// Writes all points, and makes them ready to be searched with the graph, also after the next open.
pub fn ingest(points: &Points, folder: &Path) -> Result<(Searcher, Ingested)> {
    let collection = Collection::create(folder, config(&points.shape))?;
    let mut ingested = Ingested::default();
    let numbers: Vec<usize> = (0..points.shape.points).collect();
    for batch in numbers.chunks(BATCH) {
        let batch: Vec<Point> = batch.iter().map(|&it| point(points, it)).collect();
        let start = Instant::now();
        collection.upsert(batch)?;
        ingested.upsert += start.elapsed().as_secs_f64();
    }
    let start = Instant::now();
    let searcher = searcher(collection)?;
    ingested.index = start.elapsed().as_secs_f64();
    let start = Instant::now();
    searcher.flush()?;
    ingested.save = start.elapsed().as_secs_f64();
    Ok((searcher, ingested))
}

/// Both vectors, the tokens in float16.
pub fn config(shape: &Shape) -> CollectionConfig {
    let graph = HnswParams::new().m(M).ef_construct(EF_CONSTRUCT);
    let dense = VectorConfig::dense(shape.dense, Distance::Cosine).hnsw(Some(graph));
    let tokens = VectorConfig::multi(shape.dim, Distance::Cosine).datatype(Datatype::Float16);
    CollectionConfig::new().vector(DENSE, dense).vector(TOKENS, tokens)
}

pub fn point(points: &Points, number: usize) -> Point {
    let tokens = Vector::Multi { values: points.tokens(number), dim: points.shape.dim };
    Point::new(number as u64).vector(DENSE, points.dense(number).to_vec()).vector(TOKENS, tokens)
}

pub fn searcher(collection: Collection) -> Result<Searcher> {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu)?);
    Ok(Searcher::with_options(collection, options)?)
}

/// How long it takes to open a collection until it answers with the graph: from its snapshot, or
/// building it.
pub fn open(folder: &Path, rebuild: bool) -> Result<f64> {
    let graph = |name: &str| name.starts_with("graph-");
    let mut graphs = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(graph) {
            graphs += 1;
            if rebuild {
                fs::remove_file(entry.path())?;
            }
        }
    }
    ensure!(graphs > 0, "expected a snapshot of the graph in {}", folder.display());
    let start = Instant::now();
    let searcher = searcher(Collection::open(folder)?)?;
    let seconds = start.elapsed().as_secs_f64();
    searcher.close()?;
    Ok(seconds)
}

pub fn request(body: &Value) -> Result<QueryRequest> {
    Ok(body.to_string().parse()?)
}

pub fn ask(searcher: &Searcher, request: &QueryRequest) -> Result<Vec<Hit>> {
    let response = searcher.query(request)?;
    let hit = |it: &maxfold::search::ScoredPoint| match it.id {
        PointId::Number(id) => Some((id, it.score)),
        PointId::Uuid(_) => None,
    };
    response.points.iter().map(|it| hit(it).context("a point that was never added")).collect()
}

/// How the dense vectors were searched: a walk or a scan, and why.
pub fn plan(searcher: &Searcher, request: &QueryRequest) -> Result<String> {
    Ok(searcher.query(request)?.plan.query.method.to_string())
}
