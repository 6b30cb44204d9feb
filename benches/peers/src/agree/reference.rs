//! What scores are, in f64, and how far from it rounding may take them.

use super::points::{Distance, Named, Rows};

/// Rounding a value to f16 changes it by at most this, relatively.
const F16: f64 = 1.0 / 2048.0;
/// What is left for sums in f32 in any order.
const F32: f64 = 1e-5;

/// A score, and the largest error of one that was computed with multivectors in f16 or f32, and dense
/// vectors in f32.
#[derive(Clone, Copy)]
pub struct Score {
    pub value: f64,
    pub bound: f64,
}

/// The score of a point's vector for a query.
pub fn score(named: &Named, query: &Rows, vector: &Rows) -> Score {
    let (query, vector) = (compared(named, query), compared(named, vector));
    if named.distance == Distance::Euclid {
        let difference: Vec<f64> = query[0].iter().zip(&vector[0]).map(|(a, b)| a - b).collect();
        let bound = F32 * (norm(&query[0]) + norm(&vector[0]));
        return Score { value: norm(&difference), bound };
    }
    // Both factors of a product are rounded.
    let relative = if named.multi { 2.0 * F16 + F16 * F16 + F32 } else { F32 };
    let longest = vector.iter().map(|row| norm(row)).fold(0.0, f64::max);
    let best = |row: &Vec<f64>| {
        vector.iter().map(|other| dot(row, other)).fold(f64::NEG_INFINITY, f64::max)
    };
    Score {
        value: query.iter().map(best).sum(),
        bound: query.iter().map(|row| relative * norm(row) * longest).sum(),
    }
}

/// The rows as they are compared, unrounded.
fn compared(named: &Named, rows: &Rows) -> Vec<Vec<f64>> {
    let widened = |row: &Vec<f32>| row.iter().map(|&it| f64::from(it)).collect::<Vec<_>>();
    let mut rows: Vec<Vec<f64>> = rows.iter().map(widened).collect();
    if named.distance == Distance::Cosine {
        for row in &mut rows {
            let norm = norm(row);
            row.iter_mut().for_each(|it| *it /= norm);
        }
    }
    rows
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(row: &[f64]) -> f64 {
    dot(row, row).sqrt()
}
