//! Query of an explanation: its vectors, and the names of its tokens.

use std::error::Error;
use std::path::Path;

use maxfold::Vector;
use maxfold::collection::VectorKind;
use maxfold::filter::{Condition, Payload, PointId};
use maxfold::search::{Example, QueryRequest, Scoring, Searcher};
use maxfold::serde_json;

use super::{Args, passage};
use crate::command_line::Usage;
use crate::document;

pub struct Question {
    pub request: QueryRequest,
    /// The multivector that the request looks for.
    pub query: Vector,
    /// Names of its tokens, if any are known.
    pub names: Option<Vec<String>>,
}

impl Question {
    /// Reads the request, and looks up the vector of the point that it may name.
    pub fn read(args: &Args, searcher: &Searcher) -> Result<Self, Box<dyn Error>> {
        if let Some(question) = args.model.question(searcher)? {
            return Ok(question);
        }
        // clap lets nobody past who gave none.
        let file = args.request.as_ref().ok_or_else(|| Usage::new("expected --request"))?;
        let mut request = document::read(file, str::parse::<QueryRequest>)?;
        let config = searcher.collection().config();
        let is_multi = config.get(&request.using)?.kind == VectorKind::Multi;
        let mut names = args.query_tokens.as_deref().map(typed);
        let query = match (request.query.take(), &request.lookup_from) {
            (Some(Scoring::Nearest(Example::Vector(query))), _) if is_multi => query,
            (Some(Scoring::Nearest(Example::Point(id))), None) if is_multi => {
                let (query, payload) = of_point(searcher, id, &request.using)?;
                names = names.or_else(|| passage::tokens(&payload));
                // It is no hit of itself.
                let filter = request.filter.take().unwrap_or_default();
                request.filter = Some(filter.must_not(Condition::has_id([id])));
                query
            }
            _ => return Err(no_multivector(file).into()),
        };
        Ok(Self { request, query, names })
    }

    /// Names of so many query tokens.
    pub fn names(&self, count: usize) -> Result<Vec<String>, String> {
        let unnamed = || (0..count).map(|at| format!("token {at}")).collect();
        let names = self.names.clone().unwrap_or_else(unnamed);
        match names.len() {
            got if got == count => Ok(names),
            got => Err(format!("expected names of {count} query tokens, got {got}")),
        }
    }
}

fn no_multivector(file: &Path) -> String {
    let file = file.display();
    format!(
        "expected the query of {file} to be a multivector, or the id of a point that has one, got another"
    )
}

/// Names as typed: a JSON array of strings, or words.
fn typed(names: &str) -> Vec<String> {
    let words = || names.split_whitespace().map(str::to_owned).collect();
    serde_json::from_str(names).unwrap_or_else(|_| words())
}

/// The vector of a point, and its payload.
fn of_point(
    searcher: &Searcher,
    id: PointId,
    using: &str,
) -> Result<(Vector, Payload), Box<dyn Error>> {
    let snapshot = searcher.collection().snapshot()?;
    let missing = || format!("expected the point {id} with the vector {using:?}, got none");
    let mut point = snapshot.get(id)?.ok_or_else(missing)?;
    let vector = point.vectors.remove(using).ok_or_else(missing)?;
    Ok((vector, point.payload))
}
