//! Points compared by a multivector with a distance proper, pair by pair of rows, in f32, on the CPU.
//!
//! So are the best by Euclid, once kernels have found them ([`super::precise`]); and all points by Manhattan, which is no
//! product, and by Euclid where rows are too long for that.

use rayon::prelude::*;

use super::outcome::Scored;
use super::reader::{Reader, Search};
use crate::Result;
use crate::collection::{Snapshot, Tokens};
use crate::filter::{PointNumber, PointSet};
use crate::maxsim::SimilarityMatrix;
use crate::multivector::LONGEST_ROW;
use crate::ranking::TokenMatch;
use crate::recall::Distance;
use crate::search::Method;

/// Points whose rows are in memory at once.
const CHUNK: usize = 1024;

/// The rows of a query, and how they are compared.
pub(super) struct RowQuery<'q> {
    rows: std::borrow::Cow<'q, [f32]>,
    dim: usize,
    distance: Distance,
}

impl<'q> RowQuery<'q> {
    pub fn new(query: &'q Tokens, distance: Distance) -> Self {
        Self { rows: query.in_f32(), dim: query.matrix.dim(), distance }
    }

    /// For each query token, and in it for each document token, their similarity.
    fn compare<'d>(
        &'d self,
        document: &'d [f32],
    ) -> impl Iterator<Item = impl Iterator<Item = f32> + 'd> + 'd {
        let compared = |query: &'d [f32]| {
            document.chunks(self.dim).map(|row| self.distance.row_similarity(query, row))
        };
        self.rows.chunks(self.dim).map(compared)
    }

    /// The sum over query tokens of the greatest similarity. No term is positive, so f32 loses no more of
    /// it than of any one.
    fn similarity(&self, document: &[f32]) -> f32 {
        let best = self.compare(document).map(|row| row.fold(f32::NEG_INFINITY, f32::max));
        best.map(f64::from).sum::<f64>() as f32
    }

    /// The score of rows: of Euclid the root of the sum of squares, negated.
    pub fn score(&self, document: &[f32]) -> f32 {
        score(self.distance, self.similarity(document))
    }
}

fn score(distance: Distance, similarity: f32) -> f32 {
    match distance {
        // Not `-distance`: that would be -0 for equal vectors.
        Distance::Euclid => 0.0 - similarity.abs().sqrt(),
        _ => similarity,
    }
}

/// Tells whether the points of a vector have to be compared so.
pub(super) fn is_due(reader: &Reader<'_, '_>, using: &str) -> Result<bool> {
    Ok(match reader.distance(using)? {
        Distance::Manhattan => true,
        Distance::Euclid => reader.snapshot.longest_row(using).is_ok_and(|it| it > LONGEST_ROW),
        _ => false,
    })
}

/// All of the `allowed` points, which all have the vector, with their distances, negated.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &Tokens,
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let distance = reader.distance(search.using)?;
    let column = similarities(reader, search.using, &[query], allowed)?.swap_remove(0);
    let scores = column.into_iter().map(|similarity| score(distance, similarity));
    Ok((allowed.iter().zip(scores).collect(), Method::RowDistances { distance }))
}

/// For each query the similarities of all `points`, in the order of their numbers: of Euclid, sums of
/// negated squares.
pub(super) fn similarities(
    reader: &Reader<'_, '_>,
    using: &str,
    queries: &[&Tokens],
    points: &PointSet,
) -> Result<Vec<Vec<f32>>> {
    let distance = reader.distance(using)?;
    let queries: Vec<_> = queries.iter().map(|query| RowQuery::new(query, distance)).collect();
    let mut columns = vec![Vec::with_capacity(points.len() as usize); queries.len()];
    let numbers: Vec<PointNumber> = points.iter().collect();
    for numbers in numbers.chunks(CHUNK) {
        reader.cancellation.check()?;
        let rows = numbers.iter().map(|number| rows(&reader.snapshot, using, *number));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        for (query, column) in queries.iter().zip(&mut columns) {
            column.par_extend(rows.par_iter().map(|rows| query.similarity(rows)));
        }
    }
    Ok(columns)
}

/// For each of these points the tokens that the query's tokens are nearest to.
pub(super) fn matches(
    reader: &Reader<'_, '_>,
    using: &str,
    query: &Tokens,
    numbers: &[PointNumber],
) -> Result<Vec<Vec<TokenMatch>>> {
    let query = RowQuery::new(query, reader.distance(using)?);
    let matches = numbers.iter().map(|number| {
        let rows = rows(&reader.snapshot, using, *number)?;
        Ok(query.compare(&rows).map(best_match).collect())
    });
    matches.collect()
}

/// The first of the most similar tokens.
fn best_match(similarities: impl Iterator<Item = f32>) -> TokenMatch {
    let nothing = TokenMatch { token: 0, similarity: f32::NEG_INFINITY };
    (0..).zip(similarities).fold(nothing, |best, (token, similarity)| {
        if similarity > best.similarity { TokenMatch { token, similarity } } else { best }
    })
}

/// The similarity of each query token to each token of a point that has the vector.
pub(super) fn matrix(
    snapshot: &Snapshot<'_>,
    using: &str,
    query: &Tokens,
    distance: Distance,
    number: PointNumber,
) -> Result<SimilarityMatrix> {
    let query = RowQuery::new(query, distance);
    let rows = rows(snapshot, using, number)?;
    let values = query.compare(&rows).flatten().collect();
    Ok(SimilarityMatrix::new(values, rows.len() / query.dim))
}

fn rows(snapshot: &Snapshot<'_>, using: &str, number: PointNumber) -> Result<Vec<f32>> {
    // All are asked for that have the vector.
    Ok(snapshot.rows_in_f32(using, number)?.unwrap_or_default())
}
