//! A walk along links, from near nodes to nearer ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NodeId;
use super::web::{Near, Web};

/// A walk that keeps the `ef` nearest of the nodes that it comes by, and goes on from the nearest
/// until all that it keeps are nearer than what lies ahead.
pub(super) struct Walk<F> {
    nearness: F,
    ef: usize,
    /// A bit for each node.
    seen: Vec<u64>,
    ahead: BinaryHeap<Near>,
    kept: BinaryHeap<Reverse<Near>>,
}

impl<F: Fn(NodeId) -> Option<f32>> Walk<F> {
    /// A walk among so many nodes.
    pub(super) fn new(nodes: usize, ef: usize, nearness: F) -> Self {
        let seen = vec![0; nodes.div_ceil(64)];
        Self { nearness, ef, seen, ahead: BinaryHeap::new(), kept: BinaryHeap::new() }
    }

    /// Comes by a node.
    pub(super) fn visit(&mut self, node: NodeId) {
        if !self.is_new(node) {
            return;
        }
        // What is lost is the farthest.
        let nearness = (self.nearness)(node).unwrap_or(f32::MIN);
        let near = Near { nearness, node };
        if !self.is_too_far(near) {
            self.ahead.push(near);
            self.kept.push(Reverse(near));
        }
        if self.kept.len() > self.ef {
            self.kept.pop();
        }
    }

    /// Leaves out a node that it hasn't come by yet.
    pub(super) fn pass_by(&mut self, node: NodeId) {
        self.is_new(node);
    }

    /// Returns `true` if it comes by a node for the first time.
    fn is_new(&mut self, node: NodeId) -> bool {
        let bit = 1 << (node % 64);
        // Nodes that were added since it began are left out.
        let Some(word) = self.seen.get_mut(node as usize / 64) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn is_too_far(&self, near: Near) -> bool {
        let last = self.kept.peek().filter(|_| self.kept.len() >= self.ef);
        last.is_some_and(|Reverse(last)| near < *last)
    }

    /// Follows the links of webs, and gives what it kept, in no order.
    pub(super) fn run(mut self, webs: &[Web]) -> Vec<Near> {
        while let Some(near) = self.ahead.pop().filter(|&near| !self.is_too_far(near)) {
            let links = webs.iter().flat_map(|web| web.links(near.node));
            links.for_each(|node| self.visit(node));
        }
        self.kept.into_iter().map(|Reverse(near)| near).collect()
    }
}
