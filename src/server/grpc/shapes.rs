//! What messages have in common: a collection and a time, a result and a time.

use std::mem::take;

use ::qdrant_client::qdrant::*;
use tonic::Request;

use super::spell::Spell;

/// A message about a collection.
pub(super) trait About {
    /// Takes the collection's name out, and reads the seconds that the work may take.
    fn about(&mut self) -> (String, Option<u64>);
}

/// A message, the collection that it is about, and the seconds that the work may take.
pub(super) fn opened<M: About>(request: Request<M>) -> (M, String, Option<u64>) {
    let mut message = request.into_inner();
    let (name, timeout) = message.about();
    (message, name, timeout)
}

macro_rules! about {
    ($($message:ty)*) => {$(
        impl About for $message {
            fn about(&mut self) -> (String, Option<u64>) {
                (take(&mut self.collection_name), self.timeout)
            }
        }
    )*};
}

about! {
    UpsertPoints DeletePoints UpdatePointVectors DeletePointVectors
    SetPayloadPoints DeletePayloadPoints ClearPayloadPoints UpdateBatchPoints
    CreateFieldIndexCollection DeleteFieldIndexCollection
    CreateVectorNameRequest DeleteVectorNameRequest
    GetPoints ScrollPoints CountPoints FacetCounts SearchMatrixPoints
    QueryPoints QueryBatchPoints QueryPointGroups
    SearchPoints SearchBatchPoints SearchPointGroups
    RecommendPoints RecommendBatchPoints RecommendPointGroups
    DiscoverPoints DiscoverBatchPoints
    CreateCollection UpdateCollection DeleteCollection
}

/// A message that several requests stand in.
pub(super) trait Batch: About {
    type Item: Spell;

    fn items(self) -> Vec<Self::Item>;
}

macro_rules! batch {
    ($($message:ty: $field:ident of $item:ty;)*) => {$(
        impl Batch for $message {
            type Item = $item;

            fn items(self) -> Vec<$item> {
                self.$field
            }
        }
    )*};
}

batch! {
    QueryBatchPoints: query_points of QueryPoints;
    SearchBatchPoints: search_points of SearchPoints;
    RecommendBatchPoints: recommend_points of RecommendPoints;
    DiscoverBatchPoints: discover_points of DiscoverPoints;
}

/// A message with a result, and the seconds that it took.
pub(super) trait Reply<T> {
    fn reply(result: T, time: f64) -> Self;
}

macro_rules! reply {
    ($($result:ty: $($message:ident)*;)*) => {$($(
        impl Reply<$result> for $message {
            fn reply(result: $result, time: f64) -> Self {
                Self { result: result.into(), time, usage: None }
            }
        }
    )*)*};
}

reply! {
    UpdateResult: PointsOperationResponse;
    Vec<UpdateResult>: UpdateBatchResponse;
    Vec<RetrievedPoint>: GetResponse;
    CountResult: CountResponse;
    Vec<ScoredPoint>: QueryResponse SearchResponse RecommendResponse DiscoverResponse;
    Vec<BatchResult>:
        QueryBatchResponse SearchBatchResponse RecommendBatchResponse DiscoverBatchResponse;
    GroupsResult: QueryGroupsResponse SearchGroupsResponse RecommendGroupsResponse;
    SearchMatrixPairs: SearchMatrixPairsResponse;
    SearchMatrixOffsets: SearchMatrixOffsetsResponse;
}
