//! [`PointSet`]: points of a collection, by number.

use std::iter::Map;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign};
use std::ops::{RangeInclusive, Sub, SubAssign};

use roaring::{MultiOps, RoaringBitmap, bitmap};

use super::PointNumber;

/// The numbers of a set.
type PointNumbers<'s> = Map<bitmap::Iter<'s>, fn(u32) -> PointNumber>;

/// A set of points of one collection, by number: a compressed bitmap.
///
/// ```
/// use maxfold::filter::{PointNumber, PointSet};
///
/// let first: PointSet = (0..10).map(PointNumber::new).collect();
/// let even: PointSet = (0..20).step_by(2).map(PointNumber::new).collect();
/// assert_eq!((&first & &even).len(), 5);
/// assert_eq!((&even - &first).min(), Some(PointNumber::new(10)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointSet(RoaringBitmap);

impl PointSet {
    /// No points yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a point; `false` if it is there.
    pub fn insert(&mut self, number: PointNumber) -> bool {
        self.0.insert(number.get())
    }

    /// Removes a point; `false` if it is not there.
    pub fn remove(&mut self, number: PointNumber) -> bool {
        self.0.remove(number.get())
    }

    /// Returns `true` if the point is there.
    pub fn contains(&self, number: PointNumber) -> bool {
        self.0.contains(number.get())
    }

    /// Number of points.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns `true` if there are no points.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least number.
    pub fn min(&self) -> Option<PointNumber> {
        self.0.min().map(PointNumber::new)
    }

    /// The greatest number.
    pub fn max(&self) -> Option<PointNumber> {
        self.0.max().map(PointNumber::new)
    }

    /// Number of points from one number to another.
    pub fn range_cardinality(&self, range: RangeInclusive<PointNumber>) -> u64 {
        self.0.range_cardinality(range.start().get()..=range.end().get())
    }

    /// The points, by ascending numbers.
    pub fn iter(&self) -> PointNumbers<'_> {
        self.0.iter().map(PointNumber::new)
    }

    /// The points that are in any of the sets.
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        Self(sets.into_iter().map(|set| set.0).union())
    }

    /// Number of points in it that have smaller numbers.
    pub fn place(&self, number: PointNumber) -> u64 {
        self.0.rank(number.get()) - u64::from(self.contains(number))
    }

    pub(crate) fn bitmap(&self) -> &RoaringBitmap {
        &self.0
    }
}

impl<'s> IntoIterator for &'s PointSet {
    type Item = PointNumber;
    type IntoIter = PointNumbers<'s>;

    fn into_iter(self) -> PointNumbers<'s> {
        self.iter()
    }
}

impl From<RoaringBitmap> for PointSet {
    fn from(numbers: RoaringBitmap) -> Self {
        Self(numbers)
    }
}

impl From<PointSet> for RoaringBitmap {
    fn from(points: PointSet) -> Self {
        points.0
    }
}

impl Extend<PointNumber> for PointSet {
    fn extend<I: IntoIterator<Item = PointNumber>>(&mut self, numbers: I) {
        self.0.extend(numbers.into_iter().map(PointNumber::get));
    }
}

impl FromIterator<PointNumber> for PointSet {
    fn from_iter<I: IntoIterator<Item = PointNumber>>(numbers: I) -> Self {
        Self(numbers.into_iter().map(PointNumber::get).collect())
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign:ident) => {
        impl $trait for &PointSet {
            type Output = PointSet;

            fn $method(self, other: &PointSet) -> PointSet {
                PointSet((&self.0).$method(&other.0))
            }
        }

        impl $trait<&PointSet> for PointSet {
            type Output = PointSet;

            fn $method(self, other: &PointSet) -> PointSet {
                PointSet(self.0.$method(&other.0))
            }
        }

        impl $trait for PointSet {
            type Output = PointSet;

            fn $method(self, other: PointSet) -> PointSet {
                PointSet(self.0.$method(other.0))
            }
        }

        impl $assign_trait<&PointSet> for PointSet {
            fn $assign(&mut self, other: &PointSet) {
                self.0.$assign(&other.0);
            }
        }

        impl $assign_trait for PointSet {
            fn $assign(&mut self, other: PointSet) {
                self.0.$assign(other.0);
            }
        }
    };
}

operator!(BitAnd, bitand, BitAndAssign, bitand_assign);
operator!(BitOr, bitor, BitOrAssign, bitor_assign);
operator!(BitXor, bitxor, BitXorAssign, bitxor_assign);
operator!(Sub, sub, SubAssign, sub_assign);
