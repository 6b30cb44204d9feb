//! `maxfold backup`, `maxfold restore` and `maxfold compact`: copies of collections, in their place or elsewhere.

use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::Collection;

/// Copies a collection, as it is at one moment and compacted, while others read and write.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  maxfold backup --collection DIR --to /backups/today")]
pub struct BackupArgs {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// The directory of the copy, which is made.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Copies a backup to where a collection is to be.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  maxfold restore --backup /backups/today --collection DIR")]
pub struct RestoreArgs {
    /// The backup's directory.
    #[arg(long, value_name = "DIR")]
    backup: PathBuf,
    /// The directory of the collection, which is made; if there is one already, nothing is done.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
}

/// Gives the space of what was deleted back to the file system; the collection has to be closed.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  maxfold compact --collection DIR")]
pub struct CompactArgs {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
}

pub fn compact(args: &CompactArgs) -> Result<(), Box<dyn Error>> {
    let bytes = Collection::compact(&args.collection)?;
    let told = format!("{} bytes, {} before\n", bytes.after, bytes.before);
    crate::output::write(None, told.as_bytes())
}

pub fn backup(args: &BackupArgs) -> Result<(), Box<dyn Error>> {
    copy(&args.collection, &args.to)
}

pub fn restore(args: &RestoreArgs) -> Result<(), Box<dyn Error>> {
    copy(&args.backup, &args.collection)
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    Collection::open_read_only(from)?.backup(to)?;
    // What was written is read.
    let copied = Collection::open_read_only(to)?.statistics()?;
    crate::output::write(
        None,
        format!("{} points, {} bytes\n", copied.points, copied.file_bytes).as_bytes(),
    )
}
