//! MaxSim of f32 rows, as precise as f32 can say it, and how far the score of rounded rows may be from it.

use super::rounding::UNIT_ROUNDOFF;
use super::similarity::dot;
use crate::multivector::TokenMatrixRef;

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
    use crate::multivector::TokenMatrix;
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
}
