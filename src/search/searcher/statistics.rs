//! [`SearcherStatistics`]: a collection's, and those of what is derived from it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::shared::Shared;
use crate::Result;
use crate::collection::CollectionStatistics;

/// Size of a collection, its graphs and its copies on a GPU; in JSON the fields of
/// [`CollectionStatistics`], and these beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearcherStatistics {
    /// Statistics of the collection itself.
    pub collection: CollectionStatistics,
    /// Number of transactions that graphs and copies on the GPU are behind.
    pub behind: u64,
    /// Number of vectors in the graph of each dense vector, by name.
    pub graphs: BTreeMap<String, u64>,
    /// Bytes of each multivector on the GPU, by name.
    pub resident_bytes: BTreeMap<String, u64>,
}

pub(super) fn statistics(shared: &Shared) -> Result<SearcherStatistics> {
    let collection = shared.collection.statistics()?;
    let graphs = shared.graphs();
    let graphs = graphs.iter().map(|graph| (graph.name().to_owned(), graph.view().len() as u64));
    Ok(SearcherStatistics {
        behind: shared.behind(collection.transaction),
        collection,
        graphs: graphs.collect(),
        resident_bytes: resident_bytes(shared),
    })
}

#[cfg(feature = "gpu")]
fn resident_bytes(shared: &Shared) -> BTreeMap<String, u64> {
    let residents = shared.residents();
    let residents = residents.iter();
    residents.map(|it| (it.name().to_owned(), it.stores().used_bytes())).collect()
}

#[cfg(not(feature = "gpu"))]
fn resident_bytes(_: &Shared) -> BTreeMap<String, u64> {
    BTreeMap::new()
}

impl Serialize for SearcherStatistics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { collection, behind, graphs, resident_bytes } = self;
        let mut fields = json!(collection);
        fields["behind"] = json!(behind);
        fields["graphs"] = json!(graphs);
        fields["resident_bytes"] = json!(resident_bytes);
        fields.serialize(serializer)
    }
}
