//! Table of documents and their vectors, as of one moment.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::vectors::NodeId;

/// Numbers that follow each other and are in one part of the table.
const RUN: u32 = 1024;

/// Parts of the table by number.
const PARTS: usize = 256;

/// Nodes that are in one part of the table by node.
const PAGE: usize = 1024;

/// Documents and the nodes of their vectors.
///
/// Documents with equal vectors (boilerplate, empty texts, copies) share a node: a crowd of equal
/// vectors would be linked to nothing but each other. A node whose documents are gone stays in the
/// graph, as a place to pass through, and is never found.
///
/// A clone shares its parts. Those that are changed then are copied: of a table of a million documents, with a thousand
/// that come one after the other, a hundredth.
#[derive(Clone)]
pub(super) struct Documents {
    node_of: Vec<Arc<NodeOf>>,
    /// The documents of each node.
    holders: Vec<Arc<[Holders; PAGE]>>,
    numbers: RoaringBitmap,
    /// Nodes that have a document.
    nodes: usize,
}

/// Nodes by number, of a part of the documents.
type NodeOf = HashMap<u32, NodeId, BuildHasherDefault<NumberHasher>>;

/// The part that has a number.
fn part_of(number: u32) -> usize {
    (number / RUN) as usize % PARTS
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

/// The page of a node, and its place there.
fn place(node: NodeId) -> (usize, usize) {
    (node as usize / PAGE, node as usize % PAGE)
}

impl Default for Documents {
    fn default() -> Self {
        let (holders, numbers, nodes) = Default::default();
        Self { node_of: vec![Arc::default(); PARTS], holders, numbers, nodes }
    }
}

impl Documents {
    /// Gives a document a vector, or none.
    pub(super) fn set(&mut self, number: u32, node: Option<NodeId>) {
        let node_of = Arc::make_mut(&mut self.node_of[part_of(number)]);
        let before = match node {
            Some(node) => {
                self.numbers.insert(number);
                node_of.insert(number, node)
            }
            None => {
                self.numbers.remove(number);
                node_of.remove(&number)
            }
        };
        if before != node {
            before.into_iter().for_each(|node| self.detach(number, node));
            node.into_iter().for_each(|node| self.attach(number, node));
        }
    }

    fn attach(&mut self, number: u32, node: NodeId) {
        let (page, at) = place(node);
        if self.holders.len() <= page {
            self.holders.resize_with(page + 1, || Arc::new([const { Holders::None }; PAGE]));
        }
        let holders = &mut Arc::make_mut(&mut self.holders[page])[at];
        self.nodes += usize::from(matches!(holders, Holders::None));
        holders.insert(number);
    }

    fn detach(&mut self, number: u32, node: NodeId) {
        let (page, at) = place(node);
        if let Some(page) = self.holders.get_mut(page) {
            let holders = &mut Arc::make_mut(page)[at];
            holders.remove(number);
            self.nodes -= usize::from(matches!(holders, Holders::None));
        }
    }

    /// The documents that have a node's vector, ascending.
    pub(super) fn of(&self, node: NodeId) -> impl Iterator<Item = u32> {
        let (page, at) = place(node);
        self.holders.get(page).into_iter().flat_map(move |page| page[at].iter())
    }

    /// The documents of some nodes, and these.
    pub(super) fn of_all(&self, nodes: Range<usize>) -> impl Iterator<Item = (u32, NodeId)> {
        let nodes = nodes.map(|node| node as NodeId);
        nodes.flat_map(|node| self.of(node).map(move |number| (number, node)))
    }

    pub(super) fn node_of(&self, number: u32) -> Option<NodeId> {
        self.node_of[part_of(number)].get(&number).copied()
    }

    /// The numbers of all documents.
    pub(super) fn numbers(&self) -> &RoaringBitmap {
        &self.numbers
    }

    /// Each document, and its node.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, NodeId)> {
        self.node_of.iter().flat_map(|part| part.iter().map(|(&number, &node)| (number, node)))
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len() as usize
    }

    /// Number of nodes that have a document.
    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }
}
