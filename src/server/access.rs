//! API keys: who may ask for what.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::options::ServerOptions;
use super::refusal::Refusal;

/// Last parts of the paths to which a POST changes nothing.
const QUESTIONS: &[&str] = &[
    "points",
    "scroll",
    "count",
    "query",
    "search",
    "recommend",
    "discover",
    "batch",
    "groups",
    "facet",
    "pairs",
    "offsets",
    "similarities",
];

/// Lets a request pass that needs no key, or has a right one.
pub(super) async fn control(State(app): State<App>, request: Request, next: Next) -> Response {
    match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(app: &App, request: &Request) -> Result<(), Refusal> {
    let path = request.uri().path();
    if is_free(path) || request.method() == Method::OPTIONS {
        return Ok(());
    }
    match of(&app.options, request.headers())? {
        Access::Read if !only_asks(request.method(), path) => Err(only_read()),
        _ => Ok(()),
    }
}

/// What is allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    All,
    Read,
}

/// What is allowed by the key among a request's headers; everything where none is asked for.
pub(super) fn of(options: &ServerOptions, headers: &HeaderMap) -> Result<Access, Refusal> {
    if !options.has_keys() {
        return Ok(Access::All);
    }
    let Some(key) = key(headers) else {
        return Err(Refusal::unauthorized(
            "Must provide an API key or an Authorization bearer token",
        ));
    };
    if any_is(&options.api_keys, key) {
        Ok(Access::All)
    } else if any_is(&options.read_only_api_keys, key) {
        Ok(Access::Read)
    } else {
        Err(Refusal::unauthorized("Invalid API key or JWT"))
    }
}

pub(super) fn only_read() -> Refusal {
    Refusal::forbidden("Forbidden: the key may only read")
}

fn is_free(path: &str) -> bool {
    matches!(path, "/" | "/healthz" | "/livez" | "/readyz" | "/dashboard")
        || path.starts_with("/dashboard/")
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    header("api-key").or_else(|| header("authorization")?.strip_prefix("Bearer "))
}

/// Compares with every key, in a time that tells nothing of them.
fn any_is(keys: &[String], given: &str) -> bool {
    let digest = |key: &str| Sha256::digest(key.as_bytes());
    let given = digest(given);
    keys.iter().fold(false, |found, key| bool::from(digest(key).ct_eq(&given)) | found)
}

/// Tells whether a request changes nothing. `points/batch` is a list of changes, `query/batch` is not.
fn only_asks(method: &Method, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    match *method {
        Method::GET | Method::HEAD => true,
        Method::POST => QUESTIONS.contains(&last) && !path.ends_with("/points/batch"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_changes_are_told_apart() {
        let asks =
            |method: Method, path: &str| only_asks(&method, &format!("/collections/c/{path}"));
        for path in [
            "points",
            "points/query",
            "points/query/batch",
            "points/search/matrix/pairs",
            "points/7/similarities",
            "facet",
        ] {
            assert!(asks(Method::POST, path), "{path}");
        }
        for path in [
            "points/batch",
            "points/delete",
            "points/payload",
            "snapshots",
            "points/vectors/delete",
        ] {
            assert!(!asks(Method::POST, path), "{path}");
        }
        assert!(asks(Method::GET, "snapshots"));
        assert!(
            !asks(Method::PUT, "points") && !asks(Method::DELETE, "") && !asks(Method::PATCH, "")
        );
        assert!(!only_asks(&Method::POST, "/collections/aliases"));
    }

    #[test]
    fn only_whole_keys_are_right() {
        let keys = ["first".to_owned(), "second".to_owned()];
        assert!(any_is(&keys, "first") && any_is(&keys, "second"));
        assert!(!any_is(&keys, "firs") && !any_is(&keys, "") && !any_is(&[], "first"));
    }
}
