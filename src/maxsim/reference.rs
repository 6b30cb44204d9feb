//! The definition of MaxSim, in f64 and without cleverness: what every kernel is tested against.

use half::f16;

use crate::multivector::TokenMatrixRef;

/// The MaxSim score of `[query tokens, dim]` against `[document tokens, dim]`.
///
/// Columns beyond the shorter dimension are not looked at; the scorers of this crate refuse
/// matrices of different dimensions.
///
/// ```
/// use maxfold::{maxsim::reference, multivector::TokenMatrix};
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
/// assert_eq!(reference::score(query.view(), document.view()), 0.5 + -1.0);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub fn score(query: TokenMatrixRef<'_>, document: TokenMatrixRef<'_>) -> f64 {
    let mut sum = 0.0;
    for q in query.rows() {
        let mut max = f64::NEG_INFINITY;
        for d in document.rows() {
            max = max.max(dot(q, d));
        }
        sum += max;
    }
    sum
}

/// For each query token, the first document token of the largest dot product, and that.
///
/// ```
/// use maxfold::{maxsim::reference, multivector::TokenMatrix};
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
/// assert_eq!(reference::matches(query.view(), document.view()), [(0, 0.5), (1, -1.0)]);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub fn matches(query: TokenMatrixRef<'_>, document: TokenMatrixRef<'_>) -> Vec<(usize, f64)> {
    let mut matches = Vec::new();
    for q in query.rows() {
        let mut best = (0, f64::NEG_INFINITY);
        for (token, d) in document.rows().enumerate() {
            let similarity = dot(q, d);
            if similarity > best.1 {
                best = (token, similarity);
            }
        }
        matches.push(best);
    }
    matches
}

fn dot(a: &[f16], b: &[f16]) -> f64 {
    let mut dot = 0.0;
    for (a, b) in a.iter().zip(b) {
        dot += a.to_f64() * b.to_f64();
    }
    dot
}
