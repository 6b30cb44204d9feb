//! `peers certified`: the best 10 of all documents by MaxSim, from int8, in Maxfold's collection and in Qdrant Edge's with
//! scalar quantization; how long each takes, and how often its best 10 are not the exact ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use half::slice::HalfFloatSliceExt;
use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, VectorConfig};
use maxfold::recall::Distance;
use maxfold::search::Searcher;
use qdrant_edge::{
    EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams, HnswIndexConfig,
    MultiVectorConfig, PointInsertOperations, PointOperations, PointStruct, QuantizationConfig,
    TypedMultiDenseVector, UpdateOperation, Vector, VectorInternal, VectorStorageDatatype, Vectors,
};
use serde_json::{Value, json};

use crate::collection::{BATCH, Hit, TOKENS, ours, theirs};
use crate::edge_json;
use crate::inputs::Inputs;

/// Asks both for the best 10 of the documents of an embedded collection, exactly and from int8.
#[derive(clap::Args)]
pub struct Options {
    /// Folder with `docs.safetensors` and `queries.safetensors`.
    #[arg(long)]
    vectors: PathBuf,
    #[arg(long, default_value_t = 50)]
    queries: usize,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const LIMIT: usize = 10;

/// A way to ask, with all answers of one round and the seconds that each round took.
struct Way<'a> {
    name: &'static str,
    ask: Box<dyn Fn(usize) -> Result<Vec<Hit>> + 'a>,
    answers: Vec<Vec<Hit>>,
    seconds: Vec<f64>,
}

impl<'a> Way<'a> {
    fn new(name: &'static str, ask: impl Fn(usize) -> Result<Vec<Hit>> + 'a) -> Self {
        Self { name, ask: Box::new(ask), answers: Vec::new(), seconds: Vec::new() }
    }

    fn round(&mut self, queries: usize) -> Result<()> {
        let start = Instant::now();
        self.answers = (0..queries).map(|query| (self.ask)(query)).collect::<Result<_>>()?;
        self.seconds.push(start.elapsed().as_secs_f64() / queries as f64);
        Ok(())
    }

    /// Median, in milliseconds.
    fn milliseconds(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        1e3 * seconds[seconds.len() / 2]
    }

    /// How many answers are not those of the `exact` way, as sets, and how many points are missing from them.
    fn wrong(&self, exact: &[Vec<Hit>]) -> (usize, usize) {
        let ids = |hits: &[Hit]| hits.iter().map(|it| it.0).collect::<BTreeSet<_>>();
        let each = self.answers.iter().zip(exact).map(|(got, exact)| (ids(exact), ids(got)));
        let missing = each.map(|(exact, got)| exact.difference(&got).count());
        missing.fold((0, 0), |(answers, points), it| (answers + usize::from(it > 0), points + it))
    }
}

/// # Errors
/// An engine fails, or the files aren't there.
pub fn run(options: &Options) -> Result<()> {
    let file = |name: &str| options.vectors.join(format!("{name}.safetensors"));
    let inputs = Inputs::read(&file("docs"), &file("queries"))?;
    let queries = options.queries.min(inputs.queries.len());
    let folder = tempfile::tempdir()?;
    let folder = |name: &str| folder.path().join(name);
    let (half, int8) =
        (ours_of(inputs, false, &folder("half"))?, ours_of(inputs, true, &folder("int8"))?);
    let shard = edge(inputs, options.threads, &folder("edge"))?;
    let ours = |searcher: &'static Searcher| {
        let requests = requests(inputs, queries, json!({}), ours::request);
        requests.map(|it| move |query: usize| ours::ask(searcher, &it[query]))
    };
    let edge_with = |params: Value| {
        let (requests, shard) = (requests(inputs, queries, params, edge_json::request), &shard);
        requests.map(|it| move |query: usize| theirs::ask(shard, &it[query]))
    };
    let rescored = |factor: f64| json!({"quantization": {"rescore": true, "oversampling": factor}});
    let mut ways = [
        Way::new("Maxfold, float16", ours(half)?),
        Way::new("Maxfold, int8", ours(int8)?),
        Way::new("Edge, float16", edge_with(json!({"quantization": {"ignore": true}}))?),
        Way::new("Edge, int8", edge_with(json!({"quantization": {"rescore": false}}))?),
        Way::new("Edge, int8, rescored", edge_with(rescored(1.0))?),
        Way::new("Edge, int8, oversampling 2", edge_with(rescored(2.0))?),
        Way::new("Edge, int8, oversampling 4", edge_with(rescored(4.0))?),
    ];
    for _ in 0..options.rounds {
        ways.iter_mut().try_for_each(|way| way.round(queries))?;
    }
    let exact = ways[0].answers.clone();
    println!(
        "{} documents, {queries} queries, {} threads",
        inputs.documents.len(),
        options.threads
    );
    for way in &ways {
        let (milliseconds, (answers, points)) = (way.milliseconds(), way.wrong(&exact));
        println!("| {} | {milliseconds:.2} ms | {answers} | {points} |", way.name);
    }
    Ok(())
}

fn requests<R>(
    inputs: &Inputs,
    queries: usize,
    params: Value,
    read: fn(&Value) -> Result<R>,
) -> Result<Vec<R>> {
    let rows = |values: &[f32]| json!(values.chunks(inputs.dim()).collect::<Vec<_>>());
    let body = |values: &&[f32]| {
        let mut body = json!({"query": rows(values), "using": TOKENS, "limit": LIMIT});
        if params.as_object().is_some_and(|it| !it.is_empty()) {
            body["params"] = params.clone();
        }
        body
    };
    inputs.each_wide_query().iter().take(queries).map(|it| read(&body(it))).collect()
}

/// Maxfold's collection, which lives as long as the process.
fn ours_of(inputs: &Inputs, int8: bool, folder: &Path) -> Result<&'static Searcher> {
    let config = VectorConfig::multi(inputs.dim(), Distance::Dot).datatype(Datatype::Float16);
    let config = if int8 { config.int8() } else { config };
    let collection = Collection::create(folder, CollectionConfig::new().vector(TOKENS, config))?;
    let points: Vec<_> = inputs.document_views().into_iter().enumerate().collect();
    for batch in points.chunks(BATCH) {
        let point = |&(id, matrix): &(usize, _)| {
            let tokens = maxfold::collection::Vector::from(matrix);
            Point::new(id as u64).vector(TOKENS, tokens)
        };
        collection.upsert(batch.iter().map(point).collect())?;
    }
    Ok(Box::leak(Box::new(ours::searcher(collection)?)))
}

/// Qdrant Edge's collection, a segment for each thread.
fn edge(inputs: &Inputs, threads: usize, folder: &Path) -> Result<EdgeShard> {
    let shard = EdgeShard::new(folder, edge_config(inputs.dim(), threads)?)?;
    let points: Vec<_> = inputs.document_views().into_iter().enumerate().collect();
    for segment in points.chunks(points.len().div_ceil(threads)) {
        for batch in segment.chunks(BATCH) {
            let point = |&(id, matrix): &(usize, maxfold::multivector::TokenMatrixRef<'_>)| {
                let tokens = TypedMultiDenseVector::new(matrix.values().to_f32_vec(), inputs.dim());
                let tokens = Vector(VectorInternal::MultiDense(tokens));
                PointStruct::new(id as u64, Vectors::new_named([(TOKENS, tokens)]), json!({}))
                    .into()
            };
            let batch = PointInsertOperations::PointsList(batch.iter().map(point).collect());
            let batch = PointOperations::UpsertPoints(batch);
            shard.update(UpdateOperation::PointOperation(batch))?;
        }
        shard.optimize()?;
    }
    shard.flush()?;
    let segments = shard.info()?.segments_count;
    ensure!(segments == threads + 1, "expected {} segments, got {segments}", threads + 1);
    Ok(shard)
}

fn edge_config(dim: usize, threads: usize) -> Result<EdgeConfig> {
    let scalar = json!({"scalar": {"type": "int8", "always_ram": true}});
    let quantization = serde_json::from_value::<QuantizationConfig>(scalar)?;
    let tokens = EdgeVectorParams::builder(dim, qdrant_edge::Distance::Dot)
        .multivector_config(MultiVectorConfig::default())
        .datatype(VectorStorageDatatype::Float16)
        .hnsw_config(HnswIndexConfig { m: 0, ..HnswIndexConfig::default() })
        .quantization_config(quantization);
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(threads + 1),
        indexing_threshold: Some(1),
        max_segment_size: Some(100_000_000),
        ..EdgeOptimizersConfig::default()
    };
    Ok(EdgeConfig::builder()
        .vector(TOKENS, tokens.build())
        .optimizers(optimizers)
        .wal_enabled(false)
        .max_search_threads(threads)
        .build())
}
