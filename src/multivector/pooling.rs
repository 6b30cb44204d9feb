//! [`Pooling`]: fewer vectors for a text or a page, each the mean of several.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::element;
use super::ward::clusters;
use crate::{Error, Result};

/// Reduction of the rows of a multivector to means of some of them, for an index that is smaller and less precise.
///
/// Means are not scaled to unit length, as in PyLate: a mean of rows that differ is shorter, and weighs less.
///
/// ```
/// use maxfold::multivector::Pooling;
///
/// let three_tokens = [1.0, 0.0, 0.0, 1.0, 0.0, 0.5];
/// assert_eq!(Pooling::windows(2)?.apply(&three_tokens, 2)?, [0.5, 0.5, 0.0, 0.5]);
/// assert_eq!("windows:2".parse::<Pooling>()?, Pooling::windows(2)?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling(Means);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Ward { factor: usize },
    Windows { tokens: usize },
    Rows { width: usize, height: usize },
    Columns { width: usize, height: usize },
}

impl Pooling {
    /// Means of similar rows: Ward's clusters by cosine, as many as rows divided by `factor`, rounded down, but at
    /// least one. The first row, which stands for the whole text in most models, stays as it is. Rows have unit length.
    ///
    /// Time and memory grow with the square of the rows.
    ///
    /// # Errors
    /// A factor of 0.
    pub fn ward(factor: usize) -> Result<Self> {
        Ok(Self(Means::Ward { factor: positive("factor", factor)? }))
    }

    /// Means of so many rows that follow one another; the last may be of fewer.
    ///
    /// # Errors
    /// 0 tokens.
    pub fn windows(tokens: usize) -> Result<Self> {
        Ok(Self(Means::Windows { tokens: positive("tokens", tokens)? }))
    }

    /// Means of the rows of a page, as for ColPali: patches come first, line by line; other tokens stay as they are.
    ///
    /// # Errors
    /// A width or height of 0.
    pub fn page_rows(width: usize, height: usize) -> Result<Self> {
        let (width, height) = (positive("width", width)?, positive("height", height)?);
        Ok(Self(Means::Rows { width, height }))
    }

    /// Means of the columns of a page, as [`Pooling::page_rows`].
    ///
    /// # Errors
    /// A width or height of 0.
    pub fn page_columns(width: usize, height: usize) -> Result<Self> {
        let (width, height) = (positive("width", width)?, positive("height", height)?);
        Ok(Self(Means::Columns { width, height }))
    }

    /// Pools `[tokens, dim]` values.
    ///
    /// # Errors
    /// No whole rows, or none; fewer than a page has.
    pub fn apply(&self, values: &[f32], dim: usize) -> Result<Vec<f32>> {
        let tokens = element::rows(values.len(), dim)?;
        if tokens == 0 {
            return Err(Error::NoTokens { item: 0 });
        }
        let groups: Vec<usize> = match self.0 {
            Means::Ward { factor } => {
                let others = clusters(&values[dim..], dim, ((tokens - 1) / factor).max(1));
                std::iter::once(0).chain(others.into_iter().map(|group| group + 1)).collect()
            }
            Means::Windows { tokens: window } => (0..tokens).map(|token| token / window).collect(),
            Means::Rows { width, height } => {
                let patches = patches(width, height, tokens)?;
                let group = |it| if it < patches { it / width } else { height + it - patches };
                (0..tokens).map(group).collect()
            }
            Means::Columns { width, height } => {
                let patches = patches(width, height, tokens)?;
                let group = |it| if it < patches { it % width } else { width + it - patches };
                (0..tokens).map(group).collect()
            }
        };
        Ok(means(values, dim, &groups))
    }
}

impl FromStr for Pooling {
    type Err = Error;

    /// Reads `ward:FACTOR`, `windows:TOKENS`, `rows:WIDTHxHEIGHT` or `columns:WIDTHxHEIGHT`.
    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::InvalidParameter {
            name: "pooling",
            expected: "ward:FACTOR, windows:TOKENS, rows:WIDTHxHEIGHT or columns:WIDTHxHEIGHT"
                .into(),
            got: format!("{text:?}"),
        };
        let number = |text: &str| text.parse().map_err(|_| refused());
        let sides = |text: &str| {
            let (width, height) = text.split_once('x').ok_or_else(refused)?;
            Ok::<_, Error>((number(width)?, number(height)?))
        };
        match text.split_once(':').ok_or_else(refused)? {
            ("ward", factor) => Self::ward(number(factor)?),
            ("windows", tokens) => Self::windows(number(tokens)?),
            ("rows", page) => {
                sides(page).and_then(|(width, height)| Self::page_rows(width, height))
            }
            ("columns", page) => {
                sides(page).and_then(|(width, height)| Self::page_columns(width, height))
            }
            _ => Err(refused()),
        }
    }
}

fn positive(name: &'static str, value: usize) -> Result<usize> {
    match value {
        0 => Err(Error::InvalidParameter { name, expected: "at least 1".into(), got: "0".into() }),
        _ => Ok(value),
    }
}

/// The patches of a page, which so many tokens begin with.
fn patches(width: usize, height: usize, tokens: usize) -> Result<usize> {
    let patches = width.saturating_mul(height);
    if tokens < patches {
        let what = "tokens of a page or more";
        return Err(Error::CountMismatch { what, expected: patches, got: tokens });
    }
    Ok(patches)
}

/// The mean of each group of rows, in the order in which groups begin.
fn means(values: &[f32], dim: usize, groups: &[usize]) -> Vec<f32> {
    let mut places = BTreeMap::new();
    let (mut sums, mut counts) = (Vec::new(), Vec::new());
    for (row, group) in values.chunks_exact(dim).zip(groups) {
        let place = *places.entry(*group).or_insert_with(|| {
            sums.resize(sums.len() + dim, 0.0_f32);
            counts.push(0.0_f32);
            counts.len() - 1
        });
        counts[place] += 1.0;
        sums[place * dim..][..dim].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let of_group = sums.chunks_exact_mut(dim).zip(counts);
    of_group.for_each(|(sum, count)| sum.iter_mut().for_each(|value| *value /= count));
    sums
}
