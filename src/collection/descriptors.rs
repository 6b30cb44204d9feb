//! The limit of a process on its open files, which many collections meet.

use std::path::Path;

use crate::{Error, Result};

/// Descriptors that have to be free for one more: five that it keeps (three of LMDB's, its lock, and the file whose
/// length is watched), and those of directories and graphs' files, which are open for a moment.
#[cfg(unix)]
const FREE: usize = 16;

/// Sees to it that the process may open the files of one more collection: raises its soft limit to the hard one if
/// it has to.
#[cfg(unix)]
pub(super) fn make_room(path: &Path) -> Result<()> {
    if has_room(path)? {
        return Ok(());
    }
    let most = raise_file_limit().map_err(|source| Error::io("open", path, source))?;
    if has_room(path)? {
        log::info!("the limit on open files is {most} now: many collections are open");
        return Ok(());
    }
    Err(Error::TooManyFiles { path: path.into(), most })
}

#[cfg(not(unix))]
pub(super) fn make_room(_: &Path) -> Result<()> {
    Ok(())
}

/// Raises the limit of the process on open files as far as it may; gives the limit.
pub(crate) fn raise_file_limit() -> std::io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}

#[cfg(unix)]
fn has_room(path: &Path) -> Result<bool> {
    use std::fs::File;
    // A full table of the process; that of the whole system (ENFILE) is none of its limits.
    const EMFILE: i32 = 24;
    let free = File::open("/dev/null").and_then(|first| {
        (1..FREE).map(|_| first.try_clone()).collect::<std::io::Result<Vec<_>>>()
    });
    match free {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(EMFILE) => Ok(false),
        Err(source) => Err(Error::io("open", path, source)),
    }
}
