//! Output of `search`: JSON, a TREC run, a table.

use std::error::Error;

use maxfold::collection::CollectionConfig;
use maxfold::eval::Run;
use maxfold::rerank::Backend;
use maxfold::search::{QueryPlan, QueryRequest, QueryResponse, ScoredPoint};
use serde::Serialize;
use serde_json::Value;

use super::Args;
use crate::output;

/// The JSON result.
#[derive(Serialize)]
struct Results<'a> {
    /// One a request.
    results: Vec<Answer<'a>>,
    /// One number a repeat.
    seconds: &'a [f64],
}

#[derive(Serialize)]
struct Answer<'a> {
    points: &'a [ScoredPoint],
    plan: &'a QueryPlan,
    backend: String,
    adapter: Option<&'a str>,
    variant: Option<String>,
}

pub fn write(
    args: &Args,
    responses: &[QueryResponse],
    seconds: &[f64],
) -> Result<(), Box<dyn Error>> {
    let results = Results { results: responses.iter().map(answer).collect(), seconds };
    if let Some(file) = &args.output {
        output::json(Some(file), &results)?;
    }
    if args.json {
        output::json(None, &results)?;
    }
    match (args.table(), responses, &args.request) {
        (true, [found], None) => args.words.table(&found.points),
        (true, ..) => table(responses),
        (false, ..) => Ok(()),
    }
}

fn answer(response: &QueryResponse) -> Answer<'_> {
    let execution = response.plan.execution();
    // Dense vectors are always compared on the CPU.
    let backend = execution.map_or(Backend::Cpu, |it| it.backend()).to_string();
    Answer {
        points: &response.points,
        plan: &response.plan,
        backend,
        adapter: execution.and_then(|it| it.adapter()),
        variant: execution.map(|it| it.variant()),
    }
}

fn table(responses: &[QueryResponse]) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for (request, response) in responses.iter().enumerate() {
        for (rank, point) in (1..).zip(&response.points) {
            let (id, score) = (point.id.to_string(), point.score.to_string());
            rows.push([request.to_string(), rank.to_string(), id, score]);
        }
    }
    output::table(["request", "rank", "point", "score"], &rows)
}

/// The answers as a run, in which larger scores are better, whatever the distance.
pub fn trec<'a>(
    answers: impl Iterator<Item = (&'a String, (&'a QueryRequest, &'a QueryResponse))>,
    config: &CollectionConfig,
    id_key: Option<&str>,
) -> Result<Run, Box<dyn Error>> {
    let mut run = Run::new();
    for (query, (request, response)) in answers {
        let nearer_is_less = config.get(&request.using)?.distance.smaller_is_nearer();
        let sign = if nearer_is_less { -1.0 } else { 1.0 };
        let named = response.points.iter().map(|point| {
            name(point, id_key).map(|name| (name, sign * output::decimal(point.score)))
        });
        run.insert_ranking(query, named.collect::<Result<Vec<_>, _>>()?)?;
    }
    Ok(run)
}

/// Name of a point in a run: its id, or what its payload has.
fn name(point: &ScoredPoint, id_key: Option<&str>) -> Result<String, String> {
    let Some(key) = id_key else { return Ok(point.id.to_string()) };
    match point.payload.as_ref().and_then(|payload| payload.get(key)) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        other => {
            let got = other.map_or("nothing".into(), Value::to_string);
            Err(format!(
                "expected payload key {key:?} of point {} to be text or a number, got {got}",
                point.id
            ))
        }
    }
}
