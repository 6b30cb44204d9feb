//! Calls: snapshots.

use ::qdrant_client::qdrant::snapshots_server::Snapshots;
use ::qdrant_client::qdrant::*;
use tonic::Request;

use super::answers::snapshot;
use super::call::{Answer, Caller, answer};
use crate::server::shelf::{Shelf, SnapshotFile};
use crate::server::snapshots::{make, make_full, shelf};

fn made(file: SnapshotFile, time: f64) -> CreateSnapshotResponse {
    CreateSnapshotResponse { snapshot_description: Some(snapshot(file)), time }
}

fn listed(files: Vec<SnapshotFile>, time: f64) -> ListSnapshotsResponse {
    let snapshot_descriptions = files.into_iter().map(snapshot).collect();
    ListSnapshotsResponse { snapshot_descriptions, time }
}

fn removed((): (), time: f64) -> DeleteSnapshotResponse {
    DeleteSnapshotResponse { time }
}

#[tonic::async_trait]
impl Snapshots for Caller {
    async fn create(
        &self,
        request: Request<CreateSnapshotRequest>,
    ) -> Answer<CreateSnapshotResponse> {
        let name = request.into_inner().collection_name;
        answer(None, self.0.work_apart(move |app| make(app, &name)), made).await
    }

    async fn list(&self, request: Request<ListSnapshotsRequest>) -> Answer<ListSnapshotsResponse> {
        let name = request.into_inner().collection_name;
        answer(None, self.0.work(move |app| Ok(shelf(app, &name)?.list()?)), listed).await
    }

    async fn delete(
        &self,
        request: Request<DeleteSnapshotRequest>,
    ) -> Answer<DeleteSnapshotResponse> {
        let DeleteSnapshotRequest { collection_name, snapshot_name } = request.into_inner();
        let remove =
            self.0.work_apart(move |app| shelf(app, &collection_name)?.remove(&snapshot_name));
        answer(None, remove, removed).await
    }

    async fn create_full(
        &self,
        _: Request<CreateFullSnapshotRequest>,
    ) -> Answer<CreateSnapshotResponse> {
        answer(None, self.0.work_apart(make_full), made).await
    }

    async fn list_full(
        &self,
        _: Request<ListFullSnapshotsRequest>,
    ) -> Answer<ListSnapshotsResponse> {
        let list = self.0.work(|app| Ok(Shelf::of_all(app.registry.path()).list()?));
        answer(None, list, listed).await
    }

    async fn delete_full(
        &self,
        request: Request<DeleteFullSnapshotRequest>,
    ) -> Answer<DeleteSnapshotResponse> {
        let name = request.into_inner().snapshot_name;
        let remove = self.0.work_apart(move |app| Shelf::of_all(app.registry.path()).remove(&name));
        answer(None, remove, removed).await
    }
}
