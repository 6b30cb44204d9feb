//! Routes: distances between points of a sample; similarities between the tokens of a query and of a point.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use super::app::App;
use super::body::Text;
use super::hosted::Hosted;
use super::parameters::Path;
use super::refusal::Refusal;
use crate::Result;
use crate::collection::Vector;
use crate::decimal::spelled;
use crate::filter::{Condition, Filter, PointId};
use crate::json::{Foreign, Node};
use crate::recall::SearchParams;
use crate::search::{Example, QueryRequest, Scoring};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/collections/{collection_name}/points/search/matrix/pairs", post(pairs))
        .route("/collections/{collection_name}/points/search/matrix/offsets", post(offsets))
        .route("/collections/{collection_name}/points/{id}/similarities", post(similarities))
}

/// A sample, and how many of it are looked for beside each.
struct Sample {
    filter: Option<Filter>,
    sample: usize,
    limit: usize,
    using: String,
}

/// The points of a sample, and pairs of their positions, with scores.
pub(super) struct Matrix {
    pub ids: Vec<PointId>,
    pub pairs: Vec<(usize, usize, f32)>,
}

impl Sample {
    fn read(node: &Node<'_>) -> Result<Self> {
        let beside = &[Foreign::new("shard_key", "sharding")];
        let object = node.object_beside(&["filter", "sample", "limit", "using"], beside)?;
        Ok(Self {
            filter: object.map("filter", Filter::read)?,
            sample: object.map("sample", Node::positive)?.unwrap_or(10),
            limit: object.map("limit", Node::positive)?.unwrap_or(3),
            using: object.map("using", Node::text)?.unwrap_or_default(),
        })
    }

    fn compare(&self, hosted: &Hosted) -> Result<Matrix, Refusal> {
        let searcher = hosted.searcher()?;
        searcher.collection().config().get(&self.using)?;
        let having = Condition::HasVector(self.using.clone());
        let mut request = QueryRequest::new(Scoring::Sample).limit(self.sample);
        request.filter = Some(Filter::new().must(having));
        if let Some(filter) = &self.filter {
            request.filter = request.filter.map(|it| it.must(Condition::Filter(filter.clone())));
        }
        let sample = searcher.query(&request)?.points;
        let mut ids: Vec<PointId> = sample.iter().map(|point| point.id).collect();
        if ids.len() < 2 {
            return Ok(Matrix { ids: Vec::new(), pairs: Vec::new() });
        }
        ids.sort_unstable();
        let among = Filter::new().must(Condition::HasId(ids.iter().copied().collect()));
        let requests = ids.iter().map(|id| {
            let mut request = QueryRequest::new(Scoring::Nearest(Example::Point(*id)));
            request.params = SearchParams { exact: true, ..SearchParams::default() };
            request.using(&*self.using).filter(among.clone()).limit(self.limit)
        });
        let answers = searcher.query_batch(&requests.collect::<Vec<_>>())?;
        let mut pairs = Vec::new();
        for (a, answer) in answers.iter().enumerate() {
            for point in &answer.points {
                pairs.extend(ids.binary_search(&point.id).map(|b| (a, b, point.score)));
            }
        }
        Ok(Matrix { ids, pairs })
    }
}

pub(super) fn compared(hosted: &Hosted, text: Text) -> Result<Matrix, Refusal> {
    text.read("a sample of points", "request", Sample::read)?.compare(hosted)
}

async fn pairs(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| {
        let matrix = compared(hosted, text)?;
        let pairs = matrix.pairs.iter().map(|(a, b, score)| {
            json!({"a": matrix.ids[*a], "b": matrix.ids[*b], "score": spelled(*score)})
        });
        Ok(json!({"pairs": pairs.collect::<Vec<_>>()}))
    })
    .await
}

async fn offsets(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| {
        let matrix = compared(hosted, text)?;
        let column = |of: fn(&(usize, usize, f32)) -> Value| -> Vec<Value> {
            matrix.pairs.iter().map(of).collect()
        };
        Ok(json!({
            "offsets_row": column(|it| it.0.into()), "offsets_col": column(|it| it.1.into()),
            "scores": column(|it| spelled(it.2).into()), "ids": matrix.ids,
        }))
    })
    .await
}

/// Ours: the similarity of each token of a query with each of a point, a row a query token.
async fn similarities(
    State(app): State<App>,
    Path((name, id)): Path<(String, String)>,
    text: Text,
) -> Response {
    app.on(name, text, move |hosted, text| {
        let id: PointId = id.parse().map_err(Refusal::bad_request)?;
        let (using, query) = text.read("a multivector query", "request", |node| {
            let object = node.object(&["using", "query"])?;
            let using = object.map("using", Node::text)?;
            Ok((using.unwrap_or_default(), Vector::read(&object.required("query")?)?))
        })?;
        let matrix = hosted.searcher()?.similarities(id, &using, &query)?;
        let none = || Refusal::not_found(format!("No point with id {id} and that vector found"));
        let matrix = matrix.ok_or_else(none)?;
        let rows = matrix.rows().map(|row| row.iter().map(|it| spelled(*it)).collect());
        let rows: Vec<Vec<f64>> = rows.collect();
        Ok(json!({
            "query_tokens": rows.len(), "document_tokens": rows.first().map_or(0, Vec::len), "values": rows,
        }))
    })
    .await
}
