//! Explanation as JSON.

use std::ops::Range;

use maxfold::PointId;
use serde::Serialize;

use super::hits::{Explained, Hit};

#[derive(Serialize)]
pub struct Explanation<'a> {
    using: &'a str,
    query_tokens: &'a [String],
    hits: Vec<ExplainedHit<'a>>,
}

#[derive(Serialize)]
struct ExplainedHit<'a> {
    id: PointId,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    matches: Vec<Match<'a>>,
}

#[derive(Serialize)]
struct Match<'a> {
    /// Position of the query token.
    query_token: usize,
    query: &'a str,
    /// Row of the hit's multivector.
    token: u32,
    matched: String,
    /// Begin and end of the match in the text, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<[usize; 2]>,
    similarity: f32,
}

pub fn explanation(explained: &Explained) -> Explanation<'_> {
    let hits = explained.hits.iter().map(|hit| explained_hit(explained, hit)).collect();
    Explanation { using: &explained.using, query_tokens: &explained.names, hits }
}

fn explained_hit<'a>(explained: &'a Explained, hit: &'a Hit) -> ExplainedHit<'a> {
    let place = |row: u32| -> Option<&Range<usize>> {
        hit.passage.as_ref()?.places.get(row as usize)?.as_ref()
    };
    let matches = explained.matches(hit).map(|(query_token, it)| Match {
        query_token,
        query: explained.name(query_token),
        token: it.token,
        matched: hit.row_name(it.token as usize),
        bytes: place(it.token).map(|it| [it.start, it.end]),
        similarity: it.similarity,
    });
    let text = hit.passage.as_ref().map(|it| it.text.as_str());
    ExplainedHit { id: hit.id, score: hit.score, text, matches: matches.collect() }
}
