//! Rounding errors of sums of f32, for bounds on scores.

/// Largest rounding error of an f32, relative to it.
pub(super) const UNIT_ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// Allowance for the rounding errors of bounds themselves, relative to what they are sums of.
pub(super) const OF_F64: f64 = 1e-9;

/// Query tokens at most: rounding errors of so many additions are still small.
pub(super) const MOST_TOKENS: usize = 1 << 20;

/// Largest error of a sum of f32, relative to the sum of magnitudes, if no term passes through more than so many additions
/// (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 4.2).
pub(super) fn of_additions(additions: usize) -> f64 {
    let roundings = additions as f64 * UNIT_ROUNDOFF;
    roundings / (1.0 - roundings)
}
