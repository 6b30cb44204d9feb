//! Doors: judgements and rankings, and the texts of single values.

use maxfold::eval::{Gain, Metric, Qrels, Run, evaluate};
use rand::prelude::*;

use crate::{mutate, trials};

const METRICS: [Metric; 4] = [
    Metric::Ndcg { k: 10, gain: Gain::Exponential },
    Metric::Ndcg { k: usize::MAX, gain: Gain::Linear },
    Metric::Mrr { k: 1 },
    Metric::Recall { k: 3 },
];

/// What is read is the same when it is written, and measured between 0 and 1.
#[test]
fn judgements_and_rankings_come_back() {
    let _alone = trials::alone();
    trials::door("judgements and rankings", table, |text| {
        let qrels = [Qrels::parse_trec(text), Qrels::parse_beir(text)];
        let runs = [Run::parse_trec(text), Run::parse_beir(text)];
        for qrels in qrels.iter().flatten() {
            // Ids with white space are BEIR's alone.
            let trec = qrels.to_trec().map(|text| Qrels::parse_trec(&text).unwrap());
            assert!(trec.is_err() || trec.unwrap() == *qrels);
            let beir = qrels.to_beir().map(|text| Qrels::parse_beir(&text).unwrap());
            assert!(beir.map_or(has_unfit(text), |again| again == *qrels));
            for run in runs.iter().flatten() {
                for metric in METRICS {
                    let Ok(measured) = evaluate(qrels, run, metric) else { continue };
                    assert!((0.0..=1.0 + 1e-12).contains(&measured.mean), "{metric}: {measured:?}");
                }
            }
        }
        for run in runs.iter().flatten() {
            let trec = run.to_trec("tag").map(|text| Run::parse_trec(&text).unwrap());
            assert!(trec.is_err() || trec.unwrap() == *run);
            let beir = run.to_beir().map(|text| Run::parse_beir(&text).unwrap());
            assert!(beir.map_or(has_unfit(text), |again| again == *run));
        }
        qrels.iter().any(Result::is_ok) || runs.iter().any(Result::is_ok)
    });
}

/// Whether an id may have what no text file holds within a field.
fn has_unfit(text: &str) -> bool {
    text.contains(['\0', '\r', '\u{feff}'])
}

fn table(rng: &mut StdRng) -> String {
    const WORDS: [&str; 18] = [
        "q1",
        "q2",
        "d1",
        "d2",
        "0",
        "1",
        "2",
        "-1",
        "2147483647",
        "2147483648",
        "1e999",
        "NaN",
        "0.5",
        "\"x y\"",
        "\"\"",
        "ü",
        "-0",
        "Q0",
    ];
    let mut text = String::new();
    if rng.random_bool(0.4) {
        text += "query-id\tcorpus-id\tscore\n";
    }
    let fields = *[3, 4, 6].choose(rng).unwrap();
    for _ in 0..rng.random_range(0..5) {
        let separator = [" ", "\t", "\t", "  "].choose(rng).unwrap();
        let words: Vec<&str> = (0..fields).map(|_| *WORDS.choose(rng).unwrap()).collect();
        text += &words.join(separator);
        text += ["\n", "\n", "\r\n"].choose(rng).unwrap();
    }
    match rng.random_bool(0.5) {
        true => text,
        false => String::from_utf8_lossy(&mutate::bytes(rng, text.into_bytes())).into_owned(),
    }
}

/// A value is the same when it is written and read.
#[test]
#[cfg(any(feature = "collection", feature = "gpu"))]
fn single_values_come_back() {
    const SEEDS: &[&str] = &[
        "2024-02-29T12:00:00Z",
        "2024-02-29 12:00:00.123456789+23:59",
        "-262143-01-01T00:00:00Z",
        "+262142-12-31T23:59:60Z",
        "a[0].b[].\"c d\"",
        "550e8400-e29b-41d4-a716-446655440000",
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
        "18446744073709551615",
        "maxfold calibration 2\nadapter: A GPU\ndriver: 1\nf16-matrix16: short 128 registers long 64 memory\n\
         packed-fma: short 128 4 8 long 256 8 8\n",
    ];
    let _alone = trials::alone();
    let input = |rng: &mut StdRng| {
        let seed = SEEDS.choose(rng).unwrap().as_bytes().to_vec();
        String::from_utf8_lossy(&mutate::bytes(rng, seed)).into_owned()
    };
    trials::door("single values", input, |text| {
        let read = [
            #[cfg(feature = "collection")]
            comes_back::<maxfold::filter::Datetime>(text),
            #[cfg(feature = "collection")]
            comes_back::<maxfold::filter::FieldPath>(text),
            #[cfg(feature = "collection")]
            comes_back::<maxfold::filter::PointId>(text),
            #[cfg(feature = "gpu")]
            comes_back::<maxfold::gpu::Calibration>(text),
        ];
        read.contains(&true)
    });
}

#[cfg(any(feature = "collection", feature = "gpu"))]
fn comes_back<T>(text: &str) -> bool
where
    T: std::str::FromStr + std::fmt::Display + PartialEq + std::fmt::Debug,
    T::Err: std::fmt::Debug,
{
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string().parse::<T>().unwrap(), value);
    true
}
