//! Points from files into a collection, one transaction a batch.
//!
//! ```sh
//! cargo run --release --example ingest -- --collection DIR --config CONFIG.json \
//!     --points POINTS.jsonl --vectors dense=D.safetensors --vectors tokens=D.safetensors
//! ```
//!
//! Line i of POINTS, `{"id": …, "payload": {…}}`, belongs to item i of each file of vectors: to row i
//! of its tensor `dense` if the name is that of a dense vector, to the rows of `tokens` that `offsets`
//! says if it is that of a multivector. After each transaction there is a line `committed N` on stdout,
//! with the number of points in the collection, which from then on survive a kill and a power cut. Bad
//! input: exit code 2, and one line on stderr that begins with `error:`.

#[path = "support/command_line.rs"]
mod command_line;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorKind};
use maxfold::filter::{Payload, PointId};
use maxfold::multivector::{DenseVectors, Interchange, MultiVectors};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};
use serde::Deserialize;

/// Writes points from files into a collection.
#[derive(Parser)]
#[command(name = "ingest")]
struct Args {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// Its configuration, as the body of Qdrant's request to create a collection; if it is there
    /// already, the same.
    #[arg(long, value_name = "CONFIG.json")]
    config: Option<PathBuf>,
    /// A line `{"id": …, "payload": {…}}` for each point.
    #[arg(long, value_name = "POINTS.jsonl")]
    points: PathBuf,
    /// The name of a vector, and a file with those of all points.
    #[arg(long, value_name = "NAME=FILE.safetensors", value_parser = named_file)]
    vectors: Vec<(String, PathBuf)>,
    /// Points a transaction.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
}

fn named_file(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = argument.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((name.into(), file.into()))
}

fn main() -> ExitCode {
    command_line::main(run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let config = args.config.as_deref().map(read_config).transpose()?;
    let existing = open(&args.collection)?;
    let config = agreed(args, existing.as_ref(), config)?;
    let lines = count_lines(&args.points)?;
    let sources = read_sources(args, &config, lines)?;
    let collection = match existing {
        Some(collection) => collection,
        None => Collection::create(&args.collection, config)?,
    };
    ingest(args, &collection, &sources, lines)?;
    // Graphs are built now, so that the first search need not.
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu)?);
    Ok(Searcher::with_options(collection, options)?.close()?)
}

fn read_config(path: &Path) -> Result<CollectionConfig, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| in_file(path, &error))?;
    text.parse().map_err(|error: maxfold::Error| in_file(path, &error).into())
}

fn in_file(path: &Path, error: &dyn Error) -> String {
    format!("{}: {error}", path.display())
}

fn open(path: &Path) -> maxfold::Result<Option<Collection>> {
    match Collection::open(path) {
        Ok(collection) => Ok(Some(collection)),
        Err(maxfold::Error::NoCollection { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The configuration that the collection has or is to have.
fn agreed(
    args: &Args,
    existing: Option<&Collection>,
    given: Option<CollectionConfig>,
) -> Result<CollectionConfig, String> {
    let path = args.collection.display();
    match (existing, given) {
        (None, None) => Err(format!("expected --config for a new collection in {path}, got none")),
        (None, Some(given)) => Ok(given),
        (Some(existing), Some(given)) if *existing.config() != given => {
            Err(format!("expected the configuration that {path} has, got another"))
        }
        (Some(existing), _) => Ok(existing.config().clone()),
    }
}

/// The vectors of one name.
enum Source {
    Dense(DenseVectors),
    Multi(MultiVectors),
}

impl Source {
    fn read(path: &Path, kind: VectorKind) -> maxfold::Result<Self> {
        Ok(match kind {
            VectorKind::Dense(_) => Self::Dense(Interchange::read_dense(path)?),
            VectorKind::Multi => Self::Multi(Interchange::read(path)?.tokens),
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Dense(vectors) => vectors.len(),
            Self::Multi(vectors) => vectors.len(),
        }
    }

    fn get(&self, item: usize) -> Option<Vector> {
        match self {
            Self::Dense(vectors) => vectors.get(item).map(|it| Vector::Dense(it.to_vec())),
            Self::Multi(vectors) => vectors.get(item).map(Vector::from),
        }
    }
}

fn read_sources<'a>(
    args: &'a Args,
    config: &CollectionConfig,
    points: usize,
) -> Result<Vec<(&'a str, Source)>, Box<dyn Error>> {
    let mut sources = Vec::new();
    for (name, path) in &args.vectors {
        let source = Source::read(path, config.get(name)?.kind)?;
        if source.len() != points {
            let (path, got) = (path.display(), source.len());
            return Err(format!("expected vectors of {points} points in {path}, got {got}").into());
        }
        sources.push((name.as_str(), source));
    }
    Ok(sources)
}

fn lines(path: &Path) -> Result<impl Iterator<Item = io::Result<String>>, String> {
    let file = File::open(path).map_err(|error| in_file(path, &error))?;
    Ok(BufReader::new(file).lines())
}

fn count_lines(path: &Path) -> Result<usize, String> {
    let mut count = 0;
    for line in lines(path)? {
        line.map_err(|error| in_file(path, &error))?;
        count += 1;
    }
    Ok(count)
}

/// A line of POINTS.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: PointId,
    payload: Option<Payload>,
}

fn ingest(
    args: &Args,
    collection: &Collection,
    sources: &[(&str, Source)],
    total: usize,
) -> Result<(), Box<dyn Error>> {
    let progress = progress_bar(total);
    let mut batch = Vec::new();
    for (item, line) in lines(&args.points)?.enumerate() {
        let point = line.map_err(|error| error.to_string()).and_then(|line| read_point(&line));
        let place = || format!("line {} of {}", item + 1, args.points.display());
        let mut point = point.map_err(|error| format!("{}: {error}", place()))?;
        for (name, source) in sources {
            point.vectors.extend(source.get(item).map(|vector| ((*name).to_owned(), vector)));
        }
        batch.push(point);
        if batch.len() == args.batch as usize || item + 1 == total {
            let points = std::mem::take(&mut batch);
            progress.inc(points.len() as u64);
            commit(collection, points)?;
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Shown only where stderr is a terminal.
fn progress_bar(total: usize) -> ProgressBar {
    let style = "{bar:40} {human_pos} of {human_len} points, {per_sec}, {eta} to go";
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn read_point(line: &str) -> Result<Point, String> {
    let Line { id, payload } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    Ok(Point::new(id).payload(payload.unwrap_or_default()))
}

fn commit(collection: &Collection, points: Vec<Point>) -> Result<(), Box<dyn Error>> {
    collection.upsert(points)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "committed {}", collection.snapshot()?.len())?;
    Ok(stdout.flush()?)
}
