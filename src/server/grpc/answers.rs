//! Answers, as messages.

use std::time::SystemTime;

use qdrant_client::qdrant::{
    self, BatchResult, GroupsResult, PointGroup, RetrievedPoint, ScoredPoint, SnapshotDescription,
    UpdateResult, UpdateStatus, facet_value, group_id, order_value,
};

use super::values::{id, payload};
use super::vectors::vectors;
use crate::collection::Point;
use crate::search::{
    self, FacetHit, FacetValue, GroupId, GroupResponse, OrderValue, QueryResponse,
};
use crate::server::pairs::Matrix;
use crate::server::points::Completed;
use crate::server::records::Record;
use crate::server::shelf::SnapshotFile;

pub(super) fn scored(response: QueryResponse) -> Vec<ScoredPoint> {
    response.points.into_iter().map(point).collect()
}

pub(super) fn several(responses: Vec<QueryResponse>) -> Vec<BatchResult> {
    responses.into_iter().map(|it| BatchResult { result: scored(it) }).collect()
}

fn point(point: search::ScoredPoint) -> ScoredPoint {
    ScoredPoint {
        id: Some(id(point.id)),
        payload: point.payload.map(payload).unwrap_or_default(),
        score: point.score,
        version: point.version,
        vectors: point.vectors.map(vectors),
        shard_key: None,
        order_value: point.order_value.map(order),
    }
}

pub(super) fn records(records: Vec<Record>) -> Vec<RetrievedPoint> {
    records.into_iter().map(record).collect()
}

fn record(record: Record) -> RetrievedPoint {
    RetrievedPoint {
        id: Some(id(record.id)),
        payload: record.payload.map(payload).unwrap_or_default(),
        vectors: record.vectors.map(vectors),
        shard_key: None,
        order_value: record.order_value.map(order),
    }
}

fn order(value: OrderValue) -> qdrant::OrderValue {
    let variant = match value {
        OrderValue::Integer(value) => order_value::Variant::Int(value),
        OrderValue::Float(value) => order_value::Variant::Float(value),
    };
    qdrant::OrderValue { variant: Some(variant) }
}

pub(super) fn groups(response: GroupResponse) -> GroupsResult {
    GroupsResult { groups: response.groups.into_iter().map(group).collect() }
}

fn group(group: search::PointGroup) -> PointGroup {
    let kind = match group.id {
        GroupId::String(text) => group_id::Kind::StringValue(text),
        GroupId::Integer(value) => match u64::try_from(value) {
            Ok(value) => group_id::Kind::UnsignedValue(value),
            Err(_) => group_id::Kind::IntegerValue(value),
        },
    };
    PointGroup {
        id: Some(qdrant::GroupId { kind: Some(kind) }),
        hits: group.hits.into_iter().map(point).collect(),
        lookup: group.lookup.map(|Point { id, payload, vectors }| {
            record(Record { id, payload: Some(payload), vectors: Some(vectors), order_value: None })
        }),
    }
}

pub(super) fn facet(hit: FacetHit) -> qdrant::FacetHit {
    let variant = match hit.value {
        FacetValue::Bool(value) => facet_value::Variant::BoolValue(value),
        FacetValue::Integer(value) => facet_value::Variant::IntegerValue(value),
        FacetValue::String(value) => facet_value::Variant::StringValue(value),
    };
    let value = Some(qdrant::FacetValue { variant: Some(variant) });
    qdrant::FacetHit { value, count: hit.count }
}

pub(super) fn pairs(matrix: Matrix) -> qdrant::SearchMatrixPairs {
    let pairs = matrix.pairs.iter().map(|&(a, b, score)| qdrant::SearchMatrixPair {
        a: Some(id(matrix.ids[a])),
        b: Some(id(matrix.ids[b])),
        score,
    });
    qdrant::SearchMatrixPairs { pairs: pairs.collect() }
}

pub(super) fn offsets(matrix: Matrix) -> qdrant::SearchMatrixOffsets {
    qdrant::SearchMatrixOffsets {
        offsets_row: matrix.pairs.iter().map(|it| it.0 as u64).collect(),
        offsets_col: matrix.pairs.iter().map(|it| it.1 as u64).collect(),
        scores: matrix.pairs.iter().map(|it| it.2).collect(),
        ids: matrix.ids.into_iter().map(id).collect(),
    }
}

pub(super) fn updated(completed: Completed) -> UpdateResult {
    let status = UpdateStatus::Completed.into();
    UpdateResult { operation_id: Some(completed.operation_id), status }
}

pub(super) fn snapshot(file: SnapshotFile) -> SnapshotDescription {
    SnapshotDescription {
        name: file.name,
        creation_time: Some(SystemTime::from(file.made).into()),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        checksum: Some(file.checksum),
    }
}
