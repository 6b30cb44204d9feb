//! Table of documents and their vectors, as of one moment.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use roaring::RoaringBitmap;

use super::vectors::NodeId;

/// Documents and the nodes of their vectors.
///
/// Documents with equal vectors (boilerplate, empty texts, copies) share a node: a crowd of equal
/// vectors would be linked to nothing but each other. A node whose documents are gone stays in the
/// graph, as a place to pass through, and is never found.
#[derive(Clone, Default)]
pub(super) struct Documents {
    node_of: HashMap<u32, NodeId, BuildHasherDefault<NumberHasher>>,
    /// The documents of each node.
    holders: Vec<Holders>,
    numbers: RoaringBitmap,
    /// Nodes that have a document.
    nodes: usize,
}

/// Spreads numbers over 64 bits by a multiplication: many are looked up.
#[derive(Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(byte.into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The documents of a node: mostly one.
#[derive(Clone, Default)]
enum Holders {
    #[default]
    None,
    One(u32),
    Many(RoaringBitmap),
}

impl Holders {
    fn iter(&self) -> impl Iterator<Item = u32> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(number) => (Some(*number), None),
            Self::Many(numbers) => (None, Some(numbers)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn insert(&mut self, number: u32) {
        match self {
            Self::None => *self = Self::One(number),
            Self::One(other) => *self = Self::Many([*other, number].into_iter().collect()),
            Self::Many(numbers) => drop(numbers.insert(number)),
        }
    }

    fn remove(&mut self, number: u32) {
        if let Self::Many(numbers) = self {
            numbers.remove(number);
        }
        if self.iter().all(|it| it == number) {
            *self = Self::None;
        }
    }
}

impl Documents {
    /// None yet, and room for so many.
    pub(super) fn with_capacity(documents: usize) -> Self {
        let node_of = HashMap::with_capacity_and_hasher(documents, BuildHasherDefault::default());
        Self { node_of, holders: Vec::with_capacity(documents), ..Self::default() }
    }

    /// Gives a document a vector, or none.
    pub(super) fn set(&mut self, number: u32, node: Option<NodeId>) {
        let before = match node {
            Some(node) => {
                self.numbers.insert(number);
                self.node_of.insert(number, node)
            }
            None => {
                self.numbers.remove(number);
                self.node_of.remove(&number)
            }
        };
        if before != node {
            before.into_iter().for_each(|node| self.detach(number, node));
            node.into_iter().for_each(|node| self.attach(number, node));
        }
    }

    fn attach(&mut self, number: u32, node: NodeId) {
        let at = node as usize;
        if self.holders.len() <= at {
            self.holders.resize_with(at + 1, Holders::default);
        }
        self.nodes += usize::from(matches!(self.holders[at], Holders::None));
        self.holders[at].insert(number);
    }

    fn detach(&mut self, number: u32, node: NodeId) {
        if let Some(holders) = self.holders.get_mut(node as usize) {
            holders.remove(number);
            self.nodes -= usize::from(matches!(holders, Holders::None));
        }
    }

    /// The documents that have a node's vector, ascending.
    pub(super) fn of(&self, node: NodeId) -> impl Iterator<Item = u32> {
        self.holders.get(node as usize).into_iter().flat_map(Holders::iter)
    }

    /// The documents of all nodes from `first` on.
    pub(super) fn from(&self, first: usize) -> impl Iterator<Item = (u32, NodeId)> {
        let nodes = self.holders.iter().zip(0..).skip(first);
        nodes.flat_map(|(holders, node)| holders.iter().map(move |number| (number, node)))
    }

    pub(super) fn node_of(&self, number: u32) -> Option<NodeId> {
        self.node_of.get(&number).copied()
    }

    /// The numbers of all documents.
    pub(super) fn numbers(&self) -> &RoaringBitmap {
        &self.numbers
    }

    /// Each document, and its node.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, NodeId)> {
        self.node_of.iter().map(|(&number, &node)| (number, node))
    }

    pub(super) fn len(&self) -> usize {
        self.node_of.len()
    }

    /// Number of nodes that have a document.
    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }
}
