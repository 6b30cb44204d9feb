//! A collection as it is shown: its configuration, as it was given, and its state.

use serde_json::{Map, Value, json};

use super::hosted::Hosted;
use super::refusal::Refusal;
use crate::collection::{PayloadIndex, Snapshot};
use crate::json::merge;

/// Information that Qdrant's clients get of a collection.
pub(super) fn info(hosted: &Hosted) -> Result<Value, Refusal> {
    if let Some(fault) = hosted.fault() {
        return Ok(failed(fault));
    }
    let searcher = hosted.searcher()?;
    let statistics = searcher.statistics()?;
    let snapshot = searcher.collection().snapshot()?;
    let mut schema = Map::new();
    for index in snapshot.indexes() {
        schema.insert(index.field.to_string(), field(&snapshot, index)?);
    }
    let indexed: u64 = statistics.graphs.values().sum();
    Ok(json!({
        "status": if statistics.behind == 0 { "green" } else { "yellow" },
        "optimizer_status": "ok",
        "indexed_vectors_count": indexed,
        "points_count": statistics.collection.points,
        "segments_count": 1,
        "config": config(searcher.collection().config().to_json()),
        "payload_schema": schema,
        "update_queue": {"length": 0},
        "statistics": statistics,
    }))
}

/// A collection that can't be opened: clients parse what they are told all the same.
fn failed(fault: &str) -> Value {
    json!({
        "status": "red", "optimizer_status": {"error": fault}, "indexed_vectors_count": 0,
        "points_count": 0, "segments_count": 0, "config": config(json!({"vectors": {}})),
        "payload_schema": {},
    })
}

/// An index, as a field's schema.
fn field(snapshot: &Snapshot<'_>, index: &PayloadIndex) -> Result<Value, Refusal> {
    let name = index.kind.name();
    let mut field = json!({"data_type": name, "points": snapshot.indexed(index)?});
    if let schema @ Value::Object(_) = index.schema() {
        field["params"] = schema;
    }
    Ok(field)
}

/// Configuration as it was given, with what Qdrant's clients expect to be there.
fn config(given: Value) -> Value {
    let given = |key: &str| given.get(key).cloned().unwrap_or(Value::Null);
    let over = |mut default: Value, given: Value| {
        if given.is_object() {
            merge(&mut default, &given);
        }
        default
    };
    let number = |key: &str| given(key).as_u64().unwrap_or(1);
    let mut params = json!({
        "vectors": given("vectors"),
        "shard_number": number("shard_number"),
        "replication_factor": number("replication_factor"),
        "write_consistency_factor": number("write_consistency_factor"),
        "on_disk_payload": given("on_disk_payload").as_bool().unwrap_or(true),
    });
    if given("sparse_vectors").is_object() {
        params["sparse_vectors"] = given("sparse_vectors");
    }
    let mut config = json!({
        "params": params,
        "hnsw_config": over(json!({
            "m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0,
            "on_disk": false,
        }), given("hnsw_config")),
        "optimizer_config": over(json!({
            "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
            "max_segment_size": null, "memmap_threshold": null, "indexing_threshold": 10_000,
            "flush_interval_sec": 5, "max_optimization_threads": null,
        }), given("optimizers_config")),
        "wal_config": over(json!({"wal_capacity_mb": 32, "wal_segments_ahead": 0}), given("wal_config")),
        "quantization_config": match given("quantization_config") {
            Value::Null => given("quantization"),
            given => given,
        },
    });
    // Clients send the word, and understand none.
    let threads = &mut config["optimizer_config"]["max_optimization_threads"];
    if threads.is_string() {
        *threads = Value::Null;
    }
    for key in ["strict_mode_config", "metadata"] {
        if !given(key).is_null() {
            config[key] = given(key);
        }
    }
    config
}
