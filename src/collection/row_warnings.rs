//! Warnings of token vectors that hardly any model gives: zeros, and lengths other than 1.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::{CollectionConfig, Point, Vector, VectorKind};
use crate::multivector::RowCounts;
use crate::recall::Distance;

/// Rows of a multivector that are looked at: what a model does wrong, it does from the start.
const ROWS: usize = 1 << 17;

/// Warnings that were given, each once as long as a collection is open, by the names of multivectors.
pub(crate) struct RowWarnings {
    /// Description of that whose rows they are, before the name.
    of: &'static str,
    given: Mutex<BTreeMap<String, Given>>,
}

#[derive(Default)]
struct Given {
    /// Rows that were looked at.
    rows: usize,
    zeros: bool,
    lengths: bool,
}

impl RowWarnings {
    /// Warnings of the rows that points have.
    pub fn of_points() -> Self {
        Self { of: "vector", given: Mutex::default() }
    }

    /// Warnings of the rows that are searched for.
    pub fn of_queries() -> Self {
        Self { of: "queries by vector", given: Mutex::default() }
    }

    /// Warns of a query, unless enough were looked at.
    pub fn look(&self, name: &str, query: &Vector, config: &CollectionConfig) {
        let Vector::Multi { values, dim } = query else { return };
        let fits = config.get(name).is_ok_and(|it| it.kind == VectorKind::Multi && it.size == *dim);
        if fits && self.wants(name) {
            self.warn(&[(name, RowCounts::of(values, *dim))], config);
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.given().get(name).is_none_or(|it| it.rows < ROWS)
    }

    /// Counts rows of all points by the name of their multivector, unless enough were looked at.
    pub fn count<'c>(
        &self,
        points: &[Point],
        config: &'c CollectionConfig,
    ) -> Vec<(&'c str, RowCounts)> {
        let multi = config.vectors().filter(|(_, it)| it.kind == VectorKind::Multi);
        let open = multi.filter(|(name, _)| self.wants(name));
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
        let (of, mut given) = (self.of, self.given());
        for (name, RowCounts { rows, zero, not_unit }) in counts {
            let given = given.entry((*name).to_owned()).or_default();
            given.rows = given.rows.saturating_add(*rows);
            if *zero > 0 && !std::mem::replace(&mut given.zeros, true) {
                log::warn!(
                    "{zero} of {rows} rows of {of} {name:?} are zeros, as padding is that was taken for \
                     tokens: multivector::RowCleanup leaves them out"
                );
            }
            let distance = config.get(name).map_or(Distance::Cosine, |it| it.distance);
            let matters = *not_unit > 0 && distance == Distance::Dot;
            if matters && !std::mem::replace(&mut given.lengths, true) {
                log::warn!(
                    "{not_unit} of {rows} rows of {of} {name:?} are not of unit length, and its distance is \
                     {distance}: long rows win; multivector::RowCleanup scales them"
                );
            }
        }
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<String, Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
