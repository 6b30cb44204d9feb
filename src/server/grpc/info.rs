//! A collection as it is shown, as a message: of what REST shows.

use qdrant_client::qdrant::{
    self, CollectionConfig, CollectionInfo, CollectionParams, CollectionStatus, OptimizerStatus,
    PayloadSchemaInfo, UpdateQueueInfo,
};
use serde_json::Value;

use super::spell::{Unspell, number};

pub(super) fn info(json: &Value) -> CollectionInfo {
    let status = match json["status"].as_str() {
        Some("green") => CollectionStatus::Green,
        Some("yellow") => CollectionStatus::Yellow,
        Some("red") => CollectionStatus::Red,
        _ => CollectionStatus::UnknownCollectionStatus,
    };
    CollectionInfo {
        status: status.into(),
        optimizer_status: Some(optimizer_status(&json["optimizer_status"])),
        segments_count: Unspell::unspell(&json["segments_count"]),
        config: Some(config(&json["config"])),
        payload_schema: Unspell::unspell(&json["payload_schema"]),
        points_count: Unspell::unspell(&json["points_count"]),
        indexed_vectors_count: Unspell::unspell(&json["indexed_vectors_count"]),
        warnings: Vec::new(),
        update_queue: Some(UpdateQueueInfo { length: 0, deferred_points: None }),
        created_at: None,
    }
}

fn optimizer_status(json: &Value) -> OptimizerStatus {
    let error = json["error"].as_str().unwrap_or_default();
    OptimizerStatus { ok: error.is_empty(), error: error.into() }
}

fn config(json: &Value) -> CollectionConfig {
    CollectionConfig {
        params: Some(params(&json["params"])),
        hnsw_config: Unspell::unspell(&json["hnsw_config"]),
        optimizer_config: Unspell::unspell(&json["optimizer_config"]),
        wal_config: Unspell::unspell(&json["wal_config"]),
        quantization_config: Unspell::unspell(&json["quantization_config"]),
        strict_mode_config: Unspell::unspell(&json["strict_mode_config"]),
        metadata: Unspell::unspell(&json["metadata"]),
    }
}

#[expect(deprecated, reason = "a field that clients read")]
fn params(json: &Value) -> CollectionParams {
    CollectionParams {
        shard_number: Unspell::unspell(&json["shard_number"]),
        on_disk_payload: Unspell::unspell(&json["on_disk_payload"]),
        vectors_config: Some(Unspell::unspell(&json["vectors"])),
        replication_factor: Unspell::unspell(&json["replication_factor"]),
        write_consistency_factor: Unspell::unspell(&json["write_consistency_factor"]),
        sparse_vectors_config: Unspell::unspell(&json["sparse_vectors"]),
        ..CollectionParams::default()
    }
}

impl Unspell for PayloadSchemaInfo {
    fn unspell(json: &Value) -> Self {
        Self {
            data_type: number::<qdrant::PayloadSchemaType, _>(&json["data_type"]),
            params: Unspell::unspell(&json["params"]),
            points: Unspell::unspell(&json["points"]),
        }
    }
}
