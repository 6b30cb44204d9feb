//! Parameters of URLs: the names in their paths, and what every one may say besides its path.

use std::time::Duration;

use axum::extract::{self, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::refusal::Refusal;

/// Parameters that have a meaning here. `ordering` and `consistency` are about copies on several
/// machines.
#[derive(Deserialize)]
struct Parameters {
    /// In seconds.
    timeout: Option<u64>,
    #[serde(rename = "wait")]
    _wait: Option<bool>,
}

/// Names in a path; those that are no text are refused as all is.
pub(super) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let names = extract::Path::from_request_parts(parts, state).await;
        let extract::Path(names) =
            names.map_err(|fault| Refusal::bad_request(fault.body_text()))?;
        Ok(Self(names))
    }
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
