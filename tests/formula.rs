//! Formulas mean what Qdrant's mean.
//!
//! `fixtures/formulas.jsonl` holds random ones with the values that qdrant-client 1.20.0 computes for them in
//! its local mode, in Python; `null` is an error there. What it doesn't show is worked out by hand below.
#![cfg(feature = "collection")]

use maxfold::filter::{Condition, Filter, GeoPoint, Range, Subject};
use maxfold::search::{Decay, Expression, Fold, Formula, Function};
use maxfold::{Error, PointId, Result};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    formula: Value,
    defaults: Value,
    id: u64,
    payload: Value,
    scores: Vec<Option<f32>>,
    score: Option<f64>,
}

fn read(formula: &Value, defaults: &Value) -> Formula {
    let json = json!({"formula": formula, "defaults": defaults}).to_string();
    json.parse().unwrap_or_else(|error| panic!("{error} in {json}"))
}

fn evaluate(formula: &Formula, payload: &Value, scores: &[Option<f32>], id: u64) -> Result<f32> {
    let payload = payload.as_object().expect("an object");
    formula.evaluate(&Subject { id: id.into(), payload, vectors: &[], texts: &[] }, scores)
}

/// The value of a formula for a point without payload, which one prefetch gave a score of 2.
fn value(formula: Value) -> Result<f32> {
    evaluate(&read(&formula, &Value::Null), &json!({}), &[Some(2.0)], 7)
}

#[test]
fn values_are_those_of_another_implementation() {
    let cases = include_str!("fixtures/formulas.jsonl").lines();
    let cases: Vec<Case> = cases.map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(cases.iter().filter(|case| case.score.is_some()).count(), 320);
    for Case { formula, defaults, id, payload, scores, score } in &cases {
        let read = read(formula, defaults);
        match (evaluate(&read, payload, scores, *id), score) {
            (Ok(got), Some(expected)) => {
                // Results of other libraries' exp and pow differ in the last place of f64, which f32 may
                // round to its neighbour.
                let expected = *expected as f32;
                let near = got == expected || got.to_bits().abs_diff(expected.to_bits()) <= 1;
                assert!(near, "expected {expected}, got {got} for {formula} of {payload}");
            }
            (Err(_), None) => {}
            (got, expected) => {
                panic!("expected {expected:?}, got {got:?} for {formula} of {payload}")
            }
        }
        assert_eq!(serde_json::to_string(&read).unwrap().parse::<Formula>().unwrap(), read);
    }
}

#[test]
fn scores_have_defaults_and_payload_values_need_them() {
    let formula =
        json!({"sum": ["$score", {"mult": ["$score[1]", 10]}, {"mult": ["$score[2]", 100]}]});
    let read = read(&formula, &json!({"$score[1]": 3}));
    let score = |scores: &[Option<f32>]| evaluate(&read, &json!({}), scores, 7).unwrap();
    assert_eq!(score(&[Some(1.0), Some(2.0), Some(4.0)]), 421.0);
    assert_eq!(score(&[Some(1.0), None, None]), 31.0);
    assert_eq!(score(&[]), 30.0);

    let formula = Formula::new(Expression::key("price").unwrap());
    let defaults = formula.clone().with_default("price", 5).unwrap();
    let price = |formula: &Formula, payload: Value| evaluate(formula, &payload, &[], 7);
    assert_eq!(price(&formula, json!({"price": 3})).unwrap(), 3.0);
    assert_eq!(price(&formula, json!({"price": [3]})).unwrap(), 3.0);
    assert_eq!(price(&defaults, json!({"price": []})).unwrap(), 5.0);
    assert_eq!(price(&defaults, json!({})).unwrap(), 5.0);
    assert_eq!(price(&defaults, json!({"price": null})).unwrap(), 5.0);
    for (payload, got) in [
        (json!({}), "nothing"),
        (json!({"price": [3, 4]}), "several values"),
        (json!({"price": "3"}), "\"3\""),
        // As in Qdrant, where the default counts then.
        (json!({"price": null}), "nothing"),
    ] {
        let expected = format!(
            "point 7: expected a number at price in the payload, or among the defaults, got {got}"
        );
        assert_eq!(price(&formula, payload).unwrap_err().to_string(), expected);
    }
}

#[test]
fn products_stop_at_zero_and_quotients_of_zero_are_zero() {
    assert_eq!(value(json!({"mult": [3, 0, "missing"]})).unwrap(), 0.0);
    assert!(value(json!({"mult": ["missing", 0]})).is_err());
    assert_eq!(value(json!({"div": {"left": 0, "right": "missing"}})).unwrap(), 0.0);
    assert_eq!(value(json!({"div": {"left": 1, "right": 0, "by_zero_default": 9}})).unwrap(), 9.0);
    assert_eq!(value(json!({"div": {"left": 1, "right": 4, "by_zero_default": 9}})).unwrap(), 0.25);
    assert_eq!(value(json!({"sum": []})).unwrap(), 0.0);
    assert_eq!(value(json!({"mult": []})).unwrap(), 1.0);
}

#[test]
fn what_is_not_finite_is_refused() {
    for (formula, expected) in [
        (json!({"div": {"left": 1, "right": 0}}), "expected 1 / 0 to be finite, got inf"),
        (json!({"sqrt": -4}), "expected sqrt(-4) to be finite, got NaN"),
        (json!({"ln": 0}), "expected ln(0) to be finite, got -inf"),
        (json!({"acosh": 0.5}), "expected acosh(0.5) to be finite, got NaN"),
        (
            json!({"pow": {"base": -8, "exponent": 0.5}}),
            "expected -8 to the power of 0.5 to be finite, got NaN",
        ),
        (json!({"exp": 1000}), "expected exp(1000) to be finite, got inf"),
        (
            json!(1e39),
            "expected 1000000000000000000000000000000000000000 in f32 to be finite, got inf",
        ),
    ] {
        assert_eq!(value(formula).unwrap_err().to_string(), format!("point 7: {expected}"));
    }
}

#[test]
fn decays_are_1_at_their_target_and_their_midpoint_a_scale_away() {
    for (shape, beyond) in
        [("lin_decay", 0.0), ("exp_decay", 0.0625), ("gauss_decay", 0.003_906_25)]
    {
        let at = |x: f64| {
            value(json!({shape: {"x": x, "target": {"neg": 10}, "scale": 5, "midpoint": 0.25}}))
                .unwrap()
        };
        assert_eq!(at(-10.0), 1.0, "{shape}");
        assert!((at(-15.0) - 0.25).abs() < 1e-7 && (at(-5.0) - 0.25).abs() < 1e-7, "{shape}");
        // Twice as far away: 1 − 2 · 0.75 is below 0; 0.25²; 0.25⁴.
        assert!((at(0.0) - beyond).abs() < 1e-9, "{shape}");
    }
    assert_eq!(value(json!({"exp_decay": {"x": "$score"}})).unwrap(), 0.25);
}

#[test]
fn places_and_times_are_metres_and_seconds() {
    // A quarter of a great circle, and half of one.
    let radius = 6_371_008.8_f64;
    let distance = |to: Value| {
        let formula = json!({"geo_distance": {"origin": {"lon": 0, "lat": 0}, "to": "at"}});
        evaluate(&read(&formula, &Value::Null), &json!({"at": to}), &[], 7)
    };
    for (to, angle) in
        [((0.0, 90.0), 0.5), ((90.0, 0.0), 0.5), ((180.0, 0.0), 1.0), ((-180.0, 0.0), 1.0)]
    {
        let expected = angle * std::f64::consts::PI * radius;
        let got = distance(json!({"lon": to.0, "lat": to.1})).unwrap();
        assert!((f64::from(got) - expected).abs() <= expected * 1e-7, "{to:?}: {got}");
    }
    assert!(distance(json!({"lon": 181, "lat": 0})).is_err());
    assert!(distance(json!({"lon": 1})).is_err());

    // 2024-02-29 12:00 is 1,709,208,000 seconds after 1970.
    let formula = json!({"sum": [{"datetime_key": "at"}, -1_709_208_000]});
    let payload = json!({"at": "2024-02-29T12:00:01.5Z"});
    assert_eq!(evaluate(&read(&formula, &Value::Null), &payload, &[], 7).unwrap(), 1.5);
    assert_eq!(value(json!({"sum": [{"datetime": "1970-01-01T00:01:00Z"}, 0]})).unwrap(), 60.0);
}

#[test]
fn conditions_are_1_or_0() {
    let formula = json!({"sum": [
        {"key": "tag", "match": {"any": ["h1"]}},
        {"mult": [{"must_not": [{"has_id": [7]}]}, 100]},
        {"mult": [10, {"has_vector": "dense"}]}
    ]});
    let formula = read(&formula, &Value::Null);
    let payload = json!({"tag": ["p", "h1"]});
    let score = |id: u64, vectors: &[&str]| {
        let payload = payload.as_object().unwrap();
        formula
            .evaluate(&Subject { id: PointId::Number(id), payload, vectors, texts: &[] }, &[])
            .unwrap()
    };
    assert_eq!(score(7, &["dense"]), 11.0);
    assert_eq!(score(8, &[]), 101.0);
}

#[test]
fn what_is_no_formula_is_refused_with_its_place() {
    let refused = |formula: Value| {
        json!({"formula": formula}).to_string().parse::<Formula>().unwrap_err().to_string()
    };
    for (formula, expected) in [
        (
            json!({"sum": [1, null]}),
            "expected formula.formula.sum[1] to be a number, a variable, a condition, ",
        ),
        (
            json!({"summe": [1]}),
            "expected formula.formula to be a number, a variable, a condition, ",
        ),
        (json!({}), "expected formula.formula to be a number, a variable, a condition, "),
        (json!({"sum": [1], "mult": [2]}), "expected only sum in formula.formula, got \"mult\""),
        (
            json!("$score[x]"),
            "formula.formula: expected the variable to be $score, $score[1] or a payload key, got",
        ),
        (
            json!("$scores"),
            "formula.formula: expected the variable to be $score, $score[1] or a payload key, got",
        ),
        (json!("a["), "formula.formula: expected the key to be"),
        (
            json!({"max": []}),
            "formula.formula: expected a formula's operation to be of at least one number (max)",
        ),
        (json!({"div": {"left": 1}}), "expected formula.formula.div.right to be given"),
        (
            json!({"exp_decay": {"x": 1, "scale": 0}}),
            "formula.formula: expected the scale of a decay to be finite and above 0, got 0",
        ),
        (
            json!({"gauss_decay": {"x": 1, "midpoint": 1}}),
            "formula.formula: expected the midpoint of a decay to be between 0 and 1, got 1",
        ),
        (
            json!({"lin_decay": {"x": 1, "midpoint": 1.5}}),
            "formula.formula: expected the midpoint of a linear decay to be from 0 to 1, got 1.5",
        ),
        (
            json!({"geo_distance": {"origin": {"lat": 1, "lon": 200}, "to": "a"}}),
            "expected formula.formula.geo_distance.origin to be a place",
        ),
        (
            json!({"datetime": "noon"}),
            "expected formula.formula.datetime to be a datetime in RFC 3339",
        ),
        (
            json!({"key": "a", "range": {"from": 1}}),
            "expected only gt, gte, lt, lte in formula.formula.range",
        ),
    ] {
        let got = refused(formula);
        assert!(got.starts_with(expected), "expected {expected}, got {got}");
    }
    let twice = r#"{"formula": 1, "defaults": {"$score": 1, "$score[0]": 2}}"#.parse::<Formula>();
    assert!(twice.unwrap_err().to_string().contains("the one default of its variable"));
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| {
        Formula::new((1..levels).fold(Expression::score(), |inner, _| inner.apply(Function::Neg)))
    };
    assert_eq!(evaluate(&deep(Formula::DEEPEST), &json!({}), &[Some(2.0)], 7).unwrap(), -2.0);
    let expected = "expected the depth of a formula to be at most 40, got more";
    let got = evaluate(&deep(Formula::DEEPEST + 1), &json!({}), &[], 7).unwrap_err();
    assert_eq!(got.to_string(), expected);
    // One that can be used can be written, and read again.
    let folded = (1..Formula::DEEPEST)
        .fold(Expression::score(), |inner, _| Expression::Fold(Fold::Max, vec![inner]));
    let text = serde_json::to_string(&Formula::new(folded.clone())).unwrap();
    assert_eq!(text.parse::<Formula>().unwrap(), Formula::new(folded));

    let filter = (0..=Filter::DEEPEST)
        .fold(Filter::new(), |inner, _| Filter::new().must(Condition::Filter(inner)));
    let refused = evaluate(&Formula::new(Condition::Filter(filter)), &json!({}), &[], 7);
    assert!(matches!(refused, Err(Error::InvalidParameter { name: "the depth of a filter", .. })));
}

#[test]
fn what_is_built_is_what_is_read() -> Result<()> {
    let near = Expression::geo_distance(GeoPoint::new(52.5, 13.4)?, "place")?;
    let built = Formula::new(
        Expression::score() * 2.0
            + Expression::key("popularity")?.apply(Function::Ln).max(0.0).min(5.0)
            - Expression::from(Condition::field("price", Range::new().gt(10.0))?)
            + Decay::gauss(near).scale(5000.0).target(100.0).midpoint(0.25)
            + Expression::score_of(1).pow(2.0) / Expression::key("rank")?
            + Expression::score().div_or(Expression::key("votes")?, 0.5)
            + Decay::lin(Expression::datetime_key("at")?)
                .target("2024-01-01".parse::<maxfold::filter::Datetime>()?),
    )
    .with_default("popularity", 1)?
    .with_default("$score[1]", 0.5)?;
    let json = json!({"formula": {"sum": [
        {"mult": ["$score", 2]},
        {"min": [{"max": [{"ln": "popularity"}, 0]}, 5]},
        {"neg": {"key": "price", "range": {"gt": 10}}},
        {"gauss_decay": {
            "x": {"geo_distance": {"origin": {"lon": 13.4, "lat": 52.5}, "to": "place"}},
            "scale": 5000, "target": 100, "midpoint": 0.25
        }},
        {"div": {"left": {"pow": {"base": "$score[1]", "exponent": 2}}, "right": "rank"}},
        {"div": {"left": "$score", "right": "votes", "by_zero_default": 0.5}},
        {"lin_decay": {"x": {"datetime_key": "at"}, "target": {"datetime": "2024-01-01T00:00:00Z"}}}
    ]}, "defaults": {"popularity": 1, "$score[1]": 0.5}});
    assert_eq!(built, json.to_string().parse()?);

    assert!(serde_json::to_string(&Formula::new(f64::NAN)).is_err());
    Ok(())
}
