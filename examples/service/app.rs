//! The routes, and what they do: each a call of the library, away from the executor's threads. A client that
//! hangs up drops its future, and so cancels its call.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use maxfold::{Error, ErrorKind, Point, QueryResponse, Result, Searcher, run_async};
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

/// Qdrant's query request; its `with_matches` asks which token of a hit each query token matched.
async fn query(State(searcher): App, body: String) -> Result<Json<QueryResponse>, Failure> {
    let answer = run_async(move || searcher.query(&body.parse()?));
    Ok(Json(answer.await?))
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
