//! Routes: points, read by their ids, in the order of their ids, and counted.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;

use super::app::App;
use super::body::Text;
use super::hosted::Hosted;
use super::parameters::Path;
use super::refusal::Refusal;
use crate::Result;
use crate::collection::{NamedVectors, Snapshot, Vector};
use crate::filter::{Filter, Payload, PayloadSelector, PointId};
use crate::json::{self, Foreign, Node, Object};
use crate::search::{OrderBy, OrderValue, QueryRequest, ScoredPoint, Scoring, WithVector};

const SHARD: &[Foreign] = &[Foreign::new("shard_key", "sharding")];
/// Qdrant's.
const PAGE: usize = 10;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/collections/{collection_name}/points/{id}", get(one))
        .route("/collections/{collection_name}/points/scroll", post(scroll))
        .route("/collections/{collection_name}/points/count", post(count))
}

/// Parts of points that are returned.
struct Parts {
    payload: PayloadSelector,
    vectors: WithVector,
}

impl Parts {
    fn read(object: &Object<'_>) -> Result<Self> {
        Ok(Self {
            payload: object
                .map("with_payload", PayloadSelector::read)?
                .unwrap_or(PayloadSelector::All),
            vectors: match object.either(["with_vector", "with_vectors"])? {
                Some(node) => WithVector::read(&node)?,
                None => WithVector::None,
            },
        })
    }
}

/// A point, as far as it is asked for.
pub(super) struct Record {
    pub id: PointId,
    pub payload: Option<Payload>,
    pub vectors: Option<BTreeMap<String, Vector>>,
    pub order_value: Option<OrderValue>,
}

impl Record {
    fn read(snapshot: &Snapshot<'_>, id: PointId, parts: &Parts) -> Result<Option<Self>> {
        let Some(number) = snapshot.number(id)? else { return Ok(None) };
        let (id, payload) = snapshot.payload(number)?;
        let vectors = parts.vectors.of(snapshot, number)?;
        Ok(Some(Self { id, payload: parts.payload.select(payload), vectors, order_value: None }))
    }
}

impl From<ScoredPoint> for Record {
    fn from(point: ScoredPoint) -> Self {
        let ScoredPoint { id, payload, vectors, order_value, .. } = point;
        Self { id, payload, vectors, order_value }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_map(None)?;
        record.serialize_entry("id", &self.id)?;
        json::entry(&mut record, "payload", self.payload.as_ref())?;
        json::entry(&mut record, "vector", self.vectors.as_ref().map(NamedVectors))?;
        json::entry(&mut record, "order_value", self.order_value)?;
        record.end()
    }
}

/// Points of these ids, in their order; those that aren't there are left out.
fn records(hosted: &Hosted, ids: &[PointId], parts: &Parts) -> Result<Vec<Record>, Refusal> {
    let snapshot = hosted.collection()?.snapshot()?;
    if let WithVector::Named(names) = &parts.vectors {
        names.iter().try_for_each(|name| snapshot.config().get(name).map(drop))?;
    }
    let records = ids.iter().map(|id| Record::read(&snapshot, *id, parts));
    Ok(records.filter_map(Result::transpose).collect::<Result<_>>()?)
}

pub(super) async fn retrieve(
    State(app): State<App>,
    Path(name): Path<String>,
    text: Text,
) -> Response {
    app.on(name, text, retrieved).await
}

pub(super) fn retrieved(hosted: &Hosted, text: Text) -> Result<Vec<Record>, Refusal> {
    let (ids, parts) = text.read("a request for points", "request", |node| {
        let fields = &["ids", "with_payload", "with_vector", "with_vectors"];
        let object = node.object_beside(fields, SHARD)?;
        let ids = object.required("ids")?.array()?;
        let ids = ids.iter().map(PointId::read).collect::<Result<Vec<_>>>()?;
        Ok((ids, Parts::read(&object)?))
    })?;
    records(hosted, &ids, &parts)
}

async fn one(State(app): State<App>, Path((name, id)): Path<(String, String)>) -> Response {
    app.call(move |app| {
        let id: PointId = id.parse().map_err(Refusal::bad_request)?;
        let parts = Parts { payload: PayloadSelector::All, vectors: WithVector::All };
        let found = records(&*app.registry.get(&name)?, &[id], &parts)?.pop();
        found.ok_or_else(|| Refusal::not_found(format!("Point with id {id} does not exists!")))
    })
    .await
}

/// A page of points that is asked for.
struct Scroll {
    filter: Option<Filter>,
    limit: usize,
    offset: Option<PointId>,
    order_by: Option<OrderBy>,
    parts: Parts,
}

impl Scroll {
    fn read(node: &Node<'_>) -> Result<Self> {
        let fields = &[
            "limit",
            "filter",
            "offset",
            "order_by",
            "with_payload",
            "with_vector",
            "with_vectors",
        ];
        let object = node.object_beside(fields, SHARD)?;
        Ok(Self {
            filter: object.map("filter", Filter::read)?,
            limit: object.map("limit", Node::positive)?.unwrap_or(PAGE),
            offset: object.map("offset", PointId::read)?,
            order_by: object.map("order_by", OrderBy::read)?,
            parts: Parts::read(&object)?,
        })
    }

    fn by_id(&self, hosted: &Hosted) -> Result<(Vec<Record>, Option<PointId>), Refusal> {
        let snapshot = hosted.collection()?.snapshot()?;
        let page = snapshot.scroll(self.filter.as_ref(), self.offset, self.limit)?;
        let records = page.points.iter().map(|(id, _)| Record::read(&snapshot, *id, &self.parts));
        let records = records.filter_map(Result::transpose).collect::<Result<_>>()?;
        Ok((records, page.next))
    }

    /// The first by a field of their payloads. There is no next page: one begins where the last value of this one was.
    fn ordered(self, order: OrderBy, hosted: &Hosted) -> Result<Vec<Record>, Refusal> {
        if self.offset.is_some() {
            return Err(Refusal::wrong(
                "expected offset to be left out with order_by: start_from says where a page begins",
            ));
        }
        let mut request = QueryRequest::new(Scoring::OrderBy(order)).limit(self.limit);
        request.filter = self.filter;
        request.with_payload = self.parts.payload;
        request.with_vector = self.parts.vectors;
        let found = hosted.searcher()?.query(&request)?.points;
        Ok(found.into_iter().map(Record::from).collect())
    }
}

async fn scroll(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, page).await
}

pub(super) fn page(hosted: &Hosted, text: Text) -> Result<Page, Refusal> {
    let mut scroll = text.read("a request for a page of points", "request", Scroll::read)?;
    let (points, next) = match scroll.order_by.take() {
        Some(order) => (scroll.ordered(order, hosted)?, None),
        None => scroll.by_id(hosted)?,
    };
    Ok(Page { points, next })
}

/// A page of points.
pub(super) struct Page {
    pub points: Vec<Record>,
    pub next: Option<PointId>,
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_map(Some(2))?;
        page.serialize_entry("points", &self.points)?;
        page.serialize_entry("next_page_offset", &self.next)?;
        page.end()
    }
}

async fn count(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| Ok(json!({"count": counted(hosted, text)?}))).await
}

pub(super) fn counted(hosted: &Hosted, text: Text) -> Result<u64, Refusal> {
    let filter = text.read("a count of points", "request", |node| {
        let beside = &[Foreign::flag("exact"), Foreign::new("shard_key", "sharding")];
        node.object_beside(&["filter"], beside)?.map("filter", Filter::read)
    })?;
    let collection = hosted.collection()?;
    Ok(match filter {
        Some(filter) => collection.count(&filter)?,
        None => collection.snapshot()?.len() as u64,
    })
}
