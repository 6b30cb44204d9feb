//! Columns that make squared distances products: MaxSim's kernels then compare by them, too.
//!
//! For rows q of a query and d of a document,
//!
//! ```text
//! q·d − ‖d‖²/2 = (‖q‖² − ‖q − d‖²) / 2,
//! ```
//!
//! so the row nearest to q is the one with the largest left side, which is a product of longer rows: that of the document gets
//! −‖d‖²/2, in two columns as f16 has 11 bits, and that of the query the weights of these.

use half::f16;

use super::token_matrix::{TokenMatrix, TokenMatrixRef};

/// Columns that a row gets.
pub(crate) const NORM_COLUMNS: usize = 2;

/// What the columns stand for, which are the weights in a row of a query. With 4, rows of unit length have columns of the
/// size of their other values, so that bounds from integers stay narrow, and 700 is not too long.
const WEIGHTS: [f64; NORM_COLUMNS] = [4.0, 4.0 / 2048.0];

/// Length of a row beyond which its columns can't hold its norm: ‖d‖²/2 is at most 4 times the largest f16.
pub(crate) const LONGEST_ROW: f64 = 723.0;

/// The rows of a document with these columns, and the length of the longest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NormedRows {
    pub matrix: TokenMatrix,
    pub longest: f64,
}

impl NormedRows {
    /// Those of a matrix whose values are `exact` before they were rounded, if they were.
    pub fn new(matrix: TokenMatrixRef<'_>, exact: Option<&[f32]>) -> Self {
        let dim = matrix.dim();
        let squared = |(at, row): (usize, &[f16])| -> f64 {
            match exact.and_then(|it| it.get(at * dim..(at + 1) * dim)) {
                Some(row) => row.iter().map(|it| f64::from(*it).powi(2)).sum(),
                None => row.iter().map(|it| it.to_f64().powi(2)).sum(),
            }
        };
        let mut longest: f64 = 0.0;
        let matrix = extended(matrix, |row| {
            let squared = squared(row);
            longest = longest.max(squared.sqrt());
            columns(-squared / 2.0)
        });
        Self { matrix, longest }
    }
}

/// The rows of a query with the weights of these columns.
pub(crate) fn weighted(query: TokenMatrixRef<'_>) -> TokenMatrix {
    extended(query, |_| WEIGHTS.map(f16::from_f64))
}

/// Rows without these columns.
pub(crate) fn without_norms(matrix: TokenMatrixRef<'_>) -> TokenMatrix {
    let dim = matrix.dim() - NORM_COLUMNS;
    let values: Vec<f16> = matrix.rows().flat_map(|row| &row[..dim]).copied().collect();
    TokenMatrixRef::trusted(&values, dim).to_owned()
}

/// Bounds how far the columns of a row may be from −‖d‖²/2, if no row is longer than `longest`.
///
/// The second column stands for what rounding left of the first: at most 2⁻¹¹ of it, or of the least normal f16. Of that,
/// rounding leaves as much again; twice the bound covers a conversion by way of f32.
pub(crate) fn norm_rounding(longest: f64) -> f64 {
    (-21_f64).exp2() * longest * longest / 2.0 + (-33_f64).exp2()
}

fn columns(value: f64) -> [f16; NORM_COLUMNS] {
    let [high_weight, low_weight] = WEIGHTS;
    let limited = |value: f64| f16::from_f64(value.clamp(-65504.0, 65504.0));
    let high = limited(value / high_weight);
    let left = value - high.to_f64() * high_weight;
    [high, limited(left / low_weight)]
}

fn extended(
    matrix: TokenMatrixRef<'_>,
    mut columns: impl FnMut((usize, &[f16])) -> [f16; NORM_COLUMNS],
) -> TokenMatrix {
    let dim = matrix.dim() + NORM_COLUMNS;
    let mut values = Vec::with_capacity(matrix.tokens() * dim);
    for (at, row) in matrix.rows().enumerate() {
        values.extend_from_slice(row);
        values.extend(columns((at, row)));
    }
    TokenMatrixRef::trusted(&values, dim).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_within_their_bound() {
        let mut worst: f64 = 0.0;
        for at in 0..20_000 {
            let length = 723.0 * (-f64::from(at) / 500.0).exp2();
            let row = [(length * 0.6) as f32, (length * 0.8) as f32];
            let squared = f64::from(row[0]).powi(2) + f64::from(row[1]).powi(2);
            let half = TokenMatrix::new(&row, 2).unwrap();
            let NormedRows { matrix, longest } = NormedRows::new(half.view(), Some(&row));
            assert!((longest - squared.sqrt()).abs() <= 1e-12 * longest);
            let [.., high, low] = matrix.values() else { panic!() };
            let got = high.to_f64() * 4.0 + low.to_f64() / 512.0;
            let off = (got + squared / 2.0).abs() / norm_rounding(longest);
            assert!(off <= 1.0, "{length}: {off}");
            worst = worst.max(off);
            assert_eq!(without_norms(matrix.view()), half);
        }
        assert!(worst > 0.4, "{worst}");
    }

    #[test]
    fn a_product_of_longer_rows_is_a_squared_distance() {
        let (q, d) = ([0.5_f32, -1.25, 2.0], [1.5_f32, 0.25, -0.75]);
        let [query, document] = [q, d].map(|row| TokenMatrix::new(&row, 3).unwrap());
        let (query, document) = (weighted(query.view()), NormedRows::new(document.view(), None));
        let pairs = query.values().iter().zip(document.matrix.values());
        let product: f64 = pairs.map(|(q, d)| q.to_f64() * d.to_f64()).sum();
        // ‖q‖² = 5.8125, ‖q − d‖² = 1 + 2.25 + 7.5625.
        assert_eq!(product, (5.8125 - 10.8125) / 2.0);
    }
}
