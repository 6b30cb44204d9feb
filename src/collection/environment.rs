//! The files of a collection, from outside: its lock, whether LMDB may open them, opening, removing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, MdbError, WithoutTls};

use super::descriptors::make_room;
use super::record::{FORMAT, Table};
use super::structure;
use super::tables::{self, Tables};
use super::upgrade::upgrade;
use crate::files::{Lock, sync_directories};
use crate::{Error, Result};

/// An open collection's files.
pub(super) struct Environment {
    pub env: Env<WithoutTls>,
    pub tables: Tables,
    /// Held by the one that may write.
    pub lock: Option<Lock>,
    /// Held by those that only read, together.
    pub reading: Option<Lock>,
}

pub(super) const DATA: &str = "data.mdb";
const LMDB_LOCK: &str = "lock.mdb";
const LOCK: &str = "collection.lock";
/// Locked by those that only read the file, against its being replaced.
pub(super) const READERS_LOCK: &str = "readers.lock";
/// A directory in which a file is made that is to replace the collection's.
pub(super) const REPLACEMENT: &str = "compacted.partial";

/// Address space for the map, which no more memory or disk is taken for than there is data: a 2000th of what
/// a process has, or several times the file.
const ORDINARY_MAP: u64 = 64 << 30;
const TIMES_THE_FILE: u64 = 4;
/// Part of the map's size that is taken where there is less.
const SCARCE_PART: u64 = 8;
const SMALLEST_MAP: usize = 1 << 20;
const LARGEST_MAP: u64 = 1 << 40;

/// LMDB's table of readers: room for about a thousand.
const LMDB_LOCK_SIZE: usize = 1 << 16;

/// Durability of a commit when it returns.
#[derive(Clone, Copy)]
pub(super) enum Durability {
    /// It is.
    Synced,
    /// It needs the operating system to live on.
    Unsynced,
}

/// Makes a new one, with `records` in it.
pub(super) fn create(
    path: &Path,
    records: &[(Table, &[u8], Vec<u8>)],
    durability: Durability,
) -> Result<Environment> {
    check_platform()?;
    make_room(path)?;
    create_directories(path)?;
    // Two processes on one collection would not see each other's graphs.
    let lock = Lock::take(path, LOCK)?;
    let data = path.join(DATA);
    match structure_of(&data) {
        // Made, and nothing ever written: that is what a crash here leaves.
        Ok(Some(0)) => fs::remove_file(&data).map_err(|it| Error::io("replace", &data, it))?,
        Ok(None) => {}
        _ => return Err(Error::CollectionExists { path: path.into() }),
    }
    make_reader_table(path)?;
    drop(Lock::share(path, READERS_LOCK)?);
    let flags = match durability {
        Durability::Synced => EnvFlags::empty(),
        Durability::Unsynced => EnvFlags::NO_SYNC,
    };
    let env = open_env(path, flags)?;
    let failed = |source| storage_error("write", path, source);
    let missing = || Error::NoCollection { path: path.into() };
    let tables = tables::create(&env, records).map_err(failed)?.ok_or_else(missing)?;
    sync_directories(path)?;
    Ok(Environment { env, tables, lock: Some(lock), reading: None })
}

/// Opens one that is there.
pub(super) fn open(path: &Path) -> Result<Environment> {
    check_platform()?;
    make_room(path)?;
    let data = path.join(DATA);
    let missing = || Error::NoCollection { path: path.into() };
    if !data.try_exists().map_err(|source| Error::io("read", &data, source))? {
        return Err(missing());
    }
    let lock = Lock::take(path, LOCK)?;
    remove_replacement(path)?;
    match structure_of(&data)? {
        None | Some(0) => return Err(missing()),
        Some(_) => {}
    }
    make_reader_table(path)?;
    // Made by those that may, for those that can't.
    drop(Lock::share(path, READERS_LOCK)?);
    let env = open_env(path, EnvFlags::empty())?;
    let tables = match upgrade(&env).map_err(|it| storage_error("write", path, it))? {
        None => tables::open(&env).map_err(|it| storage_error("read", path, it))?,
        tables => tables,
    };
    let tables = tables.ok_or_else(missing)?;
    Ok(Environment { env, tables, lock: Some(lock), reading: None })
}

/// Opens one that another process may be writing.
pub(super) fn open_read_only(path: &Path) -> Result<Environment> {
    check_platform()?;
    make_room(path)?;
    let data = path.join(DATA);
    let missing = || Error::NoCollection { path: path.into() };
    let older = |got| Error::FormatVersion { path: path.into(), expected: FORMAT, got };
    let reading = Lock::share(path, READERS_LOCK)?;
    if length_of(&data)?.unwrap_or(0) == 0 || structure::check_head(&data, LARGEST_MAP)? == 0 {
        return Err(missing());
    }
    // Where nothing can be written, LMDB does without.
    drop(make_reader_table(path));
    let env = open_env(path, EnvFlags::READ_ONLY)?;
    check_as_reader(&env, path)?;
    let failed = |source| storage_error("read", path, source);
    let tables = match tables::open(&env).map_err(failed)? {
        Some(tables) => tables,
        None => return Err(tables::version(&env).map_err(failed)?.map_or_else(missing, older)),
    };
    Ok(Environment { env, tables, lock: None, reading })
}

pub(super) fn storage_error(action: &'static str, path: &Path, source: heed::Error) -> Error {
    match source {
        heed::Error::Io(source) => Error::io(action, path, clearer(source)),
        heed::Error::EnvAlreadyOpened => Error::CollectionInUse { path: path.into() },
        heed::Error::Mdb(MdbError::ReadersFull) => Error::TooManySnapshots { path: path.into() },
        heed::Error::Mdb(MdbError::MapFull | MdbError::MapResized) => {
            Error::MapFull { path: path.into() }
        }
        source => Error::Storage { action, path: path.into(), source: source.into() },
    }
}

/// LMDB says `EIO` where a write was cut short, which is what happens first on a disk that fills up.
fn clearer(error: io::Error) -> io::Error {
    const EIO: i32 = 5;
    match error.raw_os_error() {
        Some(EIO) => {
            let text = format!("a write cut short, as on a full disk ({error})");
            io::Error::new(ErrorKind::StorageFull, text)
        }
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
        if derived || [DATA, LMDB_LOCK, LOCK, READERS_LOCK].iter().any(|it| name == **it) {
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

/// Makes a directory, and those that it lies in, durably.
pub(super) fn create_directories(path: &Path) -> Result<()> {
    let missing = |it: &&Path| !it.as_os_str().is_empty() && !it.exists();
    let made: Vec<_> = path.ancestors().take_while(missing).collect();
    fs::create_dir_all(path).map_err(|source| Error::io("create", path, source))?;
    made.into_iter().try_for_each(sync_directories)
}

/// Tells whether a directory has a collection, whole or damaged.
pub(super) fn exists(path: &Path) -> Result<bool> {
    Ok(length_of(&path.join(DATA))?.is_some_and(|length| length > 0))
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

/// Removes what a kill left of a file that was to replace the collection's.
pub(super) fn remove_replacement(path: &Path) -> Result<()> {
    let left = path.join(REPLACEMENT);
    match fs::remove_dir_all(&left) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", &left, error)),
        _ => Ok(()),
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
    let length = length_of(&path.join(DATA))?.unwrap_or(0);
    let wanted = length.saturating_mul(TIMES_THE_FILE).clamp(ORDINARY_MAP, LARGEST_MAP);
    let mut size = usize::try_from(wanted).unwrap_or(usize::MAX / 2).next_power_of_two();
    let mut scarce = false;
    loop {
        match map_env(path, flags, size) {
            // Under a limit of the process: the largest half that there is.
            Err(heed::Error::Io(error)) if is_no_memory(&error) && size > SMALLEST_MAP => {
                size /= 2;
                scarce = true;
            }
            // A part of that, so that there is room for threads, memory and other collections.
            Ok(_) if scarce && size as u64 / SCARCE_PART >= 2 * length.max(SMALLEST_MAP as u64) => {
                size /= SCARCE_PART as usize;
                scarce = false;
            }
            opened => return opened.map_err(|source| storage_error("open", path, source)),
        }
    }
}

fn map_env(path: &Path, flags: EnvFlags, size: usize) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(size).max_dbs(Table::ALL.len() as u32);
    // SAFETY: reading alone makes LMDB do less; a file that isn't synced is damaged by no more than
    // an end of the operating system, after which nobody opens a temporary one.
    unsafe { options.flags(flags) };
    // SAFETY: only LMDB changes the file while it is mapped, and nobody else writes: the directory
    // is locked by the one process that may, and no process opens it twice. What LMDB follows
    // inside of it has been checked, or will be before it is followed.
    unsafe { options.open(path) }
}

fn is_no_memory(error: &io::Error) -> bool {
    error.kind() == ErrorKind::OutOfMemory
}
