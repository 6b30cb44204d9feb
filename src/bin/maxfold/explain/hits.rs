//! Hits, with what each query token matched in them.

use std::error::Error;

use maxfold::filter::{Condition, Filter, Payload, PayloadSelector, PointId};
use maxfold::maxsim::SimilarityMatrix;
use maxfold::rerank::TokenMatch;
use maxfold::search::{QueryRequest, ScoredPoint, Scoring, Searcher};

use super::Args;
use super::page::Patches;
use super::passage::Passage;
use super::question::Question;
use crate::command_line::Usage;

/// Hits of one query.
pub struct Explained {
    /// The vector that was compared.
    pub using: String,
    /// Positions of the query tokens that are explained.
    pub tokens: Vec<usize>,
    /// Names of all query tokens.
    pub names: Vec<String>,
    pub hits: Vec<Hit>,
}

pub struct Hit {
    pub id: PointId,
    pub score: f32,
    pub payload: Payload,
    /// By query token.
    pub matches: Vec<TokenMatch>,
    pub similarities: SimilarityMatrix,
    /// Its text, if it has one with tokens.
    pub passage: Option<Passage>,
    /// Its patches, if it is known to be a page.
    pub patches: Option<Patches>,
}

impl Explained {
    /// For a hit, the query tokens that are explained, with what they matched.
    pub fn matches<'a>(&'a self, hit: &'a Hit) -> impl Iterator<Item = (usize, TokenMatch)> {
        self.tokens.iter().filter_map(|at| Some((*at, *hit.matches.get(*at)?)))
    }

    pub fn name(&self, token: usize) -> &str {
        self.names.get(token).map_or("", String::as_str)
    }
}

impl Hit {
    /// Name of a row: a token, a place on a page, or the row's number.
    pub fn row_name(&self, row: usize) -> String {
        let token = self.passage.as_ref().and_then(|it| it.tokens.get(row)).cloned();
        let name = token.or_else(|| self.patches.as_ref()?.name(row));
        name.unwrap_or_else(|| format!("row {row}"))
    }
}

pub fn explain(args: &Args, searcher: &Searcher) -> Result<Explained, Box<dyn Error>> {
    let question = Question::read(args, searcher)?;
    let using = question.request.using.clone();
    let found = searcher.query(&request(args, &question))?.points;
    if let (Some(id), true) = (args.point, found.is_empty()) {
        return Err(format!("expected the point {id} with the vector {using:?}, got none").into());
    }
    let hits = found.into_iter().map(|point| hit(args, searcher, &question, point));
    let hits = hits.collect::<Result<Vec<_>, _>>()?;
    let count = hits.first().map_or(0, |hit| hit.matches.len());
    let names = if hits.is_empty() { Vec::new() } else { question.names(count)? };
    Ok(Explained { using, tokens: chosen(args, names.len())?, names, hits })
}

/// Request for the best hits, or for the one point.
fn request(args: &Args, Question { request, query, .. }: &Question) -> QueryRequest {
    let query = Scoring::from(query.clone());
    let request = match args.point {
        None => QueryRequest { query: Some(query), ..request.clone() }.limit(args.hits as usize),
        Some(id) => {
            let only = Filter::new().must(Condition::has_id([id]));
            QueryRequest::new(query).using(&request.using).filter(only).limit(1)
        }
    };
    request.with_payload(PayloadSelector::All).with_matches()
}

/// The query tokens that are explained.
fn chosen(args: &Args, count: usize) -> Result<Vec<usize>, Usage> {
    if args.tokens.is_empty() || count == 0 {
        return Ok((0..count).collect());
    }
    match args.tokens.iter().find(|at| **at >= count) {
        None => Ok(args.tokens.clone()),
        Some(at) => {
            Err(Usage::new(format!("expected --token to be from 0 to {}, got {at}", count - 1)))
        }
    }
}

fn hit(
    args: &Args,
    searcher: &Searcher,
    question: &Question,
    point: ScoredPoint,
) -> Result<Hit, Box<dyn Error>> {
    let ScoredPoint { id, score, payload, matches, .. } = point;
    let (payload, matches) = (payload.unwrap_or_default(), matches.unwrap_or_default());
    let using = &question.request.using;
    let similarities = searcher.similarities(id, using, &question.query)?;
    // Another process may have deleted it meanwhile.
    let similarities = similarities.ok_or_else(|| format!("expected the point {id}, got none"))?;
    let rows = similarities.rows().next().map_or(0, <[f32]>::len);
    let passage = passage(args, &payload)?;
    if let Some(passage) = passage.as_ref().filter(|it| it.tokens.len() != rows) {
        let got = passage.tokens.len();
        return Err(format!(
            "expected {rows} tokens of the text of point {id}, one for each row of its vector {using:?}, got {got}"
        )
        .into());
    }
    let patches = Patches::of(&args.page, &payload, rows);
    Ok(Hit { id, score, payload, matches, similarities, passage, patches })
}

/// The text of a hit with its tokens: by the model, if there is one, or by the payload.
fn passage(args: &Args, payload: &Payload) -> maxfold::Result<Option<Passage>> {
    if let Some(passage) = args.model.passage(payload, &args.text)? {
        return Ok(Some(passage));
    }
    Ok(Passage::of(payload, &args.text))
}
