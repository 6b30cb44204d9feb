//! How much of the right answer each side finds.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use maxfold::search::Searcher;
use qdrant_edge::EdgeShard;
use rayon::prelude::*;
use serde::Serialize;

use super::points::Points;
use super::{Hit, LIMIT, ours, theirs};
use crate::edge_json;

/// Of a number of candidates, on average over all queries.
#[derive(Serialize)]
pub struct Quality {
    candidates: usize,
    maxfold: Found,
    edge: Found,
    /// How Maxfold's prefetch went about it.
    plan: String,
    /// The largest difference of two scores of a point, relative to the query's tokens.
    error: f64,
}

#[derive(Default, Serialize)]
struct Found {
    /// Of the points that an exact search by the dense vector finds, as many as there are candidates.
    prefetch: f64,
    /// Of the ten best by MaxSim of all points.
    top: f64,
}

impl Found {
    fn add(&mut self, prefetch: f64, top: f64, queries: usize) {
        self.prefetch += prefetch / queries as f64;
        self.top += top / queries as f64;
    }
}

pub fn of_all(
    points: &Points,
    searcher: &Searcher,
    shard: &EdgeShard,
    candidates: &[usize],
) -> Result<Vec<Quality>> {
    let queries = points.queries.len();
    let best =
        |query| ids(ours::ask(searcher, &ours::request(&points.by_max_sim(query, None, LIMIT))?));
    let best: Vec<HashSet<u64>> = (0..queries).map(best).collect::<Result<_>>()?;
    let nearest: Vec<Vec<u64>> =
        (0..queries).into_par_iter().map(|it| nearest(points, it)).collect();
    let quality = |&candidates: &usize| {
        let plan = ours::plan(searcher, &ours::request(&points.by_dense(0, candidates))?)?;
        let (mut maxfold, mut edge) = (Found::default(), Found::default());
        let mut error = 0.0_f64;
        for query in 0..queries {
            let exact = &nearest[query][..candidates.min(nearest[query].len())];
            let exact: HashSet<u64> = exact.iter().copied().collect();
            let by_dense = points.by_dense(query, candidates);
            let both = points.by_max_sim(query, Some(candidates), LIMIT);
            let our_hits = ours::ask(searcher, &ours::request(&both)?)?;
            let their_hits = theirs::ask(shard, &edge_json::request(&both)?)?;
            error = error.max(difference(&our_hits, &their_hits));
            let prefetched = ids(ours::ask(searcher, &ours::request(&by_dense)?))?;
            let top = share(&best[query], &ids(Ok(our_hits))?);
            maxfold.add(share(&exact, &prefetched), top, queries);
            let prefetched = ids(theirs::ask(shard, &edge_json::request(&by_dense)?))?;
            let top = share(&best[query], &ids(Ok(their_hits))?);
            edge.add(share(&exact, &prefetched), top, queries);
        }
        let error = error / points.shape.query_tokens as f64;
        Ok(Quality { candidates, maxfold, edge, plan, error })
    };
    candidates.iter().map(quality).collect()
}

/// All points, nearest first by the dense vector.
fn nearest(points: &Points, query: usize) -> Vec<u64> {
    let query = &points.queries[query].0;
    let similarity = |point: usize| -> f64 {
        let products = points.dense(point).iter().zip(query);
        products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut scored: Vec<(f64, u64)> =
        (0..points.shape.points).map(|it| (similarity(it), it as u64)).collect();
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().map(|(_, id)| id).collect()
}

fn ids(hits: Result<Vec<Hit>>) -> Result<HashSet<u64>> {
    Ok(hits?.into_iter().map(|(id, _)| id).collect())
}

fn share(wanted: &HashSet<u64>, found: &HashSet<u64>) -> f64 {
    wanted.intersection(found).count() as f64 / wanted.len() as f64
}

fn difference(ours: &[Hit], theirs: &[Hit]) -> f64 {
    let theirs: HashMap<u64, f32> = theirs.iter().copied().collect();
    let both = ours.iter().filter_map(|(id, ours)| Some((*ours, *theirs.get(id)?)));
    both.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}
