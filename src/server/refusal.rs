//! [`Refusal`]: an error as Qdrant's clients know it.
//!
//! Codes and the beginnings of texts are Qdrant's, as programs look for them.

use std::time::Instant;

use axum::http::header::{self, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json as value;

use crate::{Error, ErrorKind};

/// Status code, text, and what else a client is told.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    start: Option<Instant>,
    /// Seconds after which another try is worth it.
    retry_after: Option<u64>,
    plain: bool,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), start: None, retry_after: None, plain: false }
    }

    #[cfg(feature = "grpc")]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(feature = "grpc")]
    pub fn text(&self) -> &str {
        &self.text
    }

    #[cfg(feature = "grpc")]
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    pub fn since(self, start: Instant) -> Self {
        Self { start: Some(start), ..self }
    }

    pub fn malformed(text: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Format error in JSON body: {text}"))
    }

    pub fn wrong(text: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Wrong input: {text}"))
    }

    pub fn bad_request(text: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Bad request: {text}"))
    }

    pub fn not_found(text: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("Not found: {text}"))
    }

    pub fn no_collection(name: &str) -> Self {
        Self::not_found(format!("Collection `{name}` doesn't exist!"))
    }

    pub fn exists(what: &str, name: &str) -> Self {
        let text = format!("Wrong input: {what} `{name}` already exists!");
        Self::new(StatusCode::CONFLICT, text)
    }

    pub fn invalid(text: impl std::fmt::Display) -> Self {
        let text = format!("Validation error in JSON body: [{text}]");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    pub fn invalid_parameter(text: impl std::fmt::Display) -> Self {
        let text = format!("Validation error in query parameters: [{text}]");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    pub fn internal(text: impl std::fmt::Display) -> Self {
        let text = format!("Service internal error: {text}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub fn too_large(bytes: u64, limit: usize) -> Self {
        let text = format!(
            "Payload error: JSON payload ({bytes} bytes) is larger than allowed (limit: {limit} bytes)."
        );
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout: the body did not arrive in time")
    }

    pub fn late(seconds: u64) -> Self {
        let text = format!("Timeout: not answered within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, text)
    }

    /// More is asked for at once than is answered.
    pub fn busy() -> Self {
        let text = "Too many requests: the bodies of others take all memory that bodies may take";
        Self { retry_after: Some(1), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    /// 401, whose body is no JSON.
    pub fn unauthorized(text: &'static str) -> Self {
        Self { plain: true, ..Self::new(StatusCode::UNAUTHORIZED, text) }
    }

    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if let Some(wait) = error.retry_after() {
            let seconds = wait.as_secs_f64().ceil() as u64;
            let text = format!("Too many requests: {error}");
            let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, text);
            return Self { retry_after: Some(seconds.max(1)), ..refusal };
        }
        known(&error).unwrap_or_else(|| match error.kind() {
            ErrorKind::InvalidInput => Self::wrong(error),
            ErrorKind::NotFound => Self::not_found(error),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, format!("Wrong input: {error}")),
            ErrorKind::Busy | ErrorKind::Device => {
                let text = format!("Service unavailable: {error}");
                Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
            }
            ErrorKind::OutOfSpace => {
                let text = format!("Out of disk space: {error}");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, text)
            }
            ErrorKind::Timeout | ErrorKind::Cancelled => {
                Self::new(StatusCode::REQUEST_TIMEOUT, format!("Timeout: {error}"))
            }
            _ => Self::internal(error),
        })
    }
}

/// Errors that clients know by their texts, wherever in a request they are found.
fn known(error: &Error) -> Option<Refusal> {
    match error {
        Error::InPoint { source, .. }
        | Error::InVector { source, .. }
        | Error::InRequest { source, .. } => known(source),
        Error::InJson { path, source } => known(source).or_else(|| Some(in_json(path, source))),
        Error::UnknownVector { name, .. } => {
            Some(Refusal::wrong(format!("Not existing vector name error: {name}")))
        }
        Error::DimensionMismatch { expected, got, .. } => {
            let text = format!("Vector dimension error: expected dim: {expected}, got {got}");
            Some(Refusal::wrong(text))
        }
        Error::FormulaValue { .. } => {
            Some(Refusal::wrong(format!("{error}: the formula produced a non-finite number")))
        }
        Error::FormulaVariable { key, .. } => {
            let text = "in the payload and/or in the formula defaults. Error:";
            Some(Refusal::wrong(format!("Expected number value for {key} {text} {error}")))
        }
        Error::VectorExists { name } => Some(Refusal::exists("Vector", name)),
        Error::UnknownPoint { id } => {
            Some(Refusal::not_found(format!("No point with id {id} found")))
        }
        Error::UnknownCollection { name } => {
            Some(Refusal::not_found(format!("Collection {name} not found")))
        }
        // A value of the right type that can't be.
        Error::InvalidJson { path, expected, got }
            if expected.contains("at least 1") && got != "null" && !got.starts_with(['-', '"'])
                || expected.starts_with("a row of ") && got.starts_with('[')
                || got == "[]" =>
        {
            let sentence = match &**expected {
                "at least 1 vector" => "must specify vectors to update for point".into(),
                _ => format!("expected {expected}, got {got}"),
            };
            Some(Refusal::invalid(format!("{}: {sentence}", inside(path))))
        }
        Error::MalformedJson { .. }
        | Error::InvalidJson { .. }
        | Error::DuplicateField { .. }
        | Error::UnknownField { .. } => Some(Refusal::malformed(error)),
        Error::Unsupported { .. } => Some(Refusal::bad_request(error)),
        _ => None,
    }
}

/// A path without the name of its document, which Qdrant's paths don't have.
fn inside(path: &str) -> &str {
    path.split_once('.').map_or(path, |(_, inside)| inside)
}

/// Parameters that were given, each in its place, and what Qdrant says where clients may look for it.
const SENTENCES: &[(&str, &str, &str)] = &[
    (
        "query",
        "given, as there are prefetches",
        "A query is needed to merge the prefetches. Can't have prefetches without defining a query.",
    ),
    (
        "score_threshold",
        "left out, as nothing is scored",
        "A query is needed to use the score_threshold. Can't have score_threshold without defining a query.",
    ),
    (
        "score_threshold",
        "left out, as points are ordered",
        "Can't use score_threshold with an order_by query.",
    ),
    (
        "using",
        "left out, as no vector is compared",
        "Fusion queries cannot be combined with the 'using' field.",
    ),
];

/// The same of what Qdrant calls invalid.
const RULES: &[(&str, &str, &str)] = &[
    (
        "lookup",
        "true where range is false",
        "the 'lookup' and 'range' capabilities can't be both disabled",
    ),
    ("a sparse vector's name", "one that is not empty", "Sparse vector name cannot be empty"),
];

/// What is said of a parameter in its place.
fn sentence(
    list: &[(&str, &str, &'static str)],
    name: &str,
    expected: &str,
) -> Option<&'static str> {
    let found = list.iter().find(|(of, when, _)| *of == name && *when == expected);
    found.map(|(_, _, sentence)| *sentence)
}

/// A value that can't be, at a place of a body.
fn in_json(path: &str, source: &Error) -> Refusal {
    let Error::InvalidParameter { name, expected, got } = source else {
        return Refusal::invalid(format!("{}: {source}", inside(path)));
    };
    if let Some(sentence) = sentence(SENTENCES, name, expected) {
        return Refusal::bad_request(sentence);
    }
    if let Some(rule) = sentence(RULES, name, expected) {
        return Refusal::invalid(format!("{}: Validation error: {rule}", inside(path)));
    }
    match expected.split_once(" to ") {
        Some((least, most)) => {
            let place = if ["m", "ef_construct"].contains(name) { "hnsw_config." } else { "" };
            let text = format!("value {got} invalid, must be from {least} to {most}");
            Refusal::invalid(format!("{}.{place}{name}: {text}", inside(path)))
        }
        None => Refusal::invalid(format!("{}: {source}", inside(path))),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = if self.plain {
            (self.status, self.text).into_response()
        } else {
            let time = self.start.map_or(0.0, |start| start.elapsed().as_secs_f64());
            let text = value!({"status": {"error": self.text}, "time": time}).to_string();
            json(self.status, text.into_bytes())
        };
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, text: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) async fn no_route(uri: Uri) -> Refusal {
    Refusal::not_found(format!("{} is no path of this API", uri.path()))
}

pub(super) async fn no_method(method: Method, uri: Uri) -> Refusal {
    let text = format!("Method not allowed: {method} {}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text)
}

/// Answers a request although a fault of ours ended its work.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    fault().into_response()
}

/// What is said when a fault of ours ended a request's work.
pub(super) fn fault() -> Refusal {
    log::error!("a request ended by a panic");
    Refusal::internal("the request ended by a fault of this program")
}
