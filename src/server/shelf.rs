//! [`Shelf`]: the snapshots of a collection, or of all, in a directory of their own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::archive;
use super::refusal::Refusal;
use crate::{Error, Result};

const SNAPSHOTS: &str = "snapshots";
const ENDING: &str = ".snapshot";
/// Bytes of a collection's name in those of its snapshots.
const NAME: usize = 120;

/// Snapshots of one collection, or those of all.
pub(super) struct Shelf {
    directory: PathBuf,
    name: String,
}

/// A snapshot, as it is listed.
#[derive(Serialize)]
pub(super) struct SnapshotFile {
    pub name: String,
    /// In UTC.
    #[serde(rename = "creation_time", serialize_with = "seconds")]
    pub made: DateTime<Utc>,
    pub size: u64,
    pub checksum: String,
}

fn seconds<S: Serializer>(made: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&made.format("%Y-%m-%dT%H:%M:%S"))
}

impl Shelf {
    /// The snapshots of all collections together.
    pub fn of_all(server: &Path) -> Self {
        Self { directory: server.join(SNAPSHOTS).join("all"), name: "full-snapshot".into() }
    }

    /// Those of a collection. Its name may be longer than that of a file.
    pub fn of(server: &Path, collection: &str) -> Self {
        let digest = Sha256::digest(collection.as_bytes());
        let directory = archive::hex(&digest[..16]);
        let letters = collection.char_indices().take_while(|(at, it)| at + it.len_utf8() <= NAME);
        let name = letters.map(|(_, it)| it).collect();
        Self { directory: server.join(SNAPSHOTS).join(directory), name }
    }

    /// The path of a new one; the directory is made.
    pub fn new_path(&self) -> Result<PathBuf> {
        let failed = |fault| Error::io("create", &self.directory, fault);
        fs::create_dir_all(&self.directory).map_err(failed)?;
        let now = DateTime::<Utc>::from(SystemTime::now()).format("%Y-%m-%d-%H-%M-%S-%f");
        Ok(self.directory.join(format!("{}-{now}{ENDING}", self.name)))
    }

    /// The directory, for copies that are being made.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of one that is there.
    pub fn path(&self, name: &str) -> Result<PathBuf, Refusal> {
        // A name is that of a file in here, and of no other.
        let plain = Path::new(name).file_name().is_some_and(|it| it == name);
        let path = self.directory.join(name);
        if plain && name.ends_with(ENDING) && path.is_file() {
            return Ok(path);
        }
        Err(Refusal::not_found(format!("Snapshot {name} not found")))
    }

    /// All, by name.
    pub fn list(&self) -> Result<Vec<SnapshotFile>> {
        let failed = |fault| Error::io("read", &self.directory, fault);
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(failed(fault)),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(failed)?;
        paths.retain(|path| path.to_string_lossy().ends_with(ENDING));
        paths.sort();
        paths.iter().map(|path| SnapshotFile::read(path)).collect()
    }

    pub fn remove(&self, name: &str) -> Result<(), Refusal> {
        let path = self.path(name)?;
        // One that was received has none.
        drop(fs::remove_file(archive::checksum_file(&path)));
        Ok(fs::remove_file(&path).map_err(|fault| Error::io("remove", &path, fault))?)
    }
}

impl SnapshotFile {
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |fault| Error::io("read", path, fault);
        let metadata = fs::metadata(path).map_err(failed)?;
        let checksum = match fs::read_to_string(archive::checksum_file(path)) {
            Ok(checksum) => checksum,
            Err(_) => archive::checksum(path)?,
        };
        Ok(Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            made: metadata.modified().map_err(failed)?.into(),
            size: metadata.len(),
            checksum,
        })
    }
}
