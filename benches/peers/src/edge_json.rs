//! The JSON of Qdrant's query request, as Qdrant Edge takes it: Edge has no parser of its own for the
//! request, only for filters and parameters.

use anyhow::{Context, Result, ensure};
use qdrant_edge::{
    Filter, Fusion, NamedQuery, Prefetch, QueryEnum, QueryRequest, ScoringQuery, SearchParams,
    SparseVector, TypedMultiDenseVector, VectorInternal, WithPayloadInterface,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    query: Query,
    #[serde(default)]
    using: String,
    limit: usize,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    with_payload: bool,
    score_threshold: Option<f32>,
    filter: Option<Filter>,
    params: Option<SearchParams>,
    #[serde(default)]
    prefetch: Vec<Body>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Query {
    One(Vec<f32>),
    Many(Vec<Vec<f32>>),
    Sparse { indices: Vec<u32>, values: Vec<f32> },
    Fusion { fusion: String },
}

/// Qdrant's, where a request doesn't say.
const RRF_K: usize = 2;

pub fn request(body: &Value) -> Result<QueryRequest> {
    let body = Body::deserialize(body).context("a request to Qdrant Edge")?;
    Ok(QueryRequest {
        query: Some(query(body.query, &body.using)?),
        prefetches: body.prefetch.into_iter().map(prefetch).collect::<Result<_>>()?,
        filter: body.filter,
        score_threshold: body.score_threshold,
        offset: body.offset,
        params: body.params,
        with_payload: WithPayloadInterface::Bool(body.with_payload),
        ..QueryRequest::new(body.limit)
    })
}

fn prefetch(body: Body) -> Result<Prefetch> {
    ensure!(body.offset == 0, "a prefetch has none");
    Ok(Prefetch {
        prefetches: body.prefetch.into_iter().map(prefetch).collect::<Result<_>>()?,
        query: Some(query(body.query, &body.using)?),
        filter: body.filter,
        score_threshold: body.score_threshold,
        params: body.params,
        ..Prefetch::new(body.limit)
    })
}

fn query(query: Query, using: &str) -> Result<ScoringQuery> {
    let vector = match query {
        Query::One(row) => VectorInternal::Dense(row),
        Query::Sparse { indices, values } => {
            VectorInternal::Sparse(SparseVector { indices, values })
        }
        Query::Fusion { fusion } => {
            ensure!(fusion == "rrf", "expected rrf, got {fusion}");
            return Ok(ScoringQuery::Fusion(Fusion::Rrf { k: RRF_K, weights: None }));
        }
        Query::Many(rows) => {
            let dim = rows.first().context("a query without rows")?.len();
            VectorInternal::MultiDense(TypedMultiDenseVector::new(rows.concat(), dim))
        }
    };
    Ok(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(vector, using))))
}
