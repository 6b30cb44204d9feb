//! [`Fields`]: those of an object while it is read; and what else readers of JSON have in common.

use std::collections::HashSet;

use super::{Field, Tree};

/// serde_json's own limit of levels, which other formats don't have.
pub(super) const DEEPEST: usize = 128;

/// The key of a number in serde_json, where a host turned on its feature for arbitrary precision.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// Fields of an object while it is read.
#[derive(Default)]
pub(super) struct Fields {
    pub list: Vec<Field>,
    /// The names of all, where there are many.
    names: HashSet<Box<str>>,
}

impl Fields {
    /// Fields that are sooner looked through than hashed.
    const FEW: usize = 16;

    pub fn have(&self, key: &str) -> bool {
        match self.names.is_empty() {
            true => self.list.iter().any(|(name, _)| **name == *key),
            false => self.names.contains(key),
        }
    }

    pub fn push(&mut self, key: Box<str>, value: Tree) {
        if self.list.len() >= Self::FEW {
            if self.names.is_empty() {
                self.names.extend(self.list.iter().map(|(name, _)| name.clone()));
            }
            self.names.insert(key.clone());
        }
        self.list.push((key, value));
    }
}
