//! Items of a file: their token matrices and their names.

use std::path::{Path, PathBuf};

use maxfold::multivector::{MultiVectors, RowCleanup, RowCounts, VectorFile};

pub struct Items {
    pub file: PathBuf,
    pub tokens: MultiVectors,
    pub ids: Option<Vec<String>>,
    pub found: RowCounts,
}

impl Items {
    pub fn read(file: &Path, cleanup: RowCleanup) -> maxfold::Result<Self> {
        let mut vectors = VectorFile::tokens(file)?;
        let (tokens, found) = vectors.read_all(cleanup)?;
        let ids = vectors.ids().map(<[String]>::to_vec);
        Ok(Self { file: file.into(), tokens, ids, found })
    }

    /// The id of an item, if the file has ids.
    pub fn id(&self, item: usize) -> Option<&str> {
        self.ids.as_ref()?.get(item).map(String::as_str)
    }

    /// The id of an item, or else its position.
    pub fn name(&self, item: usize) -> String {
        self.id(item).map_or_else(|| item.to_string(), str::to_owned)
    }
}
