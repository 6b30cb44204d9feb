//! The exact way: every vector is compared.

use std::borrow::Cow;

use rayon::prelude::*;

use super::ranking::{Candidate, Top};
use super::{Allowed, Distance};
use crate::Result;
use crate::background::Cancellation;
use crate::multivector::DenseVectors;

/// The least number of values that are worth a thread.
pub(super) const VALUES_PER_THREAD: usize = 1 << 18;

/// Dense vectors, searched by comparing the query with all of them.
///
/// The answer is right by definition; the time grows with the number of vectors. Searches run on
/// rayon's current thread pool.
///
/// ```
/// use maxfold::multivector::DenseVectors;
/// use maxfold::recall::{Distance, ExactIndex};
///
/// let vectors = DenseVectors::new(vec![0.0, 2.0, 3.0, 4.0, 5.0, 0.0], 2)?;
/// let index = ExactIndex::new(Distance::Cosine, vectors)?;
/// let nearest = index.search(&[10.0, 0.0], 2, None)?;
/// assert_eq!(nearest.iter().map(|found| found.document).collect::<Vec<_>>(), [2, 1]);
/// assert_eq!(nearest[0].score, 1.0);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExactIndex {
    distance: Distance,
    /// [Prepared](Distance::prepare).
    vectors: DenseVectors,
}

impl ExactIndex {
    /// Takes vectors as documents 0, 1, 2 …
    ///
    /// # Errors
    /// None that is known: what could be wrong with vectors, [`DenseVectors`] refuses.
    pub fn new(distance: Distance, vectors: DenseVectors) -> Result<Self> {
        Ok(Self { distance, vectors: distance.prepare_all(vectors)? })
    }

    /// Appends one vector, as the next document.
    ///
    /// # Errors
    /// Another dimension, NaN or infinity.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        let vector = self.prepared(vector)?;
        self.vectors.push(&vector)
    }

    /// Appends many vectors, in their order.
    ///
    /// # Errors
    /// Another dimension.
    pub fn extend(&mut self, vectors: &DenseVectors) -> Result<()> {
        vectors.iter().try_for_each(|vector| self.push(vector))
    }

    /// The `limit` documents nearest to `query`, of those allowed: score descending, then document
    /// ascending. `None` allows all.
    ///
    /// # Errors
    /// A query of another dimension, NaN or infinity.
    pub fn search(
        &self,
        query: &[f32],
        limit: usize,
        allowed: Option<&Allowed>,
    ) -> Result<Vec<Candidate>> {
        self.scan(&self.prepared(query)?, limit, allowed)
    }

    /// [`ExactIndex::search`] for a prepared query.
    fn scan(
        &self,
        query: &[f32],
        limit: usize,
        allowed: Option<&Allowed>,
    ) -> Result<Vec<Candidate>> {
        match allowed {
            _ if limit == 0 => Ok(Vec::new()),
            None => self.nearest(query, limit, self.len(), 0..self.len()),
            Some(allowed) => {
                let documents: Vec<_> = allowed.iter().take_while(|&it| it < self.len()).collect();
                self.nearest(query, limit, documents.len(), documents)
            }
        }
    }

    fn nearest(
        &self,
        query: &[f32],
        limit: usize,
        count: usize,
        documents: impl Items<usize>,
    ) -> Result<Vec<Candidate>> {
        best(limit, self.dim(), (count, documents), |document, top| {
            top.extend(self.candidate(query, document))
        })
    }

    /// A document with its score for a prepared query, or `None` past the end.
    fn candidate(&self, query: &[f32], document: usize) -> Option<Candidate> {
        let vector = self.vectors.get(document)?;
        Some(Candidate { document, score: self.distance.similarity(query, vector) })
    }

    /// A vector that may be compared with these, as it is compared.
    fn prepared<'v>(&self, vector: &'v [f32]) -> Result<Cow<'v, [f32]>> {
        self.vectors.check(vector)?;
        Ok(self.distance.prepare(vector))
    }

    /// Distance by which vectors are compared.
    pub fn distance(&self) -> Distance {
        self.distance
    }

    /// The vectors as they are compared: for the cosine at unit length.
    pub fn vectors(&self) -> &DenseVectors {
        &self.vectors
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Returns `true` if there are no documents.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.vectors.dim()
    }
}

/// Items that can be gone through on one thread, and on several.
pub(super) trait Items<I>:
    IntoIterator<Item = I> + IntoParallelIterator<Item = I, Iter: IndexedParallelIterator>
{
}

impl<I, T> Items<I> for T where
    T: IntoIterator<Item = I> + IntoParallelIterator<Item = I, Iter: IndexedParallelIterator>
{
}

/// The first `limit` of the candidates that `compare` pushes for so many items, each of which stands for
/// a vector of `dim` columns; in parallel if there are many. Few don't wait for rayon's threads.
pub(super) fn best<I: Send>(
    limit: usize,
    dim: usize,
    (count, items): (usize, impl Items<I>),
    compare: impl Fn(I, &mut Top) + Sync + Send,
) -> Result<Vec<Candidate>> {
    let cancellation = Cancellation::current();
    let top = || Top::new(limit);
    let compared = |mut top: Top, item| {
        if !cancellation.is_cancelled() {
            compare(item, &mut top);
        }
        top
    };
    let worth_a_thread = VALUES_PER_THREAD.div_ceil(dim);
    let top = if count <= worth_a_thread {
        items.into_iter().fold(top(), compared)
    } else {
        let items = items.into_par_iter().with_min_len(worth_a_thread);
        items.fold(top, compared).reduce(top, Top::merge)
    };
    cancellation.check()?;
    Ok(top.into_ranking())
}
