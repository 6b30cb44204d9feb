//! The lowest layer of a graph: links between all nodes.
//!
//! hnsw_rs gives up the longest link of a node that has too many. So vectors that come side by side
//! end up on islands, which no walk finds or leaves: of 50 groups that came one after the other, a
//! fifth was never found. Here a link is only given up if another one leads the same way
//! ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320), algorithm 4).

use std::iter;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::blocks::Blocks;
use super::fetch::fetch;
use super::near::Near;
use super::vectors::Vectors;
use super::{Distance, NodeId};

/// Locks that all nodes share.
const LOCKS: usize = 1024;

/// The links of each node to some that are near it by one distance.
///
/// Whoever walks reads them without a lock. While a node's links change, some of those before and some
/// of those after may be seen: all of them lead to nodes.
pub(super) struct Web {
    by: Distance,
    /// Of each node its links, each as the other one's number and one more; 0 after the last.
    lists: Blocks,
    /// Of each node, how many of its first links were [chosen](Web::choose) together, so that no two of them lead the same
    /// way. Nobody knows that of the nodes of a file.
    chosen: Blocks,
    /// Number of nodes of a file.
    of_file: usize,
    /// Whoever changes a node's links holds the lock that is the node's.
    locks: Box<[Mutex<()>]>,
}

impl Web {
    /// One in which a node has so many links at most.
    pub(super) fn new(by: Distance, most: usize) -> Self {
        let locks = (0..LOCKS).map(|_| Mutex::default()).collect();
        Self { by, lists: Blocks::new(most), chosen: Blocks::new(1), of_file: 0, locks }
    }

    /// One of a file.
    pub(super) fn from_file(by: Distance, lists: Blocks) -> Self {
        Self { of_file: lists.len(), lists, ..Self::new(by, 0) }
    }

    /// Distance by which it links.
    pub(super) fn by(&self) -> Distance {
        self.by
    }

    /// The most links of a node.
    pub(super) fn most(&self) -> usize {
        self.lists.stride()
    }

    /// Appends a node, without links.
    pub(super) fn push(&self) {
        self.chosen.push([0]);
        self.lists.push([]);
    }

    /// The links of a node as they are written.
    pub(super) fn list(&self, node: NodeId) -> &[AtomicU32] {
        self.lists.get(node as usize).unwrap_or_default()
    }

    /// Has the links of a node fetched into the cache.
    pub(super) fn fetch(&self, node: NodeId) {
        self.lists.get(node as usize).into_iter().for_each(fetch);
    }

    /// The links of a node.
    pub(super) fn links(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let links = self.list(node).iter().map(|link| link.load(Ordering::Relaxed));
        links.map_while(|link| link.checked_sub(1))
    }

    /// Links a node to some of those that are near it, and them to it.
    pub(super) fn link(&self, vectors: &Vectors, node: NodeId, near: Vec<Near>) {
        let chosen = self.choose(vectors, near, &[]);
        self.change(node, |links, _| {
            // Others have been quicker to link to this one.
            links.retain(|link| !chosen.contains(link));
            links.truncate(self.most() - chosen.len());
            links.splice(0..0, chosen.iter().copied());
            chosen.len()
        });
        chosen.iter().for_each(|&other| self.add(vectors, other, node));
    }

    fn add(&self, vectors: &Vectors, node: NodeId, link: NodeId) {
        self.change(node, |links, chosen| {
            if links.contains(&link) {
                return chosen;
            }
            links.push(link);
            if links.len() > self.most()
                && let Some(vector) = vectors.get(node)
            {
                let from = vectors.from(self.by, vector);
                let near = links.iter().map(|&it| Near::new(from.nearness(it), it)).collect();
                *links = self.choose(vectors, near, &links[..chosen]);
                return links.len();
            }
            chosen
        });
    }

    /// Changes the links of a node, at most as many as there may be; the change is told how many of the first were
    /// chosen together, and gives how many are then.
    fn change(&self, node: NodeId, change: impl FnOnce(&mut Vec<NodeId>, usize) -> usize) {
        let _lock = self.locks[node as usize % LOCKS].lock();
        let mut links: Vec<NodeId> = self.links(node).collect();
        let place = (node as usize).checked_sub(self.of_file);
        let count = place.and_then(|place| self.chosen.get(place)?.first());
        let chosen = change(&mut links, count.map_or(0, |it| it.load(Ordering::Relaxed) as usize));
        count.into_iter().for_each(|it| it.store(chosen as u32, Ordering::Relaxed));
        let links = links.into_iter().map(|link| link + 1).chain(iter::repeat(0));
        self.lists.write(node as usize, links);
    }

    /// The nearest, without those that are nearer to one chosen before: there is a way to them. Those that were chosen
    /// together are not compared with each other again, which is most of the work.
    fn choose(&self, vectors: &Vectors, mut near: Vec<Near>, together: &[NodeId]) -> Vec<NodeId> {
        near.sort_unstable_by(|a, b| b.cmp(a));
        let mut chosen: Vec<NodeId> = Vec::with_capacity(self.most());
        // Those of them that were not chosen together with the others.
        let mut apart: Vec<NodeId> = Vec::new();
        for near in near {
            if chosen.len() == self.most() {
                break;
            }
            let Some(vector) = vectors.get(near.node()) else { continue };
            let from = vectors.from(self.by, vector);
            let is_apart = !together.contains(&near.node());
            let others = if is_apart { &chosen } else { &apart };
            if others.iter().all(|&other| from.nearness(other) < near.nearness()) {
                chosen.push(near.node());
                apart.extend(is_apart.then(|| near.node()));
            }
        }
        chosen
    }
}
