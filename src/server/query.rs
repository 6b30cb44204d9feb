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
use super::hosted::Hosted;
use super::parameters::Path;
use super::refusal::Refusal;
use crate::search::{
    FacetHit, FacetRequest, GroupRequest, GroupResponse, Prefetch, QueryPlan, QueryRequest,
    QueryResponse, ScoredPoint, Searcher,
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
    app.answer(async { Ok(wanted.of(asked(&app, &name, text).await?)) }).await
}

/// Answers a request.
pub(super) async fn asked(app: &App, name: &str, text: Text) -> Result<QueryResponse, Refusal> {
    let read = |text: Text| text.read("a request", "request", QueryRequest::read);
    one(app, name, app.read(text, read).await?).await
}

async fn batch(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    text: Text,
) -> Response {
    app.answer(async {
        let answers = all_asked(&app, &name, text).await?;
        Ok(answers.into_iter().map(|it| wanted.of(it)).collect::<Vec<_>>())
    })
    .await
}

/// Answers several requests.
pub(super) async fn all_asked(
    app: &App,
    name: &str,
    text: Text,
) -> Result<Vec<QueryResponse>, Refusal> {
    let read = |text: Text| {
        text.read("requests", "request", |node| {
            let list = node.object(&["searches"])?.required("searches")?.array()?;
            list.iter().map(QueryRequest::read).collect::<Result<Vec<_>>>()
        })
    };
    several(app, name, app.read(text, read).await?).await
}

async fn groups(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    text: Text,
) -> Response {
    app.call(move |app| {
        let GroupResponse { groups, plan } = groups_asked(app, &name, text)?;
        Ok(Answer { name: "groups", results: groups, plan: wanted.plan.then_some(plan) })
    })
    .await
}

/// Answers a request for groups.
pub(super) fn groups_asked(app: &Shared, name: &str, text: Text) -> Result<GroupResponse, Refusal> {
    let request = text.read("a request for groups", "request", GroupRequest::read)?;
    grouped(app, name, &request)
}

async fn facet(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| Ok(value!({"hits": values(hosted, text)?}))).await
}

/// Counts points by values.
pub(super) fn values(hosted: &Hosted, text: Text) -> Result<Vec<FacetHit>, Refusal> {
    let request = text.read("a count of values", "request", FacetRequest::read)?;
    Ok(hosted.searcher()?.facet(&request)?)
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
