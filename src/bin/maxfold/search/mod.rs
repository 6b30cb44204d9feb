//! `maxfold search`: requests in, points out, for other languages to use and to check; or words in.

mod report;
mod words;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use maxfold::collection::Collection;
use maxfold::filter::{Filter, PayloadSelector};
use maxfold::rerank::Reranker;
use maxfold::search::{QueryRequest, Searcher, SearcherOptions};
use maxfold::text;

use crate::backend::BackendArgs;
use crate::command_line::Usage;
use crate::{document, output};

/// Searches a collection.
///
/// It may be one that another process is writing; nothing is written here, so a graph that no writer
/// has saved is built for this search alone. REQUEST.json holds the body of Qdrant's query call, or an
/// array of them. The JSON result has `results`, for each request Qdrant's `points`, beside the `plan`
/// and the `backend` that scored, and `seconds`, one number a repeat. Without --output, --run and
/// --json, the points are printed as a table.
///
/// Instead of a request there may be words, and the model that the collection was ingested with: they are
/// compared with `tokens`, of the 1,000 points that are nearest by `mean`, if the collection has that. Of points that are
/// passages, the best of each document is found.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold search --collection DIR --request REQUEST.json --json\n  maxfold search --collection DIR --model MODEL \"words to find\""
)]
pub struct Args {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// The body of Qdrant's query call, or an array of them.
    #[arg(long, value_name = "REQUEST.json", required_unless_present_any = ["count", "words"])]
    request: Option<PathBuf>,
    #[command(flatten)]
    words: words::WordArgs,
    /// File for the JSON result.
    #[arg(long, value_name = "OUT.json")]
    output: Option<PathBuf>,
    /// File for a TREC run.
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Text with an id a line, which the requests have in the run; by default positions from 0.
    #[arg(long, value_name = "FILE", requires = "run")]
    query_ids: Option<PathBuf>,
    /// The key of the payload that has what points are called in the run; by default their ids.
    #[arg(long, value_name = "KEY", requires = "run")]
    id_key: Option<String>,
    /// Prints the JSON result.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
    /// Keeps multivectors on a GPU between requests, or sends those of each.
    #[arg(long, value_enum, default_value_t = Store::Resident)]
    store: Store,
    /// Times that all requests are answered; each is timed.
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Prints how many points there are, instead of searching.
    #[arg(long, conflicts_with_all = ["request", "words", "output", "run", "json"])]
    count: bool,
    /// Counts only the points that match this filter.
    #[arg(long, value_name = "FILTER.json", requires = "count")]
    filter: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Store {
    Resident,
    Streamed,
}

impl Args {
    /// Returns `true` if the result is printed as a table, because nothing else was asked for.
    fn table(&self) -> bool {
        self.output.is_none() && self.run.is_none() && !self.json
    }
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.count {
        return count(args);
    }
    let collection = Collection::open_read_only(&args.collection)?;
    let wants_documents = args.words.wants_documents(&collection)?;
    let mut requests = requests(args, &collection, wants_documents)?;
    let query_ids = query_ids(args, requests.len())?;
    if let Some(key) = &args.id_key {
        requests.iter_mut().try_for_each(|request| with_key(request, key))?;
    }
    let options = options(args)?;
    let searcher = Searcher::with_options(collection, options)?;
    let (mut responses, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        let start = Instant::now();
        responses = searcher.query_batch(&requests)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    if wants_documents {
        responses.iter_mut().for_each(|it| args.words.keep_documents(&mut it.points));
    }
    if let Some(file) = &args.run {
        let config = searcher.collection().config();
        let answers = query_ids.iter().zip(requests.iter().zip(&responses));
        output::run(file, &report::trec(answers, &config, args.id_key.as_deref())?)?;
    }
    report::write(args, &responses, &seconds)
}

/// The requests of a file, or the one for words.
fn requests(
    args: &Args,
    collection: &Collection,
    wants_documents: bool,
) -> Result<Vec<QueryRequest>, Box<dyn Error>> {
    match &args.request {
        Some(request) => Ok(document::read(request, QueryRequest::read_all)?),
        None => Ok(vec![args.words.request(&collection.config(), wants_documents)?]),
    }
}

fn count(args: &Args) -> Result<(), Box<dyn Error>> {
    let filter = args.filter.as_deref().map(|path| document::read(path, str::parse::<Filter>));
    let filter = filter.transpose()?.unwrap_or_default();
    let count = Collection::open_read_only(&args.collection)?.count(&filter)?;
    output::write(None, format!("{count}\n").as_bytes())
}

/// The ids of requests, in their order.
fn query_ids(args: &Args, requests: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let Some(file) = &args.query_ids else {
        return Ok((0..requests).map(|position| position.to_string()).collect());
    };
    let ids = text::lines(file)?.map(|line| line.map(|line| line.text.trim().to_owned()));
    let ids = ids.collect::<maxfold::Result<Vec<_>>>()?;
    if ids.len() != requests {
        let (file, got) = (file.display(), ids.len());
        return Err(format!("expected ids of {requests} requests in {file}, got {got}").into());
    }
    Ok(ids)
}

/// Asks for a key of the payload, where a request asks for nothing of it.
fn with_key(request: &mut QueryRequest, key: &str) -> Result<(), Usage> {
    if request.with_payload == PayloadSelector::None {
        let path = key.parse().map_err(Usage::new)?;
        request.with_payload = PayloadSelector::Include(vec![path]);
    }
    Ok(())
}

fn options(args: &Args) -> Result<SearcherOptions, Box<dyn Error>> {
    let reranker = Reranker::with_options(&args.backend.options()?)?;
    let options = SearcherOptions::new().reranker(reranker);
    Ok(match args.store {
        Store::Resident => options,
        Store::Streamed => options.resident_bytes(0),
    })
}
