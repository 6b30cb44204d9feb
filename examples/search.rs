//! Requests in, points out: how other languages search a collection, and check it.
//!
//! ```sh
//! cargo run --release --example search -- --collection DIR --request REQUEST.json --output OUT.json
//! cargo run --release --example search -- --collection DIR --count --filter FILTER.json
//! ```
//!
//! The collection may be one that another process is writing; nothing is written here, so a graph that no
//! writer has saved is built for this search alone. REQUEST holds the body of Qdrant's query call, or an
//! array of them. OUT has `results`, for each request Qdrant's `points`, beside the `plan` and the
//! `backend` that scored, and `seconds`, one number a repeat. Bad input: exit code 2, and one line on
//! stderr that begins with `error:`.

#[path = "support/backend.rs"]
mod backend;
#[path = "support/command_line.rs"]
mod command_line;
#[path = "support/document.rs"]
mod document;
#[path = "support/headless.rs"]
mod headless;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use backend::BackendArgs;
use clap::{Parser, ValueEnum};
use maxfold::collection::Collection;
use maxfold::filter::Filter;
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{
    QueryPlan, QueryRequest, QueryResponse, ScoredPoint, Searcher, SearcherOptions,
};
use serde::Serialize;

/// Searches a collection.
#[derive(Parser)]
#[command(name = "search")]
struct Args {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// The body of Qdrant's query call, or an array of them.
    #[arg(long, value_name = "REQUEST.json", required_unless_present = "count")]
    request: Option<PathBuf>,
    /// Where the JSON result goes.
    #[arg(long, value_name = "OUT.json", required_unless_present = "count")]
    output: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    /// Whether a GPU keeps multivectors between requests, or is sent those of each.
    #[arg(long, value_enum, default_value_t = Store::Resident)]
    store: Store,
    /// How often to answer all requests; each is timed.
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Prints how many points there are, instead of searching.
    #[arg(long, conflicts_with_all = ["request", "output"])]
    count: bool,
    /// Counts only the points that this filter means.
    #[arg(long, value_name = "FILTER.json", requires = "count")]
    filter: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Store {
    Resident,
    Streamed,
}

fn main() -> ExitCode {
    headless::no_display_wanted();
    command_line::main(run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (Some(request), Some(output)) = (&args.request, &args.output) else {
        let filter = args.filter.as_deref().map(|path| document::read(path, str::parse::<Filter>));
        let filter = filter.transpose()?.unwrap_or_default();
        println!("{}", Collection::open_read_only(&args.collection)?.count(&filter)?);
        return Ok(());
    };
    let requests = document::read(request, QueryRequest::read_all)?;
    let searcher =
        Searcher::with_options(Collection::open_read_only(&args.collection)?, options(args)?)?;
    let (mut responses, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        let start = Instant::now();
        responses = searcher.query_batch(&requests)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let results = Results { results: responses.iter().map(result).collect(), seconds };
    let failed = |error| format!("cannot write {}: {error}", output.display());
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    serde_json::to_writer(&mut file, &results)?;
    Ok(file.flush().map_err(failed)?)
}

fn options(args: &Args) -> Result<SearcherOptions, Box<dyn Error>> {
    let reranker = Reranker::with_options(&args.backend.options()?)?;
    let options = SearcherOptions::new().reranker(reranker);
    Ok(match args.store {
        Store::Resident => options,
        Store::Streamed => options.resident_bytes(0),
    })
}

/// The JSON result.
#[derive(Serialize)]
struct Results<'a> {
    /// One a request.
    results: Vec<Answer<'a>>,
    /// One number a repeat.
    seconds: Vec<f64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    points: &'a [ScoredPoint],
    plan: &'a QueryPlan,
    backend: String,
    adapter: Option<&'a str>,
    variant: Option<String>,
}

fn result(response: &QueryResponse) -> Answer<'_> {
    let execution = response.plan.execution();
    // Dense vectors are always compared on the CPU.
    let backend = execution.map_or(Backend::Cpu, |it| it.backend()).to_string();
    Answer {
        points: &response.points,
        plan: &response.plan,
        backend,
        adapter: execution.and_then(|it| it.adapter()),
        variant: execution.map(|it| it.variant()),
    }
}
