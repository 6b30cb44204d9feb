//! Tests of two runs against each other: p-values are scipy's (see `fixtures/eval/make.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use maxfold::Error;
use maxfold::eval::{Evaluation, Metric, Qrels, Run, compare, evaluate};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "eval", name].iter().collect()
}

/// The fields of the lines that are no comments.
fn rows(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(fixture(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn numbers(row: &[String]) -> Vec<f64> {
    row.iter().map(|field| field.parse().unwrap()).collect()
}

fn assert_near(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{what}: {got}, not {expected}");
}

fn evaluation(values: impl IntoIterator<Item = f64>) -> Evaluation {
    let named = (0..).zip(values).map(|(query, value)| (format!("{query:04}"), value));
    let per_query: BTreeMap<_, _> = named.collect();
    Evaluation::new(Metric::Mrr { k: 10 }, per_query)
}

/// Twelve queries, of which all swaps are counted, by scipy as here.
#[test]
fn two_runs_are_compared_as_by_scipy() {
    let qrels = Qrels::read(fixture("qrels.trec")).unwrap();
    let [first, second] = ["run.trec", "second.trec"].map(|it| Run::read(fixture(it)).unwrap());
    let rows = rows("expected-comparisons.tsv");
    assert!(rows.len() > 20);
    for row in rows {
        let metric: Metric = row[0].parse().unwrap();
        let values = [&first, &second].map(|run| evaluate(&qrels, run, metric).unwrap());
        let comparison = compare(&values[0], &values[1]).unwrap();
        assert_eq!((comparison.metric, comparison.queries), (metric, 12));
        let expected = numbers(&row[1..]);
        assert!((comparison.difference - expected[0]).abs() < 1e-9, "{metric}");
        assert_near(&row[0], comparison.t_test.unwrap(), expected[1]);
        assert_near(&row[0], comparison.randomization_test, expected[2]);

        let turned = compare(&values[1], &values[0]).unwrap();
        assert_eq!(turned.difference, -comparison.difference);
        assert_eq!(turned.randomization_test, comparison.randomization_test);
    }
}

/// More queries than can be counted: p is a fraction of random samples.
#[test]
fn a_sampled_p_is_near_the_exact_one() {
    let rows = rows("pairs-20.tsv");
    let [t_test, exact] = numbers(&rows[0])[..] else { panic!("two p-values") };
    let pairs: Vec<_> = rows[1..].iter().map(|row| numbers(row)).collect();
    let [first, second] = [0, 1].map(|at| evaluation(pairs.iter().map(|pair| pair[at])));
    let comparison = compare(&first, &second).unwrap();
    assert_near("t-test", comparison.t_test.unwrap(), t_test);
    // The standard deviation of a fraction of 100,000 samples.
    let deviation = (exact * (1.0 - exact) / 100_000.0).sqrt();
    let got = comparison.randomization_test;
    assert!((got - exact).abs() < 4.0 * deviation, "{got}, not {exact}");
    assert_eq!(compare(&first, &second).unwrap(), comparison, "the same every time");
}

#[test]
fn many_queries_and_a_tiny_p() {
    let rows = rows("pairs-1000.tsv");
    let pairs: Vec<_> = rows[1..].iter().map(|row| numbers(row)).collect();
    let [first, second] = [0, 1].map(|at| evaluation(pairs.iter().map(|pair| pair[at])));
    let comparison = compare(&first, &second).unwrap();
    assert_eq!(comparison.queries, 1000);
    assert_near("t-test", comparison.t_test.unwrap(), numbers(&rows[0])[0]);
    // No random sample is as extreme; the observed one is.
    assert_eq!(comparison.randomization_test, 1.0 / 100_001.0);
}

#[test]
fn runs_that_hardly_differ() {
    let same = evaluation([0.5, 0.25, 1.0]);
    let comparison = compare(&same, &same).unwrap();
    assert_eq!((comparison.difference, comparison.t_test), (0.0, None));
    assert_eq!(comparison.randomization_test, 1.0);
    let one = compare(&evaluation([0.5]), &evaluation([0.75])).unwrap();
    assert_eq!((one.t_test, one.randomization_test), (None, 1.0));
    // Every query better by the same: only both of 8 extremes are as far apart.
    let better = compare(&evaluation([0.0; 3]), &evaluation([0.5; 3])).unwrap();
    assert_eq!((better.t_test, better.randomization_test), (None, 0.25));
}

#[test]
fn only_like_is_compared_with_like() {
    let first = evaluation([0.5, 1.0]);
    let refused = |second: &Evaluation, part: &str| match compare(&first, second) {
        Err(error @ Error::InvalidParameter { name: "both evaluations", .. }) => {
            assert!(error.to_string().contains(part), "{error}");
        }
        other => panic!("{other:?}"),
    };
    refused(&evaluation([0.5]), "of the same 2 queries, got 1 others");
    let metric = Metric::Map { k: 10 };
    refused(&Evaluation::new(metric, first.per_query.clone()), "of MRR@10, got MAP@10");
}
