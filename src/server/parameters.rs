//! What every URL may say besides its path.

use std::time::Duration;

use axum::extract::{Query, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::timeout;

use super::refusal::Refusal;

/// Those that have a meaning here. `ordering` and `consistency` are about copies on several machines.
#[derive(Deserialize)]
struct Parameters {
    /// In seconds.
    timeout: Option<u64>,
    #[serde(rename = "wait")]
    _wait: Option<bool>,
}

/// Refuses values that can't be.
pub(super) async fn check(request: Request, next: Next) -> Response {
    match Query::<Parameters>::try_from_uri(request.uri()) {
        Err(fault) => Refusal::bad_request(fault.body_text()).into_response(),
        Ok(Query(Parameters { timeout: Some(0), .. })) => {
            Refusal::invalid_parameter("timeout: value 0 invalid, must be 1 or larger")
                .into_response()
        }
        // Dropping the work ends it.
        Ok(Query(Parameters { timeout: Some(seconds), .. })) => {
            let answered = timeout(Duration::from_secs(seconds), next.run(request)).await;
            answered.unwrap_or_else(|_| Refusal::late(seconds).into_response())
        }
        Ok(_) => next.run(request).await,
    }
}
