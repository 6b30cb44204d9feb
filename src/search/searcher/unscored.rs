//! Points in an order that no vector decides: by a payload field, by ids, at random.

use std::hash::{BuildHasher, RandomState};

use super::outcome::Outcome;
use super::reader::Reader;
use crate::Result;
use crate::filter::{IndexKind, IndexValue, PointId, PointNumber, PointSet};
use crate::ranking::first;
use crate::search::Method;
use crate::search::query::{Direction, OrderBy, OrderValue};

/// Score of everything here.
const SCORE: f32 = 1.0;

fn outcome(numbers: impl IntoIterator<Item = PointNumber>) -> Outcome {
    let scored = numbers.into_iter().map(|number| (number, SCORE)).collect();
    Outcome { scored, in_order: true, ..Outcome::default() }
}

/// The first `limit` by the values of a payload field, of equal values smaller ids first.
pub(super) fn by_value(
    reader: &Reader<'_, '_>,
    order: &OrderBy,
    points: &PointSet,
    limit: usize,
) -> Result<(Outcome, Method)> {
    let (mut found, known) = indexed(reader, order, points, limit)?;
    let unknown = points - &known;
    for number in &unknown {
        reader.cancellation.check()?;
        let (id, payload) = reader.snapshot.payload(number)?;
        let mut values: Vec<OrderValue> =
            order.key.elements(&payload).filter_map(OrderValue::of).collect();
        values.sort_unstable_by(OrderValue::order);
        values.dedup();
        found.extend(values.into_iter().map(|value| (value, id, number)));
    }
    if let Some(start) = &order.start_from {
        found.retain(|(value, ..)| in_direction(order.direction, start, value).is_le());
    }
    let found = first(found, limit, |a, b| {
        let by_value = in_direction(order.direction, &a.0, &b.0);
        // A point may have 5 and 5.0.
        let is_float = |it: &OrderValue| matches!(it, OrderValue::Float(_));
        by_value.then_with(|| (a.1, is_float(&a.0)).cmp(&(b.1, is_float(&b.0))))
    });
    let mut outcome = outcome(found.iter().map(|(.., number)| *number));
    outcome.values = found.into_iter().map(|(value, ..)| value).collect();
    Ok((outcome, Method::OrderBy { payloads_read: unknown.len() }))
}

/// Value, and the point that has it.
type Valued = (OrderValue, PointId, PointNumber);

/// Indexes that hold values that points are ordered by.
const INDEXES: &[IndexKind] = &[IndexKind::Integer, IndexKind::Datetime];

/// The first `limit`, and all that tie with the last, of those points whose values an index knows; and the latter.
fn indexed(
    reader: &Reader<'_, '_>,
    order: &OrderBy,
    points: &PointSet,
    limit: usize,
) -> Result<(Vec<Valued>, PointSet)> {
    let mut found: Vec<Valued> = Vec::new();
    let Some(index) = reader.snapshot.indexed_values(&order.key, INDEXES)? else {
        return Ok((found, PointSet::new()));
    };
    let known = points - &index.unknown;
    let mut last = None;
    index.scan(order.direction == Direction::Desc, |value, having| {
        reader.cancellation.check()?;
        let value = match value {
            IndexValue::Integer(value) => OrderValue::Integer(value),
            IndexValue::Float(value) => OrderValue::Float(value),
            IndexValue::String(_) | IndexValue::Bool(_) => return Ok(true),
        };
        // Keys of one number in f64 stand together, in an order of their own.
        let ties = last.is_some_and(|it: OrderValue| it.float() == value.float());
        if found.len() >= limit && !ties {
            return Ok(false);
        }
        let is_before = |it| in_direction(order.direction, it, &value).is_gt();
        if order.start_from.as_ref().is_some_and(is_before) {
            return Ok(true);
        }
        for number in &(having & &known) {
            found.push((value, reader.snapshot.id(number)?, number));
            last = Some(value);
        }
        Ok(true)
    })?;
    Ok((found, known))
}

fn in_direction(direction: Direction, a: &OrderValue, b: &OrderValue) -> std::cmp::Ordering {
    match direction {
        Direction::Asc => a.order(b),
        Direction::Desc => b.order(a),
    }
}

/// `limit` points, each set of them as likely as any other.
pub(super) fn sample(points: &PointSet, limit: usize) -> (Outcome, Method) {
    // Its keys are random.
    let hash = RandomState::new();
    let drawn = points.iter().map(|number| (hash.hash_one(number), number)).collect();
    let drawn = first(drawn, limit, Ord::cmp);
    (outcome(drawn.into_iter().map(|(_, number)| number)), Method::Sample)
}

/// The first `limit` by their ids.
pub(super) fn by_ids(
    reader: &Reader<'_, '_>,
    points: &PointSet,
    limit: usize,
) -> Result<(Outcome, Method)> {
    let found = reader.snapshot.first_by_id(points, None, limit)?;
    Ok((outcome(found.into_iter().map(|(_, number)| number)), Method::Ids))
}
