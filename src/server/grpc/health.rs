//! Calls: versions and health.

use qdrant_client::qdrant::qdrant_server::Qdrant;
use qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest};
use tonic::codegen::BoxStream;
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

/// gRPC's own protocol, which orchestrators speak.
#[tonic::async_trait]
impl Health for Caller {
    async fn check(&self, request: Request<pb::HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let service = request.into_inner().service;
        if !service.is_empty() {
            return Err(Status::not_found(format!("expected no service's name, got {service}")));
        }
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn watch(&self, _: Request<pb::HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("health is told when it is asked for, and doesn't change"))
    }
}
