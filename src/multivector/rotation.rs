//! [`Rotation`]: rows turned so that no column stands out.

/// Orthogonal map of rows of one dimension that spreads what a column holds over all columns: signs, and the
/// Walsh–Hadamard transform, twice.
///
/// Products of two rows, and their lengths, stay what they are. The signs come from a fixed sequence, so rows that were
/// rotated years ago still fit.
///
/// A row of a power of two is transformed as a whole; any other in blocks, the powers of two that it is the sum of,
/// the large ones first, and then the small ones first, so that what was in a small block goes on into a large one.
pub(super) struct Rotation {
    /// Of the first round, then of the second.
    signs: [Vec<f32>; 2],
}

impl Rotation {
    pub(super) fn new(dim: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut sign = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state >> 63 == 0 { 1.0 } else { -1.0 }
        };
        let mut signs = || (0..dim).map(|_| sign()).collect();
        Self { signs: [signs(), signs()] }
    }

    /// Largest relative error of a rotated row, of its length.
    ///
    /// A round adds as often as its largest block can be halved, and scales, with two roundings. All that happens
    /// between is orthogonal, so an error stays as long as it was made.
    pub(super) fn error(dim: usize) -> f64 {
        let additions = usize::BITS - dim.leading_zeros();
        let roundings = 2.0 * f64::from(additions + 2);
        // The square terms are far below half of a rounding.
        (roundings + 0.5) * f64::from(f32::EPSILON) / 2.0
    }

    pub(super) fn apply(&self, row: &mut [f32]) {
        let [first, second] = &self.signs;
        let mut rest = turned(row, first);
        while !rest.is_empty() {
            let (block, later) = rest.split_at_mut(1 << rest.len().ilog2());
            transform(block);
            rest = later;
        }
        let mut rest = turned(row, second);
        while !rest.is_empty() {
            let (block, later) = rest.split_at_mut(1 << rest.len().trailing_zeros());
            transform(block);
            rest = later;
        }
    }
}

/// The row, with the signs given to its columns.
fn turned<'r>(row: &'r mut [f32], signs: &[f32]) -> &'r mut [f32] {
    row.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
    row
}

/// The orthonormal Walsh–Hadamard transform of a power of two values.
fn transform(block: &mut [f32]) {
    let scale = 1.0 / (block.len() as f32).sqrt();
    let mut half = block.len() / 2;
    while half >= OCTET {
        block.chunks_exact_mut(2 * half).for_each(|pair| add_and_subtract(pair, half));
        half /= 2;
    }
    // What is left happens within eight values, whose places the compiler knows.
    let (octets, rest) = block.as_chunks_mut::<OCTET>();
    for octet in octets {
        for half in [4, 2, 1] {
            octet.chunks_exact_mut(2 * half).for_each(|pair| add_and_subtract(pair, half));
        }
    }
    while half > 0 && !rest.is_empty() {
        rest.chunks_exact_mut(2 * half).for_each(|pair| add_and_subtract(pair, half));
        half /= 2;
    }
    block.iter_mut().for_each(|value| *value *= scale);
}

const OCTET: usize = 8;

/// Sums of the first `half` values and the second, then their differences.
#[inline(always)]
fn add_and_subtract(pair: &mut [f32], half: usize) {
    let (left, right) = pair.split_at_mut(half);
    for (left, right) in left.iter_mut().zip(right) {
        (*left, *right) = (*left + *right, *left - *right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::prelude::*;

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn products_and_lengths_stay_what_they_are() {
        let mut rng = StdRng::seed_from_u64(3);
        for dim in [1, 2, 3, 7, 16, 100, 128, 129, 384, 1030] {
            let rotation = Rotation::new(dim);
            let rows: Vec<Vec<f32>> =
                (0..6).map(|_| (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
            let rotated = rows.iter().cloned().map(|mut row| {
                rotation.apply(&mut row);
                row
            });
            let rotated: Vec<Vec<f32>> = rotated.collect();
            for (a, b) in (0..6).flat_map(|a| (0..6).map(move |b| (a, b))) {
                let (before, after) = (dot(&rows[a], &rows[b]), dot(&rotated[a], &rotated[b]));
                let lengths = (dot(&rows[a], &rows[a]) * dot(&rows[b], &rows[b])).sqrt();
                let bound = 2.01 * Rotation::error(dim) * lengths;
                assert!((before - after).abs() <= bound, "{dim}: {before} {after} {bound:e}");
            }
        }
    }

    #[test]
    fn a_single_value_is_spread_over_all_columns() {
        for dim in [64, 100, 128, 384] {
            let mut row = vec![0.0; dim];
            row[dim - 1] = 1.0;
            Rotation::new(dim).apply(&mut row);
            let largest = row.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            assert!(largest < 0.6, "{dim}: {largest}");
        }
    }
}
