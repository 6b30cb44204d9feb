//! [`Operation`] from Qdrant's JSON.

use serde::de::{Deserialize, Deserializer};

use super::operation::{Operation, PointVectors, UpdateMode, UpsertOptions};
use super::point_json::{read_payload, read_vectors};
use super::{Point, Selector};
use crate::filter::{FieldPath, Filter, PointId};
use crate::json::{self, Foreign, Json, Node, Object};
use crate::{Error, Result};

const OPERATIONS: [&[&str; 1]; 8] = [
    &["upsert"],
    &["delete"],
    &["set_payload"],
    &["overwrite_payload"],
    &["delete_payload"],
    &["clear_payload"],
    &["update_vectors"],
    &["delete_vectors"],
];

const BESIDE: &[Foreign] = &[Foreign::new("shard_key", "sharding")];

impl std::str::FromStr for Operation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "an operation", "operation", Self::read)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "operation", Self::read)
    }
}

impl Operation {
    /// Reads all operations of `{"operations": […]}`, the body of Qdrant's call for several.
    ///
    /// # Errors
    /// The text is something else.
    pub fn read_all(text: &str) -> Result<Vec<Self>> {
        json::read(text, "operations", "operations", |node| {
            let list = node.object(&["operations"])?.required("operations")?;
            list.array()?.iter().map(Self::read).collect()
        })
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.any_object()?;
        let Some(field) = OPERATIONS.iter().find(|field| object.get(field[0]).is_some()) else {
            let names = OPERATIONS.map(|field| field[0]).join(", ");
            return Err(node.expected(format!("an object with one of {names}")));
        };
        Self::read_body(field[0], &node.object(*field)?.required(field[0])?)
    }

    /// Reads what stands under the name of a kind of operation.
    pub(crate) fn read_body(kind: &str, node: &Node<'_>) -> Result<Self> {
        match kind {
            "upsert" => read_upsert(node),
            "delete" => Ok(Self::Delete(read_selector(node, selector(node, SELECTOR)?)?)),
            "set_payload" => {
                let object = selector(node, &["payload", "key", "points", "filter"])?;
                let fields = read_payload(&object.required("payload")?)?;
                let key = object.map("key", FieldPath::read)?;
                Ok(Self::SetPayload { fields, key, which: read_selector(node, object)? })
            }
            "overwrite_payload" => {
                let object = selector(node, &["payload", "points", "filter"])?;
                let payload = read_payload(&object.required("payload")?)?;
                Ok(Self::OverwritePayload { payload, which: read_selector(node, object)? })
            }
            "delete_payload" => {
                let object = selector(node, &["keys", "points", "filter"])?;
                let keys = object.required("keys")?.array()?;
                let keys = keys.iter().map(FieldPath::read).collect::<Result<_>>()?;
                Ok(Self::DeletePayload { keys, which: read_selector(node, object)? })
            }
            "clear_payload" => {
                Ok(Self::ClearPayload(read_selector(node, selector(node, SELECTOR)?)?))
            }
            "update_vectors" => {
                let object = node.object_beside(&["points", "update_filter"], BESIDE)?;
                let points = object.required("points")?.array()?;
                let points = points.iter().map(PointVectors::read).collect::<Result<_>>()?;
                Ok(Self::UpdateVectors {
                    points,
                    filter: object.map("update_filter", Filter::read)?,
                })
            }
            _ => {
                let object = selector(node, &["vector", "points", "filter"])?;
                let names = object.required("vector")?.array()?;
                let names = names.iter().map(Node::text);
                let names = names.collect::<Result<_>>()?;
                Ok(Self::DeleteVectors { names, which: read_selector(node, object)? })
            }
        }
    }
}

const SELECTOR: &[&str] = &["points", "filter"];

fn selector<'a>(node: &Node<'a>, fields: &'static [&'static str]) -> Result<Object<'a>> {
    node.object_beside(fields, BESIDE)
}

/// The points that an object names by ids or by a filter.
fn read_selector(node: &Node<'_>, object: Object<'_>) -> Result<Selector> {
    match object.only(&["points", "filter"]) {
        Some(("points", ids)) => {
            Ok(Selector::Ids(ids.array()?.iter().map(PointId::read).collect::<Result<_>>()?))
        }
        Some((_, filter)) => Filter::read(&filter).map(Selector::Filter),
        None => Err(node.expected("an object with points or with a filter")),
    }
}

fn read_upsert(node: &Node<'_>) -> Result<Operation> {
    let object =
        node.object_beside(&["points", "batch", "update_filter", "update_mode"], BESIDE)?;
    let points = match object.only(&["points", "batch"]) {
        Some(("points", list)) => list.array()?.iter().map(Point::read).collect::<Result<_>>()?,
        Some((_, batch)) => read_batch(&batch)?,
        None => return Err(node.expected("an object with points or with a batch")),
    };
    let options = UpsertOptions {
        mode: object.map("update_mode", UpdateMode::read)?.unwrap_or_default(),
        filter: object.map("update_filter", Filter::read)?,
    };
    Ok(Operation::Upsert { points, options })
}

/// Points column by column: `{"ids": […], "vectors": […] or {name: […]}, "payloads": […]}`.
fn read_batch(node: &Node<'_>) -> Result<Vec<Point>> {
    let object = node.object(&["ids", "vectors", "payloads"])?;
    let ids = object.required("ids")?.array()?;
    let mut points: Vec<Point> =
        ids.iter().map(|id| PointId::read(id).map(Point::new)).collect::<Result<_>>()?;
    let vectors = object.required("vectors")?;
    let columns = match vectors.json() {
        Json::Array(_) => vec![("", vectors)],
        _ => vectors.any_object()?.entries().collect(),
    };
    for (name, node) in columns {
        let vectors = read_column(&node, points.len())?;
        for (point, vector) in points.iter_mut().zip(vectors) {
            point.vectors.insert(name.into(), super::Vector::read(&vector)?);
        }
    }
    if let Some(payloads) = object.get("payloads") {
        let payloads = read_column(&payloads, points.len())?;
        for (point, payload) in points.iter_mut().zip(payloads) {
            if !payload.json().is_null() {
                point.payload = read_payload(&payload)?;
            }
        }
    }
    Ok(points)
}

fn read_column<'a>(node: &Node<'a>, length: usize) -> Result<Vec<Node<'a>>> {
    let values = node.array()?;
    match values.len() == length {
        true => Ok(values),
        false => Err(node.expected(format!("an array of {length}, one for each id"))),
    }
}

impl PointVectors {
    fn read(node: &Node<'_>) -> Result<Self> {
        // What else a point has is not changed by a change of its vectors.
        let object = node.object_beside(&["id", "vector"], &[Foreign::hint("payload")])?;
        let (id, given) = (PointId::read(&object.required("id")?)?, object.required("vector")?);
        let vectors = read_vectors(&given)?;
        match vectors.is_empty() {
            true => Err(given.expected("at least 1 vector")),
            false => Ok(Self { id, vectors }),
        }
    }
}

impl UpdateMode {
    fn read(node: &Node<'_>) -> Result<Self> {
        match node.string()? {
            "upsert" => Ok(Self::Upsert),
            "insert_only" => Ok(Self::InsertOnly),
            "update_only" => Ok(Self::UpdateOnly),
            _ => Err(node.expected("upsert, insert_only or update_only")),
        }
    }
}
