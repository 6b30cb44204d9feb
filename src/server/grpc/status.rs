//! Refusals, as gRPC's statuses.

use axum::http::StatusCode;
use tonic::{Code, Status};

use crate::server::refusal::Refusal;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status() {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::InvalidArgument,
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT => Code::AlreadyExists,
            StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => {
                Code::ResourceExhausted
            }
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            _ => Code::Internal,
        };
        // Nobody sent JSON.
        let text = refusal.text().replace(" in JSON body", " in body");
        let mut status = Self::new(code, text);
        if let Some(seconds) = refusal.retry_after() {
            status.metadata_mut().insert("retry-after", seconds.into());
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Error;

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let full = Error::QueueFull { retry_after: Duration::from_millis(1500) };
        let status = Status::from(Refusal::from(full));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.metadata().get("retry-after").unwrap(), "2");
    }

    #[test]
    fn nobody_is_told_of_json() {
        let status = Status::from(Refusal::malformed("expected a, got b"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "Format error in body: expected a, got b");
    }
}
