//! A walk along links, from near nodes to nearer ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;

use super::NodeId;
use super::near::Near;

/// Nodes that are linked, as seen from where a walk wants to go.
pub(super) trait Ground {
    /// Appends the nearness of each of some nodes; larger is nearer.
    fn nearness(&self, nodes: &[NodeId], to: &mut Vec<f32>);

    /// Has what [`Ground::links`] needs fetched into the cache.
    fn fetch_links(&self, node: NodeId);

    /// Calls `to` with the nodes that one is linked to.
    fn links(&self, node: NodeId, to: &mut impl FnMut(NodeId));

    /// Returns `true` if a node may be kept. Walks take the links of the others for their own.
    fn allows(&self, _: NodeId) -> bool {
        true
    }
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
    /// And how near they are.
    nearness: Vec<f32>,
    /// Nodes that are not allowed, and whose links are followed.
    detours: Vec<NodeId>,
}

/// A bit for each node.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn clear(&mut self, nodes: usize) {
        self.0.clear();
        self.0.resize(nodes.div_ceil(64), 0);
    }

    fn has(&self, node: NodeId) -> bool {
        self.0.get(node as usize / 64).is_none_or(|word| word & (1 << (node % 64)) != 0)
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
    pub(super) fn meet(&mut self, ground: &impl Ground, near: Near) {
        if !ground.allows(near.node()) {
            self.follow(ground, near.node());
        } else if self.seen.is_new(near.node()) {
            self.keep(near);
        }
    }

    /// Comes by those nodes that are allowed.
    pub(super) fn visit(&mut self, ground: &impl Ground, nodes: impl IntoIterator<Item = NodeId>) {
        let seen = &mut self.seen;
        let nodes = nodes.into_iter().filter(|&node| ground.allows(node) && seen.is_new(node));
        self.next.extend(nodes);
        self.look(ground);
    }

    /// Follows links until nothing nearer lies ahead.
    pub(super) fn run(&mut self, ground: &impl Ground) {
        while let Some(near) = self.ahead.pop().filter(|&near| !self.is_too_far(near)) {
            // Unless what is found now is nearer, this is where it goes on.
            self.ahead.peek().into_iter().for_each(|next| ground.fetch_links(next.node()));
            self.follow(ground, near.node());
        }
    }

    /// Comes by the nodes that one is linked to, and those that others lead to which are not allowed.
    fn follow(&mut self, ground: &impl Ground, node: NodeId) {
        let Self { seen, next, detours, .. } = self;
        ground.links(node, &mut |node| {
            if seen.is_new(node) {
                if ground.allows(node) { next.push(node) } else { detours.push(node) }
            }
        });
        // Some beyond those that are not allowed, and no more than if all were allowed.
        let most = next.len() + detours.len();
        for node in detours.drain(..) {
            if next.len() >= most {
                break;
            }
            ground.links(node, &mut |node| {
                // Those that aren't allowed stay new, as detours of another node.
                if !seen.has(node) && ground.allows(node) && seen.is_new(node) {
                    next.push(node);
                }
            });
        }
        self.look(ground);
    }

    /// Nodes that it has kept, in no order.
    pub(super) fn kept(&self) -> impl Iterator<Item = Near> {
        self.kept.iter().map(|&Reverse(near)| near)
    }

    fn look(&mut self, ground: &impl Ground) {
        let (mut next, mut nearness) = (mem::take(&mut self.next), mem::take(&mut self.nearness));
        ground.nearness(&next, &mut nearness);
        // In a loop of its own: here the machine guesses wrong, and must not while it computes.
        for (node, nearness) in next.drain(..).zip(nearness.drain(..)) {
            self.keep(Near::new(nearness, node));
        }
        (self.next, self.nearness) = (next, nearness);
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
