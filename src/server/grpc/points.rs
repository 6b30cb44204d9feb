//! Calls: points.

use std::mem::take;

use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::*;
use tonic::Request;

use super::answers::{facet, groups, offsets, pairs, records, scored, several, updated};
use super::call::{Answer, Caller, answer, operation};
use super::queries::Searches;
use super::shapes::{About, Batch, Reply, opened};
use super::spell::Spell;
use super::values::id;
use crate::server::collections;
use crate::server::pairs::compared;
use crate::server::points::{all_changed, changed};
use crate::server::query::{all_asked, asked, groups_asked, values};
use crate::server::records::{counted, page, retrieved};

impl Caller {
    /// Makes a change of points.
    async fn change<M: About + Spell>(
        &self,
        request: Request<M>,
        kind: &'static str,
    ) -> Answer<PointsOperationResponse> {
        let (message, name, timeout) = opened(request);
        let work = async { changed(&self.0, &name, self.text(message)?, kind).await };
        answer(timeout, work, operation).await
    }

    /// Asks for points.
    async fn ask<M: About + Spell, A: Reply<Vec<ScoredPoint>>>(
        &self,
        request: Request<M>,
    ) -> Answer<A> {
        let (message, name, timeout) = opened(request);
        let work = async { asked(&self.0, &name, self.text(message)?).await };
        answer(timeout, work, |found, time| A::reply(scored(found), time)).await
    }

    /// Asks for points, several times.
    async fn ask_all<M: Batch, A: Reply<Vec<BatchResult>>>(
        &self,
        request: Request<M>,
    ) -> Answer<A> {
        let (message, name, timeout) = opened(request);
        let text = || self.text(Searches(message.items()));
        let work = async { all_asked(&self.0, &name, text()?).await };
        answer(timeout, work, |found, time| A::reply(several(found), time)).await
    }

    /// Asks for groups of points.
    async fn ask_groups<M: About + Spell, A: Reply<GroupsResult>>(
        &self,
        request: Request<M>,
    ) -> Answer<A> {
        let (message, name, timeout) = opened(request);
        let work = self.with(message, move |app, text| groups_asked(app, &name, text).map(groups));
        answer(timeout, work, A::reply).await
    }
}

#[tonic::async_trait]
impl Points for Caller {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Answer<PointsOperationResponse> {
        self.change(request, "upsert").await
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Answer<PointsOperationResponse> {
        self.change(request, "delete").await
    }

    async fn update_vectors(
        &self,
        request: Request<UpdatePointVectors>,
    ) -> Answer<PointsOperationResponse> {
        self.change(request, "update_vectors").await
    }

    async fn delete_vectors(
        &self,
        request: Request<DeletePointVectors>,
    ) -> Answer<PointsOperationResponse> {
        self.change(request, "delete_vectors").await
    }

    async fn set_payload(
        &self,
        request: Request<SetPayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        self.change(request, "set_payload").await
    }

    async fn overwrite_payload(
        &self,
        request: Request<SetPayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        self.change(request, "overwrite_payload").await
    }

    async fn delete_payload(
        &self,
        request: Request<DeletePayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        self.change(request, "delete_payload").await
    }

    async fn clear_payload(
        &self,
        request: Request<ClearPayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        self.change(request, "clear_payload").await
    }

    async fn update_batch(
        &self,
        request: Request<UpdateBatchPoints>,
    ) -> Answer<UpdateBatchResponse> {
        let (message, name, timeout) = opened(request);
        let work = async { all_changed(&self.0, &name, self.text(message)?).await };
        let message = |made: Vec<_>, time| {
            UpdateBatchResponse::reply(made.into_iter().map(updated).collect(), time)
        };
        answer(timeout, work, message).await
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let (message, name, timeout) = opened(request);
        answer(timeout, self.on(name, message, collections::make_index), operation).await
    }

    async fn delete_field_index(
        &self,
        request: Request<DeleteFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let (message, name, timeout) = opened(request);
        let work =
            self.0.work(move |app| collections::drop_indexes(app, &name, &message.field_name));
        answer(timeout, work, operation).await
    }

    async fn create_vector_name(
        &self,
        request: Request<CreateVectorNameRequest>,
    ) -> Answer<PointsOperationResponse> {
        let (mut message, name, timeout) = opened(request);
        let vector = take(&mut message.vector_name);
        let work = self
            .on(name, message, move |hosted, text| collections::make_vector(hosted, &vector, text));
        answer(timeout, work, operation).await
    }

    async fn delete_vector_name(
        &self,
        request: Request<DeleteVectorNameRequest>,
    ) -> Answer<PointsOperationResponse> {
        let (message, name, timeout) = opened(request);
        let work =
            self.0.work(move |app| collections::drop_vector(app, &name, &message.vector_name));
        answer(timeout, work, operation).await
    }

    async fn get(&self, request: Request<GetPoints>) -> Answer<GetResponse> {
        let (message, name, timeout) = opened(request);
        let work = self.on(name, message, |hosted, text| Ok(records(retrieved(hosted, text)?)));
        answer(timeout, work, GetResponse::reply).await
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Answer<ScrollResponse> {
        let (message, name, timeout) = opened(request);
        let work = self.on(name, message, |hosted, text| {
            let page = page(hosted, text)?;
            Ok((records(page.points), page.next.map(id)))
        });
        answer(timeout, work, |(result, next_page_offset), time| ScrollResponse {
            next_page_offset,
            result,
            time,
            usage: None,
        })
        .await
    }

    async fn count(&self, request: Request<CountPoints>) -> Answer<CountResponse> {
        let (message, name, timeout) = opened(request);
        let work = self
            .on(name, message, |hosted, text| Ok(CountResult { count: counted(hosted, text)? }));
        answer(timeout, work, CountResponse::reply).await
    }

    async fn facet(&self, request: Request<FacetCounts>) -> Answer<FacetResponse> {
        let (message, name, timeout) = opened(request);
        answer(timeout, self.on(name, message, values), |hits, time| FacetResponse {
            hits: hits.into_iter().map(facet).collect(),
            time,
            usage: None,
        })
        .await
    }

    async fn query(&self, request: Request<QueryPoints>) -> Answer<QueryResponse> {
        self.ask(request).await
    }

    async fn query_batch(&self, request: Request<QueryBatchPoints>) -> Answer<QueryBatchResponse> {
        self.ask_all(request).await
    }

    async fn query_groups(
        &self,
        request: Request<QueryPointGroups>,
    ) -> Answer<QueryGroupsResponse> {
        self.ask_groups(request).await
    }

    async fn search(&self, request: Request<SearchPoints>) -> Answer<SearchResponse> {
        self.ask(request).await
    }

    async fn search_batch(
        &self,
        request: Request<SearchBatchPoints>,
    ) -> Answer<SearchBatchResponse> {
        self.ask_all(request).await
    }

    async fn search_groups(
        &self,
        request: Request<SearchPointGroups>,
    ) -> Answer<SearchGroupsResponse> {
        self.ask_groups(request).await
    }

    async fn recommend(&self, request: Request<RecommendPoints>) -> Answer<RecommendResponse> {
        self.ask(request).await
    }

    async fn recommend_batch(
        &self,
        request: Request<RecommendBatchPoints>,
    ) -> Answer<RecommendBatchResponse> {
        self.ask_all(request).await
    }

    async fn recommend_groups(
        &self,
        request: Request<RecommendPointGroups>,
    ) -> Answer<RecommendGroupsResponse> {
        self.ask_groups(request).await
    }

    async fn discover(&self, request: Request<DiscoverPoints>) -> Answer<DiscoverResponse> {
        self.ask(request).await
    }

    async fn discover_batch(
        &self,
        request: Request<DiscoverBatchPoints>,
    ) -> Answer<DiscoverBatchResponse> {
        self.ask_all(request).await
    }

    async fn search_matrix_pairs(
        &self,
        request: Request<SearchMatrixPoints>,
    ) -> Answer<SearchMatrixPairsResponse> {
        let (message, name, timeout) = opened(request);
        let work = self.on(name, message, |hosted, text| compared(hosted, text).map(pairs));
        answer(timeout, work, SearchMatrixPairsResponse::reply).await
    }

    async fn search_matrix_offsets(
        &self,
        request: Request<SearchMatrixPoints>,
    ) -> Answer<SearchMatrixOffsetsResponse> {
        let (message, name, timeout) = opened(request);
        let work = self.on(name, message, |hosted, text| compared(hosted, text).map(offsets));
        answer(timeout, work, SearchMatrixOffsetsResponse::reply).await
    }
}
