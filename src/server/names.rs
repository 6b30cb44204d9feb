//! [`Names`]: the file that says which directory is which collection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result, files};

/// Directories by the names of collections, and aliases. A directory's name is a number, so that a collection may
/// have any name, and two that come after each other under one name are never in each other's way.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Names {
    /// Number of the next directory.
    next: u64,
    pub collections: BTreeMap<String, String>,
    pub aliases: BTreeMap<String, String>,
}

pub(super) const FILE: &str = "collections.json";
/// File that is given up for another version of the file of names.
const SPARE: &str = "collections.spare";
/// Bytes that it is longer than that.
const SPARE_BYTES: usize = 64 << 10;
pub(super) const COLLECTIONS: &str = "collections";

impl Names {
    /// Reads the file in a server's directory; where there is none, there are no collections.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(fault) => return Err(Error::io("read", &path, fault)),
        };
        serde_json::from_slice(&text)
            .map_err(|fault| Error::Damaged { path, what: fault.to_string() })
    }

    /// Writes the file, durably: from now on it counts.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|fault| Error::io("write", &directory.join(FILE), fault.into()))?;
        let path = directory.join(FILE);
        let spare = directory.join(SPARE);
        if let Err(error) = files::write(&path, &text) {
            // On a full disk something is kept to make room with, or nothing could ever be removed.
            if error.kind() != ErrorKind::OutOfSpace || fs::remove_file(&spare).is_err() {
                return Err(error);
            }
            files::write(&path, &text)?;
        }
        if !spare.exists() {
            // Without room there is none; the next write tries again.
            drop(files::write(&spare, &vec![1; text.len() + SPARE_BYTES]));
        }
        files::sync_directories(directory)
    }

    /// Takes the next directory.
    pub fn take_directory(&mut self) -> String {
        self.next += 1;
        format!("{:08}", self.next)
    }

    /// The directory of a collection.
    pub fn path(directory: &Path, of: &str) -> PathBuf {
        directory.join(COLLECTIONS).join(of)
    }

    /// Removes directories that no collection has: what a crash left of one that was being made, or dropped.
    pub fn remove_others(&self, directory: &Path) -> Result<()> {
        let all = directory.join(COLLECTIONS);
        let failed = |fault| Error::io("read", &all, fault);
        for entry in fs::read_dir(&all).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.len() == 8 && name.bytes().all(|it| it.is_ascii_digit());
            if ours && !self.collections.values().any(|it| *it == name) {
                fs::remove_dir_all(entry.path())
                    .map_err(|fault| Error::io("remove", &entry.path(), fault))?;
            }
        }
        Ok(())
    }

    /// Makes the directory of all collections.
    pub fn make_directory(directory: &Path) -> Result<()> {
        let all = directory.join(COLLECTIONS);
        fs::create_dir_all(&all).map_err(|fault| Error::io("create", &all, fault))?;
        files::sync_directories(&all)
    }
}
