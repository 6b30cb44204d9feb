//! Requests in, points out: how other languages search a collection, and check it.
//!
//! ```sh
//! cargo run --release --example search -- --collection DIR --request REQUEST.json --output OUT.json
//! cargo run --release --example search -- --collection DIR --count --filter FILTER.json
//! ```
//!
//! REQUEST holds the body of Qdrant's query call, or an array of them. OUT has `results`, for each
//! request Qdrant's `points`, beside the `plan` and the `backend` that scored, and `seconds`, one
//! number a repeat. Bad input: exit code 2, and one line on stderr that begins with `error:`.

#[path = "support/command_line.rs"]
mod command_line;
#[path = "support/headless.rs"]
mod headless;

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use maxfold::collection::Collection;
use maxfold::filter::Filter;
use maxfold::gpu::GpuOptions;
use maxfold::rerank::{Backend, Reranker, RerankerOptions};
use maxfold::search::{QueryRequest, QueryResponse, Searcher, SearcherOptions};
use serde_json::{Value, json};

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
    /// auto, cpu or gpu.
    #[arg(long, default_value_t)]
    backend: Backend,
    /// Part of the GPU adapter's name, in any case; software adapters are used when named.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
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
        let filter = args.filter.as_deref().map(read_filter).transpose()?.unwrap_or_default();
        println!("{}", Collection::open(&args.collection)?.count(&filter)?);
        return Ok(());
    };
    let requests = read_requests(request)?;
    let searcher = Searcher::with_options(Collection::open(&args.collection)?, options(args)?)?;
    let (mut responses, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        let start = Instant::now();
        responses = searcher.query_batch(&requests)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let results: Vec<Value> = responses.iter().map(result).collect();
    let failed = |error| format!("expected to write {}: {error}", output.display());
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    serde_json::to_writer(&mut file, &json!({"results": results, "seconds": seconds}))?;
    Ok(file.flush().map_err(failed)?)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_filter(path: &Path) -> Result<Filter, String> {
    let filter = read(path)?.parse();
    filter.map_err(|error: maxfold::Error| format!("{}: {error}", path.display()))
}

/// One request, or an array of them.
fn read_requests(path: &Path) -> Result<Vec<QueryRequest>, String> {
    let wrong = |error: &dyn Error| format!("{}: {error}", path.display());
    let requests: Value = serde_json::from_str(&read(path)?).map_err(|error| wrong(&error))?;
    let requests = match requests {
        Value::Array(requests) => requests,
        one => vec![one],
    };
    let request = |value: &Value| value.to_string().parse::<QueryRequest>();
    requests.iter().map(request).collect::<Result<_, _>>().map_err(|error| wrong(&error))
}

fn options(args: &Args) -> maxfold::Result<SearcherOptions> {
    let mut gpu = GpuOptions::default();
    if let Some(name) = &args.adapter {
        gpu = gpu.adapter(name);
    }
    let reranker = RerankerOptions { backend: args.backend, gpu, ..Default::default() };
    let options = SearcherOptions::new().reranker(Reranker::with_options(&reranker)?);
    Ok(match args.store {
        Store::Resident => options,
        Store::Streamed => options.resident_bytes(0),
    })
}

fn result(response: &QueryResponse) -> Value {
    let execution = response.plan.execution();
    json!({
        "points": response.points,
        "plan": response.plan,
        // Dense vectors are always compared on the CPU.
        "backend": execution.map_or(Backend::Cpu, |it| it.backend()).to_string(),
        "adapter": execution.and_then(|it| it.adapter()),
        "variant": execution.map(|it| it.variant()),
    })
}
