//! A query whose best points are scored again, from f32: what kernels compare in f16 only nearly says which they are.

use std::borrow::Cow;

use super::outcome::Scored;
use super::reader::Reader;
use super::row_distances::RowQuery;
use crate::Result;
use crate::collection::Tokens;
use crate::maxsim::{PreciseQuery, distance_rounding};
use crate::multivector::{TokenMatrix, weighted};
use crate::recall::Distance;

/// A query for kernels, and how its best points are scored again.
pub(super) struct Precise<'q> {
    /// What kernels multiply.
    pub matrix: Cow<'q, TokenMatrix>,
    again: Again<'q>,
    /// How far a score by a kernel may be from the one that it stands for.
    rounding: f64,
}

enum Again<'q> {
    /// Points are kept in f16 as they were given, and a kernel's score is the answer.
    Nothing,
    Products(PreciseQuery<'q>),
    Distances(RowQuery<'q>),
}

impl<'q> Precise<'q> {
    pub fn new(reader: &Reader<'_, '_>, using: &str, query: &'q Tokens) -> Result<Self> {
        let (matrix, dim) = (Cow::Borrowed(&query.matrix), query.matrix.dim());
        let longest = reader.snapshot.longest_row(using)?;
        let rounded = query.matrix.view();
        if reader.distance(using)? == Distance::Euclid {
            let rounding = distance_rounding(rounded, query.rows.as_deref(), longest);
            let again = Again::Distances(RowQuery::new(query, Distance::Euclid));
            return Ok(Self { matrix: Cow::Owned(weighted(rounded)), again, rounding });
        }
        let Some(rows) = &query.rows else {
            return Ok(Self { matrix, again: Again::Nothing, rounding: 0.0 });
        };
        let precise = PreciseQuery::new(rows, dim);
        let rounding = precise.rounding(rounded, longest);
        Ok(Self { matrix, again: Again::Products(precise), rounding })
    }

    /// Returns `true` if the scores of kernels are not the answer.
    pub fn is_asked_again(&self) -> bool {
        !matches!(self.again, Again::Nothing)
    }

    /// The score of rows as precise as they are kept.
    pub fn score(&self, rows: &[f32]) -> Option<f32> {
        match &self.again {
            Again::Nothing => None,
            Again::Products(query) => Some(query.score(rows) as f32),
            Again::Distances(query) => Some(query.score(rows)),
        }
    }

    /// Those of the `scored` points that may be among the best `limit` when they are scored again: k points have at
    /// least the k-th score less the bound of rounding, so one whose score is less than the k-th by more than twice the
    /// bound is not among the best k.
    pub fn near(&self, mut scored: Vec<Scored>, limit: usize) -> Vec<Scored> {
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        if let Some((_, last)) = scored.get(limit - 1) {
            let bar = f64::from(*last) - 2.0 * self.rounding;
            scored.retain(|(_, score)| f64::from(*score) >= bar);
        }
        scored
    }
}
