//! Which multivectors are kept in int8, too.

use serde_json::{Map, Value, json};

use super::config::{CollectionConfig, VectorConfig, VectorKind};
use super::schema::Schema;
use crate::Result;
use crate::multivector::{QuantizedMatrix, Quantizer, TokenMatrixRef};

/// Qdrant's field for it, of a vector or of all.
const FIELD: &str = "quantization_config";

impl VectorConfig {
    /// Keeps a multivector in int8, too, in about half the bytes of f16, from which most candidates are known not to be
    /// among the best: the answer is the same, and sooner there on the CPU. In JSON it is Qdrant's
    /// `"quantization_config": {"scalar": {"type": "int8"}}`. Of other vectors, and of distances other than Cosine and
    /// Dot, it is a hint.
    pub fn int8(mut self) -> Self {
        self.hints.insert(FIELD.into(), json!({"scalar": {"type": "int8"}}));
        self
    }
}

impl CollectionConfig {
    /// Tells whether a vector of it is kept in int8.
    pub(super) fn is_quantized(&self, vector: &VectorConfig) -> bool {
        let said = |hints: &Map<String, Value>| hints.get(FIELD).cloned();
        let said = said(&vector.hints).or_else(|| said(&self.hints)).unwrap_or_default();
        let is_product = !vector.distance.smaller_is_nearer();
        vector.kind == VectorKind::Multi && is_product && said["scalar"]["type"] == "int8"
    }
}

impl Schema {
    /// Slots of vectors that are kept in int8.
    pub(super) fn quantized(&self) -> impl Iterator<Item = u8> {
        self.vectors().filter(|(.., it)| self.config.is_quantized(it)).map(|(slot, ..)| slot)
    }
}

/// The body of a record, of a multivector that was checked.
pub(super) fn quantized(matrix: TokenMatrixRef<'_>) -> Result<QuantizedMatrix> {
    Quantizer::new(matrix.dim()).map(|quantizer| quantizer.quantize(matrix))
}
