//! Backups: a consistent copy of a collection, made while others write.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use tempfile::TempDir;

use super::Collection;
use super::batch::Batch;
use super::environment::{DATA, create_directories, exists};
use super::state::State;
use super::store::Store;
use crate::files::sync_directories;
use crate::{Error, Result};

impl Collection {
    /// Copies the collection, as it is at one moment, to a new directory, while others read and write;
    /// the copy is compacted, and durable when the call returns.
    ///
    /// To restore a backup, open it like any other collection, or copy its directory first. Graphs are
    /// not copied: the first [`Searcher`](crate::Searcher) builds them. The numbers of points stay the same, the
    /// numbers of transactions begin anew. As a file never shrinks by
    /// itself, [`Collection::compact`] gives space back in its place.
    ///
    /// The copy is made beside `path`, in a directory whose name begins with `.maxfold-backup-`, which
    /// is renamed when it is whole. While it is being copied, the file can't reuse the space of what is deleted.
    ///
    /// # Errors
    /// [`Error::CollectionExists`] if the directory has a collection; it has anything else in it; a
    /// record is damaged; what the operating system or LMDB says.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if exists(path)? {
            return Err(Error::CollectionExists { path: path.into() });
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        create_directories(parent)?;
        let copy = directory_in(parent).map_err(|source| Error::io("create", parent, source))?;
        self.store.copy(&copy.path().join(DATA))?;
        begin_anew(copy.path())?;
        fs::rename(copy.path(), path).map_err(|source| Error::io("create", path, source))?;
        // It has another name now: there is nothing left to remove.
        let _ = copy.keep();
        sync_directories(path)
    }
}

/// Makes a directory, to be renamed later, that is as open to others as any other.
fn directory_in(parent: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".maxfold-backup-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(parent)
}

/// Writes the state of a copy under the number of its own transaction: LMDB counts a compacted copy's from 1.
pub(super) fn begin_anew(path: &Path) -> Result<()> {
    let store = Store::open(path)?;
    let txn = store.write()?;
    // The number of its last transaction may be the same by chance, and is to be written all the same.
    let state = State { transaction: 0, ..State::read(&store, &txn)? };
    Batch::new(&store, txn, Arc::new(state)).commit().map(drop)
}
