//! What all calls go through: they are counted, need a key, have bounded bodies, and end at their deadline.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use tonic::{Code, Status};

use super::rights::{Right, right};
use crate::server::access::{self, Access};
use crate::server::app::App;
use crate::server::body::Received;
use crate::server::refusal::{self, Refusal};

/// Header with the encodings that a client takes.
const ACCEPTED: &str = "grpc-accept-encoding";

/// Lets a call in, and counts its answer.
pub(super) async fn enter(State(app): State<App>, request: Request, next: Next) -> Response {
    let (start, path) = (Instant::now(), request.uri().path().to_owned());
    let right = right(&path);
    let response = match answer(&app, right, request, next).await {
        Ok(response) => response,
        Err(status) => refused(&status),
    };
    let (code, time) = (code(response.headers()), start.elapsed());
    // Of the paths that aren't calls there may be any number.
    let endpoint = if right.is_some() { &path } else { "other" };
    app.counters.called(&[endpoint, &i32::from(code).to_string()], time.as_secs_f64());
    log::debug!("{endpoint} {code:?} in {time:.1?}");
    response
}

async fn answer(
    app: &App,
    right: Option<Right>,
    request: Request,
    next: Next,
) -> Result<Response, Status> {
    if right != Some(Right::None) {
        let access = access::of(&app.options, request.headers())?;
        if access == Access::Read && right != Some(Right::Read) {
            return Err(access::only_read().into());
        }
    }
    let deadline = deadline(request.headers())?;
    let answered = async {
        let (request, room) = received(app, request).await?;
        let response = next.run(request).await;
        drop(room);
        Ok(response)
    };
    match deadline {
        None => answered.await,
        // Dropping the work ends it.
        Some(time) => tokio::time::timeout(time, answered)
            .await
            .unwrap_or_else(|_| Err(Refusal::late(time.as_secs()).into())),
    }
}

/// The request, once its body is here, and the room that this takes.
async fn received(app: &App, request: Request) -> Result<(Request, impl Sized), Status> {
    let (mut parts, body) = request.into_parts();
    if !wants_gzip(&parts.headers) {
        parts.headers.remove(ACCEPTED);
    }
    let mut head = Request::new(body);
    head.headers_mut().clone_from(&parts.headers);
    let (bytes, room) = Received::all_of(head, app).await?.into_parts();
    Ok((Request::from_parts(parts, Body::from(bytes)), room))
}

/// Tells whether a client wants to have answers compressed. Most say that they would take them, whether they have set
/// up compression or not; those that have send their messages so, too.
fn wants_gzip(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_some_and(|encoding| encoding == "gzip")
}

/// The time that a client gives a call: up to 8 digits, and a unit.
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(given) = headers.get("grpc-timeout") else { return Ok(None) };
    let wrong = || {
        let expected = "expected grpc-timeout to be up to 8 digits and one of H, M, S, m, u, n";
        Status::invalid_argument(format!("{expected}, got {given:?}"))
    };
    let text = given.to_str().map_err(|_| wrong())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    if digits.len() > 8 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return Err(wrong()),
    }))
}

/// The code of an answer: one that carries a message has it after that, and it is 0.
fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn refused(status: &Status) -> Response {
    status.clone().into_http()
}

pub(super) async fn no_call(request: Request) -> Response {
    let path = request.uri().path();
    refused(&Status::unimplemented(format!("{path} is no call of this API")))
}

/// Answers a call although a fault of ours ended its work.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    refused(&refusal::fault().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Result<Option<Duration>, Code> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        deadline(&headers).map_err(|status| status.code())
    }

    #[test]
    fn deadlines_are_those_of_the_protocol() {
        assert_eq!(deadline(&HeaderMap::new()).ok(), Some(None));
        for (text, time) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("5000m", Duration::from_secs(5)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(given(text), Ok(Some(time)), "{text}");
        }
        for text in ["", "S", "1", "123456789S", "1s", "-1S", "+1S", "1.5S"] {
            assert_eq!(given(text), Err(Code::InvalidArgument), "{text}");
        }
    }
}
