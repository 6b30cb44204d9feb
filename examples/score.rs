//! Token matrices in, MaxSim scores out: how other languages use Maxfold, and check it.
//!
//! ```sh
//! cargo run --release --example score -- --queries Q.safetensors --docs D.safetensors --output OUT.json
//! ```
//!
//! Each file holds `tokens` [sum of tokens, dim] (F16, BF16 or F32) and `offsets` [items + 1] (any
//! integer type). `--store resident` loads the documents into the GPU's memory first, and scores them
//! there, all queries in one request. Bad input: exit code 2, and one line on stderr that begins with
//! `error:`.

#[path = "support/backend.rs"]
mod backend;
#[path = "support/command_line.rs"]
mod command_line;
#[path = "support/headless.rs"]
mod headless;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use backend::{BackendArgs, meant};
use clap::{CommandFactory, Parser, ValueEnum};
use maxfold::gpu::{self, ResidentStore, ShaderVariant};
use maxfold::maxsim::InstructionSet;
use maxfold::multivector::{Interchange, MultiVectors, TokenMatrixRef};
use maxfold::rerank::{
    Backend, Execution, Query, Request, Reranker, RerankerOptions, Scored, Wanted,
};
use serde::Serialize;

/// Scores every query against every document with MaxSim.
#[derive(Parser)]
#[command(name = "score")]
struct Args {
    /// Safetensors file with the queries' `tokens` and `offsets`.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    queries: Option<PathBuf>,
    /// Safetensors file with the documents' `tokens` and `offsets`.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    docs: Option<PathBuf>,
    /// Where the JSON result goes.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    /// An instruction set (on the CPU) or a shader variant (on the GPU); see --list.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Where the GPU finds documents: sent along with every query, or kept in its memory.
    #[arg(long, value_name = "STORE", default_value = "streamed")]
    store: Store,
    /// Threads of the CPU backend, at most 256 or one a core; by default one a core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Adds each query's best K documents to the result.
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// How often to score everything; each is timed.
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Prints the adapters, instruction sets and shader variants of this machine.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Streamed,
    Resident,
}

/// The JSON result.
#[derive(Serialize)]
struct Output {
    backend: String,
    adapter: Option<String>,
    variant: String,
    reason: String,
    dim: usize,
    /// A list per query, a number per document.
    scores: Vec<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Vec<Vec<Top>>>,
    /// One number a repeat: all queries against all documents.
    seconds: Vec<f64>,
}

#[derive(Serialize)]
struct Top {
    document: u64,
    score: f32,
}

fn main() -> ExitCode {
    headless::no_display_wanted();
    command_line::main(run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.list {
        list();
        return Ok(());
    }
    // clap lets nobody past who gave neither --list nor these.
    let (Some(queries), Some(docs), Some(output)) = (&args.queries, &args.docs, &args.output)
    else {
        return Err(Args::command().render_usage().to_string().into());
    };
    let (queries, docs) = (Interchange::read(queries)?.tokens, Interchange::read(docs)?.tokens);
    if queries.dim() != docs.dim() {
        let (queries, docs) = (queries.dim(), docs.dim());
        return Err(format!("expected documents of dimension {queries}, got {docs}").into());
    }
    let reranker = Reranker::with_options(&options(args)?)?;
    let result = match args.store {
        Store::Streamed => score(&reranker, &queries, &docs, args)?,
        Store::Resident => score_resident(&reranker, &queries, &docs, args)?,
    };
    let failed = |error| format!("cannot write {}: {error}", output.display());
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    serde_json::to_writer(&mut file, &result)?;
    Ok(file.flush().map_err(failed)?)
}

fn list() {
    println!("instruction sets:");
    InstructionSet::available().iter().for_each(|set| println!("  {set}"));
    println!("shader variants:");
    ShaderVariant::ALL.iter().for_each(|variant| println!("  {variant}"));
    println!("adapters:");
    for adapter in gpu::adapters() {
        let variants: Vec<_> = adapter.variants.iter().map(|variant| variant.to_string()).collect();
        println!("  {adapter}: {}", variants.join(", "));
    }
}

/// What the arguments ask for. The name of a variant or of an adapter says which backend is meant.
fn options(args: &Args) -> Result<RerankerOptions, Box<dyn Error>> {
    let mut options = args.backend.options()?;
    if let Some(threads) = args.threads {
        options.cpu = options.cpu.with_threads(threads)?;
    }
    if args.store == Store::Resident {
        options.backend = meant(options.backend, "--store resident", Backend::Gpu)?;
    }
    match args.variant.as_deref().map(variant).transpose()? {
        None => {}
        Some(Variant::Cpu(instructions)) => {
            options.backend = meant(options.backend, "this --variant", Backend::Cpu)?;
            options.cpu = options.cpu.with_instruction_set(instructions);
        }
        Some(Variant::Gpu(variant)) => {
            options.backend = meant(options.backend, "this --variant", Backend::Gpu)?;
            options.gpu = options.gpu.variant(variant);
        }
    }
    Ok(options)
}

enum Variant {
    Cpu(InstructionSet),
    Gpu(ShaderVariant),
}

fn variant(name: &str) -> Result<Variant, String> {
    if let Ok(variant) = name.parse() {
        return Ok(Variant::Gpu(variant));
    }
    name.parse().map(Variant::Cpu).map_err(|_| {
        let sets = InstructionSet::available().into_iter().map(|set| set.to_string());
        let names = sets.chain(ShaderVariant::ALL.map(|variant| variant.to_string()));
        let names = names.collect::<Vec<_>>().join(", ");
        format!("expected one of this machine's variants ({names}), got {name}")
    })
}

fn score(
    reranker: &Reranker,
    queries: &MultiVectors,
    docs: &MultiVectors,
    args: &Args,
) -> maxfold::Result<Output> {
    let docs: Vec<TokenMatrixRef<'_>> = docs.iter().collect();
    let (mut scores, mut seconds) = (Vec::new(), Vec::new());
    let mut execution = reranker.execution();
    for _ in 0..args.repeat {
        scores.clear();
        let start = Instant::now();
        for query in queries.iter() {
            let scored = reranker.score(query, &docs)?;
            scores.push(scored.scores);
            // A fall back to the CPU is worth telling, whichever query it was.
            if scored.execution.backend() != execution.backend() {
                execution = scored.execution;
            }
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    let top = args.top_k.map(|k| scores.iter().map(|scores| top(scores, k)).collect());
    Ok(output(&execution, queries.dim(), scores, top, seconds))
}

/// All queries in one request, with documents that the GPU has. Loading them is not timed.
fn score_resident(
    reranker: &Reranker,
    queries: &MultiVectors,
    docs: &MultiVectors,
    args: &Args,
) -> maxfold::Result<Output> {
    let named: Vec<(u64, TokenMatrixRef<'_>)> = (0..).zip(docs.iter()).collect();
    let candidates: Vec<u64> = named.iter().map(|(id, _)| *id).collect();
    let queries: Vec<_> =
        queries.iter().map(|tokens| Query { tokens, candidates: &candidates }).collect();
    let matrices = |id: u64| Ok(docs.get(id as usize));
    let store = reranker.gpu().map(|gpu| ResidentStore::new(gpu, docs.dim())).transpose()?;
    let mut request = Request::new(&queries, &matrices, Wanted::all());
    if let Some(store) = &store {
        store.load(&named, |_| {})?;
        request = request.with_store(store);
    }
    let (mut scores, mut seconds) = (Vec::new(), Vec::new());
    let mut execution = reranker.execution();
    for _ in 0..args.repeat {
        let start = Instant::now();
        let answer = reranker.rank(&request)?;
        seconds.push(start.elapsed().as_secs_f64());
        execution = answer.rankings.first().map_or(execution, |it| it.execution.clone());
        scores = answer.rankings.into_iter().map(|ranked| by_document(ranked.hits)).collect();
    }
    let top = args.top_k.map(|k| scores.iter().map(|scores| top(scores, k)).collect());
    Ok(output(&execution, docs.dim(), scores, top, seconds))
}

fn by_document(mut hits: Vec<Scored>) -> Vec<f32> {
    hits.sort_unstable_by_key(|hit| hit.id);
    hits.into_iter().map(|hit| hit.score).collect()
}

fn top(scores: &[f32], k: usize) -> Vec<Top> {
    let scored = (0..).zip(scores).map(|(id, &score)| Scored { id, score });
    let mut scored: Vec<_> = scored.collect();
    scored.sort_unstable_by(Scored::order);
    scored.truncate(k);
    scored.into_iter().map(|Scored { id, score }| Top { document: id, score }).collect()
}

fn output(
    execution: &Execution,
    dim: usize,
    scores: Vec<Vec<f32>>,
    top: Option<Vec<Vec<Top>>>,
    seconds: Vec<f64>,
) -> Output {
    Output {
        backend: execution.backend().to_string(),
        adapter: execution.adapter().map(str::to_owned),
        variant: execution.variant(),
        reason: execution.reason.to_string(),
        dim,
        scores,
        top,
        seconds,
    }
}
