//! hnsw_rs's files: links between numbers, in the upper layers.

use std::fs::{self, File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use twox_hash::XxHash3_64;

use crate::recall::links::{self, Links};
use crate::recall::vectors::Vectors;
use crate::{Error, Result};

/// Contents of the files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Dump(pub(super) [Content; 2]);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: u64,
    /// XXH3.
    pub(super) checksum: u64,
}

impl Dump {
    /// Writes the files of the snapshot at `path`.
    pub(super) fn write(links: &Links, path: &Path) -> Result<Self> {
        let name = format!("{}.{}.partial", name_of(path), std::process::id());
        let partial = links::files(folder_of(path), &name);
        let write = || {
            links.dump(folder_of(path), &name)?;
            let dump = Self::of(&partial)?;
            for (partial, file) in partial.iter().zip(dump.files(path)) {
                OpenOptions::new().write(true).open(partial)?.sync_all()?;
                fs::rename(partial, file)?;
            }
            Ok(dump)
        };
        write().map_err(|source| {
            // Nothing more can be done about leftovers than to try.
            partial.iter().for_each(|file| drop(fs::remove_file(file)));
            Error::io("write", path, source)
        })
    }

    /// Reads them; they are links of so many nodes, which have these vectors.
    pub(super) fn load(self, path: &Path, nodes: usize, vectors: &Arc<Vectors>) -> Result<Links> {
        let [graph, _] = self.files(path);
        let there = Self::of(&self.files(path));
        if there.map_err(|source| Error::io("read", &graph, source))? != self {
            return Err(damaged(graph, "bytes that don't fit their checksum"));
        }
        let loaded = Links::load(folder_of(path), &self.name(path), Arc::clone(vectors));
        match loaded {
            Ok(links) if links.len() == nodes => Ok(links),
            Ok(links) => Err(damaged(graph, format!("{} nodes instead of {nodes}", links.len()))),
            Err(error) => Err(damaged(graph, error.to_string())),
        }
    }

    /// Removes those of other snapshots that were at `path`.
    pub(super) fn remove_others(current: Option<Self>, path: &Path) {
        let current = current.map(|dump| dump.files(path)).unwrap_or_default();
        let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
        for file in entries.flatten().map(|entry| entry.path()) {
            if is_of(&file, &name_of(path)) && !current.contains(&file) {
                // It will be tried again when the next one is saved.
                drop(fs::remove_file(file));
            }
        }
    }

    fn of(files: &[PathBuf; 2]) -> io::Result<Self> {
        let [graph, data] = files;
        Ok(Self([Content::of(graph)?, Content::of(data)?]))
    }

    fn files(self, path: &Path) -> [PathBuf; 2] {
        links::files(folder_of(path), &self.name(path))
    }

    /// Name of its files, without their endings.
    fn name(self, path: &Path) -> String {
        let Self([graph, _]) = self;
        format!("{}-{:016x}", name_of(path), graph.checksum)
    }
}

impl Content {
    fn of(path: &Path) -> io::Result<Self> {
        let (mut file, mut hasher) = (File::open(path)?, XxHash3_64::new());
        let (mut chunk, mut bytes) = (vec![0; 1 << 16], 0);
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                return Ok(Self { bytes, checksum: hasher.finish() });
            }
            hasher.write(&chunk[..read]);
            bytes += read as u64;
        }
    }
}

/// Returns `true` if a file is called like those of a dump of the snapshot `name`.
fn is_of(file: &Path, name: &str) -> bool {
    let file = name_of(file);
    let Some(checksum) = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let mut endings = [".hnsw.graph", ".hnsw.data"].into_iter();
    let checksum = endings.find_map(|ending| checksum.strip_suffix(ending));
    checksum.is_some_and(|it| it.len() == 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn damaged(path: PathBuf, what: impl Into<String>) -> Error {
    Error::Damaged { path, what: what.into() }
}

/// As one may open it: a path without a folder is in the current one.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
