//! Envelopes: `{"result": …, "status": "ok", "time": seconds}`.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::refusal::{Refusal, json};

/// An answer, or an error, of a call that began at some time.
pub(super) fn envelope(made: Result<impl Serialize, Refusal>, start: Instant) -> Response {
    match made {
        Ok(result) => match serde_json::to_vec(&Answer { result, start }) {
            Ok(text) => json(StatusCode::OK, text),
            Err(fault) => Refusal::internal(fault.to_string()).since(start).into_response(),
        },
        Err(refusal) => refusal.since(start).into_response(),
    }
}

struct Answer<T> {
    result: T,
    start: Instant,
}

impl<T: Serialize> Serialize for Answer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(Some(3))?;
        answer.serialize_entry("result", &self.result)?;
        answer.serialize_entry("status", "ok")?;
        answer.serialize_entry("time", &self.start.elapsed().as_secs_f64())?;
        answer.end()
    }
}
