//! Calls: versions and health.

use qdrant_client::qdrant::qdrant_server::Qdrant;
use qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest};
use tonic::codegen::BoxStream;
use tonic::codegen::tokio_stream::wrappers::WatchStream;
use tonic::codegen::tokio_stream::{StreamExt, once};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{self, HealthCheckResponse};

use super::call::{Answer, Caller};
use crate::server::system::{TITLE, VERSION};

#[tonic::async_trait]
impl Qdrant for Caller {
    async fn health_check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckReply> {
        let (title, version) = (TITLE.into(), VERSION.into());
        Ok(Response::new(HealthCheckReply { title, version, commit: None }))
    }
}

/// gRPC's own protocol, which orchestrators speak: of the server as a whole, whose name is empty.
#[tonic::async_trait]
impl Health for Caller {
    async fn check(&self, request: Request<pb::HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let service = request.into_inner().service;
        if !service.is_empty() {
            return Err(Status::not_found(format!("expected no service's name, got {service}")));
        }
        let ending = *self.0.ending.borrow();
        let status = if ending { ServingStatus::NotServing } else { ServingStatus::Serving };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn watch(&self, request: Request<pb::HealthCheckRequest>) -> Answer<Self::WatchStream> {
        let status = match request.into_inner().service.is_empty() {
            true => ServingStatus::Serving,
            false => ServingStatus::ServiceUnknown,
        };
        // It ends with the server, which waits for what has begun.
        let until = WatchStream::new(self.0.ending.subscribe()).take_while(|ending| !ending);
        let statuses = until.map(move |_| status).chain(once(ServingStatus::NotServing));
        let told = |status: ServingStatus| Ok(HealthCheckResponse { status: status.into() });
        Ok(Response::new(Box::pin(statuses.map(told))))
    }
}
