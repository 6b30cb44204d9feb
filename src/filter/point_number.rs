//! [`PointNumber`]: by which number a collection keeps a point.

use std::fmt;

/// The number of a point within its collection.
///
/// A number is given when a point is written, ascending, and once: an upsert of an id that is there
/// takes the next number, and the old one is gone for good. So the vectors of a number never change
/// (its payload may), and whatever was derived from them (a graph, a copy on a GPU, a compared
/// checksum) is right for as long as the number is there. See [FORMAT.md].
///
/// [FORMAT.md]: https://docs.rs/crate/maxfold/latest/source/FORMAT.md
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointNumber(u32);

impl PointNumber {
    /// The number `number`, whether or not there is a point that has it.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number as an integer.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl From<PointNumber> for u32 {
    fn from(number: PointNumber) -> Self {
        number.0
    }
}

impl fmt::Display for PointNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
