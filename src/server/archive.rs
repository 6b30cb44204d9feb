//! Snapshots: a tar file with the file of a collection, or of all, as they are at one moment.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tar::{Archive, Builder};
use tempfile::TempDir;

use super::hosted::Hosted;
use super::names::{self, Names};
use super::refusal::Refusal;
use crate::collection::Collection;
use crate::{Error, Result};

/// The file of a collection, in its directory and in a snapshot of it.
const DATA: &str = "data.mdb";

/// Writes a snapshot of a collection. The copy is made in `scratch` first.
pub(super) fn write_one(collection: &Collection, scratch: &Path, to: &Path) -> Result<()> {
    let copy = temporary(scratch)?;
    let copied = copy.path().join("copy");
    collection.backup(&copied)?;
    write(to, |tar| tar.append_path_with_name(copied.join(DATA), DATA))
}

/// Writes a snapshot of all collections that can be opened, as a directory that a server may be started on.
pub(super) fn write_all(
    hosted: &[Arc<Hosted>],
    names: &Names,
    scratch: &Path,
    to: &Path,
) -> Result<(), Refusal> {
    let copy = temporary(scratch)?;
    let mut kept = names.clone();
    kept.collections.clear();
    for hosted in hosted {
        let (Some(of), Ok(collection)) =
            (names.collections.get(hosted.name()), hosted.collection())
        else {
            continue;
        };
        collection.backup(copy.path().join(of))?;
        kept.collections.insert(hosted.name().into(), of.clone());
    }
    let index = copy.path().join("index");
    fs::create_dir(&index).map_err(|fault| Error::io("create", &index, fault))?;
    kept.write(&index)?;
    Ok(write(to, |tar| {
        tar.append_path_with_name(index.join(names::FILE), names::FILE)?;
        kept.collections.values().try_for_each(|of| {
            let name = format!("{}/{of}/{DATA}", names::COLLECTIONS);
            tar.append_path_with_name(copy.path().join(of).join(DATA), name)
        })
    })?)
}

fn temporary(scratch: &Path) -> Result<TempDir> {
    TempDir::with_prefix_in(".maxfold-snapshot-", scratch)
        .map_err(|fault| Error::io("create", scratch, fault))
}

/// Writes a file that has its name only once it is whole, and beside it its checksum.
fn write(to: &Path, fill: impl FnOnce(&mut Builder<Hashed<File>>) -> io::Result<()>) -> Result<()> {
    let partial = to.with_extension("partial");
    let written = File::create(&partial).and_then(|file| {
        let mut tar = Builder::new(Hashed { to: file, digest: Sha256::new() });
        fill(&mut tar)?;
        let Hashed { to: file, digest } = tar.into_inner()?;
        file.sync_all()?;
        fs::write(checksum_file(to), hex(&digest.finalize()))?;
        fs::rename(&partial, to)
    });
    written.map_err(|fault| {
        // Nothing more can be done about a leftover than to try.
        drop(fs::remove_file(&partial));
        Error::io("write", to, fault)
    })
}

/// File in which the checksum of a snapshot is written.
pub(super) fn checksum_file(snapshot: &Path) -> std::path::PathBuf {
    snapshot.with_extension("snapshot.sha256")
}

/// Computes the checksum of a file: SHA-256, in hexadecimal.
pub(super) fn checksum(file: &Path) -> Result<String> {
    let mut hashed = Hashed { to: io::sink(), digest: Sha256::new() };
    let read = File::open(file).and_then(|mut file| io::copy(&mut file, &mut hashed));
    read.map_err(|fault| Error::io("read", file, fault))?;
    Ok(hex(&hashed.digest.finalize()))
}

/// Takes the file of a collection out of a snapshot, into a directory, and opens it.
pub(super) fn recover(snapshot: &Path, directory: &Path) -> Result<Collection> {
    let failed = |fault| Error::io("read", snapshot, fault);
    fs::create_dir_all(directory).map_err(|fault| Error::io("create", directory, fault))?;
    let mut archive = Archive::new(File::open(snapshot).map_err(failed)?);
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        if entry.path().map_err(failed)?.as_os_str() == DATA {
            let path = directory.join(DATA);
            let written = File::create(&path)
                .and_then(|mut file| io::copy(&mut entry, &mut file).and_then(|_| file.sync_all()));
            written.map_err(|fault| Error::io("write", &path, fault))?;
            return Collection::open(directory);
        }
    }
    let what = format!("no {DATA} in it, as a snapshot of a collection has");
    Err(Error::Damaged { path: snapshot.into(), what })
}

/// Copies what is read into a file.
pub(super) fn receive(mut from: impl Read, to: &Path) -> Result<()> {
    let written = File::create(to).and_then(|mut file| io::copy(&mut from, &mut file));
    written.map(drop).map_err(|fault| Error::io("write", to, fault))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes what is written.
struct Hashed<W> {
    to: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
