//! [`TokenMatrices`]: multivectors of some points, to be ranked.

use std::collections::HashMap;

use super::Snapshot;
use crate::Result;
use crate::filter::PointId;
use crate::multivector::TokenMatrixRef;

/// Multivectors of some points, by id, as a [`Request`](crate::rerank::Request) asks for them. They are
/// borrowed from the snapshot's file, and any thread may read them.
#[derive(Clone, Debug, Default)]
pub struct TokenMatrices<'s>(HashMap<PointId, TokenMatrixRef<'s>>);

impl<'s> TokenMatrices<'s> {
    /// The matrix of a point; `None` if the point or its vector was not there.
    pub fn get(&self, id: PointId) -> Option<TokenMatrixRef<'s>> {
        self.0.get(&id).copied()
    }

    /// Number of matrices.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Snapshot<'_> {
    /// Reads the multivectors `name` of candidates that another engine has found. Points that don't
    /// exist, or don't have the vector, are left out.
    ///
    /// ```
    /// use maxfold::rerank::{Query, Request, Wanted};
    /// use maxfold::{Backend, Collection, CollectionConfig, Distance, Point, Reranker, TokenMatrix};
    /// use maxfold::{Vector, VectorConfig};
    ///
    /// let config = CollectionConfig::new().vector("tokens", VectorConfig::multi(2, Distance::Dot));
    /// let collection = Collection::temporary(config)?;
    /// let point = |id, row: [f32; 2]| Ok(Point::new(id).vector("tokens", Vector::from_rows(&[row])?));
    /// collection.upsert(vec![point(7, [0.5, 0.0])?, point(8, [0.0, 0.25])?])?;
    ///
    /// let candidates = [7.into(), 8.into()];
    /// let snapshot = collection.snapshot()?;
    /// let matrices = snapshot.token_matrices("tokens", candidates)?;
    ///
    /// let query = TokenMatrix::from_rows(&[[0.0_f32, 1.0]])?;
    /// let queries = [Query { tokens: query.view(), candidates: &candidates }];
    /// let matrix = |id| Ok(matrices.get(id));
    /// let request = Request::new(&queries, &matrix, Wanted::best(1));
    /// let answer = Reranker::new(Backend::Auto)?.rank(&request)?;
    /// assert_eq!((answer.rankings[0].hits[0].id, answer.rankings[0].hits[0].score), (8.into(), 0.25));
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::tokens`]: a damaged record is an error, not a missing document.
    pub fn token_matrices(
        &self,
        name: &str,
        ids: impl IntoIterator<Item = PointId>,
    ) -> Result<TokenMatrices<'_>> {
        let mut matrices = HashMap::new();
        for id in ids {
            if let Some(number) = self.number(id)?
                && let Some(matrix) = self.tokens(name, number)?
            {
                matrices.insert(id, matrix);
            }
        }
        Ok(TokenMatrices(matrices))
    }
}
