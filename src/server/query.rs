//! Routes: queries.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::json;

use super::body::Text;
use super::call::{App, Shared};
use super::refusal::Refusal;
use crate::Result;
use crate::search::{FacetRequest, GroupRequest, GroupResponse, QueryRequest, QueryResponse};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/collections/{collection}/points/query", post(query))
        .route("/collections/{collection}/points/query/batch", post(batch))
        .route("/collections/{collection}/points/query/groups", post(groups))
        .route("/collections/{collection}/facet", post(facet))
}

async fn query(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.call(move |app| {
        let request = text.read("a request", "request", QueryRequest::read)?;
        one(app, &name, &request)
    })
    .await
}

async fn batch(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.call(move |app| {
        let requests = text.read("requests", "request", |node| {
            let list = node.object(&["searches"])?.required("searches")?.array()?;
            list.iter().map(QueryRequest::read).collect::<Result<Vec<_>>>()
        })?;
        several(app, &name, &requests)
    })
    .await
}

async fn groups(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.call(move |app| {
        let request = text.read("a request for groups", "request", GroupRequest::read)?;
        grouped(app, &name, &request)
    })
    .await
}

async fn facet(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| {
        let request = text.read("a count of values", "request", FacetRequest::read)?;
        Ok(json!({"hits": hosted.searcher()?.facet(&request)?}))
    })
    .await
}

/// Answers a request, which may look vectors up in other collections.
pub(super) fn one(
    app: &Shared,
    name: &str,
    request: &QueryRequest,
) -> Result<QueryResponse, Refusal> {
    let (hosted, others) = (app.registry.get(name)?, app.registry.now());
    Ok(hosted.searcher()?.query_among(request, &|name| others.collection(name))?)
}

pub(super) fn several(
    app: &Shared,
    name: &str,
    requests: &[QueryRequest],
) -> Result<Vec<QueryResponse>, Refusal> {
    let (hosted, others) = (app.registry.get(name)?, app.registry.now());
    Ok(hosted.searcher()?.query_batch_among(requests, &|name| others.collection(name))?)
}

pub(super) fn grouped(
    app: &Shared,
    name: &str,
    request: &GroupRequest,
) -> Result<GroupResponse, Refusal> {
    let (hosted, others) = (app.registry.get(name)?, app.registry.now());
    Ok(hosted.searcher()?.query_groups_among(request, &|name| others.collection(name))?)
}
