//! `maxfold ingest`: points from files into a collection, one transaction a batch.
//!
//! | file | holds |
//! |---|---|
//! | `points.rs` | points to be ingested, one after the other |
//! | `sources.rs` | files of vectors |
//! | `texts.rs` | texts, which a model turns into vectors |
//! | `passages.rs` | documents cut into passages, each a point |
//! | `target.rs` | the collection |

mod passages;
mod points;
mod sources;
mod target;
mod texts;

use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::PointId;
use maxfold::collection::{Collection, CollectionConfig, Point};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};

use crate::cleanup::CleanupArgs;
use crate::command_line::Usage;
use crate::{document, progress};
use passages::PassageArgs;
use points::Points;
use sources::Source;
use target::{Batch, Target};
use texts::{TextArgs, Texts};

/// Writes points from files into a collection.
///
/// The i-th line of POINTS.jsonl that is not blank, `{"id": …, "payload": {…}, "vector": …}`, belongs
/// to item i of each file of vectors: to row i of its tensor `dense` if the name is that of a dense
/// vector, to the rows of `tokens` that `offsets` says if it is that of a multivector. With a model, vectors
/// are made of a text in the payload; each passage of a text file of a FOLDER is a point then. After each
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
    /// Folder of text files, of which passages are points. A file of the same path takes the place of the one before.
    #[arg(value_name = "FOLDER", requires = "model", conflicts_with_all = ["points", "vectors"])]
    folder: Option<PathBuf>,
    /// The name of a vector, and a file with those of all points.
    #[arg(long, value_name = "NAME=FILE.safetensors", value_parser = named_file)]
    vectors: Vec<(String, PathBuf)>,
    #[command(flatten)]
    text: TextArgs,
    #[command(flatten)]
    passages: PassageArgs,
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
    let cut = args.passages.open(args.folder.is_some())?;
    let mut texts = args.text.open(cut)?;
    let collection = open(&args.collection)?;
    let config = agreed(args, collection.as_ref(), config, texts.as_ref())?;
    if let Some(texts) = &texts {
        texts.check(&config)?;
    }
    let (mut points, total) = Points::open(args)?;
    let mut sources = sources::open(args, &config, total)?;
    let has_passages = texts.as_ref().is_some_and(Texts::have_passages);
    let mut target = Target::new(&args.collection, config, collection, has_passages)?;
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
    let mut batch = Batch::default();
    for (item, point) in points.enumerate() {
        let mut point = point?;
        for source in &mut *sources {
            source.add(item, &mut point, args.cleanup.cleanup())?;
        }
        let mut document = Document::new(point, texts.as_ref())?;
        while let Some(point) = document.points.next() {
            batch.points.push(point);
            if document.points.len() == 0 {
                batch.documents.push((document.id, std::mem::take(&mut document.ids)));
            }
            if batch.points.len() == args.batch() {
                commit(target, texts, std::mem::take(&mut batch))?;
            }
        }
        progress.inc(1);
    }
    batch.documents.extend(points.emptied().map(|id| (id, Vec::new())));
    if !batch.points.is_empty() || target.collection.is_some() && !batch.documents.is_empty() {
        commit(target, texts, batch)?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// A document as the points that it becomes: itself, or its passages.
struct Document {
    id: PointId,
    ids: Vec<PointId>,
    points: std::vec::IntoIter<Point>,
}

impl Document {
    fn new(point: Point, texts: Option<&Texts<'_>>) -> Result<Self, Box<dyn Error>> {
        let id = point.id;
        let points = match texts {
            Some(texts) => texts.passages(point)?,
            None => vec![point],
        };
        let ids = points.iter().map(|it| it.id).collect();
        Ok(Self { id, ids, points: points.into_iter() })
    }
}

fn commit(
    target: &mut Target<'_>,
    texts: &mut Option<Texts<'_>>,
    mut batch: Batch,
) -> Result<(), Box<dyn Error>> {
    if let Some(texts) = texts {
        texts.add(&mut batch.points, &target.config)?;
    }
    target.commit(batch)
}
