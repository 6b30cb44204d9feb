//! `maxfold ingest`: points from files into a collection, one transaction a batch.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use maxfold::collection::{
    Collection, CollectionConfig, Point, PointLines, Vector, VectorConfig, VectorKind,
};
use maxfold::multivector::{RowCleanup, RowCounts, VectorFile};
use maxfold::recall::Distance;
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};
use maxfold::text;

use crate::cleanup::CleanupArgs;
use crate::command_line::Usage;
use crate::{document, progress};

/// Writes points from files into a collection.
///
/// The i-th line of POINTS.jsonl that is not blank, `{"id": …, "payload": {…}, "vector": …}`, belongs
/// to item i of each file of vectors: to row i of its tensor `dense` if the name is that of a dense
/// vector, to the rows of `tokens` that `offsets` says if it is that of a multivector. After each
/// transaction there is a line `committed N` on stdout, with the number of points in the collection,
/// which from then on survive a kill and a power cut.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold ingest --collection DIR --config CONFIG.json --points POINTS.jsonl --vectors dense=D.safetensors --vectors tokens=D.safetensors"
)]
pub struct Args {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// Its configuration, as the body of Qdrant's request to create a collection; if it is there
    /// already, the same.
    #[arg(long, value_name = "CONFIG.json")]
    config: Option<PathBuf>,
    /// A line `{"id": …, "payload": {…}, "vector": …}` for each point; only the id has to be there.
    #[arg(long, value_name = "POINTS.jsonl")]
    points: PathBuf,
    /// The name of a vector, and a file with those of all points.
    #[arg(long, value_name = "NAME=FILE.safetensors", value_parser = named_file)]
    vectors: Vec<(String, PathBuf)>,
    /// Points a transaction.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    #[command(flatten)]
    cleanup: CleanupArgs,
}

fn named_file(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = argument.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((name.into(), file.into()))
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let config = args.config.as_deref().map(|path| document::read(path, str::parse)).transpose()?;
    let collection = open(&args.collection)?;
    let config = agreed(args, collection.as_ref(), config)?;
    let total = text::lines(&args.points)?.try_fold(0, |count, line| line.map(|_| count + 1))?;
    let mut sources = open_sources(args, &config, total)?;
    let mut target = Target { path: &args.collection, config, collection };
    ingest(args, &mut target, &mut sources, total)?;
    for source in &sources {
        args.cleanup.warn(source.path, source.found, source.cosine);
    }
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
) -> Result<CollectionConfig, Box<dyn Error>> {
    let path = args.collection.display();
    let Some(existing) = existing.map(Collection::config) else {
        let missing = || format!("expected --config for a new collection in {path}, got none");
        return given.ok_or_else(|| Usage::new(missing()).into());
    };
    match given.and_then(|given| given.difference(&existing)) {
        None => Ok(CollectionConfig::clone(&existing)),
        Some(difference) => {
            Err(format!("expected the configuration that {path} has, got another: {difference}")
                .into())
        }
    }
}

/// The vectors of one name.
struct Source<'a> {
    name: &'a str,
    path: &'a Path,
    kind: VectorKind,
    cosine: bool,
    file: VectorFile,
    /// In the rows of multivectors so far.
    found: RowCounts,
}

impl Source<'_> {
    /// Adds the vector of a point.
    fn add(
        &mut self,
        item: usize,
        point: &mut Point,
        cleanup: RowCleanup,
    ) -> Result<(), Box<dyn Error>> {
        let Some(mut values) = self.file.get(item)? else { return Ok(()) };
        let vector = match self.kind {
            VectorKind::Dense(_) => Vector::Dense(values),
            VectorKind::Multi => {
                let dim = self.file.dim();
                self.found += cleanup.apply(&mut values, dim)?;
                Vector::Multi { values, dim }
            }
            _ => return Err(no_such_file(self.path).into()),
        };
        if point.vectors.insert(self.name.into(), vector).is_none() {
            return Ok(());
        }
        let (id, name, path) = (point.id, self.name, self.path.display());
        Err(format!("expected vector {name:?} of point {id} once, got it again from {path}").into())
    }
}

fn open_sources<'a>(
    args: &'a Args,
    config: &CollectionConfig,
    points: usize,
) -> Result<Vec<Source<'a>>, Box<dyn Error>> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for (name, path) in &args.vectors {
        if !names.insert(name) {
            let message = format!("expected --vectors {name}=FILE once, got it twice");
            return Err(Usage::new(message).into());
        }
        let file = open_source(path, config.get(name)?, points)?;
        let VectorConfig { kind, distance, .. } = config.get(name)?;
        let (kind, cosine) = (*kind, *distance == Distance::Cosine);
        let found = RowCounts::default();
        sources.push(Source { name, path, kind, cosine, file, found });
    }
    Ok(sources)
}

/// A file of vectors has dense ones or multivectors.
fn no_such_file(path: &Path) -> String {
    let path = path.display();
    format!(
        "expected {path} to be of a dense vector or a multivector, got a sparse one: those stand in --points"
    )
}

/// A file with a vector for each point, as the configuration has them.
fn open_source(
    path: &Path,
    config: &VectorConfig,
    points: usize,
) -> Result<VectorFile, Box<dyn Error>> {
    let file = match config.kind {
        VectorKind::Dense(_) => VectorFile::dense(path)?,
        VectorKind::Multi => VectorFile::tokens(path)?,
        _ => return Err(no_such_file(path).into()),
    };
    let (path, count, dim, size) = (path.display(), file.len(), file.dim(), config.size);
    if count != points {
        return Err(format!("expected vectors of {points} points in {path}, got {count}").into());
    }
    if dim != size {
        return Err(format!("expected vectors of dimension {size} in {path}, got {dim}").into());
    }
    Ok(file)
}

/// The collection, which is made when there is something to write to it.
struct Target<'a> {
    path: &'a Path,
    config: CollectionConfig,
    collection: Option<Collection>,
}

impl Target<'_> {
    fn commit(&mut self, points: Vec<Point>) -> Result<(), Box<dyn Error>> {
        let collection = match self.collection.take() {
            Some(collection) => collection.upsert(points).map(|()| collection)?,
            None => self.create(points)?,
        };
        let count = collection.snapshot()?.len();
        self.collection = Some(collection);
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "committed {count}")?;
        Ok(stdout.flush()?)
    }

    /// Makes the collection with its first points. If they are refused, nothing is left behind.
    fn create(&self, points: Vec<Point>) -> maxfold::Result<Collection> {
        let collection = Collection::create(self.path, self.config.clone())?;
        match collection.upsert(points) {
            Ok(()) => Ok(collection),
            Err(error) => collection.remove().and(Err(error)),
        }
    }

    fn into_collection(self) -> maxfold::Result<Collection> {
        match self.collection {
            Some(collection) => Ok(collection),
            None => Collection::create(self.path, self.config),
        }
    }
}

fn ingest(
    args: &Args,
    target: &mut Target<'_>,
    sources: &mut [Source<'_>],
    total: usize,
) -> Result<(), Box<dyn Error>> {
    let progress = progress::bar(total, "points");
    let mut batch = Vec::new();
    for (item, point) in PointLines::open(&args.points)?.enumerate() {
        let mut point = point?;
        for source in &mut *sources {
            source.add(item, &mut point, args.cleanup.cleanup())?;
        }
        batch.push(point);
        if batch.len() == args.batch as usize || item + 1 == total {
            let points = std::mem::take(&mut batch);
            progress.inc(points.len() as u64);
            target.commit(points)?;
        }
    }
    progress.finish_and_clear();
    Ok(())
}
