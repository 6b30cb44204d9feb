//! Routes: versions, health, and what tools ask for.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::json;

use super::app::App;
use super::refusal::json as text_of;
use super::{metrics, refusal::Refusal};

/// Version of Qdrant whose API this is: its clients compare it with their own, and warn if theirs is older or newer by
/// more than one.
pub(super) const VERSION: &str = "1.19.0";
pub(super) const TITLE: &str = concat!("maxfold ", env!("CARGO_PKG_VERSION"), " (Qdrant's API)");

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(root))
        .route("/healthz", get(|| async { "healthz check passed" }))
        .route("/livez", get(|| async { "healthz check passed" }))
        .route("/readyz", get(|| async { "all shards are ready" }))
        .route("/metrics", get(metrics::show))
        .route("/telemetry", get(telemetry))
        .route("/cluster", get(cluster))
        .route("/issues", get(issues).delete(no_issues))
        .route("/collections/{collection_name}/shards", any(no_cluster))
        .route("/collections/{collection_name}/shards/{*rest}", any(no_cluster))
        .route("/cluster/{*rest}", any(no_cluster))
}

async fn root() -> Response {
    let text = json!({"title": TITLE, "version": VERSION}).to_string();
    text_of(axum::http::StatusCode::OK, text.into_bytes())
}

async fn telemetry(State(app): State<App>) -> Response {
    app.call(|app| {
        Ok(json!({
            "id": "maxfold",
            "app": {
                "name": "maxfold", "version": VERSION,
                "features": {}, "maxfold_version": env!("CARGO_PKG_VERSION"),
                "uptime_seconds": app.started.elapsed().as_secs(),
                "backend": app.registry.reranker().execution().to_string(),
            },
            "collections": {"number_of_collections": app.registry.all().len()},
            "cluster": {"enabled": false},
            "requests": {"rest": {"responses": app.counters.answers()}, "grpc": {"responses": app.counters.calls()}},
            "quota": null,
        }))
    })
    .await
}

async fn cluster(State(app): State<App>) -> Response {
    app.call(|_| Ok(json!({"status": "disabled"}))).await
}

async fn issues(State(app): State<App>) -> Response {
    app.call(|_| Ok(json!({"issues": []}))).await
}

async fn no_issues(State(app): State<App>) -> Response {
    app.call(|_| Ok(true)).await
}

/// What is said of clusters.
pub(super) const NO_CLUSTER: &str =
    "this server is no cluster: it has no shards to move, and no peers";

/// Answers a path that belongs to clusters.
pub(super) async fn no_cluster() -> Response {
    Refusal::bad_request(NO_CLUSTER).into_response()
}
