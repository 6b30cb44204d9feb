//! MaxSim of f32 rows, as precise as f32 can say it, and how far the score of rounded rows may be from it.

use super::rounding::UNIT_ROUNDOFF;
use super::similarity::dot;
use crate::multivector::{TokenMatrixRef, norm_rounding};

/// Part of Σ|q|·|d| by which a backend may be off for the same f16 values, on which the tests of all of
/// them insist.
const OF_BACKENDS: f64 = 1e-5;

/// A query in f32, row-major `[tokens, dim]`, with the lengths of its rows.
pub(crate) struct PreciseQuery<'q> {
    rows: &'q [f32],
    dim: usize,
    norms: Vec<f64>,
}

impl<'q> PreciseQuery<'q> {
    pub fn new(rows: &'q [f32], dim: usize) -> Self {
        Self { rows, dim, norms: rows.chunks(dim).map(norm).collect() }
    }

    /// The score of `[tokens, dim]` rows, in f64.
    ///
    /// Dot products are first taken in f32. By the textbook bound, one of `dim` products is off by at
    /// most dim·u / (1 − dim·u) of Σ|q·d| ≤ |q|·|d|, whatever the order of its sum. So the largest one is
    /// among those that reach the largest f32 product but twice that, and these are taken in f64.
    pub fn score(&self, document: &[f32]) -> f64 {
        let longest = document.chunks(self.dim).map(norm).fold(0.0, f64::max);
        let off = 2.0 * UNIT_ROUNDOFF * self.dim as f64 * longest;
        let mut products = Vec::with_capacity(document.len() / self.dim);
        let best = |(row, norm): (&[f32], &f64)| {
            products.clear();
            products.extend(document.chunks(self.dim).map(|it| dot(row, it)));
            let largest = products.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let bar = f64::from(largest) - 2.0 * off * norm;
            let near = products.iter().zip(document.chunks(self.dim));
            let near = near.filter(|(product, _)| f64::from(**product) >= bar);
            near.map(|(_, it)| wide_dot(row, it)).fold(f64::NEG_INFINITY, f64::max)
        };
        self.rows.chunks(self.dim).zip(&self.norms).map(best).sum()
    }

    /// Bounds how far the score that a backend computes of `rounded`, this query in f16, and a document
    /// in f16 may be from the score in f32, if no row of the document is longer than `longest`.
    ///
    /// For a row q and a row d, which are q' and d' in f16,
    ///
    /// ```text
    /// q·d − q'·d' = q'·(d − d') + (q − q')·d,
    /// ```
    ///
    /// at most |q'|·|d − d'| + |q − q'|·|d| by Cauchy and Schwarz. Rounding to f16 changes a value x by at
    /// most 2⁻¹¹·|x|, or by 2⁻²⁵ where f16 is subnormal, so |d − d'| ≤ 2⁻¹¹·|d| + 2⁻²⁵·√dim; what became of
    /// the query is known. Two maxima differ by no more than the values under them do. A backend is off by
    /// 1e-5 of |q'|·|d'| besides. The sum over q bounds the score. (It does not hold for values that f16 can
    /// only keep as subnormals, on a GPU that flushes those to zero.)
    pub fn rounding(&self, rounded: TokenMatrixRef<'_>, longest: f64) -> f64 {
        let subnormal = (-25_f64).exp2() * (self.dim as f64).sqrt();
        let changed = (-11_f64).exp2() * longest + subnormal;
        let of_row = |(row, rounded): (&[f32], &[half::f16])| {
            let (mut norm, mut change) = (0.0, 0.0);
            for (value, rounded) in row.iter().zip(rounded) {
                norm += rounded.to_f64().powi(2);
                change += (f64::from(*value) - rounded.to_f64()).powi(2);
            }
            let (norm, change): (f64, f64) = (norm.sqrt(), change.sqrt());
            norm * changed + change * longest + OF_BACKENDS * norm * (longest + changed)
        };
        let sum: f64 = self.rows.chunks(self.dim).zip(rounded.rows()).map(of_row).sum();
        // The bound itself is rounded, in f64.
        sum * (1.0 + 1e-9)
    }
}

/// Bounds how far what a backend computes of products that stand for squared distances
/// ([`norms`](crate::multivector::weighted)) may be from Σ (‖q‖² − min ‖q − d‖²) / 2, if no row of the document is longer
/// than `longest`; and how far that may be from what is computed of the rows in f32, pair by pair.
///
/// `rounded` is the query in f16, of `rows` where the documents are of f32, too. To the bound of products comes what
/// is lost of norms, and what a backend is off by for them. A sum of squares of f32 is off by at most (dim + 2)·u of itself,
/// and no distance is longer than ‖q‖ + ‖d‖.
pub(crate) fn distance_rounding(
    rounded: TokenMatrixRef<'_>,
    rows: Option<&[f32]>,
    longest: f64,
) -> f64 {
    let halved = longest * longest / 2.0;
    let of_norm = norm_rounding(longest) + OF_BACKENDS * halved;
    let of_squares = (rounded.dim() + 2) as f64 * UNIT_ROUNDOFF / 2.0;
    let lengths = rounded.rows().map(|row| row.iter().map(|it| it.to_f64().powi(2)).sum::<f64>());
    let of_row = |squared: f64| {
        // The row that was rounded is longer by 2⁻¹¹ at most.
        let length = squared.sqrt() * 1.001 + 1e-5;
        let products = if rows.is_some() { 0.0 } else { OF_BACKENDS * length * longest };
        products + of_norm + of_squares * (length + longest).powi(2)
    };
    let products =
        rows.map_or(0.0, |rows| PreciseQuery::new(rows, rounded.dim()).rounding(rounded, longest));
    products + lengths.map(of_row).sum::<f64>() * (1.0 + 1e-9)
}

/// The length of a row.
pub(crate) fn norm(row: &[f32]) -> f64 {
    wide_dot(row, row).sqrt()
}

fn wide_dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maxsim::reference;
    use crate::multivector::{NormedRows, TokenMatrix, weighted};
    use half::f16;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    /// As the definition says, in f64.
    fn definition(query: &[f32], document: &[f32], dim: usize) -> f64 {
        let best = |q: &[f32]| {
            document.chunks(dim).map(|d| wide_dot(q, d)).fold(f64::NEG_INFINITY, f64::max)
        };
        query.chunks(dim).map(best).sum()
    }

    /// A value that f16 rounds by nearly half a unit in its last place, up or down.
    fn midway(value: f32, up: bool) -> f32 {
        let f16_below = f16::from_f32(value).to_f32();
        let half_unit = f16_below.abs() * (-11_f32).exp2();
        f16_below + if up { 0.99 * half_unit } else { -0.49 * half_unit }
    }

    fn rows(rng: &mut StdRng, kind: usize, count: usize) -> Vec<f32> {
        let value = |at: usize| {
            let value: f32 = rng.random_range(-1.0..1.0);
            match kind {
                0 => value,
                // All rounded down, of equal signs.
                1 => midway(value.abs().exp2(), true).min(1.9),
                2 => 1.0 + 0.99 * (-11_f32).exp2(),
                3 => value * 200.0,
                // Subnormal in f16.
                4 => value * 1e-7,
                // Products that cancel.
                _ => (100.0 + value) * if at.is_multiple_of(2) { 1.0 } else { -1.0 },
            }
        };
        (0..count).map(value).collect()
    }

    #[test]
    fn a_score_is_that_of_the_definition() {
        let mut rng = StdRng::seed_from_u64(1);
        for (round, dim) in (0..60).zip([1, 3, 16, 128, 300].into_iter().cycle()) {
            let query = rows(&mut rng, round % 6, 5 * dim);
            let mut document = rows(&mut rng, (round + round / 6) % 6, 40 * dim);
            // Rows that f32 can't tell apart.
            let (first, rest) = document.split_at_mut(dim);
            rest[..dim].copy_from_slice(first);
            rest[0] = rest[0].next_up();
            let got = PreciseQuery::new(&query, dim).score(&document);
            assert_eq!(got, definition(&query, &document, dim), "{round}");
        }
    }

    #[test]
    fn rounding_is_within_its_bound_and_may_come_near_it() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut nearest: f64 = 0.0;
        for (round, dim) in (0..216).zip([1, 2, 16, 128].into_iter().cycle()) {
            let query = rows(&mut rng, round % 6, 4 * dim);
            let document = rows(&mut rng, round / 6 % 6, 9 * dim);
            let half = TokenMatrix::new(&query, dim).unwrap();
            let rounded = TokenMatrix::new(&document, dim).unwrap();
            let longest = document.chunks(dim).map(norm).fold(0.0, f64::max);
            let bound = PreciseQuery::new(&query, dim).rounding(half.view(), longest);
            let got = reference::score(half.view(), rounded.view());
            let off = (got - definition(&query, &document, dim)).abs();
            assert!(off <= bound, "{round}: {off:e} of {bound:e}");
            nearest = nearest.max(off / bound);
        }
        assert!(nearest > 0.9, "{nearest}");
    }

    #[test]
    fn products_that_stand_for_distances_are_within_their_bound() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut nearest: f64 = 0.0;
        for (round, dim) in (0..240).zip([1, 2, 16, 128].into_iter().cycle()) {
            let is_kept = round % 5 > 0;
            let short =
                |values: Vec<f32>| -> Vec<f32> { values.iter().map(|it| it / 4.0).collect() };
            let query = short(rows(&mut rng, round % 6, 4 * dim));
            let document = short(rows(&mut rng, round / 6 % 6, 9 * dim));
            let [half, rounded] = [&query, &document].map(|it| TokenMatrix::new(it, dim).unwrap());
            let widened = |it: &TokenMatrix| it.values().iter().map(|it| it.to_f32()).collect();
            // Where nothing else is kept, f16 is exact.
            let (query, document) =
                if is_kept { (query, document) } else { (widened(&half), widened(&rounded)) };
            let exact = Some(&document[..]).filter(|_| is_kept);
            let normed = NormedRows::new(rounded.view(), exact);
            let bound = distance_rounding(
                half.view(),
                Some(&query[..]).filter(|_| is_kept),
                normed.longest,
            );
            let got = reference::score(weighted(half.view()).view(), normed.matrix.view());
            let halved = |q: &[f32]| {
                let half_squared = |d: &[f32]| wide_dot(q, d) - wide_dot(d, d) / 2.0;
                document.chunks(dim).map(half_squared).fold(f64::NEG_INFINITY, f64::max)
            };
            let off = (got - query.chunks(dim).map(halved).sum::<f64>()).abs();
            assert!(off <= bound, "{round}: {off:e} of {bound:e}");
            nearest = nearest.max(off / bound);
        }
        assert!(nearest > 0.5, "{nearest}");
    }
}
