//! Calls: points.

use std::mem::take;

use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::*;
use tonic::Request;

use super::answers::{facet, groups, offsets, pairs, records, scored, several, updated};
use super::call::{Answer, Caller, answer, operation};
use super::queries::Searches;
use super::values::id;
use crate::server::collections;
use crate::server::pairs::compared;
use crate::server::points::all_changed;
use crate::server::query::{all_asked, asked, groups_asked, values};
use crate::server::records::{counted, page, retrieved};

#[tonic::async_trait]
impl Points for Caller {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "upsert").await
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "delete").await
    }

    async fn update_vectors(
        &self,
        request: Request<UpdatePointVectors>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "update_vectors").await
    }

    async fn delete_vectors(
        &self,
        request: Request<DeletePointVectors>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "delete_vectors").await
    }

    async fn set_payload(
        &self,
        request: Request<SetPayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "set_payload").await
    }

    async fn overwrite_payload(
        &self,
        request: Request<SetPayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "overwrite_payload").await
    }

    async fn delete_payload(
        &self,
        request: Request<DeletePayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "delete_payload").await
    }

    async fn clear_payload(
        &self,
        request: Request<ClearPayloadPoints>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let name = take(&mut message.collection_name);
        self.change(name, message.timeout, message, "clear_payload").await
    }

    async fn update_batch(
        &self,
        request: Request<UpdateBatchPoints>,
    ) -> Answer<UpdateBatchResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = async { all_changed(&self.0, &name, self.text(message)?).await };
        answer(timeout, work, |made, time| UpdateBatchResponse {
            result: made.into_iter().map(updated).collect(),
            time,
            usage: None,
        })
        .await
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        answer(timeout, self.on(name, message, collections::make_index), operation).await
    }

    async fn delete_field_index(
        &self,
        request: Request<DeleteFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let DeleteFieldIndexCollection { collection_name, field_name, timeout, .. } =
            request.into_inner();
        let work =
            self.0.work(move |app| collections::drop_indexes(app, &collection_name, &field_name));
        answer(timeout, work, operation).await
    }

    async fn create_vector_name(
        &self,
        request: Request<CreateVectorNameRequest>,
    ) -> Answer<PointsOperationResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let vector = take(&mut message.vector_name);
        let work = self
            .on(name, message, move |hosted, text| collections::make_vector(hosted, &vector, text));
        answer(timeout, work, operation).await
    }

    async fn delete_vector_name(
        &self,
        request: Request<DeleteVectorNameRequest>,
    ) -> Answer<PointsOperationResponse> {
        let DeleteVectorNameRequest { collection_name, vector_name, timeout, .. } =
            request.into_inner();
        let work =
            self.0.work(move |app| collections::drop_vector(app, &collection_name, &vector_name));
        answer(timeout, work, operation).await
    }

    async fn get(&self, request: Request<GetPoints>) -> Answer<GetResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = self.on(name, message, |hosted, text| Ok(records(retrieved(hosted, text)?)));
        answer(timeout, work, |result, time| GetResponse { result, time, usage: None }).await
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Answer<ScrollResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
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
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        answer(timeout, self.on(name, message, counted), |count, time| CountResponse {
            result: Some(CountResult { count }),
            time,
            usage: None,
        })
        .await
    }

    async fn facet(&self, request: Request<FacetCounts>) -> Answer<FacetResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        answer(timeout, self.on(name, message, values), |hits, time| FacetResponse {
            hits: hits.into_iter().map(facet).collect(),
            time,
            usage: None,
        })
        .await
    }

    async fn query(&self, request: Request<QueryPoints>) -> Answer<QueryResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = async { asked(&self.0, &name, self.text(message)?).await };
        answer(timeout, work, |found, time| QueryResponse {
            result: scored(found),
            time,
            usage: None,
        })
        .await
    }

    async fn query_batch(&self, request: Request<QueryBatchPoints>) -> Answer<QueryBatchResponse> {
        let QueryBatchPoints { collection_name: name, query_points, timeout, .. } =
            request.into_inner();
        let work = async { all_asked(&self.0, &name, self.text(Searches(query_points))?).await };
        answer(timeout, work, |found, time| QueryBatchResponse {
            result: several(found),
            time,
            usage: None,
        })
        .await
    }

    async fn query_groups(
        &self,
        request: Request<QueryPointGroups>,
    ) -> Answer<QueryGroupsResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = self.with(message, move |app, text| groups_asked(app, &name, text).map(groups));
        answer(timeout, work, |result, time| QueryGroupsResponse {
            result: Some(result),
            time,
            usage: None,
        })
        .await
    }

    async fn search(&self, request: Request<SearchPoints>) -> Answer<SearchResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = async { asked(&self.0, &name, self.text(message)?).await };
        answer(timeout, work, |found, time| SearchResponse {
            result: scored(found),
            time,
            usage: None,
        })
        .await
    }

    async fn search_batch(
        &self,
        request: Request<SearchBatchPoints>,
    ) -> Answer<SearchBatchResponse> {
        let SearchBatchPoints { collection_name: name, search_points, timeout, .. } =
            request.into_inner();
        let work = async { all_asked(&self.0, &name, self.text(Searches(search_points))?).await };
        answer(timeout, work, |found, time| SearchBatchResponse {
            result: several(found),
            time,
            usage: None,
        })
        .await
    }

    async fn search_groups(
        &self,
        request: Request<SearchPointGroups>,
    ) -> Answer<SearchGroupsResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = self.with(message, move |app, text| groups_asked(app, &name, text).map(groups));
        answer(timeout, work, |result, time| SearchGroupsResponse {
            result: Some(result),
            time,
            usage: None,
        })
        .await
    }

    async fn recommend(&self, request: Request<RecommendPoints>) -> Answer<RecommendResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = async { asked(&self.0, &name, self.text(message)?).await };
        answer(timeout, work, |found, time| RecommendResponse {
            result: scored(found),
            time,
            usage: None,
        })
        .await
    }

    async fn recommend_batch(
        &self,
        request: Request<RecommendBatchPoints>,
    ) -> Answer<RecommendBatchResponse> {
        let RecommendBatchPoints { collection_name: name, recommend_points, timeout, .. } =
            request.into_inner();
        let work =
            async { all_asked(&self.0, &name, self.text(Searches(recommend_points))?).await };
        answer(timeout, work, |found, time| RecommendBatchResponse {
            result: several(found),
            time,
            usage: None,
        })
        .await
    }

    async fn recommend_groups(
        &self,
        request: Request<RecommendPointGroups>,
    ) -> Answer<RecommendGroupsResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = self.with(message, move |app, text| groups_asked(app, &name, text).map(groups));
        answer(timeout, work, |result, time| RecommendGroupsResponse {
            result: Some(result),
            time,
            usage: None,
        })
        .await
    }

    async fn discover(&self, request: Request<DiscoverPoints>) -> Answer<DiscoverResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = async { asked(&self.0, &name, self.text(message)?).await };
        answer(timeout, work, |found, time| DiscoverResponse {
            result: scored(found),
            time,
            usage: None,
        })
        .await
    }

    async fn discover_batch(
        &self,
        request: Request<DiscoverBatchPoints>,
    ) -> Answer<DiscoverBatchResponse> {
        let DiscoverBatchPoints { collection_name: name, discover_points, timeout, .. } =
            request.into_inner();
        let work = async { all_asked(&self.0, &name, self.text(Searches(discover_points))?).await };
        answer(timeout, work, |found, time| DiscoverBatchResponse {
            result: several(found),
            time,
            usage: None,
        })
        .await
    }

    async fn search_matrix_pairs(
        &self,
        request: Request<SearchMatrixPoints>,
    ) -> Answer<SearchMatrixPairsResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = self.on(name, message, |hosted, text| compared(hosted, text).map(pairs));
        answer(timeout, work, |result, time| SearchMatrixPairsResponse {
            result: Some(result),
            time,
            usage: None,
        })
        .await
    }

    async fn search_matrix_offsets(
        &self,
        request: Request<SearchMatrixPoints>,
    ) -> Answer<SearchMatrixOffsetsResponse> {
        let mut message = request.into_inner();
        let (name, timeout) = (take(&mut message.collection_name), message.timeout);
        let work = self.on(name, message, |hosted, text| compared(hosted, text).map(offsets));
        answer(timeout, work, |result, time| SearchMatrixOffsetsResponse {
            result: Some(result),
            time,
            usage: None,
        })
        .await
    }
}
