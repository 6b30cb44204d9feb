//! Route: the page on which a person looks at collections, and at how a request was answered.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use super::app::App;

/// All of it: styles and scripts too. It asks nobody but this server.
const PAGE: &str = include_str!("dashboard.html");
const POLICY: &str = "default-src 'self' 'unsafe-inline'; img-src 'self' data: blob: http: https:";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/dashboard", get(page))
}

async fn page() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))
}
