//! A shape's inputs: the same values for every peer.

use std::path::Path;

use anyhow::{Result, ensure};
use half::slice::HalfFloatSliceExt;
use maxfold::multivector::{Interchange, MultiVectors, TokenMatrixRef};

/// Queries and documents, packed, in f16 and in f32.
///
/// A worker has one and ends with it, so it lives as long as the process.
pub struct Inputs {
    pub queries: MultiVectors,
    pub documents: MultiVectors,
    /// The queries' f16 values, widened.
    pub wide_queries: Vec<f32>,
    /// The documents' f16 values, widened.
    pub wide_documents: Vec<f32>,
}

impl Inputs {
    /// Reads two interchange files.
    pub fn read(documents: &Path, queries: &Path) -> Result<&'static Self> {
        let documents = Interchange::read(documents)?.tokens;
        let queries = Interchange::read(queries)?.tokens;
        ensure!(documents.dim() == queries.dim(), "queries and documents differ in dimension");
        let (wide_queries, wide_documents) = (widened(&queries), widened(&documents));
        Ok(Box::leak(Box::new(Self { queries, documents, wide_queries, wide_documents })))
    }

    pub fn dim(&self) -> usize {
        self.documents.dim()
    }

    /// The widened values of each query.
    pub fn each_wide_query(&self) -> Vec<&[f32]> {
        each(&self.queries, &self.wide_queries)
    }

    /// The widened values of each document.
    pub fn each_wide_document(&self) -> Vec<&[f32]> {
        each(&self.documents, &self.wide_documents)
    }

    pub fn query_views(&self) -> Vec<TokenMatrixRef<'_>> {
        self.queries.iter().collect()
    }

    pub fn document_views(&self) -> Vec<TokenMatrixRef<'_>> {
        self.documents.iter().collect()
    }
}

fn widened(vectors: &MultiVectors) -> Vec<f32> {
    let mut wide = vec![0.0; vectors.values().len()];
    vectors.values().convert_to_f32_slice(&mut wide);
    wide
}

fn each<'a>(vectors: &MultiVectors, wide: &'a [f32]) -> Vec<&'a [f32]> {
    let dim = vectors.dim();
    let rows = vectors.offsets().windows(2);
    rows.map(|row| &wide[row[0] as usize * dim..row[1] as usize * dim]).collect()
}
