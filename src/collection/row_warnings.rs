//! Warnings of token vectors that hardly any model gives: zeros, and lengths other than 1.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::{CollectionConfig, Point, Vector, VectorKind};
use crate::multivector::RowCounts;
use crate::recall::Distance;

/// Warnings that were given, each once as long as a collection is open: the name of a vector, and
/// whether its rows are zeros.
#[derive(Default)]
pub(super) struct RowWarnings(Mutex<BTreeSet<(String, bool)>>);

impl RowWarnings {
    /// Counts the rows of all points by the name of their multivector, but of those that were warned of.
    pub fn count<'c>(
        &self,
        points: &[Point],
        config: &'c CollectionConfig,
    ) -> Vec<(&'c str, RowCounts)> {
        let multi = config.vectors().filter(|(_, it)| it.kind == VectorKind::Multi);
        let open = multi.filter(|(name, it)| {
            let lengths = it.distance != Distance::Cosine;
            !self.was_given(name, true) || (lengths && !self.was_given(name, false))
        });
        let count = |name: &str| {
            let of_point = |point: &Point| match point.vectors.get(name) {
                Some(Vector::Multi { values, dim }) => RowCounts::of(values, *dim),
                _ => RowCounts::default(),
            };
            points.par_iter().map(of_point).reduce(RowCounts::default, |a, b| a + b)
        };
        open.map(|(name, _)| (name, count(name))).collect()
    }

    /// Warns of what was counted.
    pub fn warn(&self, counts: &[(&str, RowCounts)], config: &CollectionConfig) {
        for (name, RowCounts { rows, zero, not_unit }) in counts {
            if *zero > 0 && self.give(name, true) {
                log::warn!(
                    "{zero} of {rows} rows of vector {name:?} are zeros, as padding is that was taken for \
                     tokens: multivector::RowCleanup leaves them out"
                );
            }
            let distance = config.get(name).map_or(Distance::Cosine, |it| it.distance);
            if *not_unit > 0 && distance != Distance::Cosine && self.give(name, false) {
                log::warn!(
                    "{not_unit} of {rows} rows of vector {name:?} are not of unit length, and its distance is \
                     {distance}: long rows win; multivector::RowCleanup scales them"
                );
            }
        }
    }

    fn was_given(&self, name: &str, zeros: bool) -> bool {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.contains(&(name.to_owned(), zeros))
    }

    /// Notes a warning; `false` if it was given before.
    fn give(&self, name: &str, zeros: bool) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert((name.to_owned(), zeros))
    }
}
