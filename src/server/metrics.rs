//! Routes: counters. All answers are counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::TEXT_FORMAT;

use super::app::App;
use super::refusal::Refusal;
use crate::background::run_async;

pub(super) async fn show(State(app): State<App>) -> Response {
    let gathered = run_async(move || Ok(app.counters.gather(&app.registry))).await;
    match gathered.map_err(Refusal::from).flatten() {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Counts an answer, and how long it took.
pub(super) async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let (start, method) = (Instant::now(), request.method().to_string());
    // Not the path, of which there may be any number.
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let path = path.unwrap_or("other").to_owned();
    let response = next.run(request).await;
    let (status, time) = (response.status(), start.elapsed());
    let labels = [method.as_str(), &path, status.as_str()];
    app.counters.answered(&labels, time.as_secs_f64());
    log::debug!("{method} {path} {} in {time:.1?}", status.as_u16());
    response
}
