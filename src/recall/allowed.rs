//! Sets of documents that a search may return.

use roaring::{RoaringBitmap, RoaringTreemap};

/// A set of documents that a search is restricted to, for example those that match a filter.
///
/// A compressed bitmap ([Lemire et al. 2018](https://arxiv.org/abs/1709.07821)): small whether few
/// documents are allowed or most. Numbers past the end of an index allow nothing there.
///
/// ```
/// use maxfold::recall::Allowed;
///
/// let mut allowed: Allowed = (0..1000).filter(|document| document % 3 == 0).collect();
/// allowed.insert(100);
/// assert!(allowed.contains(99) && allowed.contains(100) && !allowed.contains(101));
/// assert_eq!(allowed.len(), 335);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowed(RoaringTreemap);

impl Allowed {
    /// No documents yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows one more document.
    pub fn insert(&mut self, document: usize) {
        self.0.insert(document as u64);
    }

    /// Returns `true` if `document` is allowed.
    pub fn contains(&self, document: usize) -> bool {
        self.0.contains(document as u64)
    }

    /// Number of allowed documents.
    pub fn len(&self) -> usize {
        self.0.len() as usize
    }

    /// Returns `true` if no document is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The allowed documents, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|document| document as usize)
    }

    /// Documents that a point number of 32 bits can name.
    pub(super) fn numbers(&self) -> Option<&RoaringBitmap> {
        self.0.bitmaps().next().filter(|(high, _)| *high == 0).map(|(_, numbers)| numbers)
    }
}

impl FromIterator<usize> for Allowed {
    fn from_iter<I: IntoIterator<Item = usize>>(documents: I) -> Self {
        Self(documents.into_iter().map(|document| document as u64).collect())
    }
}

impl From<RoaringBitmap> for Allowed {
    fn from(documents: RoaringBitmap) -> Self {
        Self(RoaringTreemap::from_bitmaps([(0, documents)]))
    }
}

impl From<RoaringTreemap> for Allowed {
    fn from(documents: RoaringTreemap) -> Self {
        Self(documents)
    }
}
