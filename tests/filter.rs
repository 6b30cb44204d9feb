//! Filters mean what Qdrant's mean, whichever payload indexes there are.
//!
//! The judge is an evaluator of its own, on the filter's JSON text and the payload, that shares
//! nothing with the library.
#![cfg(feature = "collection")]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use maxfold::filter::{
    Condition, Datetime, FieldPath, Filter, IndexKind, LONGEST_KEY, Match, Payload,
    PayloadSelector, PointId, PointNumber, PointSet, Points, Range, Scalars, Slice, Span, Subject,
    Test, payload,
};
use maxfold::search::{QueryRequest, RequestLimits};
use maxfold::{Collection, CollectionConfig, Error, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};

// --- The judge ---------------------------------------------------------------------------------

/// Keys, and the steps that they stand for: `*` is every element, a number an element.
const KEYS: [(&str, &[&str]); 10] = [
    ("a", &["a"]),
    ("b", &["b"]),
    ("o.a", &["o", "a"]),
    ("o", &["o"]),
    ("l[].a", &["l", "*", "a"]),
    ("l", &["l"]),
    ("l[]", &["l", "*"]),
    ("l[1]", &["l", "1"]),
    ("l[0].a", &["l", "0", "a"]),
    ("\"x y\".a", &["x y", "a"]),
];

/// Texts, and the microseconds since 1970 that they stand for (Python's datetime said so).
const TIMES: [(&str, Option<i64>); 12] = [
    ("2024-02-29T12:00:00Z", Some(1_709_208_000_000_000)),
    ("2024-02-29T13:00:00+01:00", Some(1_709_208_000_000_000)),
    ("2024-02-29 12:00:00.0000019", Some(1_709_208_000_000_001)),
    ("2024-02-29T12:00", Some(1_709_208_000_000_000)),
    ("2024-02-29", Some(1_709_164_800_000_000)),
    ("2024-02-29T12:00:00-0800", Some(1_709_236_800_000_000)),
    ("1969-12-31T23:59:59.5Z", Some(-500_000)),
    ("1900-01-01 00:00", Some(-2_208_988_800_000_000)),
    ("2023-02-29", None),
    ("noon", None),
    ("12", None),
    ("", None),
];

fn steps(key: &str) -> &'static [&'static str] {
    KEYS.iter().find(|(text, _)| *text == key).expect("a key of the table").1
}

fn micros(text: &str) -> Option<i64> {
    TIMES.iter().find(|(known, _)| *known == text).and_then(|(_, micros)| *micros)
}

fn find<'a>(value: &'a Value, steps: &[&str], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = steps.split_first() else { return found.push(value) };
    match value {
        Value::Array(array) if *step == "*" => array.iter().for_each(|it| find(it, rest, found)),
        Value::Array(array) => {
            if let Some(value) = step.parse::<usize>().ok().and_then(|at| array.get(at)) {
                find(value, rest, found);
            }
        }
        Value::Object(map) => {
            if let Some(value) = map.get(*step) {
                find(value, rest, found);
            }
        }
        _ => {}
    }
}

struct Point {
    id: Value,
    vectors: Vec<&'static str>,
    payload: Value,
}

fn many(clause: &Value) -> Vec<Value> {
    match clause {
        Value::Null => Vec::new(),
        Value::Array(conditions) => conditions.clone(),
        one => vec![one.clone()],
    }
}

/// What a filter's JSON says of a payload; `point` is missing inside of nested objects.
fn judge(filter: &Value, payload: &Value, point: &Point) -> bool {
    let count = |clause: &Value| {
        many(clause).iter().filter(|it| judge_condition(it, payload, point)).count()
    };
    let (must, should) = (many(&filter["must"]), many(&filter["should"]));
    if count(&filter["must"]) < must.len() || count(&filter["must_not"]) > 0 {
        return false;
    }
    if !should.is_empty() && count(&filter["should"]) == 0 {
        return false;
    }
    let wanted = filter["min_should"]["min_count"].as_u64().unwrap_or(0) as usize;
    count(&filter["min_should"]["conditions"]) >= wanted
}

fn judge_condition(condition: &Value, payload: &Value, point: &Point) -> bool {
    let values = |key: &Value| {
        let mut found = Vec::new();
        find(payload, steps(key.as_str().unwrap()), &mut found);
        found
    };
    if let Some(ids) = condition["has_id"].as_array() {
        return ids.contains(&point.id);
    }
    if let Some(name) = condition["has_vector"].as_str() {
        return point.vectors.contains(&name);
    }
    if !condition["nested"].is_null() {
        let mut path = steps(condition["nested"]["key"].as_str().unwrap()).to_vec();
        if path.last() != Some(&"*") {
            path.push("*");
        }
        let mut found = Vec::new();
        find(payload, &path, &mut found);
        let inner = &condition["nested"]["filter"];
        return found.iter().any(|it| it.is_object() && judge(inner, it, point));
    }
    let empty = |values: &[&Value]| values.iter().all(|it| it.is_null() || **it == json!([]));
    let null =
        |values: &[&Value]| values.iter().any(|it| it.is_null() || many(it).contains(&Value::Null));
    if condition["is_empty"].is_object() {
        return empty(&values(&condition["is_empty"]["key"]));
    }
    if condition["is_null"].is_object() {
        return null(&values(&condition["is_null"]["key"]));
    }
    if condition["key"].is_null() {
        return judge(condition, payload, point);
    }
    let values = values(&condition["key"]);
    if let Some(wanted) = condition["is_empty"].as_bool() {
        return empty(&values) == wanted;
    }
    if let Some(wanted) = condition["is_null"].as_bool() {
        return null(&values) == wanted;
    }
    if let Some(bounds) = condition["values_count"].as_object() {
        let lengths: Vec<f64> = values.iter().map(|it| length(it)).collect();
        let lengths = if lengths.is_empty() { vec![0.0] } else { lengths };
        return lengths.iter().any(|length| within(*length, bounds, &|it| it.as_f64()));
    }
    values.iter().any(|value| match value {
        Value::Array(elements) => elements.iter().any(|it| judge_value(condition, it)),
        value => judge_value(condition, value),
    })
}

fn length(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Array(elements) => elements.len() as f64,
        _ => 1.0,
    }
}

fn judge_value(condition: &Value, value: &Value) -> bool {
    if let Some(bounds) = condition["range"].as_object() {
        return match value {
            Value::Number(number) if !bounds.values().any(Value::is_string) => {
                within(number.as_f64().unwrap(), bounds, &|it| it.as_f64())
            }
            Value::String(text) if bounds.values().any(Value::is_string) => micros(text)
                .is_some_and(|time| within(time, bounds, &|it| it.as_str().and_then(micros))),
            _ => false,
        };
    }
    let test = &condition["match"];
    if let Some(any) = test["any"].as_array() {
        return any.contains(value);
    }
    if let Some(except) = test["except"].as_array() {
        return !value.is_null() && !except.contains(value);
    }
    // serde_json's equality: 5 is not 5.0, nor "5".
    test["value"] == *value
}

fn within<T: PartialOrd>(
    value: T,
    bounds: &serde_json::Map<String, Value>,
    read: &dyn Fn(&Value) -> Option<T>,
) -> bool {
    bounds.iter().all(|(name, bound)| match (name.as_str(), read(bound)) {
        (_, None) => true,
        ("gt", Some(bound)) => value > bound,
        ("gte", Some(bound)) => value >= bound,
        ("lt", Some(bound)) => value < bound,
        ("lte", Some(bound)) => value <= bound,
        (other, _) => panic!("{other}"),
    })
}

// --- Random payloads and filters ---------------------------------------------------------------

const BIG: i64 = 1 << 53;

fn long(end: &str) -> String {
    format!("{}{end}", "long ".repeat(60))
}

fn scalar(rng: &mut StdRng) -> Value {
    let times = |rng: &mut StdRng| json!(TIMES.choose(rng).unwrap().0);
    match rng.random_range(0..12) {
        0 => Value::Null,
        1 => json!(rng.random_bool(0.5)),
        2 | 3 => json!(rng.random_range(-2..3)),
        4 => json!(f64::from(rng.random_range(-4..5)) / 2.0),
        5 => json!([BIG, BIG + 1, -BIG, i64::MIN, i64::MAX].choose(rng).unwrap()),
        6 => json!([-0.0, 1e300, -1e-300, 9_007_199_254_740_993.0].choose(rng).unwrap()),
        7 => json!(u64::MAX - rng.random_range(0..2)),
        8 => times(rng),
        9 => json!(long(["x", "y"].choose(rng).unwrap())),
        _ => json!(["red", "green", "blue", "", "re", "red\u{0}"].choose(rng).unwrap()),
    }
}

fn value(rng: &mut StdRng, depth: u32) -> Value {
    match rng.random_range(0..if depth == 0 { 6 } else { 9 }) {
        0..=5 => scalar(rng),
        6 => object(rng, depth - 1),
        _ => (0..rng.random_range(0..4)).map(|_| value(rng, depth - 1)).collect(),
    }
}

fn object(rng: &mut StdRng, depth: u32) -> Value {
    let mut map = serde_json::Map::new();
    for key in ["a", "b", "o", "l", "x y"] {
        if rng.random_bool(0.6) {
            let value = match key {
                "o" | "x y" if depth > 0 && rng.random_bool(0.7) => object(rng, depth - 1),
                "l" if depth > 0 && rng.random_bool(0.7) => {
                    (0..rng.random_range(0..4)).map(|_| object(rng, depth - 1)).collect()
                }
                _ => value(rng, depth.min(2)),
            };
            map.insert(key.into(), value);
        }
    }
    map.into()
}

fn id(number: u64) -> Value {
    match number % 3 {
        0 => json!(uuid::Uuid::from_u128(u128::from(number)).to_string()),
        _ => json!(number),
    }
}

fn bounds(rng: &mut StdRng, bound: &mut dyn FnMut(&mut StdRng) -> Value) -> Value {
    let mut map = serde_json::Map::new();
    for name in ["gt", "gte", "lt", "lte"] {
        if rng.random_bool(0.4) {
            map.insert(name.into(), bound(rng));
        }
    }
    map.into()
}

fn number(rng: &mut StdRng) -> Value {
    loop {
        let value = scalar(rng);
        if value.is_number() {
            return value;
        }
    }
}

fn time(rng: &mut StdRng) -> Value {
    json!(TIMES[rng.random_range(0..8)].0)
}

fn scalars(rng: &mut StdRng) -> Value {
    let strings = rng.random_bool(0.5);
    let count = rng.random_range(0..4);
    let mut picked = Vec::new();
    while picked.len() < count {
        let value = scalar(rng);
        if if strings { value.is_string() } else { value.is_i64() } {
            picked.push(value);
        }
    }
    picked.into()
}

fn matching(rng: &mut StdRng) -> Value {
    match rng.random_range(0..4) {
        0 => json!({"any": scalars(rng)}),
        1 => json!({"except": scalars(rng)}),
        _ => loop {
            let value = scalar(rng);
            if value.is_string() || value.is_i64() || value.is_boolean() {
                return json!({"value": value});
            }
        },
    }
}

fn condition(rng: &mut StdRng, depth: u32, nested: bool) -> Value {
    let key = KEYS.choose(rng).unwrap().0;
    match rng.random_range(0..18) {
        0..=4 => json!({"key": key, "match": matching(rng)}),
        5..=7 => json!({"key": key, "range": bounds(rng, &mut number)}),
        8 => json!({"key": key, "range": bounds(rng, &mut time)}),
        9 => {
            json!({"key": key, "values_count": bounds(rng, &mut |rng| json!(rng.random_range(0..4)))})
        }
        10 => json!({"is_empty": {"key": key}}),
        11 => json!({"is_null": {"key": key}}),
        12 => json!({"key": key, "is_empty": rng.random_bool(0.5)}),
        13 => json!({"key": key, "is_null": rng.random_bool(0.5)}),
        14 if !nested => {
            let ids: Vec<_> =
                (0..rng.random_range(0..30)).map(|_| id(rng.random_range(0..400))).collect();
            json!({"has_id": ids})
        }
        15 if !nested => {
            let name = ["dense", "tokens", "none"].choose(rng).unwrap();
            json!({"has_vector": name})
        }
        16 if depth > 0 => {
            let key = ["l", "l[]", "o"].choose(rng).unwrap();
            json!({"nested": {"key": key, "filter": filter(rng, depth - 1, true)}})
        }
        _ if depth > 0 => filter(rng, depth - 1, nested),
        _ => json!({"key": key, "match": matching(rng)}),
    }
}

fn filter(rng: &mut StdRng, depth: u32, nested: bool) -> Value {
    let mut map = serde_json::Map::new();
    for clause in ["must", "should", "must_not"] {
        if rng.random_bool(0.4) {
            let one = rng.random_bool(0.2);
            let list: Vec<_> =
                (0..rng.random_range(0..3)).map(|_| condition(rng, depth, nested)).collect();
            let clauses = if one { condition(rng, depth, nested) } else { list.into() };
            map.insert(clause.into(), clauses);
        }
    }
    if rng.random_bool(0.2) {
        let conditions: Vec<_> =
            (0..rng.random_range(0..4)).map(|_| condition(rng, depth, nested)).collect();
        let min_count = rng.random_range(1..4);
        map.insert("min_should".into(), json!({"conditions": conditions, "min_count": min_count}));
    }
    map.into()
}

// --- The library, with indexes in memory ---------------------------------------------------------

struct Memory {
    points: Vec<Point>,
    indexes: BTreeMap<(FieldPath, IndexKind), BTreeMap<Vec<u8>, PointSet>>,
}

impl Memory {
    fn new(points: Vec<Point>, indexes: &[(FieldPath, IndexKind)]) -> Self {
        let index = |(field, kind): &(FieldPath, IndexKind)| {
            let mut index: BTreeMap<Vec<u8>, PointSet> = BTreeMap::new();
            for (point, number) in points.iter().zip(0..) {
                for key in kind.keys(field, point.payload.as_object().unwrap()) {
                    assert!(key.len() <= LONGEST_KEY);
                    index.entry(key).or_default().insert(PointNumber::new(number));
                }
            }
            ((field.clone(), kind.clone()), index)
        };
        let indexes = indexes.iter().map(index).collect();
        Self { points, indexes }
    }

    fn points_where(&self, holds: impl Fn(&Point) -> bool) -> PointSet {
        (0..)
            .zip(&self.points)
            .filter(|(_, point)| holds(point))
            .map(|(number, _)| PointNumber::new(number))
            .collect()
    }
}

fn point_id(id: &Value) -> PointId {
    serde_json::from_value(id.clone()).unwrap()
}

impl Points for Memory {
    fn all(&self) -> Result<Cow<'_, PointSet>> {
        Ok(Cow::Owned(self.points_where(|_| true)))
    }

    fn indexes(&self, field: &FieldPath) -> Result<Vec<IndexKind>> {
        Ok(self
            .indexes
            .keys()
            .filter(|(it, _)| it == field)
            .map(|(_, kind)| kind.clone())
            .collect())
    }

    fn with_keys(&self, field: &FieldPath, kind: &IndexKind, spans: &[Span]) -> Result<PointSet> {
        let index = &self.indexes[&(field.clone(), kind.clone())];
        let within = |span: &Span| index.range(span.start.clone()..span.end.clone());
        Ok(spans.iter().flat_map(within).flat_map(|(_, points)| points).collect())
    }

    fn with_ids(&self, ids: &BTreeSet<PointId>) -> Result<PointSet> {
        Ok(self.points_where(|point| ids.contains(&point_id(&point.id))))
    }

    fn with_vector(&self, name: &str) -> Result<PointSet> {
        Ok(self.points_where(|point| point.vectors.contains(&name)))
    }

    fn payload(&self, point: PointNumber) -> Result<(PointId, Payload)> {
        let point = &self.points[point.get() as usize];
        Ok((point_id(&point.id), point.payload.as_object().unwrap().clone()))
    }
}

#[test]
fn indexed_scanned_and_judged_are_the_same() {
    let mut rng = StdRng::seed_from_u64(5);
    let point = |rng: &mut StdRng, number| {
        let vectors = ["dense", "tokens"].into_iter().filter(|_| rng.random_bool(0.5)).collect();
        Point { id: id(number), vectors, payload: object(rng, 3) }
    };
    let (mut some, mut unscanned) = (0, 0);
    for round in 0..30 {
        let points: Vec<_> = (0..300).map(|number| point(&mut rng, number)).collect();
        let every = KEYS.iter().flat_map(|(key, _)| {
            IndexKind::ALL.map(|kind| (key.parse::<FieldPath>().unwrap(), kind))
        });
        let share = f64::from(round % 5) / 4.0;
        let indexes: Vec<_> = every.filter(|_| rng.random_bool(share)).collect();
        let memory = Memory::new(points, &indexes);
        for _ in 0..100 {
            let json = filter(&mut rng, 2, false);
            let filter: Filter = json.to_string().parse().unwrap_or_else(|e| panic!("{e}: {json}"));
            let expected = memory.points_where(|point| judge(&json, &point.payload, point));
            let scanned = memory.points_where(|point| {
                let payload = point.payload.as_object().unwrap();
                let (id, vectors) = (point_id(&point.id), point.vectors.as_slice());
                filter.matches(&Subject { id, payload, vectors, texts: &[] }).unwrap()
            });
            let selected = filter.select(&memory).unwrap();
            assert_eq!(scanned, expected, "scanned: {json}");
            assert_eq!(selected.points, expected, "with {} indexes: {json}", indexes.len());
            some += usize::from(!expected.is_empty() && expected.len() < 300);
            unscanned += usize::from(selected.scanned == 0 && !filter.is_empty());
        }
    }
    assert!(some > 1000, "{some} filters split the points");
    assert!(unscanned > 300, "{unscanned} filters were answered by indexes alone");
}

#[test]
fn an_index_reads_no_payload_that_it_can_spare() {
    let points = (0..1000).map(|number| Point {
        id: json!(number),
        vectors: Vec::new(),
        payload: json!({"city": format!("c{}", number % 10), "year": number, "free": number % 2}),
    });
    let indexes = [("city", IndexKind::Keyword), ("year", IndexKind::Integer)];
    let indexes = indexes.map(|(key, kind)| (key.parse().unwrap(), kind));
    let memory = Memory::new(points.collect(), &indexes);
    let select = |filter: Value| {
        let selected = filter.to_string().parse::<Filter>().unwrap().select(&memory).unwrap();
        (selected.points.len(), selected.scanned)
    };
    let city = json!({"key": "city", "match": {"value": "c3"}});
    let year = json!({"key": "year", "range": {"lt": 100}});
    let free = json!({"key": "free", "match": {"value": 1}});
    assert_eq!(select(json!({"must": [city, year]})), (10, 0));
    assert_eq!(select(json!({"must_not": [city, year]})), (810, 0));
    assert_eq!(select(json!({"must": [free, city], "should": year})), (10, 10));
    assert_eq!(select(json!({"should": [free, city]})), (500, 900));
    assert_eq!(select(json!({"must": free})), (500, 1000));
    assert_eq!(select(json!({})), (1000, 0));
}

fn empty_points(count: u64) -> Memory {
    let point = |number| Point { id: json!(number), vectors: Vec::new(), payload: json!({}) };
    Memory::new((0..count).map(point).collect(), &[])
}

/// The conditions that hold for a point are those on its divisors.
#[test]
fn conditions_are_counted_whatever_their_number() {
    const POINTS: usize = 1000;
    let (memory, mut divisors) = (empty_points(POINTS as u64), vec![0; POINTS]);
    let mut conditions = Vec::new();
    for of in 1..=300 {
        (0..POINTS).step_by(of).for_each(|multiple| divisors[multiple] += 1);
        conditions.push(Condition::has_id((0..POINTS as u64).step_by(of)));
    }
    for least in [0, 1, 2, 3, 7, 8, 13, 16, 31, 32, 299, 300, 301] {
        let filter = Filter::new().min_should(least, conditions.clone());
        let expected = (0..POINTS as u32).filter(|point| divisors[*point as usize] >= least);
        let expected = expected.map(PointNumber::new);
        assert_eq!(filter.select(&memory).unwrap().points, expected.collect(), "{least}");
    }
}

/// Their number times how many have to hold would be half a minute.
#[test]
fn many_conditions_take_time_in_proportion_to_their_number() {
    let (memory, conditions) = (empty_points(50_000), vec![Filter::new().into(); 4000]);
    let filter = Filter::new().min_should(2000, conditions);
    let start = Instant::now();
    assert_eq!(filter.select(&memory).unwrap().points.len(), 50_000);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_filter_survives_json() {
    let mut rng = StdRng::seed_from_u64(6);
    for _ in 0..2000 {
        let json = filter(&mut rng, 3, false);
        let filter: Filter = serde_json::from_value(json.clone()).unwrap();
        let written = serde_json::to_string(&filter).unwrap();
        assert_eq!(written.parse::<Filter>().unwrap(), filter, "{json}");
    }
}

/// What JSON can't say is not written: it would be read as something else, or not at all.
#[test]
fn a_filter_that_json_cannot_hold_is_not_written() {
    let field = |test: Test| Filter::new().must(Condition::Field("a".parse().unwrap(), test));
    let within = |range: Range<f64>| field(range.into());
    let mut deep = Filter::new();
    for _ in 0..100 {
        deep = Filter::new().must(deep);
    }
    let nested = |condition| Condition::nested("a", Filter::new().must(condition)).unwrap();
    let refused = [
        (within(Range::new().lt(f64::NAN)), "finite bounds, got NaN"),
        (within(Range::new().gte(f64::INFINITY)), "finite bounds, got inf"),
        (within(Range::new().lte(1.0).gt(f64::NEG_INFINITY)), "finite bounds, got -inf"),
        (field(Range::new().lt(Datetime::from_micros(i64::MAX)).into()), "of the years -262143 to"),
        (field(Range::new().lt(Datetime::from_micros(i64::MIN)).into()), "of the years -262143 to"),
        (Filter::new().min_should(0, vec![]), "min_count of at least 1, got 0"),
        (Filter::new().must(nested(Condition::has_id([1]))), "ids and vectors"),
        (Filter::new().should(nested(Condition::has_vector("v"))), "ids and vectors"),
        (deep, "nested less deeply"),
    ];
    for (filter, part) in refused {
        let error = serde_json::to_string(&filter).unwrap_err().to_string();
        assert!(error.contains(part), "{part} in {error}");
        let inside = Filter::new().must_not(filter);
        assert!(serde_json::to_string(&inside).unwrap_err().to_string().contains(part), "{part}");
        let request = QueryRequest::new(vec![1.0]).filter(inside);
        assert!(serde_json::to_string(&request).unwrap_err().to_string().contains(part), "{part}");
    }
    let none = field(Match::any(Scalars::Integers(BTreeSet::new())).into());
    assert_eq!(serde_json::to_string(&none).unwrap().parse::<Filter>().unwrap(), none);
    let mut deep = Filter::new().must(Condition::has_id([1]));
    for _ in 0..50 {
        deep = Filter::new().must(deep);
    }
    assert_eq!(serde_json::to_string(&deep).unwrap().parse::<Filter>().unwrap(), deep);
}

/// Levels that no stack has room for: refused where it is used, and dropped.
#[test]
fn a_filter_of_any_depth_is_refused_or_evaluated() {
    let levels = |count: usize, more: &dyn Fn(Filter) -> Filter| {
        (1..count).fold(Filter::new().must(Condition::has_id([1])), |filter, _| more(filter))
    };
    let nested = |filter| Filter::new().must_not(Condition::nested("a", filter).unwrap());
    let counted = |filter: Filter| Filter::new().min_should(1, vec![filter.into()]);
    let ways: [&dyn Fn(Filter) -> Filter; 4] =
        [&|it| Filter::new().must(it), &|it| Filter::new().should(it), &nested, &counted];
    let payload = Payload::new();
    let subject = Subject { id: 1.into(), payload: &payload, vectors: &[], texts: &[] };
    let memory = Memory::new(vec![], &[]);
    let expected = "expected the depth of a filter to be at most 200, got more";
    for more in ways {
        assert!(levels(Filter::DEEPEST, more).matches(&subject).unwrap());
        for count in [Filter::DEEPEST + 1, 100_000] {
            let deep = levels(count, more);
            assert_eq!(deep.matches(&subject).unwrap_err().to_string(), expected);
            assert_eq!(deep.select(&memory).unwrap_err().to_string(), expected);
            assert!(serde_json::to_string(&deep).is_err());
            let request = QueryRequest::new(vec![1.0]).filter(deep);
            let limits = RequestLimits::new().depth(usize::MAX);
            assert_eq!(limits.check(&request).unwrap_err().to_string(), expected);
        }
    }
}

/// A document from another format than text, which has no limit of levels of its own.
#[test]
fn deep_json_is_refused_whatever_it_is_read_from() {
    let deep = |levels| (0..levels).fold(json!({}), |inside, _| json!({"must": inside}));
    assert!(Filter::deserialize(&deep(100)).is_ok());
    let error = Filter::deserialize(&deep(1_000)).unwrap_err().to_string();
    assert_eq!(error, "expected at most 128 levels, got more");
}

/// Digits beyond 64 bits are not rounded away; what is spelled as f64 is written is f64.
#[test]
fn integers_that_nothing_holds_are_refused() {
    let read = |bound: &str| {
        let text = format!(r#"{{"must": [{{"key": "\"1e9\"", "range": {{"lt": {bound}}}}}]}}"#);
        text.parse::<Filter>().map_err(|error| error.to_string())
    };
    for bound in ["18446744073709551617", "-9223372036854775809", "123456789012345678901234567890"]
    {
        let expected = "an integer of 64 bits, or any other number that f64 holds";
        let expected = format!("expected filter.must[0].range.lt to be {expected}, got {bound}");
        assert_eq!(read(bound).unwrap_err(), expected);
    }
    let accepted = [
        ("18446744073709551615", 2_f64.powi(64)),
        ("18446744073709551616", 2_f64.powi(64)),
        ("18446744073709552000", 2_f64.powi(64)),
        ("-9223372036854775808", -(2_f64.powi(63))),
        ("100000000000000000000", 1e20),
        ("18446744073709551617.0", 2_f64.powi(64)),
        ("123456789012345678901e3", 1.2345678901234568e23),
    ];
    for (bound, expected) in accepted {
        let lt =
            Filter::new().must(Condition::field("\"1e9\"", Range::new().lt(expected)).unwrap());
        assert_eq!(read(bound), Ok(lt), "{bound}");
    }
}

/// Half of a filter is not dropped because a key stands there twice.
#[test]
fn a_key_that_stands_twice_is_refused_with_its_place() {
    let a = r#"{"key": "a", "match": {"value": 1}}"#;
    let cases = [
        (format!(r#"{{"must": [{a}], "must": [{a}]}}"#), "filter.must"),
        (
            format!(r#"{{"should": [{a}, {{"must_not": {a}, "must_not": []}}]}}"#),
            "filter.should[1].must_not",
        ),
        (r#"{"must": {"key": "a", "range": {"gt": 1, "gt": 2}}}"#.into(), "filter.must.range.gt"),
        (
            r#"{"must": {"key": "a", "match": {"value": 1}, "match": {"value": 2}}}"#.into(),
            "filter.must.match",
        ),
        (r#"{"must": {"key": "a", "key": "b", "is_null": true}}"#.into(), "filter.must.key"),
        (r#"{"must": null, "must": null}"#.into(), "filter.must"),
    ];
    for (json, path) in cases {
        // At the end of the second key.
        let key = format!("\"{}\"", path.rsplit('.').next().unwrap());
        let column = json.rfind(&key).unwrap() + key.len();
        let told = format!("expected {path} once, got it again in line 1, column {column}");
        assert_eq!(json.parse::<Filter>().unwrap_err().to_string(), told, "{json}");
        let error = serde_json::from_str::<Filter>(&json).unwrap_err().to_string();
        assert!(error.starts_with(&format!("expected {path} once, got it again")), "{error}");
    }
    // In a text of several lines, and after a byte-order mark.
    let error = "\u{feff}{\"must\":\n[],\n\"must\": []}".parse::<Filter>().unwrap_err();
    assert_eq!(error.to_string(), "expected filter.must once, got it again in line 3, column 6");
}

/// As Qdrant's Python models print them with `model_dump_json()`.
#[test]
fn fields_that_are_null_ask_for_nothing() {
    let model = r#"{"should": null, "min_should": null, "must": [
        {"key": "a", "match": null, "range": {"lt": null, "gt": null, "gte": 3.0, "lte": null},
         "geo_bounding_box": null, "geo_radius": null, "geo_polygon": null, "values_count": null,
         "is_empty": null, "is_null": null},
        {"key": "b", "match": {"value": 1, "any": null, "text": null, "phrase": null}, "nested": null},
        {"key": null, "has_id": [1], "must": null, "slice": null},
        {"has_vector": "v", "key": null},
        {"is_empty": {"key": "c"}, "is_null": null},
        {"nested": {"key": "d", "filter": {"must": null}}, "has_id": null}
    ], "must_not": null}"#;
    let bare = r#"{"must": [
        {"key": "a", "range": {"gte": 3.0}}, {"key": "b", "match": {"value": 1}}, {"has_id": [1]},
        {"has_vector": "v"}, {"is_empty": {"key": "c"}}, {"nested": {"key": "d", "filter": {}}}
    ]}"#;
    assert_eq!(model.parse::<Filter>().unwrap(), bare.parse().unwrap());
    for json in [r#"{"muts": null}"#, r#"{"must": {"key": "a", "is_null": true, "is_nul": null}}"#]
    {
        assert!(matches!(json.parse::<Filter>(), Err(Error::UnknownField { .. })), "{json}");
    }
}

// --- What Qdrant's documentation and sources say, case by case -------------------------------------

fn matches(filter: Value, payload: Value) -> bool {
    let filter: Filter = filter.to_string().parse().unwrap();
    let payload = payload.as_object().unwrap();
    filter.matches(&Subject { id: 1.into(), payload, vectors: &[], texts: &[] }).unwrap()
}

#[test]
fn matching_is_exact_on_types() {
    let is = |wanted: Value, value: Value| {
        matches(json!({"must": {"key": "a", "match": {"value": wanted}}}), json!({"a": value}))
    };
    assert!(is(json!(5), json!(5)) && is(json!(5), json!([4, 5])) && is(json!(true), json!(true)));
    assert!(!is(json!(5), json!(5.0)) && !is(json!(5), json!("5")) && !is(json!("5"), json!(5)));
    assert!(
        !is(json!(5), json!([[5]])) && !is(json!(true), json!(1)) && !is(json!("a"), json!("A"))
    );
}

#[test]
fn except_asks_for_another_value() {
    let except = |payload: Value| {
        matches(json!({"must": {"key": "a", "match": {"except": ["x", "y"]}}}), payload)
    };
    assert!(
        except(json!({"a": "z"})) && except(json!({"a": ["x", "z"]})) && except(json!({"a": 1}))
    );
    assert!(!except(json!({"a": "x"})) && !except(json!({"a": ["x", "y"]})));
    assert!(!except(json!({})) && !except(json!({"a": null})) && !except(json!({"a": []})));
    assert!(except(json!({"a": {}})) && except(json!({"a": [["x"]]})));
}

#[test]
fn empty_and_null() {
    let tell = |payload: Value| {
        let tell = |kind: &str| matches(json!({"must": {kind: {"key": "a"}}}), payload.clone());
        (tell("is_empty"), tell("is_null"))
    };
    assert_eq!(tell(json!({})), (true, false));
    assert_eq!(tell(json!({"a": null})), (true, true));
    assert_eq!(tell(json!({"a": []})), (true, false));
    assert_eq!(tell(json!({"a": [null]})), (false, true));
    assert_eq!(tell(json!({"a": ""})), (false, false));
    assert_eq!(tell(json!({"a": {}})), (false, false));
}

#[test]
fn counting_values() {
    let count = |bounds: Value, payload: Value| {
        matches(json!({"must": {"key": "a", "values_count": bounds}}), payload)
    };
    assert!(
        count(json!({"gt": 1}), json!({"a": [1, 2]})) && !count(json!({"gt": 1}), json!({"a": 7}))
    );
    assert!(count(json!({"lt": 1}), json!({})) && count(json!({"lt": 1}), json!({"a": null})));
    assert!(count(json!({"gte": 1, "lte": 1}), json!({"a": {"b": 1, "c": 2}})));
}

#[test]
fn clauses_without_conditions() {
    let everything = json!({"a": 1});
    for filter in [json!({}), json!({"must": []}), json!({"should": []}), json!({"must_not": null})]
    {
        assert!(matches(filter, everything.clone()));
    }
    let min_should = json!({"min_should": {"conditions": [], "min_count": 1}});
    assert!(!matches(min_should, everything.clone()));
    let not = json!({"must_not": [{"key": "a", "match": {"value": 1}}]});
    assert!(!matches(not.clone(), everything) && matches(not, json!({})));
}

#[test]
fn nested_conditions_hold_for_one_element() {
    let diet =
        json!({"diet": [{"food": "leaves", "likes": false}, {"food": "meat", "likes": true}]});
    let both = json!([
        {"key": "food", "match": {"value": "meat"}},
        {"key": "likes", "match": {"value": false}}
    ]);
    let nested = |filter: Value| {
        matches(json!({"must": {"nested": {"key": "diet", "filter": filter}}}), diet.clone())
    };
    assert!(!nested(json!({"must": both})) && nested(json!({"should": both})));
    assert!(nested(json!({"must_not": [{"key": "food", "match": {"value": "meat"}}]})));
    let flat = json!({"must": [
        {"key": "diet[].food", "match": {"value": "meat"}},
        {"key": "diet[].likes", "match": {"value": false}}
    ]});
    assert!(matches(flat, diet.clone()));
}

#[test]
fn datetimes_in_every_format() {
    for (text, micros) in TIMES {
        let read = text.parse::<Datetime>().ok().map(Datetime::micros);
        assert_eq!(read, micros, "{text}");
    }
    let time: Datetime = "2024-02-29T12:00:00.25Z".parse().unwrap();
    assert_eq!(time.to_string().parse::<Datetime>().unwrap(), time);
}

/// SipHash-2-4 of ids, computed by a program of its own.
#[test]
fn slices_are_those_of_the_hash() {
    let holds = |id: PointId, total, index| {
        let json = json!({"must": {"slice": {"total": total, "index": index}}}).to_string();
        let filter = json.parse::<Filter>().unwrap();
        assert_eq!(serde_json::to_string(&filter).unwrap().parse::<Filter>().unwrap(), filter);
        let payload = &Payload::new();
        filter.matches(&Subject { id, payload, vectors: &[], texts: &[] }).unwrap()
    };
    let of_four = [3, 2, 1, 2, 0, 0, 1, 0, 1, 2, 0, 1];
    let of_seven = [3, 2, 3, 3, 2, 2, 6, 6, 2, 6, 5, 5];
    let numbers = (0_u64..).zip(of_four.into_iter().zip(of_seven));
    let numbers = numbers.map(|(id, slices)| (PointId::from(id), slices));
    let others = [
        (PointId::from((1_u64 << 63) + 5), (0, 6)),
        ("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap(), (0, 3)),
        ("936da01f-9abd-4d9d-80c7-02af85c822a8".parse().unwrap(), (1, 1)),
    ];
    for (id, (of_four, of_seven)) in numbers.chain(others) {
        assert!((0..4).all(|index| holds(id, 4, index) == (index == of_four)), "{id}");
        assert!((0..7).all(|index| holds(id, 7, index) == (index == of_seven)), "{id}");
        assert!(holds(id, 1, 0));
    }
    let conditions = [Slice::new(4, 1).unwrap(), Slice::new(4, 2).unwrap()];
    let filter =
        conditions.into_iter().fold(Filter::new(), |it, slice| it.should(Condition::Slice(slice)));
    let collection = Collection::temporary(CollectionConfig::new()).unwrap();
    collection.upsert((0..12).map(maxfold::Point::new).collect()).unwrap();
    let page = collection.snapshot().unwrap().scroll(Some(&filter), None, 100).unwrap();
    let ids: Vec<_> = page.points.iter().map(|it| it.0).collect();
    assert_eq!(ids, [1, 2, 3, 6, 8, 9, 11].map(PointId::from));
}

/// One of them has to pass, as in Qdrant.
#[test]
fn a_field_may_have_several_tests() {
    let filter: Filter =
        r#"{"must": {"key": "a", "match": {"value": 1}, "range": {"gt": 5}, "is_null": true}}"#
            .parse()
            .unwrap();
    for (value, expected) in [
        (json!(1), true),
        (json!(6), true),
        (json!(null), true),
        (json!(3), false),
        (json!([3, 7]), true),
    ] {
        let payload = json!({"a": value});
        let subject = Subject {
            id: 1.into(),
            payload: payload.as_object().unwrap(),
            vectors: &[],
            texts: &[],
        };
        assert_eq!(filter.matches(&subject).unwrap(), expected, "{payload}");
    }
}

/// A leap second is after what was before it, and before the minute that follows.
#[test]
fn leap_seconds_are_in_order() {
    let times =
        ["23:59:59.5Z", "23:59:60Z", "23:59:60.9Z"].map(|time| format!("2016-12-31T{time}"));
    let times = times.map(|time| time.parse::<Datetime>().unwrap().micros());
    let next = "2017-01-01T00:00:00Z".parse::<Datetime>().unwrap().micros();
    assert_eq!(times, [next - 500_000, next - 1, next - 1]);
    assert!("2016-12-31 23:59:60".parse::<Datetime>().unwrap() < Datetime::from_micros(next));
}

/// Whatever is read as a time can be written, and is read again as the same.
#[test]
fn datetimes_of_every_year_survive() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut read = 0;
    for round in 0..20_000 {
        let year = [-262_143, 262_142, 9999, 10_000, 0, -1, 2024][round % 7];
        let text = format!(
            "{year:+05}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}",
            [1, 6, 12][rng.random_range(0..3)],
            [1, 30, 31][rng.random_range(0..3)],
            [0, 12, 23][rng.random_range(0..3)],
            [0, 59][rng.random_range(0..2)],
            [0, 59, 60][rng.random_range(0..3)],
            ["", ".999999", ".9999999", ".000001"][rng.random_range(0..4)],
            ["Z", "+01:00", "-23:59", ""][rng.random_range(0..4)],
        );
        let Ok(time) = text.parse::<Datetime>() else { continue };
        read += 1;
        assert_eq!(time.to_string().parse::<Datetime>().unwrap(), time, "{text}");
        let filter = Filter::new().must(Condition::field("t", Range::new().lt(time)).unwrap());
        assert_eq!(serde_json::to_string(&filter).unwrap().parse::<Filter>().unwrap(), filter);
    }
    assert!(read > 10_000, "{read}");
}

#[test]
fn errors_name_the_place() {
    let cases = [
        (
            r#"{"muts": []}"#,
            r#"expected only must, should, must_not, min_should in filter, got "muts""#,
        ),
        (
            r#"{"must": [{}, {"key": "a", "range": {"gte": true}}]}"#,
            "expected filter.must[1].range.gte to be a number, got true",
        ),
        (
            r#"{"should": {"slice": {"total": 4, "index": 4}}}"#,
            "filter.should.slice: expected the index of a slice to be less than their number, 4, got 4",
        ),
        (
            r#"{"must": {"nested": {"key": "a", "filter": {"must": {"slice": {"total": 1, "index": 0}}}}}}"#,
            "filter.must.nested.filter.must.slice: the id of a nested object is not supported",
        ),
        (
            r#"{"must": {"key": "a", "geo_radius": {}}}"#,
            "expected filter.must.geo_radius.center to be given, got nothing",
        ),
        (
            r#"{"must": {"key": "a["}}"#,
            "expected filter.must to be a condition with at least 1 of match, range, geo_bounding_box, geo_radius, geo_polygon, values_count, is_empty, is_null: At least one field condition must be specified, got {\"key\":\"a[\"}",
        ),
        (
            r#"{"must": {"key": "a[", "is_null": true}}"#,
            "expected filter.must.key to be a payload key like a, a.b, a[0], a[].b or \"a b\".c, got \"a[\"",
        ),
        (
            r#"{"must": {"key": "t", "range": {"gte": "2024", "lt": 3}}}"#,
            "expected filter.must.range.gte to be a datetime in RFC 3339, like 2024-02-29T12:00:00Z, got \"2024\"",
        ),
        (
            r#"{"must": {"key": "a", "match": {"value": 1.5}}}"#,
            "expected filter.must.match.value to be a string, an integer of 64 bits or a boolean, got 1.5",
        ),
        (
            r#"{"must": {"key": "a", "match": {"any": ["x", 1]}}}"#,
            "expected filter.must.match.any to be strings, or integers of 64 bits, got [\"x\",1]",
        ),
        (
            r#"{"must": {"has_id": [1, -1]}}"#,
            "expected filter.must.has_id[1] to be an unsigned integer or a UUID, got -1",
        ),
        (
            r#"{"must": {"nested": {"key": "a", "filter": {"must": {"has_id": [1]}}}}}"#,
            "filter.must.nested.filter.must.has_id: the id of a nested object is not supported",
        ),
        (
            r#"{"min_should": {"conditions": [], "min_count": 0}}"#,
            "expected filter.min_should.min_count to be at least 1, got 0",
        ),
        (
            r#"{"min_should": {"conditions": []}}"#,
            "expected filter.min_should.min_count to be given, got nothing",
        ),
        (r#"[]"#, "expected filter to be an object, got []"),
        (r#"{"must": 3}"#, "expected filter.must to be an object, got 3"),
    ];
    for (filter, expected) in cases {
        assert_eq!(filter.parse::<Filter>().unwrap_err().to_string(), expected);
    }
    assert_eq!(
        "{\n]".parse::<Filter>().unwrap_err().to_string(),
        "expected a filter in JSON: key must be a string in line 2, column 1"
    );
}

#[test]
fn keys() {
    for key in ["a", "a.b-c", "ä_1[].b[3][]", r#""".a"#, r#""a.b[0]"."c d""#] {
        assert_eq!(key.parse::<FieldPath>().unwrap().to_string(), key);
    }
    assert_eq!(r#""plain""#.parse::<FieldPath>().unwrap().to_string(), "plain");
    for key in
        ["", ".", "a.", ".a", "a b", "a[", "a[x]", "a[-1]", "a[0", "a]", "a[]b", "\"a", "a[+1]"]
    {
        assert!(key.parse::<FieldPath>().is_err(), "{key}");
    }
}

// --- Payloads ----------------------------------------------------------------------------------------

fn fields(value: Value) -> Payload {
    value.as_object().unwrap().clone()
}

#[test]
fn merging_and_removing() {
    let mut payload =
        fields(json!({"a": 1, "b": {"c": 2, "d": [{"e": 3}, {"e": 4, "f": 5}]}, "g": 6}));
    payload::merge(&mut payload, &fields(json!({"a": null, "g": {"h": 7}})));
    assert_eq!(
        payload,
        fields(json!({"b": {"c": 2, "d": [{"e": 3}, {"e": 4, "f": 5}]}, "g": {"h": 7}}))
    );
    for key in ["b.d[].e", "b.d[0]", "g.x", "x.y", "b.c.z"] {
        payload::remove(&mut payload, &key.parse().unwrap());
    }
    assert_eq!(payload, fields(json!({"b": {"c": 2, "d": [{}, {"f": 5}]}, "g": {"h": 7}})));
    payload::remove(&mut payload, &"b.d[]".parse().unwrap());
    payload::remove(&mut payload, &"g".parse().unwrap());
    assert_eq!(payload, fields(json!({"b": {"c": 2, "d": []}})));
}

#[test]
fn selecting_a_part() {
    let payload = fields(json!({"a": 1, "b": {"c": 2, "d": [{"e": 3, "f": 4}]}, "g": [5, 6]}));
    let paths = |keys: &[&str]| keys.iter().map(|key| key.parse().unwrap()).collect::<Vec<_>>();
    let include =
        |keys: &[&str]| PayloadSelector::Include(paths(keys)).select(payload.clone()).unwrap();
    let exclude =
        |keys: &[&str]| PayloadSelector::Exclude(paths(keys)).select(payload.clone()).unwrap();
    assert_eq!(include(&["a", "b.d[].e"]), fields(json!({"a": 1, "b": {"d": [{"e": 3}]}})));
    assert_eq!(include(&["b"]), fields(json!({"b": {"c": 2, "d": [{"e": 3, "f": 4}]}})));
    assert_eq!(include(&[]), Payload::new());
    assert_eq!(
        exclude(&["a", "b.d[].e"]),
        fields(json!({"b": {"c": 2, "d": [{"f": 4}]}, "g": [5, 6]}))
    );
    assert_eq!(exclude(&["g[]", "b"]), fields(json!({"a": 1, "g": []})));
    assert_eq!(PayloadSelector::All.select(payload.clone()), Some(payload.clone()));
    assert_eq!(PayloadSelector::None.select(payload.clone()), None);
}
