//! Output of `score`: JSON, a TREC run, a table.

use std::error::Error;

use maxfold::eval::Run;
use maxfold::rerank::Scored;
use serde::Serialize;

use super::Args;
use super::items::Items;
use super::scoring::{Found, Scoring};
use crate::output;

/// The JSON result.
#[derive(Serialize)]
struct Output<'a> {
    backend: String,
    adapter: Option<&'a str>,
    variant: String,
    reason: &'a str,
    dim: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_ids: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_ids: Option<&'a [String]>,
    /// A list per query, a number per document.
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<&'a [Vec<f32>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Vec<Vec<Top<'a>>>>,
    seconds: &'a [f64],
}

#[derive(Serialize)]
struct Top<'a> {
    document: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    score: f32,
}

pub fn write(
    args: &Args,
    scoring: &Scoring,
    queries: &Items,
    docs: &Items,
) -> Result<(), Box<dyn Error>> {
    let as_json = json(scoring, queries, docs);
    if let Some(file) = &args.output {
        output::json(Some(file), &as_json)?;
    }
    if let Some(file) = &args.run {
        output::run(file, &trec(scoring, queries, docs)?)?;
    }
    if args.json {
        output::json(None, &as_json)?;
    }
    if args.table() { table(scoring, queries, docs) } else { Ok(()) }
}

fn json<'a>(scoring: &'a Scoring, queries: &'a Items, docs: &'a Items) -> Output<'a> {
    let Scoring { found, execution, seconds } = scoring;
    let (scores, top) = match found {
        Found::All(all) => (Some(all.as_slice()), None),
        Found::Best(best) => (None, Some(best.iter().map(|hits| top(hits, docs)).collect())),
    };
    Output {
        backend: execution.backend().to_string(),
        adapter: execution.adapter(),
        variant: execution.variant(),
        reason: &execution.reason,
        dim: docs.tokens.dim(),
        query_ids: queries.ids.as_deref(),
        document_ids: docs.ids.as_deref().filter(|_| scores.is_some()),
        scores,
        top,
        seconds,
    }
}

fn top<'a>(hits: &[Scored], docs: &'a Items) -> Vec<Top<'a>> {
    let top = |hit: &Scored| {
        let Scored { id, score } = *hit;
        Top { document: id, id: docs.id(id as usize), score }
    };
    hits.iter().map(top).collect()
}

fn trec(scoring: &Scoring, queries: &Items, docs: &Items) -> maxfold::Result<Run> {
    let mut run = Run::new();
    for (query, hits) in scoring.found.rankings().iter().enumerate() {
        let named = |hit: &Scored| (docs.name(hit.id as usize), output::decimal(hit.score));
        run.insert_ranking(queries.name(query), hits.iter().map(named))?;
    }
    Ok(run)
}

fn table(scoring: &Scoring, queries: &Items, docs: &Items) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for (query, hits) in scoring.found.rankings().iter().enumerate() {
        for (rank, hit) in (1..).zip(hits) {
            let document = docs.name(hit.id as usize);
            rows.push([queries.name(query), rank.to_string(), document, hit.score.to_string()]);
        }
    }
    output::table(["query", "rank", "document", "score"], &rows)
}
