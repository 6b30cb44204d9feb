//! Similarities of dense f32 vectors, for recall.

use super::instruction_set::InstructionSet;

/// `a · b`. Of two lengths, the shorter counts.
///
/// ```
/// assert_eq!(maxfold::maxsim::dot(&[1.0, 2.0], &[3.0, 4.0]), 11.0);
/// ```
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    InstructionSet::detect().dot(a, b)
}

/// The sum of `|aᵢ − bᵢ|`, the Manhattan distance. Of two lengths, the shorter counts.
///
/// ```
/// assert_eq!(maxfold::maxsim::absolute_distance(&[1.0, 2.0], &[4.0, -2.0]), 7.0);
/// ```
pub fn absolute_distance(a: &[f32], b: &[f32]) -> f32 {
    InstructionSet::detect().absolute_distance(a, b)
}

/// `|a − b|²`, the square of the Euclidean distance. Of two lengths, the shorter counts.
///
/// ```
/// assert_eq!(maxfold::maxsim::squared_distance(&[1.0, 2.0], &[4.0, 6.0]), 25.0);
/// ```
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    InstructionSet::detect().squared_distance(a, b)
}
