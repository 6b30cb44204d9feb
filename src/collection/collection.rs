//! [`Collection`]: create, open, write, read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use heed::{AnyTls, RoTxn};
use rayon::prelude::*;
use tempfile::TempDir;

use super::batch::Batch;
use super::config::{CollectionConfig, VectorConfig};
use super::environment::{self, Durability};
use super::payload_index::PayloadIndex;
use super::point::{Point, Prepared, Selector, check_depth};
use super::state::{self, State};
use super::store::Store;
use super::verified::Verified;
use super::verify::verify;
use crate::background::Cancellation;
use crate::filter::{FieldPath, Filter, Payload, PointId, payload};
use crate::{Error, Result};

/// Points kept in a directory, written by one process at a time, and read by any number meanwhile.
///
/// Every call that writes is one transaction: after it returned, what it wrote survives a kill and a
/// power cut; before that, and if it fails, nothing of it shows. Writers wait for one another. Readers
/// never wait, and keep no one waiting: a [`Snapshot`](super::Snapshot) is the collection at the moment it was taken.
///
/// The file is mapped into memory. Nothing but this library may change it while it is open: a file
/// that was cut off is an error of the next call that begins a transaction, but to a call in the
/// middle of one, or to a living snapshot, it is a fault that ends the process; and what another
/// program writes into it may be read as anything.
pub struct Collection {
    pub(super) store: Store,
    config: CollectionConfig,
    /// State that the last transaction left.
    last: Mutex<Arc<State>>,
    pub(super) verified: Verified,
    /// Removed after the file in it was closed.
    temporary: Option<TempDir>,
}

impl Collection {
    /// Makes an empty collection in a directory, which is made too if it isn't there.
    ///
    /// # Errors
    /// A configuration that no collection can have; a directory that has one; what the operating
    /// system or LMDB says.
    pub fn create(path: impl AsRef<Path>, config: CollectionConfig) -> Result<Self> {
        config.check()?;
        let store = Store::create(path.as_ref(), &State::records(&config), Durability::Synced)?;
        Self::new(store, config)
    }

    /// Makes an empty collection that ends when it is dropped: for data that fit in memory, for tests.
    ///
    /// It lies in a directory of its own among the system's temporary files, and writes don't wait
    /// for the disk; what little the operating system doesn't keep in memory is read back from there.
    ///
    /// # Errors
    /// As [`Collection::create`].
    pub fn temporary(config: CollectionConfig) -> Result<Self> {
        config.check()?;
        let directory = TempDir::with_prefix("maxfold-");
        let directory =
            directory.map_err(|source| Error::io("create", &std::env::temp_dir(), source))?;
        let records = State::records(&config);
        let store = Store::create(directory.path(), &records, Durability::Unsynced)?;
        Ok(Self { temporary: Some(directory), ..Self::new(store, config)? })
    }

    /// Opens the collection in a directory, if every page of its file is in place and every record
    /// that is searched by key is whole.
    ///
    /// # Errors
    /// There is none; it is open elsewhere; it is of another version of the format; it is damaged;
    /// what the operating system or LMDB says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let store = Store::open(path.as_ref())?;
        let config = state::read_config(&store, &*store.read()?)?;
        Self::new(store, config)
    }

    /// Opens the collection in a directory to read it, also while another process writes: each
    /// [`Snapshot`](super::Snapshot) is of the last transaction that any has written. A process that has it open
    /// already takes snapshots there.
    ///
    /// # Errors
    /// As [`Collection::open`]; every call that would write is an
    /// [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let store = Store::open_read_only(path.as_ref())?;
        let config = state::read_config(&store, &*store.read()?)?;
        Self::new(store, config)
    }

    /// Tells whether it was opened to be read alone.
    pub fn is_read_only(&self) -> bool {
        self.store.is_read_only()
    }

    fn new(store: Store, config: CollectionConfig) -> Result<Self> {
        let txn = store.read()?;
        let state = State::read(&store, &txn, config.vectors.len())?;
        verify(&store, &txn, &state, &config)?;
        drop(txn);
        let (last, verified) = (Mutex::new(Arc::new(state)), Verified::default());
        Ok(Self { store, config, last, verified, temporary: None })
    }

    /// Ends the collection, with all its points: removes its files, the graphs beside them, and its
    /// directory, if nothing else is in there.
    ///
    /// # Errors
    /// It was opened to be read; what the operating system says.
    pub fn remove(self) -> Result<()> {
        drop(self.store.write()?);
        let path = self.path().to_owned();
        let temporary = self.temporary.is_some();
        drop(self);
        if temporary { Ok(()) } else { environment::remove(&path) }
    }

    /// Configuration that the collection was made with.
    pub fn config(&self) -> &CollectionConfig {
        &self.config
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Counts the points that match a filter.
    ///
    /// # Errors
    /// As [`Collection::snapshot`].
    pub fn count(&self, filter: &Filter) -> Result<u64> {
        Ok(self.snapshot()?.select(filter)?.points.len())
    }

    /// Adds points, each in the place of the one that has its id: its vectors and its payload are
    /// gone. Of points with the same id in one call the last counts, as in Qdrant; a file of points, which
    /// [`PointLines`](super::PointLines) reads, has each id once.
    ///
    /// Vectors with the distance cosine are scaled to length 1.
    ///
    /// # Errors
    /// [`Error::InPoint`](crate::Error::InPoint) around what is wrong with a point; what the operating system or LMDB says.
    pub fn upsert(&self, points: Vec<Point>) -> Result<()> {
        let prepare = |point| Prepared::new(point, &self.config);
        let points: Vec<Result<Prepared>> = points.into_par_iter().map(prepare).collect();
        // The first error of several, whichever thread met one first.
        let points: Vec<Prepared> = points.into_iter().collect::<Result<_>>()?;
        let cancellation = Cancellation::current();
        self.write(|batch| {
            points.iter().try_for_each(|point| {
                cancellation.check()?;
                batch.upsert(point)
            })
        })
    }

    /// Removes points; gives how many there were. Ids that no point has are no error.
    ///
    /// # Errors
    /// A record is damaged; what the operating system or LMDB says.
    pub fn delete(&self, which: impl Into<Selector>) -> Result<u64> {
        let which = which.into();
        self.write_selected(&which, |batch, ids| {
            let mut deleted = 0;
            for id in ids {
                deleted += u64::from(batch.delete(*id)?);
            }
            Ok(deleted)
        })
    }

    /// Sets fields of payloads; a field that is `null` in `fields` is removed. Gives how many points
    /// were meant.
    ///
    /// # Errors
    /// An id that no point has; a payload of too many levels; a record is damaged; what the operating
    /// system or LMDB says. So with all that change payloads.
    pub fn set_payload(&self, which: impl Into<Selector>, fields: &Payload) -> Result<u64> {
        check_depth(fields)?;
        self.change_payloads(which.into(), |old| payload::merge(old, fields))
    }

    /// Puts a payload in the place of what was there.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn overwrite_payload(&self, which: impl Into<Selector>, payload: &Payload) -> Result<u64> {
        check_depth(payload)?;
        self.change_payloads(which.into(), |old| old.clone_from(payload))
    }

    /// Removes fields of payloads.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn delete_payload(&self, which: impl Into<Selector>, keys: &[FieldPath]) -> Result<u64> {
        self.change_payloads(which.into(), |old| {
            keys.iter().for_each(|key| payload::remove(old, key));
        })
    }

    /// Removes all fields of payloads.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn clear_payload(&self, which: impl Into<Selector>) -> Result<u64> {
        self.change_payloads(which.into(), Payload::clear)
    }

    /// Makes a payload index of the points that are there, and keeps it from now on.
    ///
    /// # Errors
    /// There is one like it; a record is damaged; what the operating system or LMDB says.
    pub fn create_index(&self, index: PayloadIndex) -> Result<()> {
        self.write(|batch| batch.create_index(index))
    }

    /// Drops a payload index.
    ///
    /// # Errors
    /// There is none like it; what the operating system or LMDB says.
    pub fn drop_index(&self, index: PayloadIndex) -> Result<()> {
        self.write(|batch| batch.drop_index(index))
    }

    fn change_payloads(&self, which: Selector, change: impl Fn(&mut Payload)) -> Result<u64> {
        self.write_selected(&which, |batch, ids| {
            ids.iter().try_for_each(|id| batch.change_payload(*id, &change))?;
            Ok(ids.len() as u64)
        })
    }

    /// One transaction of changes to the points that a call means.
    fn write_selected<T>(
        &self,
        which: &Selector,
        change: impl FnOnce(&mut Batch<'_>, &[PointId]) -> Result<T>,
    ) -> Result<T> {
        self.write(|batch| match which {
            Selector::Ids(ids) => change(batch, ids),
            Selector::Filter(filter) => {
                // No one writes meanwhile, so this is what the transaction sees.
                let snapshot = self.snapshot()?;
                let numbers = snapshot.select(filter)?.points;
                let ids = numbers.iter().map(|number| Ok(snapshot.payload(number)?.0));
                change(batch, &ids.collect::<Result<Vec<_>>>()?)
            }
        })
    }

    /// One transaction of changes: all of them, or, if `change` fails, none.
    fn write<T>(&self, change: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        let txn = self.store.write()?;
        let state = self.state(&txn)?;
        let mut batch = Batch::new(&self.store, txn, state, &self.config);
        let answer = change(&mut batch)?;
        let state = Arc::new(batch.commit()?);
        self.keep(&state);
        Ok(answer)
    }

    /// State that a transaction sees.
    pub(super) fn state(&self, txn: &RoTxn<'_, AnyTls>) -> Result<Arc<State>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.transaction == State::transaction(&self.store, txn)? {
            return Ok(last);
        }
        let state = Arc::new(State::read(&self.store, txn, self.config.vectors.len())?);
        self.keep(&state);
        Ok(state)
    }

    /// Keeps the newest state.
    fn keep(&self, state: &Arc<State>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if state.transaction > last.transaction {
            *last = state.clone();
        }
    }

    pub(super) fn slot(&self, name: &str) -> Result<(u8, &VectorConfig)> {
        self.config.slot(name)
    }
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("path", &self.path()).finish_non_exhaustive()
    }
}
