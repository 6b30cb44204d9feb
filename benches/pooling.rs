//! Pooling at ingest: how large an index is, how long it takes, and what it finds, with a model and judged collections.
//!
//! ```sh
//! MAXFOLD_MODEL=FOLDER MAXFOLD_DATA=FOLDER,FOLDER MAXFOLD_NEEDLES=FOLDER MAXFOLD_HAY=FOLDER \
//!     cargo bench --features encoder --bench pooling
//! ```
//!
//! A folder of data has `corpus.jsonl`, `queries.jsonl` and `qrels.tsv` in BEIR's layout. With needles, each of their
//! documents is hidden among four of the hay: is the page found that has it?

use std::path::Path;
use std::time::Instant;

use maxfold::encoder::{Checkpoint, Encoder, Encoding};
use maxfold::eval::{Metric, Qrels, Run, evaluate};
use maxfold::maxsim::{CpuMaxSim, dot};
use maxfold::multivector::{MultiVectors, Pooling, TokenMatrix};
use rayon::prelude::*;
use serde_json::Value;

/// Whole, and pooled in several ways.
const POOLINGS: [&str; 7] =
    ["", "ward:2", "ward:3", "ward:4", "windows:2", "windows:3", "windows:4"];
/// Documents that are found by something else, and then ranked whole.
const CANDIDATES: [usize; 2] = [100, 1000];
/// Documents around a needle.
const HAY: usize = 4;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

fn main() {
    let Some(model) = variable("MAXFOLD_MODEL") else {
        println!("skipped: MAXFOLD_MODEL names no folder of a model");
        return;
    };
    let model = Checkpoint::open(model).unwrap();
    for folder in variable("MAXFOLD_DATA").iter().flat_map(|it| it.split(',')) {
        judged(&model, Path::new(folder));
    }
    if let (Some(needles), Some(hay)) = (variable("MAXFOLD_NEEDLES"), variable("MAXFOLD_HAY")) {
        hidden(&model, Path::new(&needles), Path::new(&hay));
    }
}

/// Documents and their scores, best first.
type Ranking = Vec<(usize, f32)>;

/// Texts, and how they are encoded.
struct Encoded {
    ids: Vec<String>,
    encodings: Vec<Encoding>,
}

/// A file of BEIR's; what has no text is left out.
fn read(path: &Path) -> Vec<(String, String)> {
    let lines = maxfold::text::lines(path).unwrap().map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap().text).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (text("_id"), format!("{} {}", text("title"), text("text")).trim().to_owned())
    });
    lines.filter(|(_, text)| !text.is_empty()).collect()
}

fn encode(texts: Vec<(String, String)>, by: impl Fn(&[&str]) -> Vec<Encoding>) -> Encoded {
    let (ids, texts): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let start = Instant::now();
    let encodings: Vec<Encoding> = borrowed.chunks(256).flat_map(by).collect();
    let (seconds, rows) = (start.elapsed().as_secs_f64(), rows(&encodings));
    println!(
        "{} texts, {rows} rows, {seconds:.1} s, {:.0} a second",
        ids.len(),
        rows as f64 / seconds
    );
    Encoded { ids, encodings }
}

fn rows(encodings: &[Encoding]) -> usize {
    encodings.iter().map(|it| it.tokens().len()).sum()
}

fn encoded(model: &Checkpoint, folder: &Path) -> (Encoded, Encoded) {
    println!("\n{}", folder.display());
    let documents = encode(read(&folder.join("corpus.jsonl")), |it| model.documents(it).unwrap());
    let queries = encode(read(&folder.join("queries.jsonl")), |it| model.queries(it).unwrap());
    (documents, queries)
}

/// Rows of each document, pooled, and the seconds that it took.
fn pooled(values: &[Vec<f32>], dim: usize, pooling: &str) -> (MultiVectors, f64) {
    let pooling: Option<Pooling> = pooling.parse().ok();
    let start = Instant::now();
    let matrix = |values: &Vec<f32>| match pooling {
        Some(pooling) => TokenMatrix::new(&pooling.apply(values, dim).unwrap(), dim).unwrap(),
        None => TokenMatrix::new(values, dim).unwrap(),
    };
    let matrices: Vec<TokenMatrix> = values.par_iter().map(matrix).collect();
    let seconds = start.elapsed().as_secs_f64();
    let mut packed = MultiVectors::empty(dim).unwrap();
    matrices.iter().for_each(|it| packed.push(it.view()).unwrap());
    (packed, seconds)
}

/// For each query, the documents in order of their scores, and the seconds that a query took.
fn rankings(queries: &[TokenMatrix], documents: &MultiVectors) -> (Vec<Ranking>, f64) {
    let (views, start) = (documents.iter().collect::<Vec<_>>(), Instant::now());
    let all = queries.iter().map(|query| CpuMaxSim::new().score(query.view(), &views).unwrap());
    let all: Vec<Vec<f32>> = all.collect();
    let seconds = start.elapsed().as_secs_f64() / queries.len() as f64;
    let ranking = |scores: Vec<f32>| {
        let mut ranking: Ranking = scores.into_iter().enumerate().collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranking
    };
    (all.into_iter().map(ranking).collect(), seconds)
}

fn matrices(queries: &Encoded) -> Vec<TokenMatrix> {
    queries.encodings.iter().map(|it| it.matrix().unwrap()).collect()
}

fn judged(model: &Checkpoint, folder: &Path) {
    let (documents, queries) = encoded(model, folder);
    let (dim, query_matrices) = (model.dim(), matrices(&queries));
    let values: Vec<Vec<f32>> = documents.encodings.iter().map(|it| it.values().to_vec()).collect();
    let qrels = Qrels::read(folder.join("qrels.tsv")).unwrap();
    let metric: Metric = "ndcg@10".parse().unwrap();
    let measured = |rankings: &[Ranking]| {
        let mut run = Run::new();
        for (query, ranking) in queries.ids.iter().zip(rankings) {
            let named =
                ranking.iter().take(10).map(|(item, score)| (&documents.ids[*item], *score));
            run.insert_ranking(query, named).unwrap();
        }
        evaluate(&qrels, &run, metric).unwrap().mean
    };
    println!("| kept | MB | to pool | a query | nDCG@10 | best 100, then whole |");
    let mut whole = Vec::new();
    for pooling in POOLINGS {
        let (packed, seconds) = pooled(&values, dim, pooling);
        let (found, of_query) = rankings(&query_matrices, &packed);
        if pooling.is_empty() {
            whole.clone_from(&found);
        }
        let megabytes = packed.tokens() as f64 * dim as f64 * 2.0 / 1e6;
        println!(
            "| {} | {megabytes:.1} | {seconds:.2} s | {:.2} ms | {:.4} | {:.4} |",
            if pooling.is_empty() { "all" } else { pooling },
            of_query * 1e3,
            measured(&found),
            measured(&among(&whole, &found, 100)),
        );
    }
    let found = by_mean(&queries, &documents);
    println!("mean alone {:.4}", measured(&found));
    for count in CANDIDATES {
        println!("mean, best {count}, then whole {:.4}", measured(&among(&whole, &found, count)));
    }
    for (first, then) in [(1000, 100), (500, 50)] {
        let (packed, _) = pooled(&values, dim, "ward:2");
        let second = among(&rankings(&query_matrices, &packed).0, &found, first);
        println!(
            "mean {first}, ward:2 {then}, then whole {:.4}",
            measured(&among(&whole, &second, then))
        );
    }
}

/// The rankings less what isn't among the best so many of others.
fn among(rankings: &[Ranking], others: &[Ranking], count: usize) -> Vec<Ranking> {
    let kept = |(ranking, other): (&Ranking, &Ranking)| {
        let mut is_kept = vec![false; ranking.len().max(other.len())];
        other.iter().take(count).for_each(|(item, _)| is_kept[*item] = true);
        ranking.iter().copied().filter(|(item, _)| is_kept[*item]).collect()
    };
    rankings.iter().zip(others).map(kept).collect()
}

/// The rankings by the cosine of means.
fn by_mean(queries: &Encoded, documents: &Encoded) -> Vec<Ranking> {
    let unit = |it: &Encoding| {
        let mean = it.mean();
        let length = dot(&mean, &mean).sqrt();
        mean.into_iter().map(|value| value / length).collect::<Vec<f32>>()
    };
    let documents: Vec<Vec<f32>> = documents.encodings.iter().map(unit).collect();
    let ranking = |query: &Encoding| {
        let query = unit(query);
        let mut scores: Vec<_> = documents.iter().map(|it| dot(it, &query)).enumerate().collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scores
    };
    queries.encodings.iter().map(ranking).collect()
}

/// Pages in which a document is hidden among others, somewhere.
fn hidden(model: &Checkpoint, needles: &Path, hay: &Path) {
    let (needles_read, queries) = encoded(model, needles);
    println!("\n{}", hay.display());
    let hay = encode(read(&hay.join("corpus.jsonl")), |it| model.documents(it).unwrap());
    let qrels = Qrels::read(needles.join("qrels.tsv")).unwrap();
    let page = |(at, needle): (usize, &Encoding)| {
        let around = (0..HAY).map(|it| &hay.encodings[(at * HAY + it) % hay.encodings.len()]);
        let mut parts: Vec<&[f32]> = around.map(Encoding::values).collect();
        parts.insert(at % (HAY + 1), needle.values());
        parts.concat()
    };
    let pages: Vec<Vec<f32>> = needles_read.encodings.iter().enumerate().map(page).collect();
    let query_matrices = matrices(&queries);
    let most = pages.iter().map(|it| it.len() / model.dim()).max();
    println!(
        "{} pages of at most {most:?} rows\n| kept | MB | to pool | first | in the first ten |",
        pages.len()
    );
    for pooling in POOLINGS {
        let (packed, seconds) = pooled(&pages, model.dim(), pooling);
        let (found, _) = rankings(&query_matrices, &packed);
        let within = |most: usize| {
            let is_found = |(query, ranking): (&String, &Ranking)| {
                let first = ranking.iter().take(most).map(|(item, _)| &needles_read.ids[*item]);
                first.into_iter().any(|id| qrels.grade(query, id).is_some_and(|it| it > 0))
            };
            let count = queries.ids.iter().zip(&found).filter(|it| is_found(*it)).count();
            count as f64 / queries.ids.len() as f64
        };
        let megabytes = packed.tokens() as f64 * model.dim() as f64 * 2.0 / 1e6;
        let name = if pooling.is_empty() { "all" } else { pooling };
        println!(
            "| {name} | {megabytes:.1} | {seconds:.1} s | {:.3} | {:.3} |",
            within(1),
            within(10)
        );
    }
}
