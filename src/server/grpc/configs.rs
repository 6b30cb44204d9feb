//! Configurations of collections: from messages, and what is shown of them, to messages.
#![expect(deprecated, reason = "fields that clients still send, and that were told to us")]

use qdrant_client::qdrant::max_optimization_threads::{Setting, Variant};
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::quantization_config_diff::Quantization as Change;
use qdrant_client::qdrant::{self, vectors_config, vectors_config_diff};
use serde_json::Value;

use super::spell::{
    Spell, Spelled, Unspell, enumerated, map, mirror_fields, mirror_words, named, number, object,
    object_with, spell_fields, word,
};
use crate::json::Tree;

mirror_words! {
    Distance { Cosine = "Cosine", Euclid = "Euclid", Dot = "Dot", Manhattan = "Manhattan" }
    Datatype {
        Float32 = "float32", Uint8 = "uint8", Float16 = "float16",
        Turbo4 = "turbo4", Turbo8 = "turbo8", Turbo16 = "turbo16",
    }
    Memory { Cold = "cold", Cached = "cached", Pinned = "pinned" }
    Modifier { None = "none", Idf = "idf" }
    MultiVectorComparator { MaxSim = "max_sim" }
    ShardingMethod { Auto = "auto", Custom = "custom" }
    QuantizationType { Int8 = "int8" }
    CompressionRatio { X4 = "x4", X8 = "x8", X16 = "x16", X32 = "x32", X64 = "x64" }
    BinaryQuantizationEncoding {
        OneBit = "one_bit", TwoBits = "two_bits", OneAndHalfBits = "one_and_half_bits",
    }
    TurboQuantBitSize {
        Bits1 = "bits1", Bits15 = "bits1_5", Bits2 = "bits2", Bits4 = "bits4", Bits8 = "bits8",
    }
}

mirror_fields! {
    VectorParams {
        size, distance as Distance, hnsw_config, quantization_config, on_disk,
        datatype as Datatype, multivector_config, memory as Memory,
    }
    MultiVectorConfig { comparator as MultiVectorComparator }
    HnswConfigDiff {
        m, ef_construct, full_scan_threshold, max_indexing_threads, on_disk, payload_m,
        inline_storage, memory as Memory,
    }
    WalConfigDiff { wal_capacity_mb, wal_segments_ahead, wal_retain_closed }
    SparseVectorParams { index, modifier as Modifier }
    SparseIndexConfig { full_scan_threshold, on_disk, datatype as Datatype, memory as Memory }
    ScalarQuantization { r#type as QuantizationType, quantile, always_ram, memory as Memory }
    ProductQuantization { compression as CompressionRatio, always_ram, memory as Memory }
    BinaryQuantization {
        always_ram, encoding as BinaryQuantizationEncoding, query_encoding, memory as Memory,
    }
    TurboQuantization { always_ram, bits as TurboQuantBitSize, memory as Memory }
    PayloadStorageParams { memory as Memory }
    IdTrackerParams { memory as Memory }
    StrictModeConfig {
        enabled, max_query_limit, max_timeout, unindexed_filtering_retrieve,
        unindexed_filtering_update, search_max_hnsw_ef, search_allow_exact,
        search_max_oversampling, upsert_max_batchsize, search_max_batchsize,
        max_collection_vector_size_bytes, read_rate_limit, write_rate_limit,
        max_collection_payload_size_bytes, filter_max_conditions, condition_max_size,
        multivector_config, sparse_config, max_points_count, max_payload_index_count,
        max_resident_memory_percent,
    }
    StrictModeMultivector { max_vectors }
    StrictModeSparse { max_length }
}

spell_fields! {
    VectorParamsDiff { hnsw_config, quantization_config, on_disk, memory as Memory }
    CollectionParamsDiff {
        replication_factor, write_consistency_factor, on_disk_payload, read_fan_out_factor,
        read_fan_out_delay_ms, payload, id_tracker,
    }
    DenseVectorCreationConfig {
        size, distance as Distance, multivector_config, datatype as Datatype,
    }
    SparseVectorCreationConfig { modifier as Modifier, datatype as Datatype }
}

impl Spell for qdrant::CreateCollection {
    fn spell(self) -> Spelled {
        object([
            ("vectors", self.vectors_config.spell()),
            ("sparse_vectors", self.sparse_vectors_config.spell()),
            ("hnsw_config", self.hnsw_config.spell()),
            ("wal_config", self.wal_config.spell()),
            ("optimizers_config", self.optimizers_config.spell()),
            ("shard_number", self.shard_number.spell()),
            ("on_disk_payload", self.on_disk_payload.spell()),
            ("replication_factor", self.replication_factor.spell()),
            ("write_consistency_factor", self.write_consistency_factor.spell()),
            ("quantization_config", self.quantization_config.spell()),
            ("sharding_method", enumerated::<qdrant::ShardingMethod>(self.sharding_method)),
            ("strict_mode_config", self.strict_mode_config.spell()),
            ("metadata", self.metadata.spell()),
            ("payload", self.payload.spell()),
            ("id_tracker", self.id_tracker.spell()),
        ])
    }
}

impl Spell for qdrant::UpdateCollection {
    fn spell(self) -> Spelled {
        object([
            ("vectors", self.vectors_config.spell()),
            ("sparse_vectors", self.sparse_vectors_config.spell()),
            ("hnsw_config", self.hnsw_config.spell()),
            ("optimizers_config", self.optimizers_config.spell()),
            ("params", self.params.spell()),
            ("quantization_config", self.quantization_config.spell()),
            ("strict_mode_config", self.strict_mode_config.spell()),
            ("metadata", self.metadata.spell()),
        ])
    }
}

impl Spell for qdrant::VectorsConfig {
    fn spell(self) -> Spelled {
        match self.config {
            Some(vectors_config::Config::Params(vector)) => vector.spell(),
            Some(vectors_config::Config::ParamsMap(vectors)) => map(vectors.map),
            None => Ok(Tree::Null),
        }
    }
}

impl Unspell for qdrant::VectorsConfig {
    fn unspell(json: &Value) -> Self {
        let config = match json["size"].is_u64() {
            true => vectors_config::Config::Params(Unspell::unspell(json)),
            false => vectors_config::Config::ParamsMap(qdrant::VectorParamsMap {
                map: Unspell::unspell(json),
            }),
        };
        Self { config: Some(config) }
    }
}

impl Spell for qdrant::VectorsConfigDiff {
    fn spell(self) -> Spelled {
        match self.config {
            Some(vectors_config_diff::Config::Params(vector)) => object([("", vector.spell())]),
            Some(vectors_config_diff::Config::ParamsMap(vectors)) => map(vectors.map),
            None => Ok(Tree::Null),
        }
    }
}

impl Spell for qdrant::SparseVectorConfig {
    fn spell(self) -> Spelled {
        map(self.map)
    }
}

impl Unspell for qdrant::SparseVectorConfig {
    fn unspell(json: &Value) -> Self {
        Self { map: Unspell::unspell(json) }
    }
}

impl Spell for qdrant::StrictModeMultivectorConfig {
    fn spell(self) -> Spelled {
        map(self.multivector_config)
    }
}

impl Unspell for qdrant::StrictModeMultivectorConfig {
    fn unspell(json: &Value) -> Self {
        Self { multivector_config: Unspell::unspell(json) }
    }
}

impl Spell for qdrant::StrictModeSparseConfig {
    fn spell(self) -> Spelled {
        map(self.sparse_config)
    }
}

impl Unspell for qdrant::StrictModeSparseConfig {
    fn unspell(json: &Value) -> Self {
        Self { sparse_config: Unspell::unspell(json) }
    }
}

/// Fields of optimizers that have the names of REST: all but the number of threads.
macro_rules! optimizers {
    ($macro:ident!) => {
        $macro!(
            deleted_threshold,
            vacuum_min_vector_number,
            default_segment_number,
            max_segment_size,
            memmap_threshold,
            indexing_threshold,
            flush_interval_sec,
            prevent_unoptimized
        )
    };
}

impl Spell for qdrant::OptimizersConfigDiff {
    fn spell(self) -> Spelled {
        macro_rules! fields {
            ($($field:ident),*) => { object([$((stringify!($field), self.$field.spell())),*]) };
        }
        let threads = match self.max_optimization_threads {
            Some(threads) => threads.spell(),
            None => self.deprecated_max_optimization_threads.spell(),
        };
        object_with([("max_optimization_threads", threads)], optimizers!(fields!))
    }
}

impl Unspell for qdrant::OptimizersConfigDiff {
    fn unspell(json: &Value) -> Self {
        macro_rules! fields {
            ($($field:ident),*) => {
                Self {
                    $($field: Unspell::unspell(&json[stringify!($field)]),)*
                    max_optimization_threads: Unspell::unspell(&json["max_optimization_threads"]),
                    deprecated_max_optimization_threads: None,
                }
            };
        }
        optimizers!(fields!)
    }
}

impl Spell for qdrant::MaxOptimizationThreads {
    fn spell(self) -> Spelled {
        match self.variant {
            Some(Variant::Value(threads)) => threads.spell(),
            Some(Variant::Setting(_)) => Ok(word("auto")),
            None => Ok(Tree::Null),
        }
    }
}

impl Unspell for qdrant::MaxOptimizationThreads {
    fn unspell(json: &Value) -> Self {
        let variant = match json.as_u64() {
            Some(threads) => Variant::Value(threads),
            None => Variant::Setting(Setting::Auto.into()),
        };
        Self { variant: Some(variant) }
    }
}

impl Spell for qdrant::QuantizationConfig {
    fn spell(self) -> Spelled {
        let Some(quantization) = self.quantization else { return Ok(Tree::Null) };
        object([match quantization {
            Quantization::Scalar(it) => ("scalar", it.spell()),
            Quantization::Product(it) => ("product", it.spell()),
            Quantization::Binary(it) => ("binary", it.spell()),
            Quantization::Turboquant(it) => ("turbo", it.spell()),
        }])
    }
}

impl Unspell for qdrant::QuantizationConfig {
    fn unspell(json: &Value) -> Self {
        let given = |kind: &str| json.get(kind);
        let quantization = if let Some(json) = given("scalar") {
            Some(Quantization::Scalar(Unspell::unspell(json)))
        } else if let Some(json) = given("product") {
            Some(Quantization::Product(Unspell::unspell(json)))
        } else if let Some(json) = given("binary") {
            Some(Quantization::Binary(Unspell::unspell(json)))
        } else {
            given("turbo").map(|json| Quantization::Turboquant(Unspell::unspell(json)))
        };
        Self { quantization }
    }
}

impl Spell for qdrant::QuantizationConfigDiff {
    fn spell(self) -> Spelled {
        let Some(quantization) = self.quantization else { return Ok(Tree::Null) };
        object([match quantization {
            Change::Scalar(it) => ("scalar", it.spell()),
            Change::Product(it) => ("product", it.spell()),
            Change::Binary(it) => ("binary", it.spell()),
            Change::Turboquant(it) => ("turbo", it.spell()),
            Change::Disabled(_) => return Ok(word("Disabled")),
        }])
    }
}

use qdrant::binary_quantization_query_encoding::{Setting as Encoding, Variant as Encoded};

const ENCODINGS: [(Encoding, &str); 4] = [
    (Encoding::Default, "default"),
    (Encoding::Binary, "binary"),
    (Encoding::Scalar4Bits, "scalar4bits"),
    (Encoding::Scalar8Bits, "scalar8bits"),
];

impl Spell for qdrant::BinaryQuantizationQueryEncoding {
    fn spell(self) -> Spelled {
        let Some(Encoded::Setting(setting)) = self.variant else { return Ok(Tree::Null) };
        let found = ENCODINGS.iter().find(|(it, _)| i32::from(*it) == setting);
        found.map_or_else(|| setting.spell(), |(_, name)| Ok(word(name)))
    }
}

impl Unspell for qdrant::BinaryQuantizationQueryEncoding {
    fn unspell(json: &Value) -> Self {
        let found = ENCODINGS.iter().find(|(_, name)| json.as_str() == Some(name));
        Self { variant: found.map(|(it, _)| Encoded::Setting((*it).into())) }
    }
}

impl Spell for qdrant::CreateVectorNameRequest {
    fn spell(self) -> Spelled {
        use qdrant::create_vector_name_request::VectorConfig;

        match self.vector_config {
            Some(VectorConfig::DenseConfig(vector)) => object([("dense", vector.spell())]),
            Some(VectorConfig::SparseConfig(vector)) => object([("sparse", vector.spell())]),
            None => object([]),
        }
    }
}
