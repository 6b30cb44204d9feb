//! The JSON of Qdrant's query request, as Qdrant Edge takes it: Edge has no parser of its own for the
//! request, only for filters and parameters.

use anyhow::{Context, Result, ensure};
use qdrant_edge::{
    Filter, NamedQuery, Prefetch, QueryEnum, QueryRequest, ScoringQuery, SearchParams,
    TypedMultiDenseVector, VectorInternal,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    query: Rows,
    using: String,
    limit: usize,
    #[serde(default)]
    offset: usize,
    score_threshold: Option<f32>,
    filter: Option<Filter>,
    params: Option<SearchParams>,
    #[serde(default)]
    prefetch: Vec<Body>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rows {
    One(Vec<f32>),
    Many(Vec<Vec<f32>>),
}

pub fn request(body: &Value) -> Result<QueryRequest> {
    let body = Body::deserialize(body).context("a request to Qdrant Edge")?;
    Ok(QueryRequest {
        query: Some(query(body.query, &body.using)?),
        prefetches: body.prefetch.into_iter().map(prefetch).collect::<Result<_>>()?,
        filter: body.filter,
        score_threshold: body.score_threshold,
        offset: body.offset,
        params: body.params,
        ..QueryRequest::new(body.limit)
    })
}

fn prefetch(body: Body) -> Result<Prefetch> {
    ensure!(body.offset == 0 && body.prefetch.is_empty(), "a prefetch has neither");
    Ok(Prefetch {
        query: Some(query(body.query, &body.using)?),
        filter: body.filter,
        score_threshold: body.score_threshold,
        params: body.params,
        ..Prefetch::new(body.limit)
    })
}

fn query(rows: Rows, using: &str) -> Result<ScoringQuery> {
    let vector = match rows {
        Rows::One(row) => VectorInternal::Dense(row),
        Rows::Many(rows) => {
            let dim = rows.first().context("a query without rows")?.len();
            VectorInternal::MultiDense(TypedMultiDenseVector::new(rows.concat(), dim))
        }
    };
    Ok(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(vector, using))))
}
