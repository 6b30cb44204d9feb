//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::{Error, Result};

/// Writes a file; one that was there before is replaced only once the new one is complete.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// The same, with what a call writes.
pub(crate) fn write_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = write_new(&partial, write).and_then(|()| fs::rename(&partial, path));
    written.map_err(|source| {
        // Nothing more can be done about a leftover than to try.
        drop(fs::remove_file(&partial));
        Error::io("write", path, source)
    })
}

fn write_new(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::create(path)?;
    write(&mut file)?;
    file.sync_all()
}

/// Makes the names of new files last: of those in a directory, and its own.
#[cfg(feature = "collection")]
pub(crate) fn sync_directories(path: &Path) -> Result<()> {
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

/// Lock of a directory, held by one process at a time.
#[cfg(feature = "collection")]
pub(crate) struct Lock(File);

#[cfg(feature = "collection")]
impl Lock {
    /// Locks a file of this name in a directory; it is made if it isn't there.
    pub fn take(directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| Error::io("lock", &path, source))?;
        Self::taken(file.try_lock(), file, &path)
    }

    /// Locks a file of this name together with others that share it, and against one that [takes](Self::take) it;
    /// `None` where it isn't there and can't be made.
    pub fn share(directory: &Path, name: &str) -> Result<Option<Self>> {
        let path = directory.join(name);
        // To be read, it may be in a directory where nothing can be written.
        let file = File::open(&path).or_else(|_| make(&path).and_then(|()| File::open(&path)));
        match file {
            Ok(file) => Self::taken(file.try_lock_shared(), file, &path).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn taken(lock: Result<(), fs::TryLockError>, file: File, path: &Path) -> Result<Self> {
        match lock {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => {
                Err(Error::CollectionInUse { path: path.parent().unwrap_or(path).into() })
            }
            Err(fs::TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        }
    }
}

/// Makes an empty file, if it isn't there.
#[cfg(feature = "collection")]
fn make(path: &Path) -> io::Result<()> {
    File::options().create(true).append(true).open(path).map(drop)
}

#[cfg(feature = "collection")]
impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would unlock it too, but not while a process that was just forked still has it.
        drop(self.0.unlock());
    }
}
