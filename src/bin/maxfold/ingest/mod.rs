//! `maxfold ingest`: points from files into a collection, one transaction a batch.
//!
//! | file | holds |
//! |---|---|
//! | `points.rs` | points to be ingested, one after the other |
//! | `sources.rs` | files of vectors |
//! | `texts.rs` | texts, which a model turns into vectors |
//! | `target.rs` | the collection |

mod points;
mod sources;
mod target;
mod texts;

use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::collection::{Collection, CollectionConfig, Point};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};

use crate::cleanup::CleanupArgs;
use crate::command_line::Usage;
use crate::{document, progress};
use points::Points;
use sources::Source;
use target::Target;
use texts::{TextArgs, Texts};

/// Writes points from files into a collection.
///
/// The i-th line of POINTS.jsonl that is not blank, `{"id": …, "payload": {…}, "vector": …}`, belongs
/// to item i of each file of vectors: to row i of its tensor `dense` if the name is that of a dense
/// vector, to the rows of `tokens` that `offsets` says if it is that of a multivector. With a model, vectors
/// are made of a text in the payload; each text file of a FOLDER is a point then. After each
/// transaction there is a line `committed N` on stdout, with the number of points in the collection,
/// which from then on survive a kill and a power cut.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold ingest --collection DIR --config CONFIG.json --points POINTS.jsonl --vectors dense=D.safetensors --vectors tokens=D.safetensors\n  maxfold ingest --collection DIR --model MODEL FOLDER"
)]
pub struct Args {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// Its configuration, as the body of Qdrant's request to create a collection; if it is there
    /// already, the same. With a model it may be left out.
    #[arg(long, value_name = "CONFIG.json")]
    config: Option<PathBuf>,
    /// A line `{"id": …, "payload": {…}, "vector": …}` for each point; only the id has to be there.
    #[arg(long, value_name = "POINTS.jsonl", required_unless_present = "folder")]
    points: Option<PathBuf>,
    /// Folder of text files. Each is a point: of the same path, the same one.
    #[arg(value_name = "FOLDER", requires = "model", conflicts_with_all = ["points", "vectors"])]
    folder: Option<PathBuf>,
    /// The name of a vector, and a file with those of all points.
    #[arg(long, value_name = "NAME=FILE.safetensors", value_parser = named_file)]
    vectors: Vec<(String, PathBuf)>,
    #[command(flatten)]
    text: TextArgs,
    /// Points a transaction; by default 1,000, or 100 with a model.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    #[command(flatten)]
    cleanup: CleanupArgs,
}

fn named_file(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = argument.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((name.into(), file.into()))
}

impl Args {
    fn batch(&self) -> usize {
        let unsaid = if self.text.has_model() { 100 } else { 1000 };
        self.batch.unwrap_or(unsaid) as usize
    }
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let config = args.config.as_deref().map(|path| document::read(path, str::parse)).transpose()?;
    let mut texts = args.text.open()?;
    let collection = open(&args.collection)?;
    let config = agreed(args, collection.as_ref(), config, texts.as_ref())?;
    if let Some(texts) = &texts {
        texts.check(&config)?;
    }
    let (mut points, total) = Points::open(args)?;
    let mut sources = sources::open(args, &config, total)?;
    let mut target = Target { path: &args.collection, config, collection };
    ingest(args, &mut target, &mut points, &mut sources, &mut texts, total)?;
    points.warn();
    sources.iter().for_each(|source| source.warn(args));
    texts.iter().for_each(Texts::warn);
    // Graphs are built now, so that the first search need not.
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu)?);
    Ok(Searcher::with_options(target.into_collection()?, options)?.close()?)
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
    texts: Option<&Texts<'_>>,
) -> Result<CollectionConfig, Box<dyn Error>> {
    let path = args.collection.display();
    let Some(existing) = existing.map(Collection::config) else {
        let missing = || format!("expected --config for a new collection in {path}, got none");
        let config = given.or_else(|| texts.map(Texts::config));
        return config.ok_or_else(|| Usage::new(missing()).into());
    };
    match given.and_then(|given| given.difference(&existing)) {
        None => Ok(CollectionConfig::clone(&existing)),
        Some(difference) => {
            Err(format!("expected the configuration that {path} has, got another: {difference}")
                .into())
        }
    }
}

fn ingest(
    args: &Args,
    target: &mut Target<'_>,
    points: &mut Points<'_>,
    sources: &mut [Source<'_>],
    texts: &mut Option<Texts<'_>>,
    total: usize,
) -> Result<(), Box<dyn Error>> {
    let progress = progress::bar(total, "points");
    let mut commit = |mut points: Vec<Point>| {
        if let Some(texts) = texts {
            texts.add(&mut points, &target.config)?;
        }
        progress.inc(points.len() as u64);
        target.commit(points)
    };
    let mut batch = Vec::new();
    for (item, point) in points.enumerate() {
        let mut point = point?;
        for source in &mut *sources {
            source.add(item, &mut point, args.cleanup.cleanup())?;
        }
        batch.push(point);
        if batch.len() == args.batch() {
            commit(std::mem::take(&mut batch))?;
        }
    }
    if !batch.is_empty() {
        commit(batch)?;
    }
    progress.finish_and_clear();
    Ok(())
}
