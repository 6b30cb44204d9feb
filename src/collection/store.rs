//! The LMDB environment: opened only if it is whole, read and written with checksums.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use heed::types::Bytes;
use heed::{AnyTls, CommitOrAbort, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};

use super::record::{Table, shown};
use super::structure;
use crate::{Error, Result};

/// Keys, from one bound to the other.
pub(super) type KeySpan<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// Every key.
pub(super) const EVERY_KEY: KeySpan<'static> = (Bound::Unbounded, Bound::Unbounded);

type Database = heed::Database<'static, Bytes, Bytes>;

/// A directory with a collection, which one process may write, and any may read.
pub(super) struct Store {
    env: Env<WithoutTls>,
    tables: [Database; 5],
    path: PathBuf,
    /// The file that is mapped, and its length after the last transaction: it never shrinks.
    data: File,
    length: AtomicU64,
    /// Held as long as it is open, by the one that may write.
    lock: Option<Lock>,
}

/// A locked file.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would unlock it too, but not while a process that was just forked still has it.
        drop(self.0.unlock());
    }
}

const DATA: &str = "data.mdb";
const LMDB_LOCK: &str = "lock.mdb";
const LOCK: &str = "collection.lock";

/// Address space for the map, which no more memory or disk is taken for than there is data. Where the
/// system gives less, as under a limit of the process, the largest half of it that it gives.
const LARGEST_MAP: u64 = 1 << 40;
const SMALLEST_MAP: usize = 1 << 20;

/// LMDB's table of readers: room for about a thousand.
const LMDB_LOCK_SIZE: usize = 1 << 16;

impl Store {
    /// Makes a new one, with `records` in it.
    pub fn create(path: &Path, records: &[(Table, &[u8], Vec<u8>)]) -> Result<Self> {
        check_platform()?;
        fs::create_dir_all(path).map_err(|source| Error::io("create", path, source))?;
        let lock = lock(path)?;
        let data = path.join(DATA);
        match structure_of(&data) {
            // Made, and nothing ever written: that is what a crash here leaves.
            Ok(Some(0)) => fs::remove_file(&data).map_err(|it| Error::io("replace", &data, it))?,
            Ok(None) => {}
            _ => return Err(Error::CollectionExists { path: path.into() }),
        }
        make_reader_table(path)?;
        let env = open_env(path, EnvFlags::empty())?;
        let tables = create_tables(&env, path, records)?;
        sync_directories(path)?;
        Self::new(env, tables, path, Some(lock))
    }

    /// Opens one that is there.
    pub fn open(path: &Path) -> Result<Self> {
        check_platform()?;
        let data = path.join(DATA);
        let missing = || Error::NoCollection { path: path.into() };
        if !data.try_exists().map_err(|source| Error::io("read", &data, source))? {
            return Err(missing());
        }
        let lock = lock(path)?;
        match structure_of(&data)? {
            None | Some(0) => return Err(missing()),
            Some(_) => {}
        }
        make_reader_table(path)?;
        let env = open_env(path, EnvFlags::empty())?;
        let tables = open_tables(&env, path)?.ok_or_else(missing)?;
        Self::new(env, tables, path, Some(lock))
    }

    /// Opens one that another process may be writing.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        check_platform()?;
        let data = path.join(DATA);
        let missing = || Error::NoCollection { path: path.into() };
        if length_of(&data)?.unwrap_or(0) == 0 || structure::check_head(&data, LARGEST_MAP)? == 0 {
            return Err(missing());
        }
        // Where nothing can be written, LMDB does without.
        drop(make_reader_table(path));
        let env = open_env(path, EnvFlags::READ_ONLY)?;
        check_as_reader(&env, path)?;
        let tables = open_tables(&env, path)?.ok_or_else(missing)?;
        Self::new(env, tables, path, None)
    }

    /// Whether it was opened to be read alone.
    pub fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    fn new(
        env: Env<WithoutTls>,
        tables: [Database; 5],
        path: &Path,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let failed = |source| Error::io("read", path, source);
        let data = File::open(path.join(DATA)).map_err(failed)?;
        let length = AtomicU64::new(data.metadata().map_err(failed)?.len());
        Ok(Self { env, tables, path: path.into(), data, length, lock })
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

    pub fn commit(&self, txn: RwTxn<'_>) -> Result<()> {
        txn.commit().map_err(|source| self.error("write", source))?;
        // What was written lasts, whether or not its length can be told.
        self.length.fetch_max(self.length().unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Refuses a file that was cut off: to touch what it lacks would end the process.
    fn check_length(&self) -> Result<()> {
        let (length, whole) = (self.length()?, self.length.load(Ordering::Relaxed));
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
        let failed = |source| self.error("read", source);
        for record in self.table(table).range(txn, &span).map_err(failed)? {
            let (key, value) = record.map_err(failed)?;
            let body = table.open(key, value).ok_or_else(|| self.damaged(table, key))?;
            each(key, body)?;
        }
        Ok(())
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
        let checksum = table.checksum(key, body);
        let size = checksum.len() + body.len();
        let put = self.table(table).put_reserved(txn, key, size, |space| {
            space.write_all(&checksum).and_then(|()| space.write_all(body))
        });
        put.map_err(|source| self.error("write", source))
    }

    pub fn delete(&self, txn: &mut RwTxn<'_>, table: Table, key: &[u8]) -> Result<bool> {
        self.table(table).delete(txn, key).map_err(|source| self.error("write", source))
    }

    pub fn delete_range(&self, txn: &mut RwTxn<'_>, table: Table, span: KeySpan<'_>) -> Result<()> {
        let deleted = self.table(table).delete_range(txn, &span);
        deleted.map(drop).map_err(|source| self.error("write", source))
    }

    /// That a record is not what was written.
    pub fn damaged(&self, table: Table, key: &[u8]) -> Error {
        let what = format!("record {} of {:?} with a wrong checksum", shown(key), table.name());
        self.damage(what)
    }

    pub fn damage(&self, what: String) -> Error {
        Error::Damaged { path: self.path.join(DATA), what }
    }

    fn table(&self, table: Table) -> Database {
        self.tables[table as usize]
    }

    fn error(&self, action: &'static str, source: heed::Error) -> Error {
        storage_error(action, &self.path, source)
    }
}

fn storage_error(action: &'static str, path: &Path, source: heed::Error) -> Error {
    match source {
        heed::Error::Io(source) => Error::io(action, path, clearer(source)),
        heed::Error::EnvAlreadyOpened => Error::CollectionInUse { path: path.into() },
        source => Error::Storage { action, path: path.into(), source },
    }
}

/// LMDB says `EIO` where a write was cut short, which is what happens first on a disk that fills up.
fn clearer(error: io::Error) -> io::Error {
    const EIO: i32 = 5;
    match error.raw_os_error() {
        Some(EIO) => io::Error::other(format!("a write cut short, as on a full disk ({error})")),
        _ => error,
    }
}

/// Removes the files of a collection that is not open, and its directory if nothing else is in there.
pub(super) fn remove(path: &Path) -> Result<()> {
    let failed = |source| Error::io("remove", path, source);
    for file in fs::read_dir(path).map_err(failed)? {
        let file = file.map_err(failed)?;
        let name = file.file_name();
        let derived = name.to_string_lossy().starts_with("graph-");
        if derived || [DATA, LMDB_LOCK, LOCK].iter().any(|it| name == **it) {
            fs::remove_file(file.path()).map_err(failed)?;
        }
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(failed(error)),
        _ => Ok(()),
    }
}

/// LMDB's files have the layout of the machine.
fn check_platform() -> Result<()> {
    if cfg!(all(target_endian = "little", target_pointer_width = "64")) {
        return Ok(());
    }
    let (expected, got) = ("64-bit and little-endian".into(), std::env::consts::ARCH.into());
    Err(Error::InvalidParameter { name: "a collection's machine", expected, got })
}

/// Makes the names of new files last: of those in a directory, and its own.
fn sync_directories(path: &Path) -> Result<()> {
    // Elsewhere a directory can't be opened, and needs no such thing.
    if cfg!(unix) {
        for directory in [Some(path), path.parent()].into_iter().flatten() {
            let directory =
                if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            let synced = File::open(directory).and_then(|file| file.sync_all());
            synced.map_err(|source| Error::io("write", directory, source))?;
        }
    }
    Ok(())
}

/// Two processes on one collection would not see each other's graphs.
fn lock(path: &Path) -> Result<Lock> {
    let file = path.join(LOCK);
    let failed = |source| Error::io("lock", &file, source);
    let lock = File::options().create(true).truncate(false).write(true).open(&file);
    let lock = lock.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::CollectionInUse { path: path.into() }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The last transaction of a file that may be missing.
fn structure_of(data: &Path) -> Result<Option<u64>> {
    match length_of(data)? {
        None => Ok(None),
        // What LMDB leaves if the very first write fails.
        Some(0) => Ok(Some(0)),
        Some(_) => structure::check(data, LARGEST_MAP).map(Some),
    }
}

/// The length of a file that may be missing.
fn length_of(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("read", path, source)),
    }
}

/// LMDB maps its table of readers and writes to it in memory. Written here first, it has its place on
/// the disk: a full disk is an error now, instead of a fault then. One that is there may be in use.
fn make_reader_table(path: &Path) -> Result<()> {
    let readers = path.join(LMDB_LOCK);
    let length = length_of(&readers)?.unwrap_or(0);
    let Some(missing) = LMDB_LOCK_SIZE.checked_sub(length as usize).filter(|it| *it > 0) else {
        return Ok(());
    };
    let file = File::options().create(true).append(true).open(&readers);
    let written = file.and_then(|mut file| file.write_all(&vec![0; missing]));
    written.map_err(|source| Error::io("write", &readers, source))
}

/// Walks the file as a reader, whom no writer takes pages from.
fn check_as_reader(env: &Env<WithoutTls>, path: &Path) -> Result<()> {
    // A writer may have been faster than the look at where its pages begin.
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let txn = env.read_txn().map_err(|source| storage_error("read", path, source))?;
        if structure::check_pinned(&path.join(DATA), LARGEST_MAP, txn.id() as u64)? {
            return Ok(());
        }
    }
    let what = "other transactions than it had".into();
    Err(Error::Damaged { path: path.join(DATA), what })
}

fn open_env(path: &Path, flags: EnvFlags) -> Result<Env<WithoutTls>> {
    let mut size = usize::try_from(LARGEST_MAP).unwrap_or(usize::MAX / 2);
    loop {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(size).max_dbs(Table::ALL.len() as u32);
        // SAFETY: reading alone is a flag that makes LMDB do less.
        unsafe { options.flags(flags) };
        // SAFETY: only LMDB changes the file while it is mapped, and nobody else writes: the directory
        // is locked by the one process that may, and no process opens it twice. What LMDB follows
        // inside of it has been checked, or will be before it is followed.
        match unsafe { options.open(path) } {
            Err(heed::Error::Io(error)) if is_no_memory(&error) && size > SMALLEST_MAP => size /= 2,
            opened => return opened.map_err(|source| storage_error("open", path, source)),
        }
    }
}

fn is_no_memory(error: &io::Error) -> bool {
    error.kind() == ErrorKind::OutOfMemory
}

fn create_tables(
    env: &Env<WithoutTls>,
    path: &Path,
    records: &[(Table, &[u8], Vec<u8>)],
) -> Result<[Database; 5]> {
    let failed = |source| storage_error("write", path, source);
    let txn = env.write_txn().map_err(failed)?;
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        let mut create =
            |table: Table| opener.create_database::<Bytes, Bytes>(txn, Some(table.name()));
        let [a, b, c, d, e] = Table::ALL;
        let tables = [create(a)?, create(b)?, create(c)?, create(d)?, create(e)?];
        for (table, key, body) in records {
            tables[*table as usize].put(txn, key, &table.seal(key, body))?;
        }
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(tables))
    });
    match made.map_err(failed)? {
        CommitOrAbort::Commit(tables) => Ok(tables),
        CommitOrAbort::Abort(()) => Err(Error::NoCollection { path: path.into() }),
    }
}

/// `None` if one of them is missing.
fn open_tables(env: &Env<WithoutTls>, path: &Path) -> Result<Option<[Database; 5]>> {
    let failed = |source| storage_error("read", path, source);
    let txn = env.read_txn().map_err(failed)?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        let open = |table: Table| opener.open_database::<Bytes, Bytes>(txn, Some(table.name()));
        let [a, b, c, d, e] = Table::ALL;
        let tables = (open(a)?, open(b)?, open(c)?, open(d)?, open(e)?);
        heed::Result::Ok(match tables {
            (Some(a), Some(b), Some(c), Some(d), Some(e)) => CommitOrAbort::Commit([a, b, c, d, e]),
            _ => CommitOrAbort::Abort(()),
        })
    });
    Ok(opened.map_err(failed)?.commit())
}
