//! Matches and similarities of query tokens: for hits alone, so it is not blocked.

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::CpuMaxSim;
use crate::Result;
use crate::multivector::{TokenMatrixRef, check_dimensions};
use crate::ranking::TokenMatch;

/// Columns that are added up in one chain at most in each lane, and so numbers in one chain.
const CHAIN: usize = 256;

/// Similarities of query tokens to the tokens of a document, `[query tokens, document tokens]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarityMatrix {
    values: Vec<f32>,
    tokens: usize,
}

impl SimilarityMatrix {
    #[cfg(feature = "collection")]
    pub(crate) fn new(values: Vec<f32>, tokens: usize) -> Self {
        Self { values, tokens }
    }

    /// The similarities of each query token to all document tokens, in their order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks(self.tokens)
    }
}

impl CpuMaxSim {
    /// For each document, and in it for each query token, the document token that is most similar to
    /// it, and their dot product; of equally similar ones the first.
    ///
    /// The similarities of a document add up to its score, but for rounding.
    ///
    /// ```
    /// use maxfold::{maxsim::CpuMaxSim, multivector::TokenMatrix};
    ///
    /// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
    /// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
    /// let matches = CpuMaxSim::new().matches(query.view(), &[document.view()])?;
    /// assert_eq!((matches[0][0].token, matches[0][0].similarity), (0, 0.5));
    /// assert_eq!((matches[0][1].token, matches[0][1].similarity), (1, -1.0));
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub fn matches(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<Vec<TokenMatch>>> {
        check_dimensions(query, documents)?;
        let rows: Vec<Vec<f32>> = query.rows().map(HalfFloatSliceExt::to_f32_vec).collect();
        let find = |document: &TokenMatrixRef<'_>| self.document_matches(&rows, *document);
        Ok(self.in_pool(|| documents.par_iter().map(find).collect()))
    }

    /// Compares each query token with each document token: what a picture of the match is made of.
    ///
    /// ```
    /// use maxfold::{maxsim::CpuMaxSim, multivector::TokenMatrix};
    ///
    /// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
    /// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0, 1.0, 1.0], 2)?;
    /// let similarities = CpuMaxSim::new().similarities(query.view(), document.view())?;
    /// assert_eq!(similarities.rows().collect::<Vec<_>>(), [[0.5, 0.25, 1.0], [-2.0, -1.0, 1.0]]);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// The document's dimension is not the query's.
    pub fn similarities(
        &self,
        query: TokenMatrixRef<'_>,
        document: TokenMatrixRef<'_>,
    ) -> Result<SimilarityMatrix> {
        check_dimensions(query, &[document])?;
        let widen = |matrix: TokenMatrixRef<'_>| -> Vec<Vec<f32>> {
            matrix.rows().map(HalfFloatSliceExt::to_f32_vec).collect()
        };
        let (query, document) = (widen(query), widen(document));
        let row = |query: &Vec<f32>| -> Vec<f32> {
            document.iter().map(|row| self.similarity(query, row)).collect()
        };
        let values = query.iter().flat_map(row).collect();
        Ok(SimilarityMatrix { values, tokens: document.len() })
    }

    fn document_matches(
        &self,
        query: &[Vec<f32>],
        document: TokenMatrixRef<'_>,
    ) -> Vec<TokenMatch> {
        let nothing = TokenMatch { token: 0, similarity: f32::NEG_INFINITY };
        let mut matches = vec![nothing; query.len()];
        let mut row = vec![0.0; document.dim()];
        for (token, values) in (0..).zip(document.rows()) {
            values.convert_to_f32_slice(&mut row);
            for (best, query) in matches.iter_mut().zip(query) {
                let similarity = self.similarity(query, &row);
                if similarity > best.similarity {
                    *best = TokenMatch { token, similarity };
                }
            }
        }
        matches
    }

    fn similarity(&self, a: &[f32], b: &[f32]) -> f32 {
        let blocks = a.chunks(CHAIN).zip(b.chunks(CHAIN));
        blocks.map(|(a, b)| self.instruction_set().dot(a, b)).sum()
    }
}
