//! `peers flow`: dense and sparse prefetched with filters of their own, fused by reciprocal ranks, the best reranked
//! by MaxSim, with payload; in one request, to Maxfold's collection and to Qdrant Edge's.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use maxfold::collection::{Collection, PayloadIndex, SparseConfig};
use maxfold::filter::IndexKind;
use maxfold::search::{QueryRequest, Searcher};
use qdrant_edge::{
    EdgeShard, EdgeSparseVectorParamsBuilder, PointInsertOperations, PointOperations, PointStruct,
    UpdateOperation, Vectors,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::agree::engines::index;
use crate::collection::points::Points;
use crate::collection::{BATCH, DENSE, Hit, Shape, TOKENS, ours, theirs};
use crate::edge_json;

/// Asks Maxfold and Qdrant Edge for the same, compares the answers, and times them in turn.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 10_000)]
    points: usize,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[arg(long, default_value_t = 101)]
    rounds: usize,
}

const WORDS: &str = "words";
/// Different terms, of which a point and a query have so many.
const TERMS: u32 = 30_000;
const TERMS_OF_POINT: usize = 40;
const TERMS_OF_QUERY: usize = 10;
const QUERIES: usize = 8;

/// # Errors
/// An engine fails, or refuses the request.
pub fn run(options: &Options) -> Result<()> {
    let shape = Shape {
        points: options.points,
        dense: 384,
        tokens: (60, 180),
        dim: 128,
        queries: QUERIES,
        query_tokens: 32,
    };
    let points = Points::random(shape);
    let folder = tempfile::tempdir()?;
    let searcher = maxfold(&points, &folder.path().join("maxfold"))?;
    let shard = edge(&points, options.threads, &folder.path().join("edge"))?;
    println!("{}", alike(&requests(&points, true)?, &searcher, &shard)?);
    let asked = requests(&points, false)?;
    println!("{}", timed(&asked, options, &searcher, &shard)?);
    println!("{}\n", searcher.query(&asked[0].ours)?.plan);
    Ok(())
}

fn words(seed: u64, count: usize) -> (Vec<u32>, Vec<f32>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut indices = BTreeSet::new();
    while indices.len() < count {
        // Some terms are frequent.
        indices.insert((rng.random::<f32>().powi(3) * TERMS as f32) as u32);
    }
    let values = indices.iter().map(|_| rng.random_range(0.1..2.0)).collect();
    (indices.into_iter().collect(), values)
}

fn payload(number: usize) -> Value {
    let language = ["de", "en", "fr"][number % 3];
    json!({"year": 1990 + number % 35, "language": language, "title": format!("Page {number}")})
}

/// A request as engines take it, of a query.
struct Asked {
    ours: QueryRequest,
    theirs: qdrant_edge::QueryRequest,
}

fn requests(points: &Points, exact: bool) -> Result<Vec<Asked>> {
    let body = |query: usize| {
        let (dense, tokens) = &points.queries[query];
        let (indices, values) = words((1 << 32) + query as u64, TERMS_OF_QUERY);
        let by_dense = json!({
            "query": dense, "using": DENSE, "limit": 100, "params": {"exact": exact},
            "filter": {"must": [{"key": "year", "range": {"gte": 2000}}]},
        });
        let by_words = json!({
            "query": {"indices": indices, "values": values}, "using": WORDS, "limit": 100,
            "filter": {"must": [{"key": "language", "match": {"value": "en"}}]},
        });
        let fused =
            json!({"prefetch": [by_dense, by_words], "query": {"fusion": "rrf"}, "limit": 100});
        json!({"prefetch": [fused], "query": tokens, "using": TOKENS, "limit": 10, "with_payload": true})
    };
    let bodies: Vec<Value> = (0..points.queries.len()).map(body).collect();
    let asked =
        |body: &Value| Ok(Asked { ours: ours::request(body)?, theirs: edge_json::request(body)? });
    bodies.iter().map(asked).collect()
}

/// Tells how many answers have the same ids in the same order, and how far scores differ.
fn alike(asked: &[Asked], searcher: &Searcher, shard: &EdgeShard) -> Result<String> {
    let (mut same, mut farthest) = (0, 0_f32);
    for request in asked {
        let (ours, theirs) =
            (ours::ask(searcher, &request.ours)?, theirs::ask(shard, &request.theirs)?);
        let ids = |hits: &[Hit]| hits.iter().map(|&(id, _)| id).collect::<Vec<_>>();
        same += usize::from(ids(&ours) == ids(&theirs));
        let apart = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours.1 - theirs.1).abs());
        farthest = apart.fold(farthest, f32::max);
    }
    let of = asked.len();
    Ok(format!(
        "exact: {same} of {of} answers have the same ids in the same order; scores differ by {farthest:.1e} at most"
    ))
}

fn timed(
    asked: &[Asked],
    options: &Options,
    searcher: &Searcher,
    shard: &EdgeShard,
) -> Result<String> {
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..options.rounds {
        let start = Instant::now();
        for request in asked {
            ours::ask(searcher, &request.ours)?;
        }
        seconds[0].push(start.elapsed().as_secs_f64() / asked.len() as f64);
        let start = Instant::now();
        for request in asked {
            theirs::ask(shard, &request.theirs)?;
        }
        seconds[1].push(start.elapsed().as_secs_f64() / asked.len() as f64);
    }
    let [ours, theirs] = seconds.map(|mut it| {
        it.sort_by(f64::total_cmp);
        1e3 * it[it.len() / 2]
    });
    let Options { points, threads, rounds } = options;
    Ok(format!(
        "{points} points, {threads} threads, medians of {rounds} rounds: Maxfold {ours:.3} ms, Qdrant Edge {theirs:.3} ms, {:.2}×\n",
        theirs / ours
    ))
}

fn maxfold(points: &Points, folder: &Path) -> Result<Searcher> {
    let config = ours::config(&points.shape).sparse_vector(WORDS, SparseConfig::default());
    let collection = Collection::create(folder, config)?;
    collection.create_index(PayloadIndex::new("year", IndexKind::Integer)?)?;
    collection.create_index(PayloadIndex::new("language", IndexKind::Keyword)?)?;
    let numbers: Vec<usize> = (0..points.shape.points).collect();
    for batch in numbers.chunks(BATCH) {
        let point = |&number: &usize| {
            let (indices, values) = words(number as u64, TERMS_OF_POINT);
            let words = maxfold::collection::Vector::Sparse { indices, values };
            let payload = payload(number).as_object().context("an object")?.clone();
            Ok(ours::point(points, number).vector(WORDS, words).payload(payload))
        };
        collection.upsert(batch.iter().map(point).collect::<Result<_>>()?)?;
    }
    let searcher = ours::searcher(collection)?;
    searcher.flush()?;
    Ok(searcher)
}

fn edge(points: &Points, threads: usize, folder: &Path) -> Result<EdgeShard> {
    let words_config = EdgeSparseVectorParamsBuilder::new().build();
    let config = theirs::config(&points.shape, threads).sparse_vector(WORDS, words_config);
    let shard = EdgeShard::new(folder, config.build())?;
    for (key, kind) in [("year", "integer"), ("language", "keyword")] {
        shard.update(UpdateOperation::FieldIndexOperation(index(key, kind)?))?;
    }
    let numbers: Vec<usize> = (0..points.shape.points).collect();
    for segment in numbers.chunks(numbers.len().div_ceil(threads)) {
        for batch in segment.chunks(BATCH) {
            let point = |&number: &usize| {
                let (indices, values) = words(number as u64, TERMS_OF_POINT);
                let sparse = (WORDS, qdrant_edge::Vector::new_sparse(indices, values)?);
                let vectors = theirs::vectors(points, number).into_iter().chain([sparse]);
                let vectors = Vectors::new_named(vectors);
                Ok(PointStruct::new(number as u64, vectors, payload(number)).into())
            };
            let batch = batch.iter().map(point).collect::<Result<_>>()?;
            let batch = PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch));
            shard.update(UpdateOperation::PointOperation(batch))?;
        }
        shard.optimize()?;
    }
    shard.flush()?;
    Ok(shard)
}
