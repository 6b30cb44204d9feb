//! Documents with equal vectors.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use crate::multivector::DenseVectors;

/// Which documents have the vector of an earlier one: boilerplate, empty texts, copies.
#[derive(Default)]
pub(super) struct Twins {
    hasher: RandomState,
    /// Hash of a vector, and the first document that has it.
    first: HashMap<u64, usize>,
    /// The other documents that have the vector of this one.
    others: HashMap<usize, Vec<usize>>,
}

impl Twins {
    /// Notes a document, and says whether its vector is new.
    ///
    /// Where two vectors share a hash, the second counts as new each time.
    pub(super) fn note(&mut self, document: usize, vectors: &DenseVectors) -> bool {
        let Some(vector) = vectors.get(document) else { return false };
        let hash = self.hasher.hash_one(bytemuck::cast_slice::<f32, u8>(vector));
        match self.first.entry(hash) {
            Entry::Occupied(first) if vectors.get(*first.get()) == Some(vector) => {
                self.others.entry(*first.get()).or_default().push(document);
                false
            }
            Entry::Occupied(_) => true,
            Entry::Vacant(entry) => {
                entry.insert(document);
                true
            }
        }
    }

    /// The document, and all others that have its vector.
    pub(super) fn of(&self, first: usize) -> impl Iterator<Item = usize> {
        let others = self.others.get(&first).into_iter().flatten();
        std::iter::once(first).chain(others.copied())
    }
}
