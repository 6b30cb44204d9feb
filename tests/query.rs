//! A collection answers requests as Qdrant would.
//!
//! The judge works on the JSON of points and requests, in f64, and shares nothing with the library.
#![cfg(feature = "collection")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use half::f16;
use maxfold::collection::{Collection, PayloadIndex, Point, Vector};
use maxfold::filter::{Filter, IndexKind, PointId};
use maxfold::recall::{SearchParams, Strategy};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{
    Method, Prefetch, QueryRequest, QueryResponse, RequestLimits, ScoredPoint, Searcher,
    SearcherOptions, WithVector,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// `plain`, `dot` and `raw` hold quarters, with which every score is exact, and often the same.
const CONFIG: &str = r#"{"vectors": {
    "cosine": {"size": 5, "distance": "Cosine"},
    "plain": {"size": 3, "distance": "Euclid", "hnsw_config": {"m": 0}},
    "dot": {"size": 3, "distance": "Dot"},
    "tokens": {"size": 6, "distance": "Cosine", "datatype": "float16",
        "multivector_config": {"comparator": "max_sim"}},
    "raw": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
}}"#;

fn size(name: &str) -> usize {
    match name {
        "cosine" => 5,
        "tokens" => 6,
        "raw" => 4,
        _ => 3,
    }
}

fn is_multi(name: &str) -> bool {
    name == "tokens" || name == "raw"
}

// --- The judge -----------------------------------------------------------------------------------

/// Points as JSON, in the order of their ids: numbers before UUIDs.
type Model = BTreeMap<(bool, u128), Value>;

fn order(id: &Value) -> (bool, u128) {
    match id {
        Value::Number(number) => (false, number.as_u64().unwrap().into()),
        _ => (true, id.as_str().unwrap().parse::<uuid::Uuid>().unwrap().as_u128()),
    }
}

fn numbers(vector: &Value) -> Vec<f64> {
    vector.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn unit(row: Vec<f64>) -> Vec<f64> {
    let norm = dot(&row, &row).sqrt();
    row.into_iter().map(|it| if norm == 0.0 { it } else { it / norm }).collect()
}

/// The rows of a multivector, as they are kept.
fn rows(name: &str, vector: &Value) -> Vec<Vec<f64>> {
    let half = |it: f64| f16::from_f32(it as f32).to_f64();
    let kept = |row: &Value| match name {
        "tokens" => unit(numbers(row)).into_iter().map(half).collect(),
        _ => numbers(row).into_iter().map(half).collect::<Vec<f64>>(),
    };
    vector.as_array().unwrap().iter().map(kept).collect()
}

fn score(name: &str, query: &Value, vector: &Value) -> f64 {
    match name {
        "cosine" => dot(&unit(numbers(query)), &unit(numbers(vector))),
        "dot" => dot(&numbers(query), &numbers(vector)),
        "plain" => {
            let difference = numbers(query).into_iter().zip(numbers(vector)).map(|(x, y)| x - y);
            difference.map(|it| it * it).sum::<f64>().sqrt()
        }
        _ => {
            let documents = rows(name, vector);
            let best = |row: &Vec<f64>| {
                documents.iter().map(|it| dot(row, it)).fold(f64::NEG_INFINITY, f64::max)
            };
            rows(name, query).iter().map(best).sum()
        }
    }
}

fn many(clause: &Value) -> Vec<Value> {
    match clause {
        Value::Null => Vec::new(),
        Value::Array(conditions) => conditions.clone(),
        one => vec![one.clone()],
    }
}

fn passes(filter: &Value, point: &Value) -> bool {
    let holds = |clause: &str| -> Vec<bool> {
        many(&filter[clause]).iter().map(|it| condition_holds(it, point)).collect()
    };
    let should = holds("should");
    holds("must").iter().all(|it| *it)
        && !holds("must_not").contains(&true)
        && (should.is_empty() || should.contains(&true))
}

fn condition_holds(condition: &Value, point: &Value) -> bool {
    if let Some(ids) = condition["has_id"].as_array() {
        return ids.contains(&point["id"]);
    }
    let value = &point["payload"][condition["key"].as_str().unwrap()];
    many(value).iter().any(|value| {
        let (test, range) = (&condition["match"], &condition["range"]);
        if let Some(any) = test["any"].as_array() {
            any.contains(value)
        } else if range.is_object() {
            let number = value.as_f64();
            let above = range["gte"].as_f64().is_none_or(|bound| number >= Some(bound));
            let below = range["lt"].as_f64().is_none_or(|bound| number < Some(bound));
            number.is_some() && above && below
        } else {
            test["value"] == *value
        }
    })
}

/// The points that a search finds, with their scores: nearest first, then smallest id.
fn search(
    model: &Model,
    search: &Value,
    wanted: impl Fn(&Value) -> bool,
    limit: usize,
) -> Vec<(Value, f64)> {
    let name = search["using"].as_str().unwrap();
    let sign = if name == "plain" { 1.0 } else { -1.0 };
    let points = model.values().filter(|point| !point["vector"][name].is_null() && wanted(point));
    let scored = points
        .map(|point| (point["id"].clone(), score(name, &search["query"], &point["vector"][name])));
    let threshold = search["score_threshold"].as_f64();
    let good = |score: f64| threshold.is_none_or(|it| sign * score < sign * it);
    let mut found: Vec<_> = scored.filter(|(_, score)| good(*score)).collect();
    // Stable: equal scores stay in the order of ids.
    found.sort_by(|a, b| (sign * a.1).partial_cmp(&(sign * b.1)).unwrap());
    found.truncate(limit);
    found
}

fn limit(search: &Value) -> usize {
    search["limit"].as_u64().unwrap_or(10) as usize
}

/// The answer, nearest first, as ids and scores.
fn judge(model: &Model, request: &Value) -> Vec<(Value, f64)> {
    let outer = |point: &Value| passes(&request["filter"], point);
    let mut candidates = BTreeSet::new();
    for prefetch in many(&request["prefetch"]) {
        let wanted = |point: &Value| outer(point) && passes(&prefetch["filter"], point);
        let found = search(model, &prefetch, wanted, limit(&prefetch));
        candidates.extend(found.iter().map(|(id, _)| order(id)));
    }
    let prefetched = !request["prefetch"].is_null();
    let wanted =
        |point: &Value| outer(point) && (!prefetched || candidates.contains(&order(&point["id"])));
    let offset = request["offset"].as_u64().unwrap_or(0) as usize;
    let found = search(model, request, wanted, limit(request) + offset);
    found.into_iter().skip(offset).collect()
}

/// How far scores may be off: by the last bits of f32, and of f16 in unit vectors.
fn bound(name: &str, query: &Value) -> f64 {
    match name {
        // The latter for its root.
        "cosine" | "plain" => 1e-6,
        // Two roundings that the judge may have done the other way, in each row.
        "tokens" => rows(name, query).len() as f64 * 2_f64.powi(-10),
        _ => 0.0,
    }
}

/// The payload that is asked for; of keys at the top only.
fn payload(selector: &Value, payload: &Value) -> Value {
    let (include, exclude) = match selector {
        Value::Null | Value::Bool(false) => return Value::Null,
        Value::Bool(true) => return payload.clone(),
        Value::Array(_) => (Some(selector), None),
        _ => (selector.get("include"), selector.get("exclude")),
    };
    let named = |keys: Option<&Value>, key: &str| {
        keys.is_some_and(|keys| keys.as_array().unwrap().contains(&json!(key)))
    };
    let wanted =
        |key: &str| if exclude.is_some() { !named(exclude, key) } else { named(include, key) };
    let fields = payload.as_object().unwrap().iter().filter(|(key, _)| wanted(key));
    Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn check(model: &Model, request: &Value, response: &QueryResponse) {
    let expected = judge(model, request);
    let got = serde_json::to_value(response).unwrap();
    let got = got["points"].as_array().unwrap();
    let ids = |points: &[Value]| points.iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
    let name = request["using"].as_str().unwrap();
    let bound = bound(name, &request["query"]);
    assert_eq!(got.len(), expected.len(), "{request}\n{}", response.plan);
    if bound < 1e-3 {
        let expected: Vec<_> = expected.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(ids(got), expected, "{request}\n{}", response.plan);
    }
    for (point, (_, score_at_rank)) in got.iter().zip(&expected) {
        let known = &model[&order(&point["id"])];
        let got = point["score"].as_f64().unwrap();
        let own = score(name, &request["query"], &known["vector"][name]);
        assert!((got - own).abs() <= bound, "{got} instead of {own}: {request}");
        assert!((got - score_at_rank).abs() <= 2.0 * bound, "{got}, {score_at_rank}: {request}");
        assert_eq!(point["payload"], payload(&request["with_payload"], &known["payload"]));
        check_vectors(&request["with_vector"], &point["vector"], &known["vector"]);
    }
    let found: BTreeSet<_> = got.iter().map(|it| order(&it["id"])).collect();
    assert_eq!(found.len(), got.len(), "a point twice: {request}");
}

fn check_vectors(wanted: &Value, got: &Value, known: &Value) {
    let names = match wanted {
        Value::Bool(true) => known.as_object().unwrap().keys().cloned().collect(),
        Value::Array(names) => names.iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
        _ => {
            assert!(got.is_null());
            Vec::new()
        }
    };
    let there = names.iter().filter(|name| !known[name.as_str()].is_null());
    assert_eq!(got.as_object().map_or(0, |it| it.len()), there.clone().count(), "{wanted}");
    for name in there {
        let flat = |vector: &Value| match is_multi(name) {
            true => rows(name, vector).concat(),
            false if name == "cosine" => unit(numbers(vector)),
            false => numbers(vector),
        };
        let (got, expected) = (flat(&got[name]), flat(&known[name]));
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3), "{name}");
    }
}

// --- Random points and requests --------------------------------------------------------------------

fn row(rng: &mut StdRng, name: &str) -> Value {
    let exact = name != "cosine" && name != "tokens";
    let value = |rng: &mut StdRng| match exact {
        true => f64::from(rng.random_range(-4..5)) / 4.0,
        false => f64::from(rng.random_range(-1.0..1.0_f32)),
    };
    (0..size(name)).map(|_| value(rng)).collect::<Vec<_>>().into()
}

fn vector(rng: &mut StdRng, name: &str) -> Value {
    match is_multi(name) {
        true => (0..rng.random_range(1..6)).map(|_| row(rng, name)).collect(),
        false => row(rng, name),
    }
}

fn id(rng: &mut StdRng) -> Value {
    let number = rng.random_range(0..400_u64);
    match number % 3 {
        0 => json!(uuid::Uuid::from_u128(u128::from(number * 7919 % 400) << 90).to_string()),
        _ => json!(number * 7919 % 400),
    }
}

const NAMES: [&str; 5] = ["cosine", "plain", "dot", "tokens", "raw"];

fn point(rng: &mut StdRng) -> Value {
    let mut vectors = serde_json::Map::new();
    for name in NAMES {
        if rng.random_bool(0.8) {
            vectors.insert(name.into(), vector(rng, name));
        }
    }
    let mut payload = serde_json::Map::new();
    if rng.random_bool(0.8) {
        payload.insert("color".into(), json!(["red", "green", "blue"].choose(rng).unwrap()));
    }
    if rng.random_bool(0.8) {
        payload.insert("n".into(), json!(rng.random_range(0..10)));
    }
    if rng.random_bool(0.5) {
        let tags = (0..rng.random_range(0..3)).map(|_| json!(["x", "y"].choose(rng).unwrap()));
        payload.insert("tags".into(), tags.collect());
    }
    json!({"id": id(rng), "payload": payload, "vector": vectors})
}

fn filter(rng: &mut StdRng) -> Value {
    let condition = |rng: &mut StdRng| match rng.random_range(0..5) {
        0 => json!({"key": "color", "match": {"value": "red"}}),
        1 => json!({"key": "tags", "match": {"any": ["x", "z"]}}),
        2 => json!({"key": "n", "match": {"value": rng.random_range(0..10)}}),
        3 => json!({"key": "n", "range": {"gte": rng.random_range(0..5), "lt": 9.5}}),
        _ => json!({"has_id": (0..60).map(|_| id(rng)).collect::<Vec<_>>()}),
    };
    let clause = *["must", "should", "must_not"].choose(rng).unwrap();
    let mut filter = json!({clause: [condition(rng)]});
    if rng.random_bool(0.4) {
        filter["should"] = json!([condition(rng), condition(rng)]);
    }
    filter
}

/// A query by the vector `name`, with half of what can be said.
fn query(rng: &mut StdRng, name: &str) -> Value {
    let mut query = json!({"query": vector(rng, name), "using": name});
    if rng.random_bool(0.5) {
        query["limit"] = json!(*[1, 3, 20, 1000].choose(rng).unwrap());
    }
    if rng.random_bool(0.4) {
        query["filter"] = filter(rng);
    }
    if rng.random_bool(0.3) {
        // In quarters, so that there are points with exactly this score.
        query["score_threshold"] = json!(f64::from(rng.random_range(-2..6)) / 4.0);
    }
    if rng.random_bool(0.3) {
        query["params"] = json!({"exact": rng.random_bool(0.5), "hnsw_ef": 64});
    }
    query
}

fn request(rng: &mut StdRng) -> Value {
    let name = NAMES.choose(rng).unwrap();
    let mut request = query(rng, name);
    // `tokens` as a prefetch may be ambiguous, in the judge's f16.
    let mut prefetches = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        let name = ["cosine", "plain", "dot", "raw"].choose(rng).unwrap();
        prefetches.push(query(rng, name));
    }
    match prefetches.as_slice() {
        [] => {}
        [one] if rng.random_bool(0.5) => request["prefetch"] = one.clone(),
        several => request["prefetch"] = json!(several),
    }
    if rng.random_bool(0.3) {
        request["offset"] = json!(*[1, 5, 1000].choose(rng).unwrap());
    }
    let selectors = [
        json!(true),
        json!(false),
        json!(["color"]),
        json!({"include": ["n", "tags"]}),
        json!({"exclude": ["n"]}),
    ];
    if rng.random_bool(0.7) {
        request["with_payload"] = selectors.choose(rng).unwrap().clone();
    }
    if rng.random_bool(0.5) {
        let selectors = [json!(true), json!(false), json!(["raw", "cosine"])];
        request["with_vector"] = selectors.choose(rng).unwrap().clone();
    }
    request
}

fn read(request: &Value) -> QueryRequest {
    request.to_string().parse().unwrap_or_else(|error| panic!("{error}: {request}"))
}

fn to_point(json: &Value) -> Point {
    let id: PointId = serde_json::from_value(json["id"].clone()).unwrap();
    let mut point = Point::new(id).payload(json["payload"].as_object().unwrap().clone());
    for (name, vector) in json["vector"].as_object().unwrap() {
        let values = |row: &Value| numbers(row).into_iter().map(|it| it as f32).collect::<Vec<_>>();
        let vector: Vector = match is_multi(name) {
            true => Vector::Multi {
                values: vector.as_array().unwrap().iter().flat_map(values).collect(),
                dim: size(name),
            },
            false => values(vector).into(),
        };
        point = point.vector(name, vector);
    }
    point
}

fn cpu(collection: Collection) -> Searcher {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

// --- Tests -----------------------------------------------------------------------------------------

#[test]
fn answers_are_those_of_a_model() {
    for seed in 0..4 {
        let reranker = || Reranker::new(Backend::Cpu).unwrap();
        compare(seed, |collection| with(collection, SearcherOptions::new().reranker(reranker())));
    }
}

/// With all multivectors resident, with a few, and with none.
#[cfg(feature = "gpu")]
#[test]
fn answers_of_a_gpu_are_those_of_a_model() {
    for (seed, bytes) in [(10, 1 << 24), (11, 4096), (12, 0)] {
        if support::gpu_context(Default::default()).is_none() {
            return;
        }
        let reranker = || Reranker::new(Backend::Gpu).unwrap();
        let options = || SearcherOptions::new().reranker(reranker()).resident_bytes(bytes);
        compare(seed, |collection| with(collection, options()));
    }
}

fn with(collection: Collection, options: SearcherOptions) -> Searcher {
    Searcher::with_options(collection, options).unwrap()
}

fn compare(seed: u64, search: impl Fn(Collection) -> Searcher) {
    let mut rng = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let config = CONFIG.parse().unwrap();
    let mut searcher = search(Collection::create(directory.path(), config).unwrap());
    let mut model = Model::new();
    for step in 0..12 {
        change(&searcher, &mut model, &mut rng);
        if step == 5 {
            for (key, kind) in [("color", IndexKind::Keyword), ("n", IndexKind::Integer)] {
                let index = PayloadIndex::new(key, kind).unwrap();
                searcher.collection().create_index(index).unwrap();
            }
        }
        if rng.random_bool(0.3) {
            searcher.flush().unwrap();
        }
        let requests: Vec<Value> = (0..25).map(|_| request(&mut rng)).collect();
        for request in &requests {
            check(&model, request, &searcher.query(&read(request)).unwrap());
        }
        let parsed: Vec<QueryRequest> = requests.iter().map(read).collect();
        let responses = searcher.query_batch(&parsed).unwrap();
        assert_eq!(responses.len(), requests.len());
        for (request, response) in requests.iter().zip(&responses) {
            check(&model, request, response);
        }
        if rng.random_bool(0.3) {
            drop(searcher);
            searcher = search(Collection::open(directory.path()).unwrap());
        }
    }
}

/// A batch of points, or of deletions.
fn change(searcher: &Searcher, model: &mut Model, rng: &mut StdRng) {
    if model.is_empty() || rng.random_bool(0.7) {
        let points: Vec<Value> = (0..rng.random_range(1..150)).map(|_| point(rng)).collect();
        searcher.collection().upsert(points.iter().map(to_point).collect()).unwrap();
        model.extend(points.into_iter().map(|point| (order(&point["id"]), point)));
    } else {
        let ids: Vec<Value> = (0..30).map(|_| id(rng)).collect();
        let parsed: Vec<PointId> = serde_json::from_value(json!(ids)).unwrap();
        searcher.collection().delete(parsed).unwrap();
        ids.iter().for_each(|id| drop(model.remove(&order(id))));
    }
}

// --- Readers during writes -------------------------------------------------------------------------

const STEPS: &str = r#"{"vectors": {
    "dot": {"size": 3, "distance": "Dot", "hnsw_config": {"m": 8, "ef_construct": 32}},
    "raw": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
}}"#;

/// Enough that a graph is walked.
const MOVING: u64 = 400;

/// What the points are after a step: odd ones write all of them, even ones delete every fifth.
fn state(step: u64) -> BTreeMap<u64, u64> {
    let written = step - (step + 1) % 2;
    let gone = |id: u64| step.is_multiple_of(2) && (id + step).is_multiple_of(5);
    (0..MOVING).filter(|id| !gone(*id)).map(|id| (id, written)).collect()
}

/// Of the point `id`, written by a step. Everything of it tells the step.
fn moving(id: u64, step: u64) -> Point {
    let dot = vec![id as f32, (step % 7) as f32, (step % 512) as f32];
    let raw = Vector::Multi { values: [&dot[..], &[1.0]].concat(), dim: 4 };
    let payload = json!({"step": step, "class": (id + step) % 4}).as_object().unwrap().clone();
    Point::new(id).vector("dot", dot).vector("raw", raw).payload(payload)
}

fn take_step(collection: &Collection, step: u64) {
    if step.is_multiple_of(2) {
        let gone = (0..MOVING).filter(|id| (id + step).is_multiple_of(5)).map(PointId::from);
        collection.delete(gone.collect::<Vec<_>>()).unwrap();
    } else {
        collection.upsert((0..MOVING).map(|id| moving(id, step)).collect()).unwrap();
    }
}

/// The best `limit` of the points of a step, as they are to be found; of one class, if need be.
fn best_of(step: u64, class: Option<u64>, limit: usize) -> Vec<ScoredPoint> {
    let points = state(step).into_iter().rev();
    let points = points.filter(|(id, step)| class.is_none_or(|class| (id + step) % 4 == class));
    let found = points.take(limit).map(|(id, step)| {
        let Point { id, vectors, payload } = moving(id, step);
        let PointId::Number(number) = id else { panic!("{id}") };
        let score = (number + step % 7) as f32;
        let (payload, vectors) = (Some(payload), Some(vectors));
        ScoredPoint { id, version: 0, score, payload, vectors, order_value: None, matches: None }
    });
    found.collect()
}

/// Every answer is the state after one step, and after the same step all that a call answers,
/// whatever is written meanwhile.
///
/// `MAXFOLD_SECONDS` says how long it is tried.
#[test]
fn readers_see_one_state_while_others_write() {
    let seconds = std::env::var("MAXFOLD_SECONDS").map_or(2, |it| it.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), STEPS.parse().unwrap()).unwrap();
    for (key, kind) in [("class", IndexKind::Integer), ("step", IndexKind::Integer)] {
        collection.create_index(PayloadIndex::new(key, kind).unwrap()).unwrap();
    }
    take_step(&collection, 1);
    let searcher = cpu(collection);
    // Each step is one transaction.
    let first = searcher.collection().snapshot().unwrap().transaction() - 1;
    let (done, step, answers) = (AtomicBool::new(false), AtomicU64::new(1), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..4 {
            let (searcher, done, step, answers) = (&searcher, &done, &step, &answers);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(reader);
                while !done.load(Ordering::SeqCst) {
                    look(searcher, first, step, &mut rng);
                    answers.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            let next = step.load(Ordering::SeqCst) + 1;
            take_step(searcher.collection(), next);
            step.store(next, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
    let (steps, answers) = (step.into_inner(), answers.into_inner());
    println!("{steps} steps, {answers} answers");
    assert!(steps > 20 && answers > 20, "{steps} steps, {answers} answers");
}

/// Asks for everything that there is to see, in one call, and for a count.
fn look(searcher: &Searcher, first: u64, step: &AtomicU64, rng: &mut StdRng) {
    let class = rng.random_range(0..4);
    let filter = json!({"must": {"key": "class", "match": {"value": class}}});
    let dense = json!({"query": [1, 1, 0], "using": "dot", "limit": 15});
    let mut walk = dense.clone();
    (walk["params"], walk["limit"]) = (json!({"hnsw_ef": 16}), json!(5));
    let mut exact = dense.clone();
    (exact["params"], exact["filter"]) = (json!({"exact": true}), filter.clone());
    let all = json!({"query": [[1, 0, 0, 0], [0, 1, 0, 0]], "using": "raw", "limit": 1000});
    let mut few = all.clone();
    few["prefetch"] = exact.clone();
    let mut requests = [all, few, exact, walk];
    requests.iter_mut().for_each(|it| {
        (it["with_payload"], it["with_vector"]) = (json!(true), json!(true));
    });
    let before = step.load(Ordering::SeqCst);
    let responses = searcher.query_batch(&requests.each_ref().map(read)).unwrap();
    let counted = searcher.collection().count(&filter.to_string().parse().unwrap()).unwrap();
    // The step that was being taken may have been seen before it was noted.
    let after = step.load(Ordering::SeqCst) + 1;
    let steps: BTreeSet<_> = responses.iter().map(|it| it.plan.transaction - first).collect();
    let step = *steps.first().unwrap();
    assert!(steps.len() == 1 && (before..=after).contains(&step), "{before} {steps:?} {after}");
    let newest = |version| version <= step + first;
    let mut points = responses.into_iter().map(|it| it.points);
    let [all, few, exact, walk] = std::array::from_fn(|_| {
        let mut points = points.next().unwrap();
        // The versions of points are no part of the model.
        assert!(points.iter().all(|it| it.version > 0 && newest(it.version)));
        points.iter_mut().for_each(|it| it.version = 0);
        points
    });
    assert_eq!(all, best_of(step, None, 1000));
    assert_eq!(few, best_of(step, Some(class), 15));
    assert_eq!(exact, best_of(step, Some(class), 15));
    // A walk may miss some, but has nothing that there isn't.
    let there = best_of(step, None, 1000);
    assert!(walk.len() == 5 && walk.iter().all(|it| there.contains(it)), "{walk:?}");
    let count = |step| best_of(step, Some(class), 1000).len() as u64;
    assert!((step..=after).any(|step| count(step) == counted), "{counted} after {step}");
}

// --- Graphs ----------------------------------------------------------------------------------------

const GRAPH: &str = r#"{"vectors": {"v": {
    "size": 8, "distance": "Cosine", "hnsw_config": {"m": 8, "ef_construct": 60}
}}}"#;

const MANY: u64 = 3000;

/// A point of the payload `n`, 0 to 999.
fn graph_point(rng: &mut StdRng, id: u64) -> Point {
    let values: Vec<f32> = (0..8).map(|_| rng.random_range(-1.0..1.0)).collect();
    let payload = json!({"n": id % 1000}).as_object().unwrap().clone();
    Point::new(id).vector("v", values).payload(payload)
}

fn graph_request(rng: &mut StdRng, below: u64) -> QueryRequest {
    let query: Vec<f64> = (0..8).map(|_| f64::from(rng.random_range(-1.0..1.0_f32))).collect();
    let filter = json!({"must": {"key": "n", "range": {"lt": below}}});
    read(&json!({
        "query": query, "using": "v", "filter": filter, "limit": 10, "params": {"hnsw_ef": 40},
        "with_payload": true,
    }))
}

fn ids(response: &QueryResponse) -> BTreeSet<PointId> {
    response.points.iter().map(|point| point.id).collect()
}

/// Enough points, none that is forbidden, and 95 % of those that are nearest. Says how often the graph
/// was walked.
fn check_graph(searcher: &Searcher, rng: &mut StdRng, below: u64, least: usize) -> usize {
    let (mut walked, mut found) = (0, 0);
    for _ in 0..20 {
        let request = graph_request(rng, below);
        let exact = request.clone().params(SearchParams::new().exact(true));
        let response = searcher.query(&request).unwrap();
        assert_eq!(response.points.len(), least.min(10), "{}", response.plan);
        for point in &response.points {
            assert!(point.payload.as_ref().unwrap()["n"].as_u64().unwrap() < below);
        }
        let Method::Dense { strategy, .. } = response.plan.query.method else { panic!() };
        walked += usize::from(matches!(strategy, Strategy::Graph { .. }));
        found += ids(&response).intersection(&ids(&searcher.query(&exact).unwrap())).count();
    }
    assert!(found >= 20 * least.min(10) * 95 / 100, "{found} found of {below}");
    walked
}

#[test]
fn a_filter_decides_between_walk_and_scan() {
    let mut rng = StdRng::seed_from_u64(5);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    let searcher = cpu(collection);
    searcher.collection().upsert((0..MANY).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    // Before there is a graph, and with it.
    check_graph(&searcher, &mut rng, 1000, MANY as usize);
    searcher.flush().unwrap();
    assert!(check_graph(&searcher, &mut rng, 1000, MANY as usize) > 10);
    // A walk that the request made too short says so.
    let narrow = SearchParams::new().hnsw_ef(1);
    let response = searcher.query(&graph_request(&mut rng, 1000).params(narrow)).unwrap();
    let plan = serde_json::to_value(&response.plan).unwrap();
    let method = plan["query"]["method"].as_str().unwrap();
    assert!(method.contains("likely to miss: ef "), "{method}");
    check_graph(&searcher, &mut rng, 500, MANY as usize / 2);
    assert_eq!(check_graph(&searcher, &mut rng, 10, 30), 0);
    assert_eq!(check_graph(&searcher, &mut rng, 1, 3), 0);
}

#[test]
fn graphs_follow_the_collection() {
    let mut rng = StdRng::seed_from_u64(6);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    collection.upsert((0..MANY).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    let searcher = cpu(collection);
    // New points are found at once, deleted ones never.
    let new: Vec<Point> = (MANY..MANY + 200).map(|id| graph_point(&mut rng, id)).collect();
    searcher.collection().upsert(new.clone()).unwrap();
    searcher.collection().delete((0..MANY / 2).map(PointId::from).collect::<Vec<_>>()).unwrap();
    for point in new {
        let request = QueryRequest::new(point.vectors["v"].clone()).using("v").limit(20);
        let response = searcher.query(&request).unwrap();
        assert_eq!(response.points[0].id, point.id, "{}", response.plan);
        assert!(ids(&response).iter().all(|id| *id >= (MANY / 2).into()));
    }
    // In the end the graph has them all.
    let request = graph_request(&mut rng, 1000);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let method = searcher.query(&request).unwrap().plan.query.method;
        let Method::Dense { unindexed, .. } = method else { panic!() };
        if unindexed == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{unindexed} points are not in the graph");
        thread::sleep(Duration::from_millis(5));
    }
    check_graph(&searcher, &mut rng, 1000, 1700);
}

/// The nodes of deleted points are passed on every walk, so a graph of few others is made anew.
#[test]
fn a_graph_forgets_deleted_points() {
    let mut rng = StdRng::seed_from_u64(9);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    collection.upsert((0..MANY).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    let searcher = cpu(collection);
    searcher.collection().delete((0..1800).map(PointId::from).collect::<Vec<_>>()).unwrap();
    searcher.flush().unwrap();
    let response = searcher.query(&graph_request(&mut rng, 1000)).unwrap();
    let Method::Dense { strategy, unindexed: 0 } = response.plan.query.method else { panic!() };
    // With them, it would have to be 100.
    assert!(matches!(strategy, Strategy::Graph { ef: 40, .. }), "{strategy}");
}

/// How far the graph was behind a request: in transactions, and in points.
fn behind(searcher: &Searcher, rng: &mut StdRng) -> (u64, u64) {
    let plan = searcher.query(&graph_request(rng, 1000)).unwrap().plan;
    let Method::Dense { unindexed, .. } = plan.query.method else { panic!() };
    assert_eq!(plan.to_string().contains("transactions behind"), plan.behind > 0);
    assert_eq!(serde_json::to_value(&plan).unwrap()["behind"], plan.behind);
    (plan.behind, unindexed)
}

#[test]
fn graphs_follow_unasked() {
    let mut rng = StdRng::seed_from_u64(10);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    let searcher = cpu(collection);
    let write = |count: u64, rng: &mut StdRng| {
        for id in 0..count {
            searcher.collection().upsert(vec![graph_point(rng, id)]).unwrap();
        }
    };
    // A request is in time to see it behind, in some round.
    let seen = (0..100).any(|_| {
        write(3, &mut rng);
        let (transactions, points) = behind(&searcher, &mut rng);
        assert!(points <= 3 && transactions < 400);
        transactions > 0
    });
    assert!(seen, "never behind");
    // Only written to, it is up to date before anybody asks: at the latest in the next round.
    let followed = (0..30).any(|_| {
        write(3, &mut rng);
        thread::sleep(Duration::from_secs(1));
        behind(&searcher, &mut rng) == (0, 0)
    });
    assert!(followed, "always behind");
}

/// As in a server that works in jobs of a pool.
#[test]
fn jobs_of_a_pool_may_flush() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    let searcher = Arc::new(cpu(collection));
    let (done, finished) = channel();
    for job in 0..20 {
        let (searcher, done) = (Arc::clone(&searcher), done.clone());
        pool.spawn(move || {
            let mut rng = StdRng::seed_from_u64(job);
            let points = (job * 300..(job + 1) * 300).map(|id| graph_point(&mut rng, id));
            searcher.collection().upsert(points.collect()).unwrap();
            searcher.flush().unwrap();
            searcher.query(&graph_request(&mut rng, 1000)).unwrap();
            done.send(()).unwrap();
        });
    }
    for job in 0..20 {
        let finished = finished.recv_timeout(Duration::from_secs(120));
        finished.unwrap_or_else(|_| panic!("stuck after {job} of 20 jobs"));
    }
    assert_eq!(behind(&searcher, &mut StdRng::seed_from_u64(0)), (0, 0));
}

#[test]
fn a_searcher_that_is_dropped_saves_its_graphs() {
    let mut rng = StdRng::seed_from_u64(11);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    collection.upsert((0..500).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    drop(cpu(collection));
    let built = graph_files(directory.path());
    assert_eq!(built.len(), 1);

    let searcher = cpu(Collection::open(directory.path()).unwrap());
    searcher.collection().upsert(vec![graph_point(&mut rng, 500)]).unwrap();
    while behind(&searcher, &mut rng) != (0, 0) {
        thread::sleep(Duration::from_millis(5));
    }
    drop(searcher);
    assert_ne!(graph_files(directory.path()), built);
}

/// The files of a graph: names and bytes.
type GraphFiles = Vec<(OsString, Vec<u8>)>;

fn graph_files(directory: &Path) -> GraphFiles {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap());
    let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("graph-"));
    files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
}

fn put_graph_files(directory: &Path, files: &GraphFiles) {
    for (name, _) in graph_files(directory) {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    for (name, bytes) in files {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

#[test]
fn graph_files_may_be_missing_old_damaged_or_of_others() {
    let mut rng = StdRng::seed_from_u64(7);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("graph-0");
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    let half = |rng: &mut StdRng| (0..MANY).map(|id| graph_point(rng, id)).collect::<Vec<_>>();
    collection.upsert(half(&mut rng)).unwrap();
    cpu(collection).close().unwrap();
    let old = graph_files(directory.path());
    assert_eq!(old.len(), 1);

    // One that fits is taken as it is, and so not written again.
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    drop(cpu(Collection::open(directory.path()).unwrap()));
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written);

    let collection = Collection::open(directory.path()).unwrap();
    collection.upsert((MANY..MANY + 500).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    collection.upsert((0..500).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    drop(collection);
    let other = tempfile::tempdir().unwrap();
    let collection = Collection::create(other.path(), GRAPH.parse().unwrap()).unwrap();
    collection.upsert(half(&mut StdRng::seed_from_u64(99))).unwrap();
    cpu(collection).close().unwrap();
    let foreign = graph_files(other.path());

    // What a kill leaves is removed.
    let left = ["graph-0.1.partial", "graph-0.1.partial.hnsw.data"];
    let left = left.map(|name| directory.path().join(name));

    let mut states = vec![old.clone(), foreign, Vec::new()];
    for at in 0..old.len() {
        let mut damages = vec![old.clone(); 4];
        let middle = old[at].1.len() / 2;
        damages[0][at].1[middle] ^= 4;
        damages[1][at].1.truncate(middle);
        damages[2][at].1.clear();
        damages[3].remove(at);
        states.extend(damages);
    }
    for files in states {
        put_graph_files(directory.path(), &files);
        left.iter().for_each(|left| std::fs::write(left, "half").unwrap());
        let searcher = cpu(Collection::open(directory.path()).unwrap());
        assert!(check_graph(&searcher, &mut rng, 1000, MANY as usize + 500) > 10);
        assert!(!left.iter().any(|left| left.exists()));
    }
}

/// A copy of the file is put back, and other points get the numbers, in as many transactions, that points of the graph have.
#[test]
fn a_graph_of_another_history_gives_no_vectors() {
    let mut rng = StdRng::seed_from_u64(9);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data.mdb");
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    collection.upsert((0..MANY).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    drop(collection);
    let before = std::fs::read(&data).unwrap();
    let mut others =
        || -> Vec<_> { (MANY..MANY + 300).map(|id| graph_point(&mut rng, id)).collect() };
    let (first, second) = (others(), others());
    let upsert = |points: &[Point]| {
        let collection = Collection::open(directory.path()).unwrap();
        collection.upsert(points.to_vec()).unwrap();
        collection
    };
    cpu(upsert(&first)).close().unwrap();
    std::fs::write(&data, before).unwrap();
    drop(upsert(&second));
    let collection = Collection::open(directory.path()).unwrap();
    let snapshot = collection.snapshot().unwrap();
    let query = |point: &Point| snapshot.get(point.id).unwrap().unwrap();
    let vectors: Vec<_> = second.iter().map(query).collect();
    drop(snapshot);
    let searcher = cpu(collection);
    for point in vectors {
        let Some(Vector::Dense(values)) = point.vectors.get("v") else { panic!("{point:?}") };
        let request = QueryRequest::new(values.clone()).using("v").limit(1);
        let found = searcher.query(&request).unwrap().points;
        assert!(found[0].id == point.id && found[0].score > 0.9999, "{found:?}");
    }
}

/// Whatever graph is beside the collection: one of before they were deleted, too.
#[test]
fn deleted_points_never_come_back() {
    let mut rng = StdRng::seed_from_u64(8);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), GRAPH.parse().unwrap()).unwrap();
    collection.upsert((0..MANY).map(|id| graph_point(&mut rng, id)).collect()).unwrap();
    cpu(collection).close().unwrap();
    let files = std::fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().path());
    let graphs = files.filter(|it| it.file_name().unwrap() != "data.mdb");
    let old: Vec<_> = graphs.map(|it| (it.clone(), std::fs::read(it).unwrap())).collect();
    for round in 0..3 {
        let searcher = cpu(Collection::open(directory.path()).unwrap());
        // By their ids, and by a filter.
        let end = PointId::from(200 * (round + 1));
        searcher
            .collection()
            .delete((200 * round..200 * (round + 1)).map(PointId::from).collect::<Vec<_>>())
            .unwrap();
        let few = json!({"must": {"key": "n", "range": {"gte": 990 - 10 * round}}}).to_string();
        searcher.collection().delete(few.parse::<Filter>().unwrap()).unwrap();
        searcher.close().unwrap();
        old.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        let searcher = cpu(Collection::open(directory.path()).unwrap());
        for _ in 0..20 {
            let found = searcher.query(&graph_request(&mut rng, 1000).limit(50)).unwrap();
            assert_eq!(found.points.len(), 50);
            let gone = |point: &ScoredPoint| {
                point.id < end
                    || point.payload.as_ref().unwrap()["n"].as_u64() >= Some(990 - 10 * round)
            };
            assert!(!found.points.iter().any(gone), "{found:?}");
        }
    }
}

// --- What is refused -------------------------------------------------------------------------------

#[test]
fn requests_that_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let searcher = cpu(Collection::create(directory.path(), CONFIG.parse().unwrap()).unwrap());
    let refused = |request: QueryRequest, parts: &[&str]| {
        let error = searcher.query(&request).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
        let batch = [read(&json!({"query": [1, 0, 0], "using": "dot"})), request];
        let which = searcher.query_batch(&batch).unwrap_err().to_string();
        assert_eq!(which, format!("request[1]: {error}"));
    };
    let dot = || QueryRequest::new(vec![1.0, 0.0, 0.0]).using("dot");
    let multi = |values: &[f32], dim| Vector::Multi { values: values.to_vec(), dim };
    refused(QueryRequest::new(vec![1.0]), &["cosine, dot, plain, raw, tokens", "no name"]);
    refused(dot().using("other"), &["cosine, dot, plain, raw, tokens", "other"]);
    refused(dot().using("plain").with_vector(WithVector::Named(vec!["x".into()])), &["x"]);
    refused(QueryRequest::new(vec![1.0]).using("dot"), &["dot", "dimension 3", "dimension 1"]);
    refused(QueryRequest::new(vec![1.0, 0.0, f32::NAN]).using("dot"), &["finite", "NaN"]);
    refused(dot().using("raw"), &["raw", "dimension 4", "dimension 3"]);
    refused(
        QueryRequest::new(multi(&[1.0; 3], 3)).using("dot"),
        &["dot", "one vector", "got many"],
    );
    refused(QueryRequest::new(multi(&[], 4)).using("raw"), &["raw", "at least one token"]);
    refused(QueryRequest::new(multi(&[1.0; 6], 3)).using("raw"), &["dimension 4", "dimension 3"]);
    refused(QueryRequest::new(multi(&[1.0; 6], 4)).using("raw"), &["multiple of 4", "6"]);
    refused(QueryRequest::new(multi(&[1e6; 4], 4)).using("raw"), &["f16", "1000000"]);
    refused(dot().limit(0), &["limit", "at least 1"]);
    let prefetch = || Prefetch::new(vec![1.0, 0.0, 0.0]).using("dot");
    refused(dot().prefetch(prefetch().limit(0)), &["limit", "at least 1"]);
    refused(dot().prefetch(prefetch().using("other")), &["other"]);
    refused(dot().prefetch(prefetch().using("raw")), &["raw", "dimension 4"]);
    refused(dot().params(SearchParams::new().hnsw_ef(0)), &["hnsw_ef"]);
    for threshold in [f32::NAN, f32::INFINITY] {
        refused(dot().score_threshold(threshold), &["score_threshold", "finite"]);
        refused(dot().prefetch(prefetch().score_threshold(threshold)), &["score_threshold"]);
    }
    // With enormous limits, all there is.
    let all = dot().limit(usize::MAX).offset(usize::MAX);
    assert!(searcher.query(&all).unwrap().points.is_empty());
}

#[test]
fn the_vector_without_a_name_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let config = r#"{"vectors": {"size": 2, "distance": "Dot"}}"#.parse().unwrap();
    let searcher = cpu(Collection::create(directory.path(), config).unwrap());
    let error = searcher.query(&QueryRequest::new(vec![1.0, 0.0]).using("dense")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected no name, as the collection's one vector has none, got \"dense\""
    );
}

/// Scores and vectors are written with the digits that tell them apart, and no more.
#[test]
fn answers_are_written_as_f32() {
    let directory = tempfile::tempdir().unwrap();
    let config = r#"{"vectors": {"size": 2, "distance": "Dot"}}"#.parse().unwrap();
    let collection = Collection::create(directory.path(), config).unwrap();
    collection.upsert(vec![Point::new(1).vector("", vec![0.1, 0.3])]).unwrap();
    let request = QueryRequest::new(vec![1.0, 0.0]).with_vector(WithVector::All);
    let response = cpu(collection).query(&request).unwrap();
    let json = serde_json::to_string(&response).unwrap();
    assert!(
        json.starts_with(
            r#"{"points":[{"id":1,"version":2,"score":0.1,"vector":[0.1,0.3]}],"plan":"#
        ),
        "{json}"
    );
    // In f64, which is what a JSON value holds, 0.1 in f32 is 0.10000000149011612.
    let points = &serde_json::to_value(&response).unwrap()["points"];
    assert_eq!(points.to_string(), r#"[{"id":1,"score":0.1,"vector":[0.1,0.3],"version":2}]"#);
    let tokens = Vector::Multi { values: vec![0.1, 0.3, 1.0, -0.7], dim: 2 };
    let request = serde_json::to_value(QueryRequest::new(tokens).score_threshold(0.1)).unwrap();
    assert_eq!(request["query"].to_string(), "[[0.1,0.3],[1.0,-0.7]]");
    assert_eq!(request["score_threshold"].to_string(), "0.1");
}

#[test]
fn a_host_sets_how_much_a_request_may_ask_for() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), CONFIG.parse().unwrap()).unwrap();
    let limits =
        RequestLimits::new().limit(10).prefetch_limit(100).prefetches(2).depth(2).bytes(99);
    let reranker = Reranker::new(Backend::Cpu).unwrap();
    let searcher = with(collection, SearcherOptions::new().reranker(reranker).limits(limits));
    let dot = || QueryRequest::new(vec![1.0, 0.0, 0.0]).using("dot");
    let prefetch = |limit| Prefetch::new(vec![1.0, 0.0, 0.0]).using("dot").limit(limit);
    let nested = |levels| (1..levels).fold(Filter::new(), |inner, _| Filter::new().must(inner));
    let allowed = dot().limit(4).offset(6).prefetch(prefetch(100).filter(nested(2)));
    assert!(searcher.query(&allowed.prefetch(prefetch(1)).filter(nested(2))).is_ok());
    let two = || dot().prefetch(prefetch(1)).prefetch(prefetch(1));
    let refused = [
        (dot().limit(4).offset(7), "limit and offset together to be at most 10, got 11"),
        (dot().limit(9).offset(usize::MAX), "limit and offset together to be at most 10"),
        (dot().prefetch(prefetch(101)), "a prefetch's limit to be at most 100, got 101"),
        (two().prefetch(prefetch(1)), "the number of prefetches to be at most 2, got 3"),
        (dot().filter(nested(3)), "the depth of a filter to be at most 2, got more"),
        (dot().prefetch(prefetch(1).filter(nested(3))), "the depth of a filter to be at most 2"),
    ];
    for (request, part) in refused {
        let error = searcher.query(&request).unwrap_err().to_string();
        assert!(error.contains(part), "{part} in {error}");
        let which = searcher.query_batch(&[dot(), request]).unwrap_err().to_string();
        assert_eq!(which, format!("request[1]: {error}"));
    }
    let json = json!({"query": [1, 0, 0], "using": "dot"}).to_string();
    assert_eq!(searcher.limits().read(&json).unwrap(), [dot()]);
    let error = searcher.limits().read(&format!("{json:100}")).unwrap_err().to_string();
    assert_eq!(error, "expected the request's bytes to be at most 99, got 100");
}
