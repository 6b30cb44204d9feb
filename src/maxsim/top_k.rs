//! The best k documents, without scoring those that can't be among them.
//!
//! Bounds of every document are computed first, which costs less than scores. The k documents with the
//! highest bounds are scored; the least of their scores is one that the k-th best reaches in any case,
//! so a document whose upper bound is below it is not among the best k, and every other is scored. What
//! is kept are scores of the same kernel, so the answer is the same as from scoring everything, ties
//! included.

use super::bound::{Bounds, QuantizedQuery, bounds};
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
        let found = self.in_pool(|| self.upper_bounds(query, documents, k, &cancellation));
        cancellation.check()?;
        match found {
            Some(upper) => reaching(&upper, k, |some| self.score_some(&packed, documents, some)),
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
        if !worth_bounding(query, documents, k, integers.lane_width()) {
            return None;
        }
        let quantized = QuantizedQuery::new(query, integers.lane_width())?;
        let bound = |some| bounds(integers, &quantized, documents, some, cancellation);
        let sample = (documents.len() / DOCUMENTS_OF_SAMPLE).clamp(LEAST_SAMPLE, SAMPLE);
        let mut found = bound(0..sample);
        if !prunes(&found, (k * sample).div_ceil(documents.len())) {
            return None;
        }
        found.extend(bound(sample..documents.len()));
        Some(found.into_iter().map(|bounds| bounds.upper).collect())
    }

    /// Indices and scores of some of the documents.
    fn score_some(
        &self,
        packed: &PackedQueries,
        documents: &[TokenMatrixRef<'_>],
        some: &[usize],
    ) -> Result<Vec<(usize, f32)>> {
        let chosen: Vec<_> = some.iter().map(|&at| documents[at]).collect();
        Ok(some.iter().copied().zip(self.score_packed(packed, &chosen)?).collect())
    }
}

/// Scores those of the documents with these upper bounds that may be among the best `k` of them.
///
/// The `k` of the highest bounds are scored. The k-th best score is no less than the least of theirs, so a document whose
/// bound is below that is not among the best.
pub(super) fn reaching(
    upper: &[f64],
    k: usize,
    mut score: impl FnMut(&[usize]) -> Result<Vec<(usize, f32)>>,
) -> Result<Vec<(usize, f32)>> {
    let mut order: Vec<usize> = (0..upper.len()).collect();
    order.select_nth_unstable_by(k - 1, |&a, &b| upper[b].total_cmp(&upper[a]));
    let (highest, others) = order.split_at(k);
    let mut contenders = score(highest)?;
    let reached = contenders.iter().fold(f32::INFINITY, |least, &(_, score)| least.min(score));
    let possible = others.iter().copied().filter(|&at| upper[at] >= f64::from(reached));
    contenders.extend(score(&possible.collect::<Vec<_>>())?);
    Ok(contenders)
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

#[cfg(test)]
mod tests {
    use rand::prelude::*;

    use super::super::bound::Integers;
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
        let quantized = QuantizedQuery::new(query, integers.lane_width()).unwrap();
        let (all, none) = (0..documents.len(), Cancellation::default());
        let found = bounds(integers, &quantized, documents, all, &none);
        let upper: Vec<f64> = found.into_iter().map(|bounds| bounds.upper).collect();
        let packed = cpu.pack(&[query], query.dim());
        let score = |some: &[usize]| cpu.score_some(&packed, documents, some);
        let contenders = reaching(&upper, k, score).unwrap();
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
}
