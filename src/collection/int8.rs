//! Multivectors that are kept in int8, too: by which configuration.

use std::collections::BTreeSet;

use serde_json::json;

use super::config::{CollectionConfig, VectorConfig, VectorKind};
use super::schema::Schema;

/// Qdrant's field for it, of a vector or of all.
const FIELD: &str = "quantization_config";

impl VectorConfig {
    /// Keeps a multivector in int8, too, in about half the bytes of f16, from which most candidates are known not to be
    /// among the best: the answer is the same, and sooner there on the CPU; a GPU holds about twice as many points. In JSON
    /// it is Qdrant's `"quantization_config": {"scalar": {"type": "int8"}}`. Of other vectors, and of distances other than
    /// Cosine and Dot, it is a hint.
    pub fn int8(mut self) -> Self {
        self.hints.insert(FIELD.into(), json!({"scalar": {"type": "int8"}}));
        self
    }
}

impl CollectionConfig {
    /// Tells whether a vector of it is kept in int8.
    pub(crate) fn is_quantized(&self, vector: &VectorConfig) -> bool {
        let said = vector.hints.get(FIELD).or_else(|| self.hints.get(FIELD));
        let is_product = !vector.distance.smaller_is_nearer();
        let is_int8 = said.is_some_and(|it| it["scalar"]["type"] == "int8");
        vector.kind == VectorKind::Multi && is_product && is_int8
    }
}

impl Schema {
    /// Slots of vectors that are kept in int8.
    pub(super) fn quantized(&self) -> BTreeSet<u8> {
        let quantized = self.vectors().filter(|(.., it)| self.config.is_quantized(it));
        quantized.map(|(slot, ..)| slot).collect()
    }
}
