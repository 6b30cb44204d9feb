//! [`Collection`]: create, open, write, read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use heed::{AnyTls, RoTxn};
use tempfile::TempDir;

use super::batch::Batch;
use super::config::CollectionConfig;
use super::environment::{self, Durability};
use super::operation::{Operation, PointVectors, UpsertOptions};
use super::point::{Point, Selector, check_depth};
use super::row_warnings::RowWarnings;
use super::schema::Schema;
use super::state::State;
use super::store::Store;
use super::verified::Verified;
use super::verify::verify;
use crate::filter::{FieldPath, Filter, Payload};
use crate::trace::span;
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
///
/// ```
/// use maxfold::{Collection, CollectionConfig, Distance, Point, VectorConfig};
///
/// let config = CollectionConfig::new().vector("dense", VectorConfig::dense(2, Distance::Dot));
/// let directory = tempfile::tempdir().unwrap();
/// let collection = Collection::create(directory.path(), config)?;
/// collection.upsert(vec![Point::new(1).vector("dense", vec![0.5, 1.0])])?;
/// drop(collection);
///
/// let collection = Collection::open(directory.path())?;
/// assert_eq!(collection.delete([1, 2])?, 1);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct Collection {
    pub(super) store: Store,
    /// State that the last transaction left.
    last: Mutex<Arc<State>>,
    pub(super) verified: Verified,
    pub(super) rows: RowWarnings,
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
        let records = State::records(Schema::new(config));
        Self::new(Store::create(path.as_ref(), &records, Durability::Synced)?)
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
        let records = State::records(Schema::new(config));
        let store = Store::create(directory.path(), &records, Durability::Unsynced)?;
        Ok(Self { temporary: Some(directory), ..Self::new(store)? })
    }

    /// Opens the collection in a directory, if every page of its file is in place and every record
    /// that is searched by key is whole.
    ///
    /// A collection keeps five files open. Where the process may have too few (Debian lets it have 1,024 at first),
    /// its soft limit is raised to its hard one, so that it may open thousands; whoever waits for files with
    /// `select`, which takes no descriptor beyond 1,023, opens those before.
    ///
    /// # Errors
    /// There is none; it is open elsewhere; it is of another version of the format; it is damaged;
    /// [`Error::TooManyFiles`](crate::Error::TooManyFiles); what the operating system or LMDB says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(Store::open(path.as_ref())?)?.complete_quantized()
    }

    /// Opens the collection in a directory to read it, also while another process writes: each
    /// [`Snapshot`](super::Snapshot) is of the last transaction that any has written. A process that has it open
    /// already takes snapshots there.
    ///
    /// # Errors
    /// As [`Collection::open`]; every call that would write is an
    /// [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(Store::open_read_only(path.as_ref())?)
    }

    /// Tells whether it was opened to be read alone.
    pub fn is_read_only(&self) -> bool {
        self.store.is_read_only()
    }

    fn new(store: Store) -> Result<Self> {
        let (txn, _) = State::begin(&store)?;
        let state = State::read(&store, &txn)?;
        verify(&store, &txn, &state)?;
        drop(txn);
        Ok(Self {
            store,
            last: Mutex::new(Arc::new(state)),
            verified: Verified::default(),
            rows: RowWarnings::of_points(),
            temporary: None,
        })
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

    /// Configuration as of the last transaction that this process has seen; where another one writes, it sees
    /// new ones with each [`Snapshot`](super::Snapshot), which has a [configuration](super::Snapshot::config) of its own.
    pub fn config(&self) -> Arc<CollectionConfig> {
        self.schema().config.clone()
    }

    pub(super) fn schema(&self) -> Arc<Schema> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).schema.clone()
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
        self.apply_one(Operation::upsert(points)).map(drop)
    }

    /// Adds points, but for those that the options leave out; gives how many were written.
    ///
    /// # Errors
    /// As [`Collection::upsert`].
    pub fn upsert_if(&self, points: Vec<Point>, options: UpsertOptions) -> Result<u64> {
        self.apply_one(Operation::Upsert { points, options })
    }

    /// Removes points; gives how many there were. Ids that no point has are no error.
    ///
    /// # Errors
    /// A record is damaged; what the operating system or LMDB says.
    pub fn delete(&self, which: impl Into<Selector>) -> Result<u64> {
        self.apply_one(Operation::Delete(which.into()))
    }

    /// Sets fields of payloads; a field that is `null` in `fields` is removed. Gives how many points
    /// were selected.
    ///
    /// # Errors
    /// An id that no point has; a payload of too many levels; a record is damaged; what the operating
    /// system or LMDB says. So with all that change payloads or vectors.
    pub fn set_payload(&self, which: impl Into<Selector>, fields: &Payload) -> Result<u64> {
        check_depth(fields)?;
        let (which, fields) = (which.into(), fields.clone());
        self.apply_one(Operation::SetPayload { which, fields, key: None })
    }

    /// Sets fields of the objects that stand in payloads at a key. What stands there and is none gives way to one.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn set_payload_at(
        &self,
        which: impl Into<Selector>,
        key: FieldPath,
        fields: &Payload,
    ) -> Result<u64> {
        check_depth(fields)?;
        let (which, fields) = (which.into(), fields.clone());
        self.apply_one(Operation::SetPayload { which, fields, key: Some(key) })
    }

    /// Puts a payload in the place of what was there.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn overwrite_payload(&self, which: impl Into<Selector>, payload: &Payload) -> Result<u64> {
        check_depth(payload)?;
        let (which, payload) = (which.into(), payload.clone());
        self.apply_one(Operation::OverwritePayload { which, payload })
    }

    /// Removes fields of payloads.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn delete_payload(&self, which: impl Into<Selector>, keys: &[FieldPath]) -> Result<u64> {
        let (which, keys) = (which.into(), keys.to_vec());
        self.apply_one(Operation::DeletePayload { which, keys })
    }

    /// Removes all fields of payloads.
    ///
    /// # Errors
    /// As [`Collection::set_payload`].
    pub fn clear_payload(&self, which: impl Into<Selector>) -> Result<u64> {
        self.apply_one(Operation::ClearPayload(which.into()))
    }

    /// Replaces vectors of points, or adds them; their other vectors and their payloads stay. Gives how many
    /// points were given.
    ///
    /// # Errors
    /// As [`Collection::upsert`] and [`Collection::set_payload`].
    pub fn update_vectors(&self, points: Vec<PointVectors>) -> Result<u64> {
        self.apply_one(Operation::UpdateVectors { points, filter: None })
    }

    /// Removes vectors of points, which need not have them. Gives how many points were selected.
    ///
    /// # Errors
    /// A name that no vector has; as [`Collection::set_payload`].
    pub fn delete_vectors(&self, which: impl Into<Selector>, names: &[&str]) -> Result<u64> {
        let names = names.iter().map(|name| (*name).into()).collect();
        self.apply_one(Operation::DeleteVectors { which: which.into(), names })
    }

    /// One transaction of changes: all of them, or, if `change` fails, none.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        let span = span!("write", transaction);
        let txn = self.store.write()?;
        let state = self.state(&txn, State::transaction(&self.store, &txn)?)?;
        let mut batch = Batch::new(&self.store, txn, state);
        let answer = change(&mut batch)?;
        let state = Arc::new(batch.commit()?);
        span.record("transaction", state.transaction);
        self.keep(&state);
        Ok(answer)
    }

    /// State that a transaction sees, which is that after `transaction`.
    pub(super) fn state(&self, txn: &RoTxn<'_, AnyTls>, transaction: u64) -> Result<Arc<State>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.transaction == transaction {
            return Ok(last);
        }
        let state = Arc::new(State::read(&self.store, txn)?);
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
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("path", &self.path()).finish_non_exhaustive()
    }
}
