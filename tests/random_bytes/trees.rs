//! Valid JSON, changed in its structure.

use rand::prelude::*;
use serde_json::{Value, json};

use crate::mutate;

/// One of `seeds`, with up to four changes of its structure.
pub fn tree(rng: &mut StdRng, seeds: &[Value]) -> Value {
    let mut tree = seeds.choose(rng).unwrap().clone();
    for _ in 0..rng.random_range(0..5) {
        let mut at = rng.random_range(0..size(&tree));
        change_at(&mut tree, &mut at, &mut |value| change(rng, value, seeds));
    }
    tree
}

/// The text of a tree: as it is, or with up to three changes of its bytes.
pub fn text(rng: &mut StdRng, tree: &Value) -> String {
    let text = tree.to_string();
    match rng.random_bool(0.6) {
        true => text,
        false => String::from_utf8_lossy(&mutate::bytes(rng, text.into_bytes())).into_owned(),
    }
}

fn size(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(elements) => elements.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum::<usize>(),
        _ => 0,
    }
}

/// Changes the value that comes `at` so many others.
fn change_at(value: &mut Value, at: &mut usize, change: &mut dyn FnMut(&mut Value)) {
    match at.checked_sub(1) {
        None => return change(value),
        Some(left) => *at = left,
    }
    let inside: Vec<&mut Value> = match value {
        Value::Array(elements) => elements.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return,
    };
    for value in inside {
        let size = size(value);
        if *at < size {
            return change_at(value, at, change);
        }
        *at -= size;
    }
}

fn change(rng: &mut StdRng, value: &mut Value, seeds: &[Value]) {
    match (rng.random_range(0..6), value) {
        (0, value) => *value = json!([value.take()]),
        (1, value) => *value = Value::Null,
        (2, Value::Array(elements)) if !elements.is_empty() => {
            let at = rng.random_range(0..elements.len());
            match rng.random_bool(0.5) {
                true => drop(elements.remove(at)),
                false => elements.push(elements[at].clone()),
            }
        }
        (2, Value::Object(fields)) if !fields.is_empty() => {
            let key = fields.keys().choose(rng).unwrap().clone();
            let value = fields.remove(&key).unwrap();
            if rng.random_bool(0.5) {
                fields.insert(WORDS.choose(rng).unwrap().to_string(), value);
            }
        }
        (_, value @ (Value::Array(_) | Value::Object(_))) => {
            let alike = rng.random_bool(0.9).then(|| value.is_array());
            *value = container(rng, seeds, alike);
        }
        (_, value) => *value = scalar(rng, value),
    }
}

/// An array or an object of a seed: which of the two, if it is said.
fn container(rng: &mut StdRng, seeds: &[Value], array: Option<bool>) -> Value {
    let mut found = Vec::new();
    seeds.iter().for_each(|seed| parts(seed, &mut found));
    let fits = |it: &&&Value| {
        (it.is_array() || it.is_object()) && array.is_none_or(|wanted| it.is_array() == wanted)
    };
    found.iter().filter(fits).choose(rng).map_or(Value::Null, |it| (*it).clone())
}

fn parts<'a>(tree: &'a Value, found: &mut Vec<&'a Value>) {
    found.push(tree);
    match tree {
        Value::Array(elements) => elements.iter().for_each(|it| parts(it, found)),
        Value::Object(fields) => fields.values().for_each(|it| parts(it, found)),
        _ => {}
    }
}

/// Another value, mostly of the same type.
fn scalar(rng: &mut StdRng, old: &Value) -> Value {
    let numbers = [
        json!(0),
        json!(-0.0),
        json!(1),
        json!(2),
        json!(-1),
        json!(0.5),
        json!(0.1),
        json!(100),
        json!(1e308),
        json!(-5e-324),
        json!(3.5e38),
        json!(65_537),
        json!((1_u64 << 53) + 1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
    ];
    match (old, rng.random_range(0..10)) {
        (Value::Number(_), 0..9) | (_, 9) => numbers.choose(rng).unwrap().clone(),
        (Value::Bool(value), _) => json!(!value),
        _ => json!(WORDS.choose(rng).unwrap()),
    }
}

const WORDS: &[&str] = &[
    "",
    "a",
    "b",
    "red",
    "t",
    "v",
    "q",
    "o.a",
    "l[].a",
    "l[0]",
    "l[18446744073709551615]",
    "l[][][][]",
    "\"x y\".a",
    "a.",
    "[",
    "ü😀",
    "\u{0}\u{85}",
    "2024-02-29T12:00:00Z",
    "2024-02-29",
    "+262142-12-31T23:59:60Z",
    "550e8400-e29b-41d4-a716-446655440000",
    "Cosine",
    "Dot",
    "Euclid",
    "Manhattan",
    "max_sim",
    "float16",
    "must",
    "should",
    "query",
    "limit",
    "using",
    "vector",
    "payload",
    "size",
    "m",
];
