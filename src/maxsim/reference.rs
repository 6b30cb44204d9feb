//! The definition of MaxSim, in f64 and without cleverness: what every kernel is tested against.

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
            let mut dot = 0.0;
            for (a, b) in q.iter().zip(d) {
                dot += a.to_f64() * b.to_f64();
            }
            max = max.max(dot);
        }
        sum += max;
    }
    sum
}
