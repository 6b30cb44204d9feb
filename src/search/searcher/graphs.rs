//! The graphs of a collection's dense vectors, kept in step with it and beside it on disk.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::collection::{Collection, Snapshot, VectorConfig, VectorKind};
use crate::filter::PointSet;
use crate::recall::{HnswIndex, HnswLoader, HnswParams, HnswView};
use crate::trace::span;
use crate::{Error, Result};

/// Points that are read at once.
const CHUNK: usize = 1024;

/// A graph is saved after this many changes, or a quarter of its size if that is more.
const CHANGES_WORTH_SAVING: u64 = 10_000;

/// Stamp of a graph of a state that has no id.
const NO_STATE: u64 = 0;

/// Graphs of all dense vectors that have one.
pub(super) type Graphs = Arc<Vec<Arc<Graph>>>;

/// A dense vector that is to have a graph.
struct Wanted<'s> {
    name: &'s str,
    path: PathBuf,
    config: &'s VectorConfig,
    params: HnswParams,
}

/// The graph of one dense vector.
pub(super) struct Graph {
    name: String,
    path: PathBuf,
    index: HnswIndex,
    /// Changes since it was saved.
    unsaved: AtomicU64,
    /// Its file is that of another process.
    read_only: bool,
}

impl Graph {
    /// The graphs of all vectors that have one, as they are saved: they [follow](Graph::follow) later.
    pub fn open_all(collection: &Collection) -> Result<Graphs> {
        if !collection.is_read_only() {
            remove_leftovers(collection.path());
        }
        let snapshot = collection.snapshot()?;
        let graphs = wanted(collection, &snapshot)?;
        let graphs = graphs.into_iter().map(|it| Ok(Arc::new(Self::open(&snapshot, it)?)));
        graphs.collect::<Result<Vec<_>>>().map(Arc::new)
    }

    /// The graphs that there are to be by a snapshot, of those that there are: others are new, and empty.
    pub fn renewed(
        graphs: &Graphs,
        collection: &Collection,
        snapshot: &Snapshot<'_>,
    ) -> Result<Graphs> {
        let wanted = wanted(collection, snapshot)?;
        let fit = |(graph, wanted): (&Arc<Self>, &Wanted<'_>)| graph.is(wanted);
        if wanted.len() == graphs.len() && graphs.iter().zip(&wanted).all(fit) {
            return Ok(graphs.clone());
        }
        let renewed =
            wanted.into_iter().map(|wanted| match graphs.iter().find(|graph| graph.is(&wanted)) {
                Some(graph) => Ok(graph.clone()),
                None => Self::new(wanted, snapshot.is_read_only()).map(Arc::new),
            });
        let renewed: Vec<_> = renewed.collect::<Result<_>>()?;
        for graph in graphs.iter().filter(|it| renewed.iter().all(|new| new.path != it.path)) {
            graph.remove_file();
        }
        Ok(Arc::new(renewed))
    }

    fn new(wanted: Wanted<'_>, read_only: bool) -> Result<Self> {
        let Wanted { name, path, config, params } = wanted;
        let index = HnswIndex::new(config.distance, params, config.size)?;
        Ok(Self { name: name.into(), path, index, unsaved: AtomicU64::new(0), read_only })
    }

    /// Tells whether it is the graph of a vector, with its parameters.
    fn is(&self, wanted: &Wanted<'_>) -> bool {
        let Wanted { name, path, config, params } = wanted;
        self.name == *name
            && self.path == *path
            && self.index.params() == *params
            && (self.index.dim(), self.index.distance()) == (config.size, config.distance)
    }

    fn open(snapshot: &Snapshot<'_>, wanted: Wanted<'_>) -> Result<Self> {
        let Wanted { name, path, config, params } = wanted;
        let span = span!("open graph", vector = name, kept, missing);
        let mut loader = loader(&path, config, params)?;
        let missing = keep(&mut loader, snapshot, name)?;
        let stamp = if missing == 0 { stamp(snapshot) } else { NO_STATE };
        let loaded = loader.over_snapshot(stamp)?;
        span.record("kept", loaded.kept);
        span.record("missing", missing);
        log::debug!("graph of {name:?}: {} vectors from its file, {missing} missing", loaded.kept);
        let (unsaved, read_only) = (AtomicU64::new(0), snapshot.is_read_only());
        Ok(Self { name: name.into(), path, index: loaded.index, unsaved, read_only })
    }

    /// Name of the vector.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The graph as it is now.
    pub fn view(&self) -> HnswView {
        self.index.view()
    }

    /// Brings it to the state of a snapshot: with new vectors to be scanned until they are [linked](Graph::link).
    /// One caller at a time.
    pub fn follow(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let (new, gone) = self.differences(snapshot.having(&self.name)?);
        let vector = self.name.as_str();
        let _span = span!("follow graph", vector = vector, new = new.len(), gone = gone.len());
        let mut batch = self.index.batch();
        for chunk in chunks(&new) {
            let points = snapshot.read_dense(&self.name, &chunk)?;
            batch
                .append(points.iter().map(|(number, vector)| (number.get(), vector.as_slice())))?;
        }
        gone.iter().for_each(|number| batch.remove(number.get()));
        batch.publish(stamp(snapshot));
        self.unsaved.fetch_add(new.len() + gone.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Links some of the vectors that are not linked yet; `false` if that was all.
    pub fn link(&self) -> bool {
        self.index.link(CHUNK) > 0
    }

    /// Numbers that it lacks, and numbers that it has too many.
    fn differences(&self, having: &PointSet) -> (PointSet, PointSet) {
        let view = self.index.view();
        let (having, known) = (having.bitmap(), view.numbers());
        ((having - known).into(), (known - having).into())
    }

    /// Does what is due after changes.
    pub fn tend(&self, collection: &Collection, stop: &AtomicBool) -> Result<()> {
        if self.index.wants_rebuild() {
            log::debug!("graph of {:?}: rebuilt, as many of its vectors are gone", self.name);
            let _span = span!("rebuild graph", vector = self.name.as_str());
            self.index.rebuild_unless(stop)?;
        }
        let due = CHANGES_WORTH_SAVING.max(self.index.len() as u64 / 4);
        if self.unsaved.load(Ordering::Relaxed) >= due {
            self.save(&collection.snapshot()?)?;
        }
        Ok(())
    }

    /// Removes what was written of it. What stays costs room, and no more.
    fn remove_file(&self) {
        if !self.read_only {
            drop(fs::remove_file(&self.path));
        }
    }

    /// Writes it beside the collection, if it has changed. What the snapshot doesn't have has to be inserted again.
    pub fn save(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let unsaved = self.unsaved.swap(0, Ordering::Relaxed);
        if unsaved == 0 || self.read_only {
            return Ok(());
        }
        let _span = span!("save graph", vector = self.name.as_str(), changes = unsaved);
        let saved = self.save_revisions(snapshot);
        if saved.is_err() {
            self.unsaved.fetch_add(unsaved, Ordering::Relaxed);
        }
        saved
    }

    fn save_revisions(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let having = match snapshot.having(&self.name) {
            Ok(having) => snapshot.revisions(&self.name, having)?,
            // The vector is gone, and so will be the file.
            Err(_) => return Ok(()),
        };
        let revision = |number: u32| {
            let at = having.binary_search_by_key(&number, |(number, _)| number.get()).ok()?;
            Some(having[at].1)
        };
        self.index.save_revisions(&self.path, revision)
    }
}

/// Loader of a graph, with its file if that is of use.
fn loader(path: &Path, config: &VectorConfig, params: HnswParams) -> Result<HnswLoader> {
    let (distance, dim) = (config.distance, config.size);
    HnswLoader::from_snapshot(path, distance, params, dim).or_else(|error| {
        log_unusable(&error);
        HnswLoader::new(distance, params, dim)
    })
}

/// The stamp of a graph that is as a snapshot.
fn stamp(snapshot: &Snapshot<'_>) -> u64 {
    snapshot.state_id().unwrap_or(NO_STATE)
}

/// Has a loader keep the vectors that are still the same; the number of those that it doesn't have.
fn keep(loader: &mut HnswLoader, snapshot: &Snapshot<'_>, name: &str) -> Result<usize> {
    let having = snapshot.having(name)?;
    // Then nothing has been written since.
    if snapshot.state_id() == Some(loader.stamp()) {
        return Ok(having.iter().filter(|number| !loader.keep(number.get(), None)).count());
    }
    let revisions = snapshot.revisions(name, having)?.into_iter();
    let missing = revisions.filter(|(number, it)| !loader.keep(number.get(), Some(*it))).count();
    Ok(missing)
}

/// The dense vectors that are to have a graph.
fn wanted<'s>(collection: &Collection, snapshot: &'s Snapshot<'_>) -> Result<Vec<Wanted<'s>>> {
    let mut wanted = Vec::new();
    for (name, config) in snapshot.config().vectors() {
        if let VectorKind::Dense(Some(params)) = config.kind
            && params.m > 0
        {
            let path = collection.path().join(format!("graph-{}", snapshot.slot_of(name)?));
            wanted.push(Wanted { name, path, config, params });
        }
    }
    Ok(wanted)
}

/// Removes what a kill left of a graph that was being saved. The collection is locked: nobody is at it.
fn remove_leftovers(directory: &Path) {
    let Ok(files) = fs::read_dir(directory) else { return };
    for file in files.flatten() {
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("graph-") && name.contains(".partial") {
            // It costs room, and no more.
            drop(fs::remove_file(file.path()));
        }
    }
}

/// A collection that was never closed has no graph; anything else is worth a line.
fn log_unusable(error: &Error) {
    match error {
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {}
        error => log::warn!("a graph is built anew: {error}"),
    }
}

/// The numbers, some at a time.
fn chunks(numbers: &PointSet) -> impl Iterator<Item = PointSet> {
    let mut numbers = numbers.iter();
    std::iter::from_fn(move || {
        let chunk: PointSet = numbers.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::{CollectionConfig, Point};
    use crate::filter::PointId;
    use crate::recall::Distance;

    fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
        let vector = |id: u64| vec![id as f32, 1.0, (id % 7) as f32];
        ids.map(|id| Point::new(id).vector("v", vector(id))).collect()
    }

    /// The only graph, as it is read from its file.
    fn opened(collection: &Collection) -> Arc<Graph> {
        Arc::clone(&Graph::open_all(collection).unwrap()[0])
    }

    #[test]
    fn opening_links_nothing_and_following_all() {
        let directory = tempfile::tempdir().unwrap();
        let vector = VectorConfig::dense(3, Distance::Euclid);
        let config = CollectionConfig::new().vector("v", vector);
        let collection = Collection::create(directory.path(), config).unwrap();
        collection.upsert(points(0..5000)).unwrap();

        let graph = opened(&collection);
        assert_eq!((graph.view().len(), graph.view().stamp()), (0, NO_STATE));
        let snapshot = collection.snapshot().unwrap();
        graph.follow(&snapshot).unwrap();
        assert_eq!((graph.view().len(), graph.index.link(0)), (5000, 5000));
        while graph.link() {}
        graph.save(&snapshot).unwrap();
        let graph = opened(&collection);
        assert_eq!((graph.view().len(), graph.view().stamp()), (5000, stamp(&snapshot)));

        // What is missing is missing until it is followed; what is gone is gone at once, also where the
        // graph is then to be rebuilt.
        collection.delete((0..3000).map(PointId::from).collect::<Vec<_>>()).unwrap();
        collection.upsert(points(5000..5100)).unwrap();
        let graph = opened(&collection);
        assert_eq!((graph.view().len(), graph.view().stamp()), (2000, NO_STATE));
        let snapshot = collection.snapshot().unwrap();
        graph.follow(&snapshot).unwrap();
        assert_eq!((graph.view().len(), graph.view().stamp()), (2100, stamp(&snapshot)));
        while graph.link() {}
        assert!(graph.index.wants_rebuild());
        graph.tend(&collection, &AtomicBool::new(false)).unwrap();
        assert_eq!(graph.view().len(), 2100);
        assert!(!graph.index.wants_rebuild());
    }
}
