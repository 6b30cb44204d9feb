//! Effectiveness measures.

use std::collections::BTreeMap;

use super::{Judgements, Qrels, Ranked, Run};
use crate::{Error, Result};

/// Gain of a retrieved document of a given grade in [nDCG](Metric::Ndcg).
///
/// Documents of grade 0 or below are worth nothing under either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gain {
    /// The grade itself (Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR
    /// techniques", 2002). trec_eval uses this one, and so BEIR.
    Linear,
    /// 2^grade − 1, which sets high grades further apart (Burges et al., "Learning to rank using
    /// gradient descent", 2005).
    Exponential,
}

/// The highest grade with an exponential gain: sums of such gains stay far within `f64`'s range.
const MAX_EXPONENTIAL_GRADE: i32 = 512;

impl Gain {
    /// The gain of a grade.
    pub fn of(self, grade: i32) -> f64 {
        match self {
            _ if !relevant(grade) => 0.0,
            Self::Linear => grade.into(),
            Self::Exponential => f64::from(grade).exp2() - 1.0,
        }
    }
}

/// A measure of the first `k` documents of a ranking, between 0 (worst) and 1 (best); of all of
/// them with [`usize::MAX`].
///
/// A document is relevant if its grade is above 0. A ranking of fewer than `k` documents is
/// measured as it is, as though documents that are not relevant followed.
///
/// A name, in any case, is a metric, and the other way round.
///
/// ```
/// use maxfold::eval::{Gain, Metric};
///
/// assert_eq!(Metric::Ndcg { k: 10, gain: Gain::Linear }.to_string(), "nDCG@10 (linear)");
/// assert_eq!("ndcg@10".parse::<Metric>()?, Metric::Ndcg { k: 10, gain: Gain::Linear });
/// assert_eq!("MRR@10".parse::<Metric>()?, Metric::Mrr { k: 10 });
/// assert_eq!("MAP".parse::<Metric>()?, Metric::Map { k: usize::MAX });
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Normalized discounted cumulative gain (Järvelin and Kekäläinen, 2002): the sum of each
    /// document's gain divided by log2(1 + rank), as a fraction of the same sum over the best
    /// ranking there could be, which is that of all judged documents by grade.
    Ndcg {
        /// Number of documents that count.
        k: usize,
        /// Gain of a grade.
        gain: Gain,
    },
    /// Reciprocal rank: 1 / rank of the first relevant document, or 0 if it is not among the first
    /// `k`. Its mean is the MRR (Voorhees, "The TREC-8 question answering track report", 1999).
    Mrr {
        /// Number of documents that count.
        k: usize,
    },
    /// The fraction of all relevant documents that is among the first `k`.
    Recall {
        /// Number of documents that count.
        k: usize,
    },
    /// Average precision: the precision down to each relevant document among the first `k`, summed
    /// and divided by the number of all relevant documents. Its mean is the MAP (Buckley and
    /// Voorhees, "Evaluating evaluation measure stability", 2000).
    Map {
        /// Number of documents that count.
        k: usize,
    },
    /// Success: 1 if a relevant document is among the first `k`, else 0.
    Success {
        /// Number of documents that count.
        k: usize,
    },
}

/// A metric's values for a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The metric.
    pub metric: Metric,
    /// Mean over the queries of [`per_query`](Self::per_query).
    pub mean: f64,
    /// The value for each query that has a relevant document.
    pub per_query: BTreeMap<String, f64>,
}

/// Measures a run against judgements.
///
/// The values, and their mean, are of all queries that have a relevant document in the qrels. Such
/// a query that is missing from the run counts 0, so that a run can't gain by leaving out queries
/// that it does badly on (as with trec_eval's option `-c`). Queries of the run without judgements
/// are left out.
///
/// # Errors
///
/// [`Error::InvalidParameter`] if `k` is 0, or a grade is above 512 and the gain exponential;
/// [`Error::NothingRelevant`] if no query has a relevant document.
pub fn evaluate(qrels: &Qrels, run: &Run, metric: Metric) -> Result<Evaluation> {
    metric.check(qrels)?;
    let per_query: BTreeMap<_, _> = qrels
        .iter()
        .filter(|(_, judgements)| judgements.values().any(|&grade| relevant(grade)))
        .map(|(query, judgements)| (query.to_owned(), metric.value(judgements, run.ranking(query))))
        .collect();
    if per_query.is_empty() {
        return Err(Error::NothingRelevant { queries: qrels.len() });
    }
    Ok(Evaluation::new(metric, per_query))
}

impl Evaluation {
    /// Values for each query, wherever they were measured; without any the mean is NaN.
    pub fn new(metric: Metric, per_query: BTreeMap<String, f64>) -> Self {
        let mean = per_query.values().sum::<f64>() / per_query.len() as f64;
        Self { metric, mean, per_query }
    }
}

impl Metric {
    fn check(self, qrels: &Qrels) -> Result<()> {
        if self.cutoff() == 0 {
            return Err(out_of_range("k", "at least 1", 0));
        }
        match self {
            Self::Ndcg { gain: Gain::Exponential, .. } => check_exponents(qrels),
            _ => Ok(()),
        }
    }

    /// The value for one query, which has a relevant document.
    fn value(self, judgements: &Judgements, ranking: &[Ranked]) -> f64 {
        let grades =
            ranking.iter().map(|ranked| judgements.get(&ranked.document).copied().unwrap_or(0));
        match self {
            Self::Ndcg { k, gain } => dcg(gain, grades.take(k)) / ideal_dcg(gain, judgements, k),
            Self::Mrr { k } => reciprocal_rank(grades.take(k)),
            Self::Recall { k } => count_relevant(grades.take(k)) / all_relevant(judgements),
            Self::Map { k } => sum_of_precisions(grades.take(k)) / all_relevant(judgements),
            Self::Success { k } => count_relevant(grades.take(k)).min(1.0),
        }
    }
}

fn check_exponents(qrels: &Qrels) -> Result<()> {
    match qrels.iter().flat_map(|(_, judgements)| judgements.values()).max() {
        Some(&grade) if grade > MAX_EXPONENTIAL_GRADE => {
            let expected = format!("at most {MAX_EXPONENTIAL_GRADE} for an exponential gain");
            Err(out_of_range("grade", &expected, grade))
        }
        _ => Ok(()),
    }
}

fn relevant(grade: i32) -> bool {
    grade > 0
}

fn dcg(gain: Gain, grades: impl Iterator<Item = i32>) -> f64 {
    let discounts = (2_u32..).map(|rank_plus_one| f64::from(rank_plus_one).log2());
    let discounted = grades.zip(discounts).map(|(grade, discount)| gain.of(grade) / discount);
    // From 0, as the sum of nothing would be -0.
    discounted.fold(0.0, |sum, gain| sum + gain)
}

fn ideal_dcg(gain: Gain, judgements: &Judgements, k: usize) -> f64 {
    let mut grades: Vec<_> = judgements.values().copied().collect();
    grades.sort_unstable_by(|a, b| b.cmp(a));
    dcg(gain, grades.into_iter().take(k))
}

fn reciprocal_rank(mut grades: impl Iterator<Item = i32>) -> f64 {
    grades.position(relevant).map_or(0.0, |above| 1.0 / (above + 1) as f64)
}

/// The precision down to each relevant document, summed.
fn sum_of_precisions(grades: impl Iterator<Item = i32>) -> f64 {
    let ranks = (1_u32..).zip(grades).filter(|&(_, grade)| relevant(grade)).map(|(rank, _)| rank);
    let precisions = (1_u32..).zip(ranks).map(|(found, rank)| f64::from(found) / f64::from(rank));
    // From 0, as the sum of nothing would be -0.
    precisions.fold(0.0, |sum, precision| sum + precision)
}

fn all_relevant(judgements: &Judgements) -> f64 {
    count_relevant(judgements.values().copied())
}

fn count_relevant(grades: impl Iterator<Item = i32>) -> f64 {
    grades.filter(|&grade| relevant(grade)).count() as f64
}

fn out_of_range(name: &'static str, expected: &str, got: impl ToString) -> Error {
    Error::InvalidParameter { name, expected: expected.to_owned(), got: got.to_string() }
}
