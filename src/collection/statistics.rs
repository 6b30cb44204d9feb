//! [`CollectionStatistics`]: how much there is, and what it takes.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::Collection;
use super::record::Table;
use crate::Result;

/// Size of a collection, and of its file; in JSON an object with the names of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStatistics {
    /// Number of the last transaction.
    pub transaction: u64,
    /// Number of points.
    pub points: u64,
    /// Number of points that have each vector, by name.
    pub vectors: BTreeMap<String, u64>,
    /// Bytes of the file's pages, by what they hold: `points` (ids and payloads), `vectors` (dense and
    /// multivectors), `ids`, `index` (payload indexes), `rows` (multivectors in f32), `quantized` (in int8), `postings` (sparse
    /// vectors by index), `meta` (the sets of points, the configuration).
    pub bytes: BTreeMap<&'static str, u64>,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the file that new records will use before it grows. [`Collection::backup`] leaves them out.
    pub free_bytes: u64,
}

impl Collection {
    /// Counts points, vectors and bytes. It reads a few pages of the file and no points, so a host may ask
    /// every second.
    ///
    /// # Errors
    /// As [`Collection::snapshot`].
    pub fn statistics(&self) -> Result<CollectionStatistics> {
        let snapshot = self.snapshot()?;
        let vectors = snapshot
            .config()
            .vectors()
            .map(|(name, _)| Ok((name.to_owned(), snapshot.having(name)?.len())));
        let vectors = vectors.collect::<Result<_>>()?;
        let bytes = Table::ALL
            .iter()
            .map(|&table| Ok((table.name(), self.store.table_bytes(&snapshot.txn, table)?)));
        let bytes: BTreeMap<_, u64> = bytes.collect::<Result<_>>()?;
        let file_bytes = self.store.file_bytes()?;
        let used: u64 = bytes.values().sum();
        Ok(CollectionStatistics {
            transaction: snapshot.transaction(),
            points: snapshot.len() as u64,
            vectors,
            bytes,
            file_bytes,
            free_bytes: file_bytes.saturating_sub(used),
        })
    }
}

impl Serialize for CollectionStatistics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { transaction, points, vectors, bytes, file_bytes, free_bytes } = self;
        let fields = json!({
            "transaction": transaction, "points": points, "vectors": vectors, "bytes": bytes,
            "file_bytes": file_bytes, "free_bytes": free_bytes,
        });
        fields.serialize(serializer)
    }
}
