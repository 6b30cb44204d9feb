//! Whether two answers are one, and if not, why.
//!
//! An answer may differ from another where rounding to f16 leaves open which of two points is better:
//! scores are computed here, in f64, from the points themselves, and only points whose scores are that
//! close may change places, or be one in and one out at the end of the list or at a threshold. A
//! prefetch may pass on another point only if it is that close at its end.
//!
//! What is on purpose is kept out of the requests, but for one thing, which can't be told from them:
//! in Qdrant a payload index may change an answer. There Edge is asked again, without indexes.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::engines::{Engines, Hit};
use super::lists::{Ends, Likeness, Lists, Tie, tie};
use super::points::{Rows, Sample, VECTORS};
use super::reference::{self, Score};
use super::requests::Asked;

/// How two answers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Same,
    /// Points of equal scores in other places, or others of them at an end.
    Equal,
    /// Points whose scores are so close that rounding decides, in other places, or others of them at
    /// an end or at the threshold.
    Close,
    /// A prefetch passed on another of the points that tie at its end.
    Prefetch,
    /// Edge gives Maxfold's answer where it has no payload indexes (README.md, "Filters").
    EdgeIndex,
    Unexplained,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Same, Self::Equal, Self::Close, Self::Prefetch, Self::EdgeIndex, Self::Unexplained];

    pub fn title(self) -> &'static str {
        match self {
            Self::Same => "same ids in the same order",
            Self::Equal => "other order of equal scores",
            Self::Close => "other order, by rounding",
            Self::Prefetch => "other candidates, by rounding",
            Self::EdgeIndex => "Edge's indexes change its answer",
            Self::Unexplained => "unexplained",
        }
    }
}

pub struct Verdict {
    pub kind: Kind,
    /// What differs, beyond rounding.
    pub why: String,
    /// The largest difference of two scores of a point, as a part of the bound.
    pub error: f64,
    pub hits: usize,
}

/// The points, by id.
pub struct Judge<'a> {
    points: HashMap<String, &'a Sample>,
}

impl<'a> Judge<'a> {
    pub fn new(points: &'a [Sample]) -> Self {
        Self { points: points.iter().map(|it| (it.id.to_string(), it)).collect() }
    }

    pub fn judge(&self, engines: &Engines, asked: &Asked) -> Verdict {
        let unexplained = |error| {
            let why = format!("{error:#}");
            Verdict { kind: Kind::Unexplained, why, error: 0.0, hits: 0 }
        };
        self.verdict(engines, asked).unwrap_or_else(unexplained)
    }

    fn verdict(&self, engines: &Engines, asked: &Asked) -> Result<Verdict> {
        let ours = engines.ask_maxfold(&asked.body).context("Maxfold")?;
        let theirs = engines.ask_edge(&asked.body).context("Qdrant Edge")?;
        let hits = ours.len();
        let why = match self.compare(asked, &ours, &theirs) {
            Ok(Likeness { tie, error }) => {
                let kind = match tie {
                    None => Kind::Same,
                    Some(Tie::Equal) => Kind::Equal,
                    Some(Tie::Close) => Kind::Close,
                };
                return Ok(Verdict { kind, why: String::new(), error, hits });
            }
            Err(why) => format!("{why:#}"),
        };
        let kind = self.explain(engines, asked, &ours)?;
        Ok(Verdict { kind, why, error: 0.0, hits })
    }

    fn compare(&self, asked: &Asked, ours: &[Hit], theirs: &[Hit]) -> Result<Likeness> {
        let mut scores = HashMap::new();
        for (id, _) in ours.iter().chain(theirs) {
            scores.insert(id.as_str(), self.score(asked.named.name, &asked.query, id)?);
        }
        let count = |field: &str| asked.body[field].as_u64().unwrap_or(0) as usize;
        let threshold = asked.body["score_threshold"].as_f64();
        let ends = Ends { limit: count("limit"), offset: count("offset"), threshold };
        Lists { ours, theirs, ends, scores }.compare()
    }

    /// Why an answer differs by more than places of points that tie.
    fn explain(&self, engines: &Engines, asked: &Asked, ours: &[Hit]) -> Result<Kind> {
        if self.prefetch_ties(engines, &asked.body)? {
            return Ok(Kind::Prefetch);
        }
        let theirs = engines.ask_edge_without_indexes(&asked.body)?;
        Ok(match self.compare(asked, ours, &theirs) {
            Ok(_) => Kind::EdgeIndex,
            Err(_) => Kind::Unexplained,
        })
    }

    /// Whether a prefetch's last candidate ties with the one after it, by Edge's order.
    fn prefetch_ties(&self, engines: &Engines, body: &Value) -> Result<bool> {
        for prefetch in body["prefetch"].as_array().into_iter().flatten() {
            let limit = prefetch["limit"].as_u64().context("a limit")? as usize;
            let mut longer = prefetch.clone();
            longer["limit"] = json!(limit + 1);
            let filters = [&body["filter"], &prefetch["filter"]];
            let filters: Vec<_> = filters.into_iter().filter(|it| !it.is_null()).collect();
            longer["filter"] = json!({"must": filters});
            let hits = engines.ask_edge(&longer)?;
            let query: Rows = vec![serde_json::from_value(prefetch["query"].clone())?];
            let named = prefetch["using"].as_str().context("a name")?;
            let score = |hit: &Hit| self.score(named, &query, &hit.0);
            if let [.., last, next] = &hits[..]
                && hits.len() > limit
                && tie(score(last)?, score(next)?).is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn score(&self, named: &str, query: &Rows, id: &str) -> Result<Score> {
        let point = self.points.get(id).with_context(|| format!("{id} is no point"))?;
        let rows = point.vectors.get(named).with_context(|| format!("{id} has no {named}"))?;
        let named = VECTORS.iter().find(|it| it.name == named).context("no such vector")?;
        Ok(reference::score(named, query, rows))
    }
}
