//! Records, read and written with checksums.

use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use heed::{AnyTls, CompactionOption, Env, MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use super::environment::{self, DATA, Durability, Environment, storage_error};
use super::record::{Table, shown};
use super::tables::{Database, Tables};
use crate::files::Lock;
use crate::{Error, Result};

/// Keys, from one bound to the other.
pub(super) type KeySpan<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// Every key.
pub(super) const EVERY_KEY: KeySpan<'static> = (Bound::Unbounded, Bound::Unbounded);

/// A directory with a collection, which one process may write, and any may read.
pub(super) struct Store {
    env: Env<WithoutTls>,
    tables: Tables,
    path: PathBuf,
    /// The file that is mapped, and its length after the last transaction: it never shrinks.
    data: File,
    length: AtomicU64,
    /// Held as long as it is open, by the one that may write.
    lock: Option<Lock>,
    /// Held as long as it is open, by those that only read.
    _reading: Option<Lock>,
}

impl Store {
    /// Makes a new one, with `records` in it.
    pub fn create(
        path: &Path,
        records: &[(Table, &[u8], Vec<u8>)],
        durability: Durability,
    ) -> Result<Self> {
        Self::new(path, environment::create(path, records, durability)?)
    }

    /// Opens one that is there.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(path, environment::open(path)?)
    }

    /// Opens one that another process may be writing.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        Self::new(path, environment::open_read_only(path)?)
    }

    fn new(path: &Path, environment: Environment) -> Result<Self> {
        let Environment { env, tables, lock, reading } = environment;
        let failed = |source| Error::io("read", path, source);
        let data = File::open(path.join(DATA)).map_err(failed)?;
        let length = AtomicU64::new(data.metadata().map_err(failed)?.len());
        Ok(Self { env, tables, path: path.into(), data, length, lock, _reading: reading })
    }

    /// Tells whether it was opened to be read alone.
    pub fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read(&self) -> Result<RoTxn<'_, WithoutTls>> {
        self.check_length()?;
        self.env.read_txn().map_err(|source| self.error("read", source))
    }

    /// Waits until no one else writes.
    pub fn write(&self) -> Result<RwTxn<'_>> {
        if self.is_read_only() {
            return Err(Error::ReadOnly { path: self.path.clone() });
        }
        self.check_length()?;
        self.clear_dead_readers()?;
        self.env.write_txn().map_err(|source| self.error("write", source))
    }

    /// Lets go of what processes were reading that were killed: its space would never be used again.
    fn clear_dead_readers(&self) -> Result<()> {
        self.env.clear_stale_readers().map(drop).map_err(|source| self.error("write", source))
    }

    /// Copies what the last transaction left to a new file, without unused pages.
    pub fn copy(&self, to: &Path) -> Result<()> {
        self.check_length()?;
        let file = self.env.copy_to_path(to, CompactionOption::Enabled);
        let file = file.map_err(|source| storage_error("write", to, source))?;
        file.sync_all().map_err(|source| Error::io("write", to, source))
    }

    /// Closes its file, and keeps it locked.
    pub fn close(self) -> Option<Lock> {
        self.lock
    }

    /// Bytes of the pages of a table.
    pub fn table_bytes(&self, txn: &RoTxn<'_, AnyTls>, table: Table) -> Result<u64> {
        let stat = self.table(table).stat(txn);
        let stat = stat.map_err(|source| self.error("read", source))?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        Ok(pages as u64 * u64::from(stat.page_size))
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> Result<u64> {
        self.env.real_disk_size().map_err(|source| self.error("read", source))
    }

    pub fn commit(&self, txn: RwTxn<'_>) -> Result<()> {
        txn.commit().map_err(|source| self.error("write", source))?;
        // What was written lasts, whether or not its length can be told.
        self.length.fetch_max(self.length().unwrap_or(0), Ordering::Release);
        Ok(())
    }

    /// Refuses a file that was cut off: to touch what it lacks would end the process.
    fn check_length(&self) -> Result<()> {
        // In this order: a commit meanwhile makes both longer.
        let whole = self.length.load(Ordering::Acquire);
        let length = self.length()?;
        if length >= whole {
            return Ok(());
        }
        Err(self.damage(format!("{length} bytes of at least {whole}")))
    }

    fn length(&self) -> Result<u64> {
        let metadata = self.data.metadata();
        metadata.map(|it| it.len()).map_err(|source| Error::io("read", &self.path, source))
    }

    /// The body of a record.
    pub fn get<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        table: Table,
        key: &[u8],
    ) -> Result<Option<&'t [u8]>> {
        match self.get_unchecked(txn, table, key)? {
            None => Ok(None),
            Some(value) => match table.open(key, value) {
                Some(body) => Ok(Some(body)),
                None => Err(self.damaged(table, key)),
            },
        }
    }

    /// A value, checksum included and not compared.
    pub fn get_unchecked<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        table: Table,
        key: &[u8],
    ) -> Result<Option<&'t [u8]>> {
        self.table(table).get(txn, key).map_err(|source| self.error("read", source))
    }

    /// Calls `each` with every record from key `start` to before `end`.
    pub fn scan<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        table: Table,
        span: KeySpan<'_>,
        mut each: impl FnMut(&'t [u8], &'t [u8]) -> Result<()>,
    ) -> Result<()> {
        self.records(txn, table, span, false)?.try_for_each(|record| {
            let (key, body) = record?;
            each(key, body)
        })
    }

    /// The records from key `start` to before `end`, or from there back.
    pub fn records<'s, 't>(
        &'s self,
        txn: &'t RoTxn<'_, AnyTls>,
        table: Table,
        span: KeySpan<'_>,
        backwards: bool,
    ) -> Result<impl Iterator<Item = Result<(&'t [u8], &'t [u8])>> + use<'s, 't>> {
        let failed = |source| self.error("read", source);
        let database = self.table(table);
        let (mut forth, mut back) = (None, None);
        match backwards {
            false => forth = Some(database.range(txn, &span).map_err(failed)?),
            true => back = Some(database.rev_range(txn, &span).map_err(failed)?),
        }
        let records = forth.into_iter().flatten().chain(back.into_iter().flatten());
        Ok(records.map(move |record| {
            let (key, value) = record.map_err(failed)?;
            let body = table.open(key, value).ok_or_else(|| self.damaged(table, key))?;
            Ok((key, body))
        }))
    }

    /// Calls `each` with every key and value of a span, checksums included and not compared.
    pub fn scan_unchecked<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        table: Table,
        span: KeySpan<'_>,
        mut each: impl FnMut(&'t [u8], &'t [u8]),
    ) -> Result<()> {
        let failed = |source| self.error("read", source);
        for record in self.table(table).range(txn, &span).map_err(failed)? {
            let (key, value) = record.map_err(failed)?;
            each(key, value);
        }
        Ok(())
    }

    pub fn count(&self, txn: &RoTxn<'_, AnyTls>, table: Table) -> Result<u64> {
        self.table(table).len(txn).map_err(|source| self.error("read", source))
    }

    pub fn put(&self, txn: &mut RwTxn<'_>, table: Table, key: &[u8], body: &[u8]) -> Result<()> {
        let (value, database) = (table.seal(key, body), self.table(table));
        // After all others, if that is its place: so LMDB fills pages. It would put every other of large records on a
        // page of its own.
        let appended = table
            .is_by_number()
            .then(|| database.put_with_flags(txn, PutFlags::APPEND, key, &value));
        let put = match appended {
            None | Some(Err(heed::Error::Mdb(MdbError::KeyExist))) => {
                database.put(txn, key, &value)
            }
            Some(put) => put,
        };
        put.map_err(|source| self.error("write", source))
    }

    pub fn delete(&self, txn: &mut RwTxn<'_>, table: Table, key: &[u8]) -> Result<bool> {
        self.table(table).delete(txn, key).map_err(|source| self.error("write", source))
    }

    pub fn delete_range(&self, txn: &mut RwTxn<'_>, table: Table, span: KeySpan<'_>) -> Result<()> {
        let deleted = self.table(table).delete_range(txn, &span);
        deleted.map(drop).map_err(|source| self.error("write", source))
    }

    /// Error that says that a record is not what was written.
    pub fn damaged(&self, table: Table, key: &[u8]) -> Error {
        let what = format!("record {} of {:?} with a wrong checksum", shown(key), table.name());
        self.damage(what)
    }

    pub fn damage(&self, what: String) -> Error {
        Error::Damaged { path: self.path.join(DATA), what }
    }

    fn table(&self, table: Table) -> Database<'static> {
        self.tables[table as usize]
    }

    /// Leaves the map no more room than this.
    #[cfg(test)]
    pub fn shrink_map(&self, bytes: usize) -> heed::Result<()> {
        // SAFETY: the caller has no transaction open.
        unsafe { self.env.resize(bytes) }
    }

    fn error(&self, action: &'static str, source: heed::Error) -> Error {
        storage_error(action, &self.path, source)
    }
}

#[cfg(test)]
mod tests {
    use crate::ErrorKind;
    use crate::collection::{Collection, CollectionConfig, Point, VectorConfig};
    use crate::recall::Distance;

    /// Points written before stay, and a process that opens the collection again goes on.
    #[test]
    fn a_full_map_is_an_error_that_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let config = CollectionConfig::new().vector("v", VectorConfig::dense(1024, Distance::Dot));
        let collection = Collection::create(directory.path(), config).unwrap();
        collection.store.shrink_map(1 << 20).unwrap();
        let point = |id: u64| Point::new(id).vector("v", vec![id as f32; 1024]);
        let full = (0..).find_map(|id| collection.upsert(vec![point(id)]).err().map(|it| (id, it)));
        let (written, error) = full.unwrap();
        assert!((50..256).contains(&written), "{written} points of 4 KiB in 1 MiB");
        assert_eq!(error.kind(), ErrorKind::OutOfSpace);
        let message = error.to_string();
        assert!(
            message.contains("its map is full; opened again, it gets a larger one"),
            "{message}"
        );
        assert_eq!(collection.snapshot().unwrap().len() as u64, written);
        drop(collection);
        let collection = Collection::open(directory.path()).unwrap();
        collection.upsert(vec![point(written)]).unwrap();
        let last = collection.snapshot().unwrap().get(written.into()).unwrap();
        assert_eq!(last, Some(point(written)));
    }
}
