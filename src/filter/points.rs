//! The points that match a filter, from the indexes that there are and, where they don't say, payloads.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::lookup::Lookup;
use super::{
    Condition, FieldPath, Filter, IndexKind, Match, Payload, PointId, PointNumber, PointSet, Span,
    Subject, Test, TextParams,
};
use crate::Result;
use crate::background::Cancellation;

/// Storage that a filter is evaluated on: points, by number, and their payload indexes. For tests it is
/// public: hosts select with [`Snapshot::select`](crate::collection::Snapshot::select).
#[doc(hidden)]
pub trait Points {
    /// Every point there is.
    ///
    /// # Errors
    /// Errors of the storage; as with all of these.
    fn all(&self) -> Result<Cow<'_, PointSet>>;

    /// The kinds of the indexes of a field.
    ///
    /// # Errors
    /// Errors of the storage.
    fn indexes(&self, field: &FieldPath) -> Result<Vec<IndexKind>>;

    /// The points that stand in an index under any key in these spans; an index that
    /// [`Points::indexes`] named.
    ///
    /// # Errors
    /// Errors of the storage.
    fn with_keys(&self, field: &FieldPath, kind: &IndexKind, spans: &[Span]) -> Result<PointSet>;

    /// The points with these ids.
    ///
    /// # Errors
    /// Errors of the storage.
    fn with_ids(&self, ids: &BTreeSet<PointId>) -> Result<PointSet>;

    /// The points that have a vector of this name; none, if there is no such vector.
    ///
    /// # Errors
    /// Errors of the storage.
    fn with_vector(&self, name: &str) -> Result<PointSet>;

    /// A point's id and payload.
    ///
    /// # Errors
    /// Errors of the storage.
    fn payload(&self, point: PointNumber) -> Result<(PointId, Payload)>;
}

/// Points that match a filter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Selected {
    /// The points.
    pub points: PointSet,
    /// Number of payloads that were read: 0 if indexes said it all.
    pub scanned: u64,
}

/// The points that satisfy a condition, and those that may: the former are among the latter.
struct Bounds {
    sure: PointSet,
    possible: PointSet,
}

impl Filter {
    /// The points that match the filter: the same set whichever indexes there are.
    ///
    /// # Errors
    /// The filter is deeper than [`Filter::DEEPEST`]; what the storage finds.
    #[doc(hidden)]
    pub fn select(&self, points: &impl Points) -> Result<Selected> {
        self.check_depth(Self::DEEPEST)?;
        let all = points.all()?;
        let search = Search { points, all: &all };
        let Bounds { mut sure, possible } = search.filter(self)?;
        let open = possible - &sure;
        let (vectors, texts) = (search.vectors(self)?, search.texts(self)?);
        let cancellation = Cancellation::current();
        for point in &open {
            cancellation.check()?;
            let (id, payload) = points.payload(point)?;
            let named = vectors.iter().filter(|(_, having)| having.contains(point));
            let vectors: Vec<&str> = named.map(|(name, _)| *name).collect();
            if self.holds_for(&Subject { id, payload: &payload, vectors: &vectors, texts: &texts })
            {
                sure.insert(point);
            }
        }
        Ok(Selected { points: sure, scanned: open.len() })
    }
}

struct Search<'a, P> {
    points: &'a P,
    all: &'a PointSet,
}

impl<P: Points> Search<'_, P> {
    fn filter(&self, filter: &Filter) -> Result<Bounds> {
        let Filter { must, should, must_not, min_should } = filter;
        let must = must.iter().map(|it| self.condition(it));
        let must_not = must_not.iter().map(|it| Ok(self.condition(it)?.inverted(self.all)));
        let should = (!should.is_empty()).then(|| self.at_least(1, should));
        let min_should = min_should.iter().map(|it| self.at_least(it.min_count, &it.conditions));
        self.intersection(must.chain(must_not).chain(should).chain(min_should))
    }

    /// The points that are in all of these bounds; all points, if there are none.
    fn intersection(&self, mut each: impl Iterator<Item = Result<Bounds>>) -> Result<Bounds> {
        // Not begun with all points: to copy them takes longer than to look up a few.
        let mut bounds = each.next().unwrap_or_else(|| Ok(self.everything()))?;
        for other in each {
            bounds.intersect(&other?);
        }
        Ok(bounds)
    }

    fn at_least(&self, count: usize, conditions: &[Condition]) -> Result<Bounds> {
        if count > conditions.len() {
            return Ok(self.exactly(PointSet::new()));
        }
        let (mut sure, mut possible) = (Counts::default(), Counts::default());
        for condition in conditions {
            let holds = self.condition(condition)?;
            sure.add(holds.sure);
            possible.add(holds.possible);
        }
        let sure = sure.at_least(count, self.all);
        Ok(Bounds { sure, possible: possible.at_least(count, self.all) })
    }

    fn condition(&self, condition: &Condition) -> Result<Bounds> {
        match condition {
            Condition::Field(key, test) => self.field(key, test),
            Condition::HasId(ids) => Ok(self.exactly(self.points.with_ids(ids)?)),
            Condition::HasVector(name) => Ok(self.exactly(self.points.with_vector(name)?)),
            Condition::Nested(..) | Condition::Slice(_) => Ok(self.unknown()),
            Condition::Filter(filter) => self.filter(filter),
        }
    }

    fn field(&self, key: &FieldPath, test: &Test) -> Result<Bounds> {
        let kinds = self.points.indexes(key)?;
        let Some((kind, lookups)) = kinds.iter().find_map(|it| Some((it, it.lookup(test)?))) else {
            return Ok(self.unknown());
        };
        self.intersection(lookups.iter().map(|lookup| self.found(key, kind, lookup)))
    }

    fn found(&self, key: &FieldPath, kind: &IndexKind, lookup: &Lookup) -> Result<Bounds> {
        let mut bounds = self.exactly(self.points.with_keys(key, kind, &lookup.sure)?);
        if !lookup.possible.is_empty() {
            bounds.possible |= self.points.with_keys(key, kind, &lookup.possible)? & self.all;
        }
        Ok(if lookup.inverted { bounds.inverted(self.all) } else { bounds })
    }

    fn everything(&self) -> Bounds {
        Bounds { sure: self.all.clone(), possible: self.all.clone() }
    }

    fn exactly(&self, points: PointSet) -> Bounds {
        let points = points & self.all;
        Bounds { sure: points.clone(), possible: points }
    }

    fn unknown(&self) -> Bounds {
        Bounds { sure: PointSet::new(), possible: self.all.clone() }
    }

    /// The text indexes of the fields whose text a filter matches.
    fn texts(&self, filter: &Filter) -> Result<Vec<(FieldPath, TextParams)>> {
        let mut fields = BTreeSet::new();
        collect_texts(filter, &mut fields);
        let mut texts = Vec::new();
        for field in fields {
            let kinds = self.points.indexes(field)?;
            texts.extend(kinds.into_iter().find_map(|kind| match kind {
                IndexKind::Text(params) => Some((field.clone(), params)),
                _ => None,
            }));
        }
        Ok(texts)
    }

    /// The vectors that a filter names, and the points that have them.
    fn vectors<'f>(&self, filter: &'f Filter) -> Result<Vec<(&'f str, PointSet)>> {
        let mut names = BTreeSet::new();
        collect_vectors(filter, &mut names);
        names.into_iter().map(|name| Ok((name, self.points.with_vector(name)?))).collect()
    }
}

fn collect_vectors<'f>(filter: &'f Filter, names: &mut BTreeSet<&'f str>) {
    for condition in filter.conditions() {
        match condition {
            Condition::HasVector(name) => drop(names.insert(name)),
            Condition::Filter(filter) => collect_vectors(filter, names),
            _ => {}
        }
    }
}

fn collect_texts<'f>(filter: &'f Filter, fields: &mut BTreeSet<&'f FieldPath>) {
    for condition in filter.conditions() {
        match condition {
            Condition::Field(field, Test::Match(Match::Text(_))) => drop(fields.insert(field)),
            Condition::Filter(filter) => collect_texts(filter, fields),
            _ => {}
        }
    }
}

/// Counts, for each point, the sets that it is in: a binary number, with a set for each of its
/// digits. So a set more costs a few operations on sets, however many there were.
#[derive(Default)]
struct Counts(Vec<PointSet>);

impl Counts {
    fn add(&mut self, mut carry: PointSet) {
        for digit in &mut self.0 {
            let both = &*digit & &carry;
            *digit ^= carry;
            carry = both;
        }
        if !carry.is_empty() {
            self.0.push(carry);
        }
    }

    /// Points of `all` that are in `count` sets or more.
    fn at_least(&self, count: usize, all: &PointSet) -> PointSet {
        let (mut more, mut equal) = (PointSet::new(), all.clone());
        let places = self.0.len().max(count.checked_ilog2().map_or(0, |last| last as usize + 1));
        for place in (0..places).rev() {
            let digit = self.0.get(place).map(|digit| digit & &equal).unwrap_or_default();
            if count >> place & 1 == 1 {
                equal = digit;
            } else {
                equal -= &digit;
                more |= digit;
            }
        }
        more | equal
    }
}

impl Bounds {
    fn intersect(&mut self, other: &Self) {
        self.sure &= &other.sure;
        self.possible &= &other.possible;
    }

    fn inverted(self, all: &PointSet) -> Self {
        Self { sure: all - &self.possible, possible: all - &self.sure }
    }
}
