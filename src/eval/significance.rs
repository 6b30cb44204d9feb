//! Tests of two runs against each other, query by query.

use statrs::function::beta::beta_reg;

use super::{Evaluation, Metric};
use crate::{Error, Result};

/// Two runs, by one metric, on the same queries: how far apart they are, and how easily chance alone
/// would bring them as far apart.
///
/// Both tests are those that Smucker, Allan and Carterette recommend ("A comparison of statistical
/// significance tests for information retrieval evaluation", CIKM 2007), two-sided. A p-value is the
/// probability of a difference this large, either way, if the two runs were equally good. Where
/// several runs or metrics are tested, some p-value is small by chance: that is the caller's to
/// correct.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// Number of queries that were compared.
    pub queries: usize,
    /// The mean of the second run, less that of the first.
    pub difference: f64,
    /// p-value of Student's t-test of the paired differences, with `queries - 1` degrees of freedom;
    /// `None` where t isn't defined, because there is one query or all differences are the same.
    pub t_test: Option<f64>,
    /// p-value of Fisher's randomization test of the mean difference. Where at most 16 queries differ,
    /// all ways to swap the two runs' values are counted; else 100,000 random ones and the observed
    /// one (Phipson and Smyth, "Permutation p-values should never be zero", 2010), which are the same
    /// every time.
    pub randomization_test: f64,
}

/// Compares the second of two evaluations with the first.
///
/// ```
/// use maxfold::eval::{Metric, Qrels, Run, compare, evaluate};
///
/// let qrels = Qrels::parse_trec("q 0 a 1\nr 0 a 1\ns 0 b 1\n")?;
/// let before = Run::parse_trec("q Q0 b 1 2 x\nq Q0 a 2 1 x\nr Q0 a 1 1 x\ns Q0 a 1 1 x\n")?;
/// let after = Run::parse_trec("q Q0 a 1 2 x\nr Q0 a 1 1 x\ns Q0 a 1 2 x\ns Q0 b 2 1 x\n")?;
/// let [before, after] = [before, after].map(|run| evaluate(&qrels, &run, Metric::Mrr { k: 10 }));
/// let comparison = compare(&before?, &after?)?;
/// assert_eq!(comparison.queries, 3);
/// assert!((comparison.difference - 1.0 / 3.0).abs() < 1e-12);
/// // Two of the queries differ, by a half each: 2 of 4 ways to swap them are as far from 0.
/// assert_eq!(comparison.randomization_test, 0.5);
/// # Ok::<(), maxfold::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidParameter`] if they are of different metrics, or of different queries.
pub fn compare(first: &Evaluation, second: &Evaluation) -> Result<Comparison> {
    let metric = first.metric;
    if second.metric != metric {
        return Err(mismatch(metric.to_string(), second.metric.to_string()));
    }
    if !first.per_query.keys().eq(second.per_query.keys()) {
        let [expected, got] = [first, second].map(|it| it.per_query.len());
        return Err(mismatch(format!("the same {expected} queries"), format!("{got} others")));
    }
    let values = first.per_query.values().zip(second.per_query.values());
    let differences: Vec<f64> = values.map(|(first, second)| second - first).collect();
    Ok(Comparison {
        metric,
        queries: differences.len(),
        difference: second.mean - first.mean,
        t_test: t_test(&differences),
        randomization_test: randomization_test(&differences),
    })
}

fn mismatch(expected: String, got: String) -> Error {
    Error::InvalidParameter { name: "both evaluations", expected: format!("of {expected}"), got }
}

fn t_test(differences: &[f64]) -> Option<f64> {
    let count = differences.len() as f64;
    let freedom = count - 1.0;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / freedom;
    let t_squared = mean.powi(2) / (variance / count);
    // The two tails of Student's distribution (Abramowitz and Stegun, 26.7.1).
    (t_squared.is_finite()).then(|| beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t_squared)))
}

/// Differences of which all combinations of signs are counted.
const COUNTABLE: usize = 16;

/// Random combinations of signs, where there are too many.
const SAMPLES: u32 = 100_000;

fn randomization_test(differences: &[f64]) -> f64 {
    // A sign means nothing to 0.
    let differing: Vec<f64> = differences.iter().copied().filter(|it| *it != 0.0).collect();
    // The same sum in another order may be a little less.
    let rounding = 1e-12 * differing.iter().map(|it| it.abs()).sum::<f64>();
    let observed = differing.iter().sum::<f64>().abs() - rounding;
    let is_extreme =
        |signs: &mut dyn FnMut() -> u64| signed_sum(&differing, signs).abs() >= observed;
    if differing.len() <= COUNTABLE {
        let all = 1_u64 << differing.len();
        let extreme = (0..all).filter(|&signs| is_extreme(&mut || signs)).count();
        return extreme as f64 / all as f64;
    }
    let mut random = SplitMix64(0);
    let extreme = (0..SAMPLES).filter(|_| is_extreme(&mut || random.next())).count();
    (extreme + 1) as f64 / f64::from(SAMPLES + 1)
}

/// The sum of numbers, the signs of which are turned where a bit is set, of 64 at a time.
fn signed_sum(differences: &[f64], signs: &mut dyn FnMut() -> u64) -> f64 {
    let sums = differences.chunks(64).map(|chunk| {
        let signs = signs();
        let turned = (0..).zip(chunk).map(|(bit, difference)| match signs >> bit & 1 {
            0 => *difference,
            _ => -difference,
        });
        turned.sum::<f64>()
    });
    sums.sum()
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). Here, and not a
/// crate's, so that a p-value is the same for good.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
