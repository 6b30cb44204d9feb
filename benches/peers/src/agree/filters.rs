//! Random filters, in Qdrant's JSON.
//!
//! What Maxfold answers differently on purpose (README.md, "Filters") is kept out: tests of several
//! kinds in one condition, `"is_empty": true` and `"is_null": true` beside a key with `[]`, `should: []`,
//! `has_id` and `has_vector` inside of `nested`, and a `min_should` of more conditions than it has.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

use super::points::{self, TIMES, VECTORS, city, price, scalar};

/// Keys of fields of any type.
const MIXED: [&str; 10] =
    ["a", "b", "o.a", "o", "l[].a", "l", "l[]", "l[1]", "l[0].a", "\"x y\".a"];

const TYPED: [&str; 7] = ["city", "year", "price", "open", "seen", "tags[].name", "tags[].count"];

/// Where a condition stands.
#[derive(Clone, Copy)]
enum Place {
    Top,
    /// In `nested`, in elements of `tags`.
    Tag,
    /// In `nested`, elsewhere.
    Object,
}

/// One that has a chance to mean some of the points, and not all.
pub fn filter(rng: &mut StdRng, points: usize) -> Value {
    Filters { points }.filter(rng, 2, Place::Top)
}

struct Filters {
    /// How many points there are.
    points: usize,
}

impl Filters {
    fn filter(&self, rng: &mut StdRng, depth: u32, place: Place) -> Value {
        let mut clauses = Map::new();
        for (name, chance) in [("must", 0.5), ("should", 0.5), ("must_not", 0.3)] {
            if !rng.random_bool(chance) {
                continue;
            }
            let mut one = || self.condition(rng, depth, place);
            let clause = match name {
                "must" => json!(one()),
                _ => json!([one(), one()]),
            };
            clauses.insert(name.into(), clause);
        }
        if rng.random_bool(0.15) {
            let count = rng.random_range(1..4);
            let conditions: Vec<_> =
                (0..count).map(|_| self.condition(rng, depth, place)).collect();
            let min_count = rng.random_range(1..=count);
            let min_should = json!({"conditions": conditions, "min_count": min_count});
            clauses.insert("min_should".into(), min_should);
        }
        clauses.into()
    }

    fn condition(&self, rng: &mut StdRng, depth: u32, place: Place) -> Value {
        match (rng.random_range(0..14), place) {
            (0, _) if depth > 0 => self.filter(rng, depth - 1, place),
            (1 | 2, Place::Top) if depth > 0 => self.nested(rng, depth - 1),
            (3, Place::Top) => {
                let count = rng.random_range(0..self.points / 2);
                let mut id = || points::id(rng.random_range(0..self.points));
                json!({"has_id": (0..count).map(|_| id()).collect::<Vec<_>>()})
            }
            (4, Place::Top) => {
                let names = VECTORS.iter().map(|it| it.name).chain(["none"]);
                json!({"has_vector": names.collect::<Vec<_>>().choose(rng)})
            }
            (0..=6, Place::Top | Place::Object) => of_any_type(rng),
            (_, Place::Tag) => of_a_tag(rng),
            (_, Place::Object) => of_any_type(rng),
            (_, Place::Top) => of_its_type(rng),
        }
    }

    fn nested(&self, rng: &mut StdRng, depth: u32) -> Value {
        let (key, place) = match rng.random_range(0..6) {
            0 => ("l", Place::Object),
            1 => ("l[]", Place::Object),
            2 => ("o", Place::Object),
            3 => ("tags[]", Place::Tag),
            _ => ("tags", Place::Tag),
        };
        json!({"nested": {"key": key, "filter": self.filter(rng, depth, place)}})
    }
}

/// A condition on a field with values of one type: mostly a test of that type.
fn of_its_type(rng: &mut StdRng) -> Value {
    let key = *TYPED.choose(rng).unwrap_or(&"city");
    if rng.random_bool(0.15) {
        return of_anything(rng, key);
    }
    let year = |rng: &mut StdRng| json!(rng.random_range(1985..2035));
    let count = |rng: &mut StdRng| json!(rng.random_range(0..10));
    match key {
        "year" if rng.random_bool(0.3) => json!({"key": key, "match": matching(rng, year)}),
        "year" => json!({"key": key, "range": bounds(rng, year)}),
        "price" => json!({"key": key, "range": bounds(rng, price)}),
        "open" => json!({"key": key, "match": {"value": rng.random_bool(0.5)}}),
        "seen" => json!({"key": key, "range": bounds(rng, time)}),
        "tags[].count" if rng.random_bool(0.5) => {
            json!({"key": key, "match": matching(rng, count)})
        }
        "tags[].count" => json!({"key": key, "range": bounds(rng, count)}),
        _ => json!({"key": key, "match": matching(rng, city)}),
    }
}

fn of_a_tag(rng: &mut StdRng) -> Value {
    let count = |rng: &mut StdRng| json!(rng.random_range(0..10));
    match rng.random_range(0..5) {
        0 => of_anything(rng, "name"),
        1 | 2 => json!({"key": "name", "match": matching(rng, city)}),
        3 => json!({"key": "count", "match": matching(rng, count)}),
        _ => json!({"key": "count", "range": bounds(rng, count)}),
    }
}

fn of_any_type(rng: &mut StdRng) -> Value {
    let key = *MIXED.choose(rng).unwrap_or(&"a");
    of_anything(rng, key)
}

/// Any test of any field.
fn of_anything(rng: &mut StdRng, key: &str) -> Value {
    let whole = !key.contains("[]");
    match rng.random_range(0..12) {
        0..=3 => json!({"key": key, "match": matching_anything(rng)}),
        4 | 5 => json!({"key": key, "range": bounds(rng, number)}),
        6 => json!({"key": key, "range": bounds(rng, time)}),
        7 => {
            let count = |rng: &mut StdRng| json!(rng.random_range(0..4));
            json!({"key": key, "values_count": bounds(rng, count)})
        }
        8 if whole => json!({"key": key, "is_empty": rng.random_bool(0.5)}),
        9 if whole => json!({"key": key, "is_null": rng.random_bool(0.5)}),
        8 | 10 => json!({"is_empty": {"key": key}}),
        _ => json!({"is_null": {"key": key}}),
    }
}

/// `match` with one value or several of a kind.
fn matching(rng: &mut StdRng, one: impl Fn(&mut StdRng) -> Value) -> Value {
    let count = rng.random_range(1..4);
    let mut some = || (0..count).map(|_| one(rng)).collect::<Vec<_>>();
    match some() {
        values if values.len() > 2 => json!({"any": values}),
        values if values.len() > 1 => json!({"except": values}),
        values => json!({"value": values[0]}),
    }
}

/// `match` with values that a filter may name: strings, integers, booleans.
fn matching_anything(rng: &mut StdRng) -> Value {
    let strings = rng.random_bool(0.5);
    let fits = |it: &Value| if strings { it.is_string() } else { it.is_i64() };
    let alike = |rng: &mut StdRng| draw(rng, fits);
    match rng.random_range(0..4) {
        0 => json!({"any": (0..3).map(|_| alike(rng)).collect::<Vec<_>>()}),
        1 => json!({"except": (0..2).map(|_| alike(rng)).collect::<Vec<_>>()}),
        2 => json!({"value": draw(rng, Value::is_boolean)}),
        _ => json!({"value": alike(rng)}),
    }
}

fn number(rng: &mut StdRng) -> Value {
    draw(rng, Value::is_number)
}

fn draw(rng: &mut StdRng, fits: impl Fn(&Value) -> bool) -> Value {
    loop {
        let value = scalar(rng);
        if fits(&value) {
            return value;
        }
    }
}

fn time(rng: &mut StdRng) -> Value {
    json!(TIMES.choose(rng))
}

/// A lower bound, an upper one, or both.
fn bounds(rng: &mut StdRng, one: impl Fn(&mut StdRng) -> Value) -> Value {
    let mut bounds = Map::new();
    let which = rng.random_range(1..4);
    if which & 1 > 0 {
        let name = if rng.random_bool(0.5) { "gt" } else { "gte" };
        bounds.insert(name.into(), one(rng));
    }
    if which & 2 > 0 {
        let name = if rng.random_bool(0.5) { "lt" } else { "lte" };
        bounds.insert(name.into(), one(rng));
    }
    bounds.into()
}
