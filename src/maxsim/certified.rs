//! The best k documents, of which only those are read in f16 that could be among them.
//!
//! As in `top_k.rs`, with bounds from what was quantized when the documents were stored: the k documents of the highest
//! bounds are scored, and then all whose bounds reach the least of these scores.

use std::ops::Range;

use rayon::prelude::*;

use super::quantized::{Integers, QuantizedQuery, Scratch};
use super::scorer::CpuMaxSim;
use crate::Result;
use crate::background::Cancellation;
use crate::multivector::{QuantizedMatrixRef, TokenMatrixRef, check_dimension, check_dimensions};
use crate::ranking::{by_rank, first};

/// Documents that are bounded before it is decided whether to bound the others.
const SAMPLE: usize = 128;

/// Bounds pay where one document of so many is asked for. Measured.
const LEAST_DOCUMENTS_OF_K: usize = 4;

/// Bounds pay where one document of so many, of the sample, is scored. Measured.
const LEAST_EXCLUDED: usize = 3;

/// Documents that may be among the best, with their scores.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contenders {
    /// Indices and scores in any order, among them all that score as high as the k-th best.
    pub scored: Vec<(usize, f32)>,
    /// Number of documents that were bounded first; none if bounds did not promise to pay.
    #[cfg_attr(not(feature = "collection"), allow(dead_code))]
    pub bounded: usize,
}

impl CpuMaxSim {
    /// The `k` documents of the highest MaxSim scores, as [`CpuMaxSim::top_k`] gives them, of documents that were
    /// quantized before: `matrix` is asked only for those that may be among them, by their index.
    ///
    /// ```
    /// use maxfold::{TokenMatrix, maxsim::CpuMaxSim, multivector::QuantizedMatrix};
    ///
    /// let documents: Vec<TokenMatrix> = (0..1_000)
    ///     .map(|at| TokenMatrix::from_rows(&[[at as f32, 1.0]]))
    ///     .collect::<Result<_, _>>()?;
    /// let quantized: Vec<QuantizedMatrix> =
    ///     documents.iter().map(|it| QuantizedMatrix::new(it.view())).collect::<Result<_, _>>()?;
    ///
    /// let views: Vec<_> = quantized.iter().map(QuantizedMatrix::view).collect();
    /// let query = TokenMatrix::from_rows(&[[0.5_f32, 0.0]])?;
    /// let matrix = |at: usize| Ok(documents[at].view());
    /// let best = CpuMaxSim::new().top_k_quantized(query.view(), &views, matrix, 2)?;
    /// assert_eq!(best, [(999, 499.5), (998, 499.0)]);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// A document's dimension is not the query's; what `matrix` says.
    pub fn top_k_quantized<'m>(
        &self,
        query: TokenMatrixRef<'_>,
        quantized: &[QuantizedMatrixRef<'_>],
        matrix: impl Fn(usize) -> Result<TokenMatrixRef<'m>>,
        k: usize,
    ) -> Result<Vec<(usize, f32)>> {
        let packed = self.pack(&[query], query.dim());
        let score = |some: &[usize]| {
            let chosen = some.iter().map(|&at| matrix(at)).collect::<Result<Vec<_>>>()?;
            check_dimensions(query, &chosen)?;
            Ok(some.iter().copied().zip(self.score_packed(&packed, &chosen)?).collect())
        };
        let contenders = self.certified(query, quantized, k, score)?.scored;
        Ok(first(contenders, k, |&(a, x), &(b, y)| by_rank((x, a), (y, b))))
    }

    /// Contenders for the best `k` documents; `score` gives exact scores of some of them, by their indices.
    ///
    /// # Errors
    /// A document's dimension is not the query's; what `score` says.
    pub(crate) fn certified(
        &self,
        query: TokenMatrixRef<'_>,
        quantized: &[QuantizedMatrixRef<'_>],
        k: usize,
        mut score: impl FnMut(&[usize]) -> Result<Vec<(usize, f32)>>,
    ) -> Result<Contenders> {
        for (index, document) in quantized.iter().enumerate() {
            check_dimension(|| format!("document {index}"), query.dim(), document.dim())?;
        }
        if k == 0 {
            return Ok(Contenders::default());
        }
        match self.upper_bounds_of(query, quantized, k, &mut score)? {
            Some(upper) => {
                let scored = reaching(&upper, k, score)?;
                Ok(Contenders { scored, bounded: quantized.len() })
            }
            None => {
                let all: Vec<usize> = (0..quantized.len()).collect();
                Ok(Contenders { scored: score(&all)?, bounded: 0 })
            }
        }
    }

    /// Tells whether bounds of so many documents may pay for the best `k` of them.
    pub(crate) fn certifies(&self, documents: usize, k: usize) -> bool {
        documents >= 2 * SAMPLE
            && k <= documents / LEAST_DOCUMENTS_OF_K
            && self.instruction_set().quads().is_some()
    }

    /// An upper bound a document, where bounds promise to be worth their cost.
    fn upper_bounds_of(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[QuantizedMatrixRef<'_>],
        k: usize,
        score: impl FnMut(&[usize]) -> Result<Vec<(usize, f32)>>,
    ) -> Result<Option<Vec<f64>>> {
        let count = documents.len();
        if !self.certifies(count, k) {
            return Ok(None);
        }
        let Some(integers) = self.instruction_set().quads() else { return Ok(None) };
        let Some(query) = integers.query(query) else { return Ok(None) };
        let cancellation = Cancellation::current();
        let bound = |some: Range<usize>| {
            let bounds =
                self.in_pool(|| upper_bounds(integers, &query, documents, some, &cancellation));
            cancellation.check().map(|()| bounds)
        };
        let mut upper = bound(0..SAMPLE)?;
        let scored = reaching(&upper, (k * SAMPLE).div_ceil(count), score)?.len();
        if LEAST_EXCLUDED * scored > SAMPLE {
            return Ok(None);
        }
        upper.extend(bound(SAMPLE..count)?);
        Ok(Some(upper))
    }
}

/// Upper bounds of some of the documents; of none of the rest, once the call is cancelled.
fn upper_bounds(
    integers: Integers,
    query: &QuantizedQuery,
    documents: &[QuantizedMatrixRef<'_>],
    some: Range<usize>,
    cancellation: &Cancellation,
) -> Vec<f64> {
    let bound = |scratch: &mut Scratch, number: usize| {
        if cancellation.is_cancelled() {
            return 0.0;
        }
        let next = documents.get(number + 1).copied();
        integers.bound(query, documents[number], next, scratch)
    };
    some.into_par_iter().map_init(|| Scratch::new(query), bound).collect()
}

/// Scores those of the documents with these upper bounds that may be among the best `k` of them.
///
/// The `k` of the highest bounds are scored. The k-th best score is no less than the least of theirs, so a document whose
/// bound is below that is not among the best.
fn reaching(
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rand::prelude::*;

    use super::super::bound::tests::{Kind, bits, documents, expected};
    use super::*;
    use crate::Error;
    use crate::maxsim::InstructionSet;
    use crate::multivector::{QuantizedMatrix, TokenMatrix};

    fn quantized(documents: &[TokenMatrixRef<'_>]) -> Vec<QuantizedMatrix> {
        documents.iter().map(|it| QuantizedMatrix::new(*it).unwrap()).collect()
    }

    /// However little bounds exclude, for every kind of lanes.
    #[test]
    fn bounds_change_nothing() {
        let mut rng = StdRng::seed_from_u64(61);
        let (sets, all) = (InstructionSet::available(), Integers::all());
        for dim in [1, 2, 3, 17, 45, 100, 128, 384] {
            for kind in Kind::ALL {
                let documents = documents(kind, &mut rng, 40, dim);
                let views: Vec<_> = documents.iter().collect();
                let owned = quantized(&views);
                let codes: Vec<_> = owned.iter().map(QuantizedMatrix::view).collect();
                let tokens = rng.random_range(1..=70);
                let query = kind.matrix(&mut rng, tokens, dim, 1.0);
                for (at, set) in sets.iter().enumerate() {
                    let cpu = CpuMaxSim::new().with_instruction_set(*set);
                    for k in [1, 2, rng.random_range(3..views.len()), views.len()] {
                        let integers = all[(at + k) % all.len()];
                        let packed = integers.query(query.view()).unwrap();
                        let none = Cancellation::default();
                        let upper = upper_bounds(integers, &packed, &codes, 0..codes.len(), &none);
                        let score = |some: &[usize]| {
                            let chosen: Vec<_> = some.iter().map(|&at| views[at]).collect();
                            let scores = cpu.score(query.view(), &chosen)?;
                            Ok(some.iter().copied().zip(scores).collect())
                        };
                        let scored = reaching(&upper, k, score).unwrap();
                        let got = first(scored, k, |&(a, x), &(b, y)| by_rank((x, a), (y, b)));
                        let expected = expected(&cpu, query.view(), &views, k);
                        assert_eq!(bits(got), expected, "{set} {integers:?} {kind:?} {dim} {k}");
                    }
                }
            }
        }
    }

    #[test]
    fn few_documents_are_read() {
        let mut rng = StdRng::seed_from_u64(62);
        let documents = documents(Kind::Unit, &mut rng, 1_000, 128);
        let views: Vec<_> = documents.iter().collect();
        let owned = quantized(&views);
        let codes: Vec<_> = owned.iter().map(QuantizedMatrix::view).collect();
        let query = Kind::Unit.matrix(&mut rng, 32, 128, 1.0);
        for set in InstructionSet::available() {
            let cpu = CpuMaxSim::new().with_instruction_set(set);
            let read = Cell::new(0);
            let matrix = |at: usize| {
                read.set(read.get() + 1);
                Ok(views[at])
            };
            let got = cpu.top_k_quantized(query.view(), &codes, matrix, 10).unwrap();
            assert_eq!(bits(got), expected(&cpu, query.view(), &views, 10), "{set}");
            let read = read.into_inner();
            match set.quads() {
                Some(_) => assert!(read < 200, "{set} read {read}"),
                None => assert_eq!(read, views.len(), "{set}"),
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let matrix = TokenMatrix::new(&[1.0_f32, 2.0, 3.0], 3).unwrap();
        let owned = QuantizedMatrix::new(matrix.view()).unwrap();
        let query = TokenMatrix::new(&[1.0_f32, 2.0], 2).unwrap();
        let cpu = CpuMaxSim::new();
        let best = |query: &TokenMatrix, document: &TokenMatrix| {
            cpu.top_k_quantized(query.view(), &[owned.view()], |_| Ok(document.view()), 1)
        };
        for result in [best(&query, &matrix), best(&matrix, &query)] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::DimensionMismatch { .. }), "{error}");
        }
        let missing = |_| Err(Error::NotResident { id: "7".into() });
        let error = cpu.top_k_quantized(matrix.view(), &[owned.view()], missing, 1).unwrap_err();
        assert!(matches!(error, Error::NotResident { .. }), "{error}");
        assert!(
            cpu.top_k_quantized(matrix.view(), &[owned.view()], missing, 0).unwrap().is_empty()
        );
        assert!(cpu.top_k_quantized(matrix.view(), &[], missing, 1).unwrap().is_empty());
    }
}
