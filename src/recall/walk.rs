//! A walk along links, from near nodes to nearer ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NodeId;
use super::near::Near;

/// Rows that are fetched before they are needed.
const AHEAD: usize = 2;

/// Nodes that are linked, as seen from where a walk wants to go.
pub(super) trait Ground {
    /// Nearness of a node; larger is nearer.
    fn nearness(&self, node: NodeId) -> f32;

    /// Has what [`Ground::nearness`] needs fetched into the cache.
    fn fetch(&self, node: NodeId);

    /// Calls `to` with the nodes that one is linked to.
    fn links(&self, node: NodeId, to: &mut impl FnMut(NodeId));
}

/// A walk that keeps the `ef` nearest of the nodes that it comes by, and goes on from the nearest
/// until all that it keeps are nearer than what lies ahead. Its memory is for one walk after another.
#[derive(Default)]
pub(super) struct Walk {
    ef: usize,
    seen: Seen,
    ahead: BinaryHeap<Near>,
    kept: BinaryHeap<Reverse<Near>>,
    /// Nodes to come by next.
    next: Vec<NodeId>,
}

/// A bit for each node.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn clear(&mut self, nodes: usize) {
        self.0.clear();
        self.0.resize(nodes.div_ceil(64), 0);
    }

    /// Returns `true` if it is told of a node for the first time.
    fn is_new(&mut self, node: NodeId) -> bool {
        let bit = 1 << (node % 64);
        // Nodes that were added since the walk began are left out.
        let Some(word) = self.0.get_mut(node as usize / 64) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

impl Walk {
    /// Begins anew, among so many nodes.
    pub(super) fn begin(&mut self, nodes: usize, ef: usize) {
        self.ef = ef;
        self.seen.clear(nodes);
        self.ahead.clear();
        self.kept.clear();
    }

    /// Leaves out a node that it hasn't come by yet.
    pub(super) fn pass_by(&mut self, node: NodeId) {
        self.seen.is_new(node);
    }

    /// Comes by a node whose nearness is known.
    pub(super) fn meet(&mut self, near: Near) {
        if self.seen.is_new(near.node()) {
            self.keep(near);
        }
    }

    /// Comes by nodes.
    pub(super) fn visit(&mut self, ground: &impl Ground, nodes: impl IntoIterator<Item = NodeId>) {
        let seen = &mut self.seen;
        self.next.extend(nodes.into_iter().filter(|&node| seen.is_new(node)));
        self.look(ground);
    }

    /// Follows links until nothing nearer lies ahead.
    pub(super) fn run(&mut self, ground: &impl Ground) {
        while let Some(near) = self.ahead.pop().filter(|&near| !self.is_too_far(near)) {
            let (seen, next) = (&mut self.seen, &mut self.next);
            ground.links(near.node(), &mut |node| {
                if seen.is_new(node) {
                    next.push(node);
                }
            });
            self.look(ground);
        }
    }

    /// What it has kept, in no order.
    pub(super) fn kept(&self) -> impl Iterator<Item = Near> {
        self.kept.iter().map(|&Reverse(near)| near)
    }

    fn look(&mut self, ground: &impl Ground) {
        self.next.iter().take(AHEAD).for_each(|&node| ground.fetch(node));
        for at in 0..self.next.len() {
            self.next.get(at + AHEAD).into_iter().for_each(|&node| ground.fetch(node));
            let node = self.next[at];
            self.keep(Near::new(ground.nearness(node), node));
        }
        self.next.clear();
    }

    fn keep(&mut self, near: Near) {
        if self.kept.len() < self.ef {
            self.kept.push(Reverse(near));
            self.ahead.push(near);
        } else if let Some(mut last) = self.kept.peek_mut().filter(|last| near > last.0) {
            *last = Reverse(near);
            self.ahead.push(near);
        }
    }

    fn is_too_far(&self, near: Near) -> bool {
        let last = self.kept.peek().filter(|_| self.kept.len() >= self.ef);
        last.is_some_and(|&Reverse(last)| near < last)
    }
}
