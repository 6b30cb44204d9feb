//! One search: which points may be found, how they are compared, and the best of them.

use std::time::Instant;

use roaring::RoaringBitmap;

use super::best::Scored;
use super::reader::{Reader, reported};
use crate::Result;
use crate::collection::{Values, Vector};
use crate::filter::Filter;
use crate::recall::SearchParams;
use crate::search::Stage;

/// What one search is for.
pub(super) struct Search<'r> {
    pub using: &'r str,
    pub query: &'r Vector,
    /// All of them have to mean a point.
    pub filters: [Option<&'r Filter>; 2],
    /// What earlier stages found; `None` for all points.
    pub candidates: Option<RoaringBitmap>,
    pub params: SearchParams,
    pub score_threshold: Option<f32>,
    /// At least 1.
    pub limit: usize,
}

impl<'r> Reader<'_, 'r> {
    /// The best points, in no order.
    pub fn search(&mut self, search: Search<'r>) -> Result<(Vec<Scored>, Stage)> {
        let start = Instant::now();
        let query = self.shared.collection.config().prepare(search.using, search.query)?;
        let (points, payloads_read) = self.allowed(&search)?;
        let filter_time = start.elapsed();
        let (scored, method) = match query {
            Values::Dense(query) => self.dense(&search, &query, &points)?,
            Values::Tokens(query) => self.max_sim(&search, &query, &points)?,
        };
        let found = self.passing(&search, scored)?;
        let stage = Stage {
            using: search.using.into(),
            allowed: points.len(),
            payloads_read,
            method,
            found: found.len(),
            filter_time,
            time: start.elapsed() - filter_time,
        };
        Ok((found, stage))
    }

    /// Which points may be found, and how many payloads were read to tell.
    fn allowed(&mut self, search: &Search<'r>) -> Result<(RoaringBitmap, u64)> {
        let mut points = self.snapshot.having(search.using)?.clone();
        let mut payloads_read = 0;
        for filter in search.filters.into_iter().flatten() {
            let (selected, read) = self.select(filter)?;
            points &= &selected.points;
            payloads_read += read;
        }
        if let Some(candidates) = &search.candidates {
            points &= candidates;
        }
        Ok((points, payloads_read))
    }

    /// Those that are good enough.
    fn passing(&self, search: &Search<'_>, mut scored: Vec<Scored>) -> Result<Vec<Scored>> {
        if let Some(threshold) = search.score_threshold {
            let distance = self.shared.collection.config().get(search.using)?.distance;
            let least = reported(distance, threshold);
            scored.retain(|(_, score)| *score >= least);
        }
        Ok(scored)
    }
}
