//! Space given back to the file system: a file without unused pages in the place of the collection's.

use std::fs;
use std::path::Path;

use super::Collection;
use super::backup::begin_anew;
use super::environment::{DATA, READERS_LOCK, REPLACEMENT, remove_replacement};
use crate::files::{Lock, sync_directories};
use crate::{Error, Result};

/// Bytes of a collection's file before and after a [compaction](Collection::compact).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// Bytes that it had.
    pub before: u64,
    /// Bytes that it has.
    pub after: u64,
}

impl Collection {
    /// Gives the space of what was deleted back to the file system. The collection in the directory has to be closed,
    /// in this process and in all others.
    ///
    /// A file of what is in use is made beside its own, in `compacted.partial`, which takes as much room meanwhile, and
    /// takes its place when it is durable: a kill at any moment leaves the one or the other, whole. Graphs stay as they
    /// are. As in a [backup](Collection::backup), the numbers of points stay the same, and those of transactions begin
    /// anew.
    ///
    /// ```
    /// use maxfold::{Collection, CollectionConfig, Distance, Point, PointId, VectorConfig};
    ///
    /// let config = CollectionConfig::new().vector("dense", VectorConfig::dense(64, Distance::Dot));
    /// let directory = tempfile::tempdir().unwrap();
    /// let collection = Collection::create(directory.path(), config)?;
    /// let point = |id: u64| Point::new(id).vector("dense", vec![id as f32; 64]);
    /// collection.upsert((0..1000).map(point).collect())?;
    /// collection.delete((10..1000_u64).map(PointId::from).collect::<Vec<_>>())?;
    /// drop(collection);
    ///
    /// let compaction = Collection::compact(directory.path())?;
    /// assert!(compaction.after < compaction.before / 2);
    /// assert_eq!(Collection::open(directory.path())?.snapshot()?.len(), 10);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CollectionInUse`], of the kind busy: it is open, be it to be read; as [`Collection::open`].
    pub fn compact(path: impl AsRef<Path>) -> Result<Compaction> {
        let path = path.as_ref();
        let collection = Self::open(path)?;
        let _readers = Lock::take(path, READERS_LOCK)?;
        let before = collection.store.file_bytes()?;
        let copy = path.join(REPLACEMENT);
        fs::create_dir(&copy).map_err(|source| Error::io("create", &copy, source))?;
        let made = collection.store.copy(&copy.join(DATA)).and_then(|()| begin_anew(&copy));
        // The file is closed before another one has its name; nobody opens it meanwhile.
        let _lock = collection.store.close();
        let replaced = made.and_then(|()| {
            let data = path.join(DATA);
            let renamed = fs::rename(copy.join(DATA), &data);
            renamed.map_err(|source| Error::io("replace", &data, source))
        });
        remove_replacement(path)?;
        replaced?;
        sync_directories(path)?;
        let data = path.join(DATA);
        let after = fs::metadata(&data).map_err(|source| Error::io("read", &data, source))?.len();
        Ok(Compaction { before, after })
    }
}
