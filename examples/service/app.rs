//! The routes, and what they do: each a call of the library, away from the executor's threads. A client that
//! hangs up drops its future, and so cancels its call.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use maxfold::recall::Distance;
use maxfold::rerank::{self, Wanted};
use maxfold::search::ScoredPoint;
use maxfold::{
    Error, ErrorKind, Point, PointId, QueryRequest, Result, Searcher, TokenMatrix, Vector,
    run_async,
};
use serde_json::{Value, json};

type App = State<Arc<Searcher>>;

pub fn router(searcher: Arc<Searcher>) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/points", put(ingest))
        .route("/query", post(query))
        .route("/backup", post(backup))
        .route("/statistics", get(statistics))
        .with_state(searcher)
}

/// Points, one a line; all of them or none.
async fn ingest(State(searcher): App, body: String) -> Result<Json<Value>, Failure> {
    let count = run_async(move || {
        let lines = body.lines().filter(|line| !line.trim().is_empty());
        let points: Vec<Point> = lines.map(str::parse).collect::<Result<_>>()?;
        let count = points.len();
        searcher.collection().upsert(points)?;
        Ok(count)
    });
    Ok(Json(json!({"ingested": count.await?})))
}

/// Qdrant's query request; with `?matches=true` also which token of a hit each query token matched.
async fn query(
    State(searcher): App,
    Query(asked): Query<HashMap<String, String>>,
    body: String,
) -> Result<Json<Value>, Failure> {
    let matches = asked.get("matches").is_some_and(|it| it == "true");
    let answer = run_async(move || {
        let request: QueryRequest = body.parse()?;
        let response = searcher.query(&request)?;
        let mut answer = json!({"points": response.points, "plan": response.plan});
        if matches {
            answer["matches"] = matches_of(&searcher, &request, &response.points)?;
        }
        Ok(answer)
    });
    Ok(Json(answer.await?))
}

fn matches_of(searcher: &Searcher, request: &QueryRequest, hits: &[ScoredPoint]) -> Result<Value> {
    let Vector::Multi { values, dim } = &request.query else { return Ok(Value::Null) };
    let collection = searcher.collection();
    let tokens = match collection.config().get(&request.using)?.distance {
        Distance::Cosine => TokenMatrix::normalized(values, *dim)?,
        _ => TokenMatrix::new(values, *dim)?,
    };
    let ids: Vec<PointId> = hits.iter().map(|hit| hit.id).collect();
    let snapshot = collection.snapshot()?;
    let matrices = snapshot.token_matrices(&request.using, ids.iter().copied())?;
    // Who was deleted since is left out.
    let ids: Vec<PointId> = ids.into_iter().filter(|id| matrices.get(*id).is_some()).collect();
    let matrix = |id| Ok(matrices.get(id));
    let queries = [rerank::Query { tokens: tokens.view(), candidates: &ids }];
    let request = rerank::Request::new(&queries, &matrix, Wanted::all().with_matches());
    let ranking = searcher.reranker().rank(&request)?.rankings.swap_remove(0);
    let of_hit = |(hit, matches): (&rerank::Scored<PointId>, &Vec<rerank::TokenMatch>)| json!({"id": hit.id, "tokens": matches.iter().map(|it| it.token).collect::<Vec<_>>()});
    Ok(ranking.hits.iter().zip(&ranking.matches).map(of_hit).collect())
}

/// A copy of the collection, in a new directory of this machine.
async fn backup(State(searcher): App, Json(path): Json<String>) -> Result<StatusCode, Failure> {
    run_async(move || searcher.collection().backup(path)).await?;
    Ok(StatusCode::CREATED)
}

async fn statistics(State(searcher): App) -> Result<Json<Value>, Failure> {
    Ok(Json(json!(run_async(move || searcher.statistics()).await?)))
}

/// An error, with the status that its kind asks for.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Busy | ErrorKind::Device => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::OutOfSpace => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"error": self.0.to_string()}))).into_response()
    }
}
