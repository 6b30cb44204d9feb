//! Routes: queries.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json as value;

use super::app::{App, Shared};
use super::body::Text;
use super::parameters::Path;
use super::refusal::Refusal;
use crate::search::{
    FacetRequest, GroupRequest, GroupResponse, Prefetch, QueryPlan, QueryRequest, QueryResponse,
    ScoredPoint, Searcher,
};
use crate::{Result, json};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/collections/{collection_name}/points/query", post(query))
        .route("/collections/{collection_name}/points/query/batch", post(batch))
        .route("/collections/{collection_name}/points/query/groups", post(groups))
        .route("/collections/{collection_name}/facet", post(facet))
}

/// Of the URL: whether the plan is wanted, too, which Qdrant's clients don't know.
#[derive(Clone, Copy, Deserialize)]
struct Wanted {
    #[serde(default)]
    plan: bool,
}

/// Results, and the plan if it is wanted.
struct Answer<T> {
    name: &'static str,
    results: Vec<T>,
    plan: Option<QueryPlan>,
}

impl<T: Serialize> Serialize for Answer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        answer.serialize_entry(self.name, &self.results)?;
        json::entry(&mut answer, "plan", self.plan.as_ref())?;
        answer.end()
    }
}

impl Wanted {
    fn of(self, response: QueryResponse) -> Answer<ScoredPoint> {
        let plan = self.plan.then_some(response.plan);
        Answer { name: "points", results: response.points, plan }
    }
}

async fn query(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    text: Text,
) -> Response {
    let read = |text: &Text| text.read("a request", "request", QueryRequest::read);
    app.answer(async {
        let request = app.read(text, read).await?;
        Ok(wanted.of(one(&app, &name, request).await?))
    })
    .await
}

async fn batch(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    text: Text,
) -> Response {
    let read = |text: &Text| {
        text.read("requests", "request", |node| {
            let list = node.object(&["searches"])?.required("searches")?.array()?;
            list.iter().map(QueryRequest::read).collect::<Result<Vec<_>>>()
        })
    };
    app.answer(async {
        let requests = app.read(text, read).await?;
        let answers = several(&app, &name, requests).await?;
        Ok(answers.into_iter().map(|it| wanted.of(it)).collect::<Vec<_>>())
    })
    .await
}

async fn groups(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    text: Text,
) -> Response {
    app.call(move |app| {
        let request = text.read("a request for groups", "request", GroupRequest::read)?;
        let GroupResponse { groups, plan } = grouped(app, &name, &request)?;
        Ok(Answer { name: "groups", results: groups, plan: wanted.plan.then_some(plan) })
    })
    .await
}

async fn facet(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| {
        let request = text.read("a count of values", "request", FacetRequest::read)?;
        Ok(value!({"hits": hosted.searcher()?.facet(&request)?}))
    })
    .await
}

/// Answers a request together with others that wait.
pub(super) async fn one(
    app: &App,
    name: &str,
    request: QueryRequest,
) -> Result<QueryResponse, Refusal> {
    let (hosted, others) = (app.registry.get(name)?, others(app, [&request]));
    Ok(hosted.handle()?.query_among(request, others).await?)
}

pub(super) async fn several(
    app: &App,
    name: &str,
    requests: Vec<QueryRequest>,
) -> Result<Vec<QueryResponse>, Refusal> {
    let (hosted, others) = (app.registry.get(name)?, others(app, &requests));
    Ok(hosted.handle()?.query_batch_among(requests, others).await?)
}

/// Collections in which requests look vectors up, as far as they are there.
fn others<'a>(
    app: &App,
    requests: impl IntoIterator<Item = &'a QueryRequest>,
) -> Vec<(String, Arc<Searcher>)> {
    let mut names = BTreeSet::new();
    for request in requests {
        names.extend(request.lookup_from.as_ref().map(|it| &it.collection));
        let mut left: Vec<&Prefetch> = request.prefetch.iter().collect();
        while let Some(prefetch) = left.pop() {
            names.extend(prefetch.lookup_from.as_ref().map(|it| &it.collection));
            left.extend(&prefetch.prefetch);
        }
    }
    let found = names.into_iter().filter_map(|name| {
        let hosted = app.registry.find(name)?;
        Some((name.clone(), Arc::clone(hosted.searcher().ok()?)))
    });
    found.collect()
}

pub(super) fn grouped(
    app: &Shared,
    name: &str,
    request: &GroupRequest,
) -> Result<GroupResponse, Refusal> {
    let (hosted, others) = (app.registry.get(name)?, app.registry.now());
    Ok(hosted.searcher()?.query_groups_among(request, &|name| others.collection(name))?)
}
