//! The exact way: every vector is compared.

use std::borrow::Cow;

use super::ranking::{Candidate, Top};
use super::{Allowed, Distance};
use crate::Result;
use crate::background::Cancellation;
use crate::maxsim::claimed;
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
            None => self.nearest(query, limit, self.len(), |at| at),
            Some(allowed) => {
                let documents: Vec<_> = allowed.iter().take_while(|&it| it < self.len()).collect();
                self.nearest(query, limit, documents.len(), |at| documents[at])
            }
        }
    }

    fn nearest(
        &self,
        query: &[f32],
        limit: usize,
        count: usize,
        document: impl Fn(usize) -> usize + Sync,
    ) -> Result<Vec<Candidate>> {
        best(limit, self.dim(), (count, document), |document, top| {
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

/// Parts a thread, if all take as long: the last are shared out well, and there are few rankings to merge.
const PARTS_PER_THREAD: usize = 4;

/// The first `limit` of the candidates that `compare` pushes for so many items, each of which stands for
/// a vector of `dim` columns; in parallel if there are many. Few don't wait for rayon's threads.
pub(super) fn best<I>(
    limit: usize,
    dim: usize,
    (count, item): (usize, impl Fn(usize) -> I + Sync),
    compare: impl Fn(I, &mut Top) + Sync,
) -> Result<Vec<Candidate>> {
    let cancellation = Cancellation::current();
    let share = VALUES_PER_THREAD.div_ceil(dim);
    let share = share.max(count / (PARTS_PER_THREAD * rayon::current_num_threads()));
    let part = |(): &mut (), part: usize| {
        let mut top = Top::new(limit);
        for at in part * share..count.min((part + 1) * share) {
            if cancellation.is_cancelled() {
                break;
            }
            compare(item(at), &mut top);
        }
        Some(top)
    };
    let tops = claimed((count.div_ceil(share), 1), || (), part).into_iter();
    cancellation.check()?;
    Ok(tops.reduce(Top::merge).map(Top::into_ranking).unwrap_or_default())
}
