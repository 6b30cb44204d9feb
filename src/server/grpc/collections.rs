//! Calls: collections, and their aliases.

use std::collections::BTreeMap;

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Status};

use super::call::{Answer, Caller, answer};
use super::info::info;
use super::shapes::opened;
use crate::server::aliases::{self, aliases_of};
use crate::server::collections;
use crate::server::info::info as shown;
use crate::server::system::NO_CLUSTER;

fn done(result: bool, time: f64) -> CollectionOperationResponse {
    CollectionOperationResponse { result, time }
}

fn listed(aliases: BTreeMap<String, String>, time: f64) -> ListAliasesResponse {
    let aliases = aliases.into_iter();
    let aliases = aliases
        .map(|(alias_name, collection_name)| AliasDescription { alias_name, collection_name });
    ListAliasesResponse { aliases: aliases.collect(), time }
}

/// The answer to what belongs to clusters.
fn no_cluster<T>() -> Answer<T> {
    Err(Status::unimplemented(NO_CLUSTER))
}

#[tonic::async_trait]
impl Collections for Caller {
    async fn get(
        &self,
        request: Request<GetCollectionInfoRequest>,
    ) -> Answer<GetCollectionInfoResponse> {
        let name = request.into_inner().collection_name;
        let work = self.0.work(move |app| Ok(info(&shown(&*app.registry.get(&name)?)?)));
        answer(None, work, |info, time| GetCollectionInfoResponse { result: Some(info), time })
            .await
    }

    async fn list(&self, _: Request<ListCollectionsRequest>) -> Answer<ListCollectionsResponse> {
        let named = |name: &str| CollectionDescription { name: name.into() };
        let work = self
            .0
            .work(move |app| Ok(app.registry.all().iter().map(|it| named(it.name())).collect()));
        answer(None, work, |collections, time| ListCollectionsResponse { collections, time }).await
    }

    async fn create(
        &self,
        request: Request<CreateCollection>,
    ) -> Answer<CollectionOperationResponse> {
        let (message, name, timeout) = opened(request);
        let work = self.with(message, move |app, text| collections::make(app, &name, text));
        answer(timeout, work, done).await
    }

    async fn update(
        &self,
        request: Request<UpdateCollection>,
    ) -> Answer<CollectionOperationResponse> {
        let (message, name, timeout) = opened(request);
        answer(timeout, self.on(name, message, collections::change), done).await
    }

    async fn delete(
        &self,
        request: Request<DeleteCollection>,
    ) -> Answer<CollectionOperationResponse> {
        let (_, name, timeout) = opened(request);
        answer(timeout, self.0.work(move |app| app.registry.remove(&name)), done).await
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Answer<CollectionExistsResponse> {
        let name = request.into_inner().collection_name;
        let work = self.0.work(move |app| Ok(app.registry.find(&name).is_some()));
        answer(None, work, |exists, time| CollectionExistsResponse {
            result: Some(CollectionExists { exists }),
            time,
        })
        .await
    }

    async fn update_aliases(
        &self,
        request: Request<ChangeAliases>,
    ) -> Answer<CollectionOperationResponse> {
        let message = request.into_inner();
        answer(message.timeout, self.with(message, aliases::make), done).await
    }

    async fn list_collection_aliases(
        &self,
        request: Request<ListCollectionAliasesRequest>,
    ) -> Answer<ListAliasesResponse> {
        let name = request.into_inner().collection_name;
        answer(None, self.0.work(move |app| aliases_of(app, &name)), listed).await
    }

    async fn list_aliases(&self, _: Request<ListAliasesRequest>) -> Answer<ListAliasesResponse> {
        answer(None, self.0.work(|app| Ok(app.registry.aliases())), listed).await
    }

    async fn collection_cluster_info(
        &self,
        request: Request<CollectionClusterInfoRequest>,
    ) -> Answer<CollectionClusterInfoResponse> {
        let name = request.into_inner().collection_name;
        let work = self
            .0
            .work(move |app| Ok(app.registry.get(&name)?.collection()?.snapshot()?.len() as u64));
        answer(None, work, |points_count, time| CollectionClusterInfoResponse {
            shard_count: 1,
            local_shards: vec![LocalShardInfo {
                shard_id: 0,
                points_count,
                state: ReplicaState::Active.into(),
                shard_key: None,
            }],
            time,
            ..CollectionClusterInfoResponse::default()
        })
        .await
    }

    async fn update_collection_cluster_setup(
        &self,
        _: Request<UpdateCollectionClusterSetupRequest>,
    ) -> Answer<UpdateCollectionClusterSetupResponse> {
        no_cluster()
    }

    async fn create_shard_key(
        &self,
        _: Request<CreateShardKeyRequest>,
    ) -> Answer<CreateShardKeyResponse> {
        no_cluster()
    }

    async fn delete_shard_key(
        &self,
        _: Request<DeleteShardKeyRequest>,
    ) -> Answer<DeleteShardKeyResponse> {
        no_cluster()
    }

    async fn list_shard_keys(
        &self,
        _: Request<ListShardKeysRequest>,
    ) -> Answer<ListShardKeysResponse> {
        no_cluster()
    }
}
