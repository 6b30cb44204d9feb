//! The best k documents, without scoring those that can't be among them.
//!
//! Bounds of every document are computed first, which costs less than scores. Then documents are scored,
//! those of the highest bounds first, until a bound is below k scores: neither that document nor any after
//! it is among the best k. What is kept are scores of the same kernel, so the answer is the same as from
//! scoring everything, ties included.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bound::{Bounds, Integers, QuantizedQuery, bounds};
use super::claims;
use super::kernel::Scratch;
use super::query::PackedQueries;
use super::scorer::CpuMaxSim;
use crate::Result;
use crate::background::Cancellation;
use crate::multivector::{TokenMatrixRef, check_dimensions};
use crate::ranking::{by_rank, first};

/// The most documents that are bounded before it is decided whether to bound the others.
const SAMPLE: usize = 128;

/// One document of so many is bounded before that, or more where that would be fewer than [`LEAST_SAMPLE`].
const DOCUMENTS_OF_SAMPLE: usize = 4;

/// The least documents that say something of the others.
const LEAST_SAMPLE: usize = 32;

/// Bounds pay from so many documents. These thresholds were measured.
const LEAST_DOCUMENTS: usize = 80;

/// Bounds pay from so many tokens a document: those of fewer cost too much beside the tokens'.
const LEAST_DOCUMENT_TOKENS: usize = 24;

/// Bounds pay from so many columns.
const LEAST_DIM: usize = 16;

/// Bounds pay where one document of so many is asked for.
const LEAST_DOCUMENTS_OF_K: usize = 8;

/// Bounds pay where one document of so many, of the sample, remains.
const LEAST_PRUNED: usize = 4;

/// Coarse bounds pay where one document of so many, of the sample, remains beside the best: of a document they save a fifth of
/// the time that it takes to score one (with 120 tokens of 128 columns: 4.4 µs where others take 6.2, and scores 9).
const LEAST_PRUNED_COARSELY: usize = 5;

impl CpuMaxSim {
    /// The `k` documents of the highest MaxSim scores: each one's index and score, the score
    /// descending, then the index ascending.
    ///
    /// The same as what [`CpuMaxSim::score`] gives, sorted and cut, to the last bit; but where `k` is
    /// small, most documents are only bounded, which is faster.
    ///
    /// ```
    /// use maxfold::{maxsim::CpuMaxSim, multivector::TokenMatrix};
    ///
    /// let query = TokenMatrix::new(&[1.0_f32, 0.5], 2)?;
    /// let documents = [[0.0_f32, 1.0], [1.0, 0.0], [0.0, 1.0]].map(|d| TokenMatrix::new(&d, 2));
    /// let documents = documents.into_iter().collect::<Result<Vec<_>, _>>()?;
    /// let views: Vec<_> = documents.iter().map(TokenMatrix::view).collect();
    /// assert_eq!(CpuMaxSim::new().top_k(query.view(), &views, 2)?, [(1, 1.0), (0, 0.5)]);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub fn top_k(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        k: usize,
    ) -> Result<Vec<(usize, f32)>> {
        let contenders = self.contenders(query, documents, k)?;
        Ok(first(contenders, k, |&(a, x), &(b, y)| by_rank((x, a), (y, b))))
    }

    /// Indices and scores of documents in any order, among them all that score as high as the k-th
    /// best: the best k are the same wherever ties go.
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub(crate) fn contenders(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        k: usize,
    ) -> Result<Vec<(usize, f32)>> {
        check_dimensions(query, documents)?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let packed = self.pack(&[query], query.dim());
        let cancellation = Cancellation::current();
        let found = self.in_pool(|| {
            let upper = self.upper_bounds(query, documents, k, &cancellation)?;
            Some(self.score_reaching(&packed, documents, (&upper, k), &cancellation))
        });
        cancellation.check()?;
        match found {
            Some(contenders) => Ok(contenders),
            None => Ok(self.score_packed(&packed, documents)?.into_iter().enumerate().collect()),
        }
    }

    /// An upper bound a document, where bounds promise to be worth their cost.
    fn upper_bounds(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        k: usize,
        cancellation: &Cancellation,
    ) -> Option<Vec<f64>> {
        let integers = self.instruction_set().integers()?;
        if !worth_bounding(query, documents, k, integers.layout().0) {
            return None;
        }
        let sample = (documents.len() / DOCUMENTS_OF_SAMPLE).clamp(LEAST_SAMPLE, SAMPLE);
        let k = (k * sample).div_ceil(documents.len());
        let bound = |integers: Integers, pays: fn(&[Bounds], usize) -> bool| {
            let query = QuantizedQuery::new(query, integers.layout())?;
            let sample = (sample, |first: &[Bounds]| pays(first, k));
            let found = bounds(integers, &query, documents, sample, cancellation)?;
            Some(found.into_iter().map(|bounds| bounds.upper).collect())
        };
        let coarse = self.instruction_set().coarse_integers();
        coarse.and_then(|it| bound(it, prunes_coarsely)).or_else(|| bound(integers, prunes))
    }

    /// Indices and scores of those documents with these upper bounds that may be among the best `k`; a few more or less are
    /// scored than another time, as threads come by.
    ///
    /// The highest bounds come first. At any time the k-th best score of all is no less than that of those scored so far: a
    /// document whose bound is below that is not among the best, and neither is any after it.
    fn score_reaching(
        &self,
        packed: &PackedQueries,
        documents: &[TokenMatrixRef<'_>],
        (upper, k): (&[f64], usize),
        cancellation: &Cancellation,
    ) -> Vec<(usize, f32)> {
        let mut order: Vec<usize> = (0..upper.len()).collect();
        order.sort_unstable_by(|&a, &b| upper[b].total_cmp(&upper[a]));
        let best = Best::new(k);
        let score = |scratch: &mut Scratch, place: usize| {
            let at = order[place];
            if cancellation.is_cancelled() || upper[at] < f64::from(best.last()) {
                return None;
            }
            let next = order.get(place + 1).map_or(&[][..], |&next| documents[next].values());
            let mut score = [0.0];
            self.maxima(packed, documents[at].values(), next, scratch).sums(packed, &mut score);
            best.take(score[0]);
            Some((at, score[0]))
        };
        claims::each((order.len(), 1), || Scratch::new(packed), score)
    }
}

/// The best `k` scores so far, of all threads.
struct Best {
    k: usize,
    /// Descending.
    scores: Mutex<Vec<f32>>,
    /// Bits of the k-th, or of −∞.
    last: AtomicU32,
}

impl Best {
    fn new(k: usize) -> Self {
        let last = AtomicU32::new(f32::NEG_INFINITY.to_bits());
        Self { k, scores: Mutex::default(), last }
    }

    /// What the k-th best of all scores is at least.
    fn last(&self) -> f32 {
        f32::from_bits(self.last.load(Ordering::Relaxed))
    }

    fn take(&self, score: f32) {
        let mut scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
        let place = scores.partition_point(|&it| it > score);
        scores.insert(place, score);
        scores.truncate(self.k);
        if let Some(last) = scores.get(self.k - 1) {
            self.last.store(last.to_bits(), Ordering::Relaxed);
        }
    }
}

/// Returns `true` if bounds would cost less than the scores that they may save.
///
/// Scoring a query that fills no more than a register waits for memory, which bounds read too.
fn worth_bounding(
    query: TokenMatrixRef<'_>,
    documents: &[TokenMatrixRef<'_>],
    k: usize,
    width: usize,
) -> bool {
    let tokens: usize = documents.iter().map(TokenMatrixRef::tokens).sum();
    documents.len() >= LEAST_DOCUMENTS
        && k <= documents.len() / LEAST_DOCUMENTS_OF_K
        && tokens >= LEAST_DOCUMENT_TOKENS * documents.len()
        && query.dim() >= LEAST_DIM
        && 4 * query.tokens() >= 5 * width
}

/// Whether, of a sample, few enough could be among the best `k`.
///
/// `k` lower bounds are reached by what could be; as the k-th best score is above the k-th highest of
/// them, fewer will remain in truth.
fn prunes(sample: &[Bounds], k: usize) -> bool {
    let mut lower: Vec<f64> = sample.iter().map(|bounds| bounds.lower).collect();
    let (_, reached, _) = lower.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let remain = sample.iter().filter(|bounds| bounds.upper >= *reached).count();
    LEAST_PRUNED * remain <= sample.len()
}

/// Whether, of a sample, coarse bounds leave few enough beside the best `k`: those whose upper bounds reach the k-th
/// estimate, as that is near the k-th score.
fn prunes_coarsely(sample: &[Bounds], k: usize) -> bool {
    let mut middle: Vec<f64> = sample.iter().map(|bounds| bounds.middle()).collect();
    let (_, reached, _) = middle.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let remain = sample.iter().filter(|bounds| bounds.upper >= *reached).count();
    LEAST_PRUNED_COARSELY * remain.saturating_sub(k) <= sample.len()
}

#[cfg(test)]
mod tests {
    use rand::prelude::*;

    use super::super::bound::tests::{Kind, bits, documents, expected};
    use super::*;
    use crate::maxsim::InstructionSet;

    /// The best `k` by bounds alone, however little they exclude; and how many were scored.
    fn by_bounds(
        cpu: &CpuMaxSim,
        integers: Integers,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        k: usize,
    ) -> (Vec<(usize, u32)>, usize) {
        let quantized = QuantizedQuery::new(query, integers.layout()).unwrap();
        let none = Cancellation::default();
        let found = bounds(integers, &quantized, documents, (1, |_| true), &none).unwrap();
        let upper: Vec<f64> = found.into_iter().map(|bounds| bounds.upper).collect();
        let packed = cpu.pack(&[query], query.dim());
        let contenders = cpu.score_reaching(&packed, documents, (&upper, k), &none);
        let scored = contenders.len();
        (bits(first(contenders, k, |&(a, x), &(b, y)| by_rank((x, a), (y, b)))), scored)
    }

    #[test]
    fn bounds_change_nothing() {
        let mut rng = StdRng::seed_from_u64(41);
        let sets = InstructionSet::available();
        for dim in [1, 2, 3, 17, 45, 100, 128, 384, 768] {
            for kind in Kind::ALL {
                let documents = documents(kind, &mut rng, 40, dim);
                let documents: Vec<_> = documents.iter().collect();
                let tokens = rng.random_range(1..=70);
                let query = kind.matrix(&mut rng, tokens, dim, 1.0);
                for (at, set) in sets.iter().enumerate() {
                    let cpu = CpuMaxSim::new().with_instruction_set(*set);
                    let all = Integers::all();
                    for k in [1, 2, rng.random_range(3..documents.len()), documents.len()] {
                        let expected = expected(&cpu, query.view(), &documents, k);
                        let integers = all[(at + k) % all.len()];
                        let (got, _) = by_bounds(&cpu, integers, query.view(), &documents, k);
                        assert_eq!(got, expected, "{set} {integers:?} {kind:?} {dim} {k}");
                    }
                }
            }
        }
    }

    #[test]
    fn bounds_exclude_most_of_random_documents() {
        let mut rng = StdRng::seed_from_u64(43);
        let (query, documents) =
            (Kind::Unit.matrix(&mut rng, 32, 128, 1.0), documents(Kind::Unit, &mut rng, 400, 128));
        let documents: Vec<_> = documents.iter().collect();
        for integers in Integers::all() {
            let (_, scored) = by_bounds(&CpuMaxSim::new(), integers, query.view(), &documents, 10);
            assert!(scored < 30, "{integers:?} left {scored}");
        }
    }

    #[test]
    fn a_sample_of_equal_documents_says_that_nothing_is_pruned() {
        let equal = vec![Bounds { lower: 1.0, upper: 1.5 }; SAMPLE];
        assert!(!prunes(&equal, 2));
        let apart: Vec<_> =
            (0..SAMPLE).map(|at| Bounds { lower: at as f64, upper: at as f64 + 0.5 }).collect();
        assert!(prunes(&apart, 2));
        assert!(prunes(&apart, SAMPLE / LEAST_PRUNED));
        assert!(!prunes(&apart, SAMPLE / LEAST_PRUNED + 1));
    }

    #[test]
    fn coarse_bounds_are_left_where_too_many_remain_beside_the_best() {
        // Estimates of 0, 1, 2 …, off by less than `error`: so many lie within it below the k-th.
        let sample = |error: f64| {
            let bounds = |at| Bounds { lower: f64::from(at) - error, upper: f64::from(at) + error };
            (0..100).map(bounds).collect::<Vec<_>>()
        };
        for k in [1, 4, 12] {
            assert!(prunes_coarsely(&sample(0.5), k));
            assert!(prunes_coarsely(&sample(20.5), k));
            assert!(!prunes_coarsely(&sample(21.5), k));
        }
        assert!(!prunes_coarsely(&[Bounds { lower: 1.0, upper: 1.5 }; 100], 2));
    }
}
