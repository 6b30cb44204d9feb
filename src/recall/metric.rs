//! Distances and similarities of dense vectors.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::maxsim::{absolute_distance, dot, squared_distance};
use crate::multivector::{DenseVectors, unit};
use crate::{Error, Result};

/// Distance by which dense vectors are compared, by Qdrant's names. A larger score is always
/// nearer.
///
/// Scores are computed in f32. Where that overflows, which takes values around 10¹⁹, they are
/// computed in f64 and limited to the range of f32: a score is never infinite, never NaN.
///
/// ```
/// use maxfold::Distance;
/// use maxfold::multivector::DenseVectors;
/// use maxfold::recall::ExactIndex;
///
/// let index = ExactIndex::new(Distance::Euclid, DenseVectors::new(vec![3.0, 4.0], 2)?)?;
/// assert_eq!(index.search(&[0.0, 0.0], 1, None)?[0].score, -5.0);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Distance {
    /// The cosine of the angle between two vectors, −1 to 1; 0 if one of them is zero.
    Cosine,
    /// The dot product.
    Dot,
    /// The Euclidean distance, negated: 0 for equal vectors, below 0 for all others.
    Euclid,
    /// The Manhattan distance, which is the sum of all absolute differences, negated.
    Manhattan,
}

impl Distance {
    /// Every distance there is.
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Dot, Self::Euclid, Self::Manhattan];

    /// `Cosine`, `Dot`, `Euclid` or `Manhattan`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "Cosine",
            Self::Dot => "Dot",
            Self::Euclid => "Euclid",
            Self::Manhattan => "Manhattan",
        }
    }

    /// Returns `true` for distances proper, in whose own values the smaller is nearer: so are the scores
    /// of a query on a collection.
    pub fn smaller_is_nearer(self) -> bool {
        matches!(self, Self::Euclid | Self::Manhattan)
    }

    /// The score of two vectors that were both [prepared](Distance::prepare).
    pub(crate) fn similarity(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            // Rounding may take the product of two unit vectors past 1.
            Self::Cosine => dot(a, b).clamp(-1.0, 1.0),
            Self::Dot => finite(dot(a, b), || wide_dot(a, b)),
            // Not `-distance`: that would be -0 for equal vectors.
            Self::Euclid => 0.0 - finite(squared_distance(a, b).sqrt(), || wide_distance(a, b)),
            Self::Manhattan => 0.0 - finite(absolute_distance(a, b), || wide_absolute(a, b)),
        }
    }

    /// The similarity of two rows of multivectors, both as they are compared: as [`Distance::similarity`],
    /// but with Euclid the squared distance, negated. f16 bounds their values, so nothing overflows.
    #[cfg(feature = "collection")]
    pub(crate) fn row_similarity(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::Euclid => 0.0 - squared_distance(a, b),
            _ => self.similarity(a, b),
        }
    }

    /// A vector as it is compared: for the cosine at unit length, otherwise as it is. Preparing it
    /// again changes nothing.
    pub(super) fn prepare(self, vector: &[f32]) -> Cow<'_, [f32]> {
        match self {
            Self::Cosine if !is_unit(vector) => unit(vector).collect::<Vec<_>>().into(),
            _ => vector.into(),
        }
    }

    /// [`Distance::prepare`] for many.
    pub(super) fn prepare_all(self, vectors: DenseVectors) -> Result<DenseVectors> {
        match self {
            Self::Cosine => {
                DenseVectors::new(vectors.iter().flat_map(unit).collect(), vectors.dim())
            }
            Self::Dot | Self::Euclid | Self::Manhattan => Ok(vectors),
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Distance {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|distance| distance.name() == name).ok_or_else(|| {
            let expected = format!("one of {}", Self::ALL.map(Self::name).join(", "));
            Error::InvalidParameter { name: "the distance", expected, got: name.into() }
        })
    }
}

/// Returns `true` if a vector has length 1, as exactly as f32 can hold one: rounding each value to
/// f32 changes the square of the length by up to 2⁻²³.
fn is_unit(vector: &[f32]) -> bool {
    (wide_dot(vector, vector) - 1.0).abs() < 2_f64.powi(-23)
}

/// `fast`, or if that overflowed, `wide` limited to f32's range.
fn finite(fast: f32, wide: impl FnOnce() -> f64) -> f32 {
    if fast.is_finite() { fast } else { (wide() as f32).clamp(f32::MIN, f32::MAX) }
}

fn wide_dot(a: &[f32], b: &[f32]) -> f64 {
    // Sums that need not wait for each other.
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(sums.len()).zip(b.chunks(sums.len())) {
        for ((sum, &x), &y) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(x) * f64::from(y);
        }
    }
    sums.iter().sum()
}

fn wide_absolute(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).abs()).sum()
}

fn wide_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum::<f64>().sqrt()
}
