//! Random points: payloads of every shape, vectors that some points lack.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

/// How the vectors of a name are compared.
#[derive(Clone, Copy, PartialEq)]
pub enum Distance {
    Cosine,
    Dot,
    Euclid,
}

/// The vectors of a name.
pub struct Named {
    pub name: &'static str,
    pub size: usize,
    pub distance: Distance,
    pub multi: bool,
}

const fn named(name: &'static str, size: usize, distance: Distance, multi: bool) -> Named {
    Named { name, size, distance, multi }
}

pub const VECTORS: [Named; 5] = [
    named("cosine", 16, Distance::Cosine, false),
    named("dot", 8, Distance::Dot, false),
    named("euclid", 8, Distance::Euclid, false),
    named("tokens", 12, Distance::Cosine, true),
    named("raw", 6, Distance::Dot, true),
];

/// A vector, or the rows of many.
pub type Rows = Vec<Vec<f32>>;

pub struct Sample {
    pub id: Value,
    pub payload: Map<String, Value>,
    pub vectors: BTreeMap<&'static str, Rows>,
}

/// Points with the ids 0 to `count`, every third of them as a UUID.
pub fn points(count: usize, seed: u64) -> Vec<Sample> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut points: Vec<Sample> = Vec::new();
    for number in 0..count {
        let mut vectors = BTreeMap::new();
        for named in &VECTORS {
            // Some multivectors are those of another point, so that scores tie.
            let other = points.choose(&mut rng).and_then(|it| it.vectors.get(named.name));
            match other.filter(|_| named.multi && rng.random_bool(0.1)) {
                Some(rows) => drop(vectors.insert(named.name, rows.clone())),
                None if rng.random_bool(0.1) => {}
                None => drop(vectors.insert(named.name, rows(&mut rng, named, 6))),
            }
        }
        points.push(Sample { id: id(number), payload: payload(&mut rng), vectors });
    }
    points
}

pub fn id(number: usize) -> Value {
    match number % 3 {
        0 => json!(format!("00000000-0000-4000-8000-{number:012x}")),
        _ => json!(number),
    }
}

/// One row, or up to `most` of a multivector.
pub fn rows(rng: &mut StdRng, named: &Named, most: usize) -> Rows {
    let count = if named.multi { rng.random_range(1..=most) } else { 1 };
    let mut row = || (0..named.size).map(|_| rng.random_range(-1.0..1.0)).collect();
    (0..count).map(|_| row()).collect()
}

/// As it stands in a request.
pub fn vector_json(rows: &Rows, named: &Named) -> Value {
    if named.multi { json!(rows) } else { json!(rows[0]) }
}

/// Fields with an index. They hold values of one type only, as an index of Qdrant changes the answer
/// about others (README.md: "Filters"); and all that may stand in the place of a value.
pub const INDEXED: [(&str, &str); 7] = [
    ("city", "keyword"),
    ("year", "integer"),
    ("price", "float"),
    ("open", "bool"),
    ("seen", "datetime"),
    ("tags[].name", "keyword"),
    ("tags[].count", "integer"),
];

pub const CITIES: [&str; 6] = ["Aachen", "Bath", "Córdoba", "Delft", "", "Bath\u{0}"];

/// In several of the formats that Qdrant reads.
pub const TIMES: [&str; 8] = [
    "2024-02-29T12:00:00Z",
    "2024-02-29T13:00:00+01:00",
    "2024-02-29 12:00:00.0000019",
    "2024-02-29T12:00",
    "2024-02-29",
    "2024-02-29T12:00:00-0800",
    "1969-12-31T23:59:59.5Z",
    "1900-01-01 00:00",
];

/// Draws a value at random.
type Draw = fn(&mut StdRng) -> Value;

fn payload(rng: &mut StdRng) -> Map<String, Value> {
    let mut fields = object(rng, 3);
    let typed: [(&str, Draw); 5] = [
        ("city", city),
        ("year", |rng| json!(rng.random_range(1990..2030))),
        ("price", price),
        ("open", |rng| json!(rng.random_bool(0.5))),
        ("seen", |rng| json!(TIMES.choose(rng))),
    ];
    for (key, one) in typed {
        if let Some(value) = some_or_many(rng, one) {
            fields.insert(key.into(), value);
        }
    }
    if rng.random_bool(0.8) {
        let count = rng.random_range(0..4);
        fields.insert("tags".into(), (0..count).map(|_| tag(rng)).collect());
    }
    fields
}

pub fn city(rng: &mut StdRng) -> Value {
    json!(CITIES.choose(rng))
}

/// A float or an integer.
pub fn price(rng: &mut StdRng) -> Value {
    match rng.random_bool(0.3) {
        true => json!(rng.random_range(-5..20)),
        false => json!(f64::from(rng.random_range(-50..200)) / 8.0),
    }
}

fn tag(rng: &mut StdRng) -> Value {
    let mut fields = Map::new();
    if let Some(name) = some_or_many(rng, city) {
        fields.insert("name".into(), name);
    }
    if let Some(count) = some_or_many(rng, |rng| json!(rng.random_range(0..10))) {
        fields.insert("count".into(), count);
    }
    fields.into()
}

/// A value, or none, null, or an array of some.
fn some_or_many(rng: &mut StdRng, one: Draw) -> Option<Value> {
    match rng.random_range(0..10) {
        0 => None,
        1 => Some(Value::Null),
        2 => Some(json!([])),
        3 | 4 => {
            let mut array: Vec<_> = (0..rng.random_range(1..4)).map(|_| one(rng)).collect();
            if rng.random_bool(0.2) {
                array.push(Value::Null);
            }
            Some(array.into())
        }
        _ => Some(one(rng)),
    }
}

/// Anything that is neither array nor object.
pub fn scalar(rng: &mut StdRng) -> Value {
    const LARGE: [i64; 5] = [1 << 53, (1 << 53) + 1, -(1 << 53), i64::MIN, i64::MAX];
    const ODD: [f64; 4] = [-0.0, 1e300, -1e-300, 9_007_199_254_740_993.0];
    match rng.random_range(0..12) {
        0 => Value::Null,
        1 => json!(rng.random_bool(0.5)),
        2 | 3 => json!(rng.random_range(-2..3)),
        4 => json!(f64::from(rng.random_range(-4..5)) / 2.0),
        5 => json!(LARGE.choose(rng)),
        6 => json!(ODD.choose(rng)),
        7 => json!(u64::MAX - rng.random_range(0..2)),
        8 => json!(["noon", "2023-02-29"].iter().chain(&TIMES).collect::<Vec<_>>().choose(rng)),
        9 => json!(format!("{}{}", "long ".repeat(60), rng.random_range(0..2))),
        _ => city(rng),
    }
}

/// Fields of any type, on which there is no index.
fn object(rng: &mut StdRng, depth: u32) -> Map<String, Value> {
    let mut fields = Map::new();
    for key in ["a", "b", "o", "l", "x y"] {
        if !rng.random_bool(0.6) {
            continue;
        }
        let value = match key {
            "o" | "x y" if depth > 0 && rng.random_bool(0.7) => object(rng, depth - 1).into(),
            "l" if depth > 0 && rng.random_bool(0.7) => {
                (0..rng.random_range(0..4)).map(|_| object(rng, depth - 1)).collect()
            }
            _ => value(rng, depth.min(2)),
        };
        fields.insert(key.into(), value);
    }
    fields
}

fn value(rng: &mut StdRng, depth: u32) -> Value {
    match rng.random_range(0..if depth == 0 { 6 } else { 9 }) {
        0..=5 => scalar(rng),
        6 => object(rng, depth - 1).into(),
        _ => (0..rng.random_range(0..4)).map(|_| value(rng, depth - 1)).collect(),
    }
}
