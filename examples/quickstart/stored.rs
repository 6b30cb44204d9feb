//! The handbook's collection: made on the first run, opened on the next.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use maxfold::collection::{Collection, CollectionConfig, VectorConfig};
use maxfold::recall::Distance;
use maxfold::{Error, Result};
use tempfile::TempDir;

use super::handbook::Handbook;

/// A collection, and where it is only borrowed, its directory.
pub struct Stored {
    pub collection: Collection,
    /// Removed when this is dropped.
    pub temporary: Option<TempDir>,
}

impl Stored {
    /// The collection in `directory`; by default one beside this program, in Cargo's target directory.
    ///
    /// The default one is no one else's: if it is damaged, it is made anew. If another quickstart has
    /// it open, or nothing can be written there, a temporary one serves.
    pub fn open(
        directory: Option<&Path>,
        handbook: &Handbook,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        if let Some(directory) = directory {
            return Ok(Self { collection: filled(directory, handbook)?, temporary: None });
        }
        if let Some(collection) = default_directory().and_then(|it| own(&it, handbook)) {
            return Ok(Self { collection, temporary: None });
        }
        let temporary = tempfile::tempdir()?;
        let collection = filled(temporary.path(), handbook)?;
        Ok(Self { collection, temporary: Some(temporary) })
    }
}

/// The checksum of what is embedded is in the name: another handbook has another collection.
fn default_directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let name = format!("quickstart-collection-{:08x}", Handbook::checksum());
    Some(program.parent()?.join(name))
}

fn own(directory: &Path, handbook: &Handbook) -> Option<Collection> {
    match filled(directory, handbook) {
        Ok(collection) => Some(collection),
        Err(Error::CollectionInUse { .. } | Error::CollectionExists { .. }) => None,
        Err(_) => {
            fs::remove_dir_all(directory).ok()?;
            filled(directory, handbook).ok()
        }
    }
}

/// The collection in a directory, with the handbook in it.
fn filled(directory: &Path, handbook: &Handbook) -> Result<Collection> {
    let collection = match Collection::open(directory) {
        Err(Error::NoCollection { .. }) => Collection::create(directory, config())?,
        opened => opened?,
    };
    if *collection.config() != config() {
        return Err(Error::CollectionExists { path: directory.into() });
    }
    if collection.snapshot()?.len() != handbook.sections.len() {
        collection.upsert(handbook.points.clone())?;
    }
    Ok(collection)
}

/// all-MiniLM-L6-v2: 384 dimensions; its token vectors, of length 1, were projected to 128.
fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("dense", VectorConfig::dense(384, Distance::Cosine))
        .vector("tokens", VectorConfig::multi(128, Distance::Dot))
}
