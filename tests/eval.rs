//! The evaluation module against values of published tools (see `fixtures/eval/make.py`), and
//! against input that is not as it should be.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use maxfold::eval::{Gain, Metric, Qrels, Run, evaluate};
use maxfold::{Error, Result};

const CUTOFFS: [usize; 4] = [1, 3, 10, 100];

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "eval", name].iter().collect()
}

/// Metric -> query, or `all` for the mean -> value.
type Table = BTreeMap<String, BTreeMap<String, f64>>;

fn expected(name: &str) -> Table {
    let text = fs::read_to_string(fixture(name)).unwrap();
    let mut table = Table::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [metric, query, value] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        table.entry(metric.into()).or_default().insert(query.into(), value.parse().unwrap());
    }
    table
}

fn ndcg(gain: Gain) -> impl Iterator<Item = Metric> {
    CUTOFFS.into_iter().map(move |k| Metric::Ndcg { k, gain })
}

fn all_metrics() -> impl Iterator<Item = Metric> {
    ndcg(Gain::Linear)
        .chain(ndcg(Gain::Exponential))
        .chain(CUTOFFS.into_iter().map(|k| Metric::Mrr { k }))
        .chain(CUTOFFS.into_iter().map(|k| Metric::Recall { k }))
        .chain(CUTOFFS.into_iter().map(|k| Metric::Map { k }))
        .chain(CUTOFFS.into_iter().map(|k| Metric::Success { k }))
        .chain([
            Metric::Ndcg { k: usize::MAX, gain: Gain::Linear },
            Metric::Mrr { k: usize::MAX },
            Metric::Map { k: usize::MAX },
        ])
}

fn measured(metrics: impl Iterator<Item = Metric>, run: &str) -> Table {
    measured_run(metrics, &Run::read_trec(fixture(run)).unwrap())
}

fn measured_run(metrics: impl Iterator<Item = Metric>, run: &Run) -> Table {
    let qrels = Qrels::read_trec(fixture("qrels.trec")).unwrap();
    let row = |metric: Metric| {
        let evaluation = evaluate(&qrels, run, metric).unwrap();
        assert_eq!(evaluation.metric, metric);
        let mut values = evaluation.per_query;
        values.insert("all".into(), evaluation.mean);
        (metric.to_string(), values)
    };
    metrics.map(row).collect()
}

/// The same metrics, the same queries, and values that differ by less than `tolerance`.
fn assert_agree(measured: &Table, expected: &Table, tolerance: f64) {
    assert!(measured.keys().eq(expected.keys()));
    for (metric, values) in expected {
        assert!(measured[metric].keys().eq(values.keys()), "queries of {metric}");
        for (query, value) in values {
            let got = measured[metric][query];
            assert!((got - value).abs() < tolerance, "{metric} of {query}: {got}, not {value}");
        }
    }
}

#[test]
fn values_are_those_of_trec_eval_and_ms_marco() {
    assert_agree(&measured(all_metrics(), "run.trec"), &expected("expected.tsv"), 1e-9);
}

#[test]
fn values_with_ties_are_those_of_rankings_by_ascending_id() {
    assert_agree(&measured(all_metrics(), "tied.trec"), &expected("expected-tied.tsv"), 1e-9);
}

#[test]
fn values_with_ties_are_those_of_trec_eval_in_its_order() {
    let run = Run::read_trec(fixture("tied.trec")).unwrap().in_trec_eval_order();
    // The script of MS MARCO, which has MRR@k, isn't trec_eval.
    let cut = |metric: &Metric| matches!(metric, Metric::Mrr { k } if *k < usize::MAX);
    let measured = measured_run(all_metrics().filter(|metric| !cut(metric)), &run);
    assert_agree(&measured, &expected("expected-tied-trec-eval.tsv"), 1e-9);

    let mut run = Run::new();
    run.insert_ranking("q", [("a", 1.0 + 1e-12), ("b", 1.0), ("c", 2.0)]).unwrap();
    assert_eq!(documents(&run, "q"), ["c", "a", "b"]);
    assert_eq!(documents(&run.in_trec_eval_order(), "q"), ["c", "b", "a"]);
}

#[test]
fn exponential_ndcg_is_that_of_gdeval() {
    let five_decimals = 0.500_001e-5;
    let measured = measured(ndcg(Gain::Exponential), "run.trec");
    assert_agree(&measured, &expected("expected-gdeval.tsv"), five_decimals);
}

#[test]
fn both_layouts_hold_the_same() {
    let trec = Qrels::read_trec(fixture("qrels.trec")).unwrap();
    assert_eq!(Qrels::read_beir(fixture("qrels.beir.tsv")).unwrap(), trec);
    let trec = Run::read_trec(fixture("run.trec")).unwrap();
    assert_eq!(Run::read_beir(fixture("run.beir.tsv")).unwrap(), trec);
}

#[test]
fn a_layout_is_known_by_its_first_line() {
    let qrels = Qrels::read_trec(fixture("qrels.trec")).unwrap();
    for name in ["qrels.trec", "qrels.beir.tsv"] {
        assert_eq!(Qrels::read(fixture(name)).unwrap(), qrels);
    }
    let run = Run::read_trec(fixture("run.trec")).unwrap();
    for name in ["run.trec", "run.beir.tsv"] {
        assert_eq!(Run::read(fixture(name)).unwrap(), run);
    }
    assert_eq!(Qrels::parse(&format!("\n{HEADER}q\ta b\t1\n")).unwrap().grade("q", "a b"), Some(1));
    assert!(Qrels::parse("").unwrap().is_empty());
    let fields = "query, iteration, document, grade";
    assert_eq!(fault(Qrels::parse("query-id\tcorpus-id\n")).1, fields);
}

#[test]
fn metrics_have_names() {
    for metric in all_metrics() {
        let name = metric.to_string();
        for name in [&name, &name.to_lowercase(), &name.to_uppercase()] {
            assert_eq!(name.parse::<Metric>().unwrap(), metric);
        }
    }
    let linear = Metric::Ndcg { k: 10, gain: Gain::Linear };
    assert_eq!("nDCG@10".parse::<Metric>().unwrap(), linear);
    let others =
        ["", "ndcg@", "ndcg@0", "mrr@-1", "map@x", "precision@5", "mrr (linear)", "ndcg@3 (b)"];
    for other in others {
        let error = other.parse::<Metric>().unwrap_err().to_string();
        assert!(error.starts_with("expected a metric to be nDCG@K"), "{error}");
        assert!(error.ends_with(&format!(", got {other}")), "{error}");
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");

    let qrels = Qrels::read_trec(fixture("qrels.trec")).unwrap();
    qrels.write_trec(&file).unwrap();
    assert_eq!(Qrels::read_trec(&file).unwrap(), qrels);
    qrels.write_beir(&file).unwrap();
    assert_eq!(Qrels::read_beir(&file).unwrap(), qrels);

    let run = Run::read_trec(fixture("tied.trec")).unwrap();
    run.write_trec(&file, "maxfold").unwrap();
    assert_eq!(Run::read_trec(&file).unwrap(), run);
    run.write_beir(&file).unwrap();
    assert_eq!(Run::read_beir(&file).unwrap(), run);
}

#[test]
fn layouts_are_written_in_order() {
    let mut qrels = Qrels::new();
    for (query, document, grade) in [("q2", "a", 1), ("q1", "c", 0), ("q1", "b", -1)] {
        qrels.insert(query, document, grade).unwrap();
    }
    assert_eq!(qrels.to_trec().unwrap(), "q1 0 b -1\nq1 0 c 0\nq2 0 a 1\n");
    let table = "query-id\tcorpus-id\tscore\nq1\tb\t-1\nq1\tc\t0\nq2\ta\t1\n";
    assert_eq!(qrels.to_beir().unwrap(), table);

    let mut run = Run::new();
    run.insert_ranking("q1", [("a", 0.5), ("b", 12.25)]).unwrap();
    assert_eq!(run.to_trec("tag").unwrap(), "q1 Q0 b 1 12.25 tag\nq1 Q0 a 2 0.5 tag\n");
    assert_eq!(run.to_beir().unwrap(), "query-id\tcorpus-id\tscore\nq1\tb\t12.25\nq1\ta\t0.5\n");
}

/// Line number, what was expected, and what came.
fn fault<T: Debug>(result: Result<T>) -> (usize, &'static str, String) {
    match result.unwrap_err() {
        Error::MalformedLine { line, expected, got, .. } => (line, expected, got),
        other => panic!("not about a line: {other}"),
    }
}

#[test]
fn malformed_trec_qrels_are_refused() {
    let check = |text, line, expected, got: &str| {
        assert_eq!(fault(Qrels::parse_trec(text)), (line, expected, got.into()));
    };
    let fields = "query, iteration, document, grade";
    check("q 0 a 1\nq 0 b\n", 2, fields, "q 0 b");
    check("q 0 a 1 more\n", 1, fields, "q 0 a 1 more");
    check("\n\nq 0 a high\n", 3, "an integer grade", "high");
    check("q 0 a 1.5\n", 1, "an integer grade", "1.5");
    check("q 0 a 1\nq 0 a 1\n", 2, "a document not judged before for its query", "q 0 a 1");
}

const HEADER: &str = "query-id\tcorpus-id\tscore\n";

#[test]
fn malformed_beir_qrels_are_refused() {
    let check = |text: &str, line, expected, got: &str| {
        assert_eq!(fault(Qrels::parse_beir(text)), (line, expected, got.into()));
    };
    let header = "the header query-id, corpus-id, score (tab-separated)";
    check("", 1, header, "");
    check("q\ta\t1\n", 1, header, "q\ta\t1");
    check("query-id corpus-id score\n", 1, header, "query-id corpus-id score");
    let fields = "query, document, grade (tab-separated)";
    check(&format!("{HEADER}q\ta\n"), 2, fields, "q\ta");
    check(&format!("{HEADER}q a 1\n"), 2, fields, "q a 1");
    check(&format!("{HEADER}q\t\t1\n"), 2, fields, "q\t\t1");
    check(&format!("{HEADER}q\t\"a\t1\n"), 2, fields, "q\t\"a\t1");
    check(&format!("{HEADER}q\ta\t1\t2\n"), 2, fields, "q\ta\t1\t2");
    check(&format!("{HEADER}q\ta\tx\n"), 2, "an integer grade", "x");
    let repeated = "a document not judged before for its query";
    check(&format!("{HEADER}q\ta\t1\nq\ta\t0\n"), 3, repeated, "q\ta\t0");
}

#[test]
fn malformed_runs_are_refused() {
    let check = |run: Result<Run>, line, expected, got: &str| {
        assert_eq!(fault(run), (line, expected, got.into()));
    };
    let fields = "query, Q0, document, rank, score, tag";
    check(Run::parse_trec("q Q0 a 1 0.5\n"), 1, fields, "q Q0 a 1 0.5");
    for score in ["NaN", "inf", "-inf", "1e999", "high", "0,5"] {
        let line = format!("q Q0 a 1 0.5 t\nq Q0 b 2 {score} t\n");
        check(Run::parse_trec(&line), 2, "a finite score", score);
        check(Run::parse_beir(&format!("{HEADER}q\tb\t{score}\n")), 2, "a finite score", score);
    }
    let repeated = "a document not ranked before for its query";
    let twice = "q Q0 a 1 0.5 t\nr Q0 a 1 0.5 t\nq Q0 a 2 0.4 t\n";
    check(Run::parse_trec(twice), 3, repeated, "q Q0 a 2 0.4 t");
    check(Run::parse_beir(&format!("{HEADER}q\ta\t1\nq\ta\t2\n")), 3, repeated, "q\ta\t2");
    let header = "the header query-id, corpus-id, score (tab-separated)";
    check(Run::parse_beir("q\ta\t1\n"), 1, header, "q\ta\t1");
    let fields = "query, document, score (tab-separated)";
    check(Run::parse_beir(&format!("{HEADER}q\ta\n")), 2, fields, "q\ta");
}

#[test]
fn errors_say_what_was_expected_and_what_came() {
    let message = Qrels::parse_trec("q 0 a 1\nq 0 b x\n").unwrap_err().to_string();
    assert_eq!(message, "expected an integer grade in line 2 of TREC qrels, got \"x\"");
}

#[test]
fn errors_of_files_carry_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qrels.trec");
    let read = Qrels::read_trec(&file);
    assert!(matches!(read, Err(Error::Io { action: "read", path, .. }) if path == file));
    let nowhere = folder.path().join("none").join("file");
    let written = Run::new().write_beir(&nowhere);
    assert!(matches!(written, Err(Error::Io { action: "write", path, .. }) if path == nowhere));

    fs::write(&file, "q 0 a\n").unwrap();
    match Qrels::read_trec(&file).unwrap_err() {
        Error::InFile { path, source } => {
            assert_eq!(path, file);
            assert!(matches!(*source, Error::MalformedLine { line: 1, .. }));
        }
        other => panic!("no file named: {other}"),
    }
}

#[test]
fn carriage_returns_blank_lines_and_runs_of_spaces_are_read_over() {
    let qrels = Qrels::parse_trec("q 0 a 1\r\n\r\n  q\t0  b   2  \r\n\n").unwrap();
    assert_eq!((qrels.grade("q", "a"), qrels.grade("q", "b")), (Some(1), Some(2)));
    let table = "query-id\tcorpus-id\tscore\r\nq\ta\t1\r\nq\tb\t2";
    assert_eq!(Qrels::parse_beir(table).unwrap(), qrels);
    let run = Run::parse_trec("q Q0 a 1 0.5 t\r\nq Q0 b 2 -1e-3 t\r\n").unwrap();
    assert_eq!(run.ranking("q")[1].score, -0.001);
}

#[test]
fn empty_input_is_empty() {
    assert!(Qrels::parse_trec("").unwrap().is_empty());
    assert!(Qrels::parse_beir(HEADER).unwrap().is_empty());
    assert!(Run::parse_trec("\n").unwrap().is_empty());
    assert!(Run::parse_beir(HEADER).unwrap().is_empty());
    assert_eq!(
        (Qrels::new().to_trec().unwrap(), Run::new().to_beir().unwrap()),
        ("".into(), HEADER.into())
    );
}

#[test]
fn ids_with_quotes_and_spaces_go_through_beir_tables() {
    let ids = ["<dbpedia:\"Heroes\">", "\"", "\"quoted\"", "two words", "naïve"];
    let mut qrels = Qrels::new();
    for id in ids {
        qrels.insert("q \"1\"", id, 1).unwrap();
    }
    let table = qrels.to_beir().unwrap();
    assert!(table.contains("\"q \"\"1\"\"\"\t\"<dbpedia:\"\"Heroes\"\">\"\t1\n"));
    assert_eq!(Qrels::parse_beir(&table).unwrap(), qrels);
}

#[test]
fn ids_that_a_layout_cannot_hold_are_not_written() {
    let refused = |result: Result<String>| {
        assert!(matches!(result, Err(Error::InvalidParameter { name: "id", .. })));
    };
    for (id, beir_holds_it) in [("", false), ("a\tb", false), ("a\nb", false), ("a b", true)] {
        let (mut qrels, mut run) = (Qrels::new(), Run::new());
        qrels.insert("q", id, 1).unwrap();
        run.insert_ranking(id, [("d", 1.0)]).unwrap();
        refused(qrels.to_trec());
        refused(run.to_trec("tag"));
        if !beir_holds_it {
            refused(qrels.to_beir());
            refused(run.to_beir());
        }
    }
    refused(Run::new().to_trec("two words"));
}

fn documents<'a>(run: &'a Run, query: &str) -> Vec<&'a str> {
    run.ranking(query).iter().map(|ranked| ranked.document.as_str()).collect()
}

#[test]
fn scores_decide_the_order_and_ids_break_ties() {
    let lines = "q Q0 c 1 1 t\nq Q0 b 2 5 t\nq Q0 d 3 -0.0 t\nq Q0 a 4 1 t\nq Q0 e 5 0 t\n";
    let run = Run::parse_trec(lines).unwrap();
    assert_eq!(documents(&run, "q"), ["b", "a", "c", "d", "e"]);

    let mut inserted = Run::new();
    inserted
        .insert_ranking("q", [("c", 1.0), ("b", 5.0), ("d", -0.0), ("a", 1.0), ("e", 0.0)])
        .unwrap();
    assert_eq!(inserted, run);
    assert!(run.ranking("other").is_empty());
}

#[test]
fn scores_closer_than_single_precision_are_told_apart() {
    let mut run = Run::new();
    run.insert_ranking("q", [("a", 1.0), ("b", 1.0 + 1e-12)]).unwrap();
    assert_eq!(documents(&run, "q"), ["b", "a"]);
}

#[test]
fn an_engine_s_numbers_are_taken_as_they_are() {
    let mut run = Run::new();
    run.insert_ranking(7, [(10_u64, 0.5_f32), (9, 0.75)]).unwrap();
    assert_eq!(documents(&run, "7"), ["9", "10"]);
}

/// In f64, 0.1 in f32 is 0.10000000149011612.
#[test]
fn scores_in_f32_are_written_with_their_digits() {
    let mut run = Run::new();
    run.insert_ranking("q", [("a", 0.1_f32), ("b", 16_777_216.0), ("c", -1e-40)]).unwrap();
    let lines = "q Q0 b 1 16777216 t\nq Q0 a 2 0.1 t\n";
    let written = run.to_trec("t").unwrap();
    assert!(written.starts_with(lines), "{written}");
    assert_eq!(Run::parse_trec(&written).unwrap(), run);
    assert!(run.to_beir().unwrap().contains("q\ta\t0.1\n"));
}

#[test]
fn refused_insertions_change_nothing() {
    let mut qrels = Qrels::parse_trec("q 0 a 1\n").unwrap();
    let before = qrels.clone();
    let error = qrels.insert("q", "a", 2).unwrap_err();
    assert_eq!(error.to_string(), "expected each document once for query \"q\", got \"a\" twice");
    assert_eq!(qrels, before);

    let mut run = Run::parse_trec("q Q0 a 1 0.5 t\n").unwrap();
    let before = run.clone();
    let again = run.insert_ranking("q", [("b", 1.0)]);
    assert!(matches!(again, Err(Error::DuplicateRanking { query }) if query == "q"));
    let twice = run.insert_ranking("r", [("b", 1.0), ("b", 2.0)]).unwrap_err();
    assert_eq!(twice.to_string(), "expected each document once for query \"r\", got \"b\" twice");
    let infinite = run.insert_ranking("r", [("b", f32::INFINITY)]).unwrap_err();
    assert_eq!(infinite.to_string(), "expected score to be finite, got inf for document \"b\"");
    assert_eq!(run, before);
}

#[test]
fn a_short_ranking_counts_as_far_as_it_goes() {
    let qrels = Qrels::parse_trec("q 0 a 1\nq 0 b 1\n").unwrap();
    let run = Run::parse_trec("q Q0 x 1 2 t\nq Q0 a 2 1 t\n").unwrap();
    let mean = |metric| evaluate(&qrels, &run, metric).unwrap().mean;
    assert_eq!(mean(Metric::Recall { k: usize::MAX }), 0.5);
    assert_eq!(mean(Metric::Mrr { k: usize::MAX }), 0.5);
    assert_eq!(
        mean(Metric::Ndcg { k: usize::MAX, gain: Gain::Linear }),
        mean(Metric::Ndcg { k: 2, gain: Gain::Linear })
    );
}

#[test]
fn the_best_ranking_scores_one_and_no_ranking_zero() {
    let qrels = Qrels::parse_trec("q 0 a 3\nq 0 b 1\nq 0 c -1\nr 0 a 1\ns 0 a 0\n").unwrap();
    let run = Run::parse_trec("q Q0 a 1 2 t\nq Q0 b 2 1 t\nu Q0 a 1 1 t\n").unwrap();
    let too_short = [Metric::Recall { k: 1 }, Metric::Map { k: 1 }];
    for metric in all_metrics().filter(|metric| !too_short.contains(metric)) {
        let evaluation = evaluate(&qrels, &run, metric).unwrap();
        let expected = BTreeMap::from([("q".to_owned(), 1.0), ("r".to_owned(), 0.0)]);
        let mut signs = evaluation.per_query.values().map(|value| value.is_sign_positive());
        assert!(signs.all(|positive| positive), "{metric}: no value is -0");
        assert_eq!((evaluation.per_query, evaluation.mean), (expected, 0.5), "{metric}");
    }
}

#[test]
fn gains_are_as_published() {
    let gains = |gain: Gain| [-1, 0, 1, 2, 3, 4].map(|grade| gain.of(grade));
    assert_eq!(gains(Gain::Linear), [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(gains(Gain::Exponential), [0.0, 0.0, 1.0, 3.0, 7.0, 15.0]);
}

#[test]
fn a_cutoff_of_zero_is_refused() {
    let qrels = Qrels::parse_trec("q 0 a 1\n").unwrap();
    let ndcg = Metric::Ndcg { k: 0, gain: Gain::Linear };
    let others = [Metric::Mrr { k: 0 }, Metric::Recall { k: 0 }, Metric::Map { k: 0 }];
    for metric in [ndcg, Metric::Success { k: 0 }].into_iter().chain(others) {
        let error = evaluate(&qrels, &Run::new(), metric).unwrap_err();
        assert_eq!(error.to_string(), "expected k to be at least 1, got 0");
    }
}

#[test]
fn grades_that_overflow_an_exponential_gain_are_refused() {
    let exponential = Metric::Ndcg { k: 10, gain: Gain::Exponential };
    let run = Run::parse_trec("q Q0 a 1 1 t\n").unwrap();
    let perfect = Qrels::parse_trec("q 0 a 512\n").unwrap();
    assert_eq!(evaluate(&perfect, &run, exponential).unwrap().mean, 1.0);
    let beyond = Qrels::parse_trec("q 0 a 513\n").unwrap();
    let refused = evaluate(&beyond, &run, exponential);
    assert!(matches!(refused, Err(Error::InvalidParameter { name: "grade", .. })));
    let linear = Metric::Ndcg { k: 10, gain: Gain::Linear };
    assert_eq!(evaluate(&beyond, &run, linear).unwrap().mean, 1.0);
}

#[test]
fn a_mean_over_no_queries_is_refused() {
    let mrr = Metric::Mrr { k: 10 };
    let none = evaluate(&Qrels::new(), &Run::new(), mrr);
    assert!(matches!(none, Err(Error::NothingRelevant { queries: 0 })));
    let qrels = Qrels::parse_trec("q 0 a 0\nr 0 a -1\n").unwrap();
    assert!(matches!(
        evaluate(&qrels, &Run::new(), mrr),
        Err(Error::NothingRelevant { queries: 2 })
    ));
}
