//! Random requests, in Qdrant's JSON.
//!
//! What Maxfold answers differently on purpose (README.md, "Collections") is kept out: the filter of a
//! request with prefetches is one condition of a `must`, so that Qdrant joins it with theirs as a
//! whole; a multivector's query has rows; and a threshold is never a score of a point.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

use super::filters::filter;
use super::points::{Named, Rows, Sample, VECTORS, rows, vector_json};
use super::reference;

/// What a request asks for: the table has a row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Dense,
    MaxSim,
    PrefetchedMaxSim,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::Dense, Self::MaxSim, Self::PrefetchedMaxSim];

    pub fn title(self) -> &'static str {
        match self {
            Self::Dense => "dense vector, exact",
            Self::MaxSim => "MaxSim of all points",
            Self::PrefetchedMaxSim => "dense prefetches, exact, then MaxSim",
        }
    }
}

pub struct Asked {
    pub shape: Shape,
    /// What ranks the results.
    pub named: &'static Named,
    pub query: Rows,
    pub body: Value,
}

pub fn request(rng: &mut StdRng, points: &[Sample]) -> Asked {
    let shape = match rng.random_range(0..10) {
        0..=2 => Shape::Dense,
        3..=5 => Shape::MaxSim,
        _ => Shape::PrefetchedMaxSim,
    };
    let limits = [1, 3, 10, 10, 50, 200, points.len()];
    let (named, query, mut body) = stage(rng, points, shape != Shape::Dense, &limits);
    if shape == Shape::PrefetchedMaxSim {
        let count = rng.random_range(1..3);
        let prefetch = |rng: &mut StdRng| stage(rng, points, false, &[20, 100, 500]).2.into();
        let prefetches: Vec<Value> = (0..count).map(|_| prefetch(rng)).collect();
        body.insert("prefetch".into(), prefetches.into());
        // It is for searches, which are in the prefetches.
        body.remove("params");
        if let Some(filter) = body.remove("filter") {
            body.insert("filter".into(), json!({"must": [filter]}));
        }
    }
    if rng.random_bool(0.4) {
        body.insert("offset".into(), json!([1, 5, 40].choose(rng)));
    }
    Asked { shape, named, query, body: body.into() }
}

/// What requests and prefetches have in common: a vector, a limit, perhaps filter and threshold.
fn stage(
    rng: &mut StdRng,
    points: &[Sample],
    multi: bool,
    limits: &[usize],
) -> (&'static Named, Rows, Map<String, Value>) {
    let of_its_kind: Vec<_> = VECTORS.iter().filter(|it| it.multi == multi).collect();
    let named = *of_its_kind.choose(rng).unwrap_or(&&VECTORS[0]);
    let query = rows(rng, named, 4);
    let mut body = Map::new();
    body.insert("query".into(), vector_json(&query, named));
    body.insert("using".into(), named.name.into());
    body.insert("limit".into(), json!(limits.choose(rng)));
    if !multi {
        body.insert("params".into(), json!({"exact": true}));
    }
    if rng.random_bool(0.7) {
        body.insert("filter".into(), filter(rng, points.len()));
    }
    if rng.random_bool(0.3) {
        let threshold = threshold(rng, points, named, &query);
        body.insert("score_threshold".into(), json!(threshold));
    }
    (named, query, body)
}

/// One that some of the points reach: halfway between the scores of two points that follow one another.
fn threshold(rng: &mut StdRng, points: &[Sample], named: &Named, query: &Rows) -> f32 {
    let vectors = points.iter().filter_map(|it| it.vectors.get(named.name));
    let mut scores: Vec<f64> = vectors.map(|it| reference::score(named, query, it).value).collect();
    scores.sort_unstable_by(f64::total_cmp);
    scores.dedup();
    let at = rng.random_range(1..scores.len());
    ((scores[at - 1] + scores[at]) / 2.0) as f32
}
