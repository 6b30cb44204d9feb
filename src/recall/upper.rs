//! The upper layers of a graph, of some of its nodes: where walks begin.

use super::NodeId;
use super::near::Near;
use super::vectors::Outlook;
use super::walk::{Ground, Walk};

/// The `ef` of a walk on the lowest of these layers.
const EF: usize = 8;

/// Some nodes of a graph and the links between them, in layers: they don't change.
///
/// A node is named by its place here. Those that are in the most layers come first, so each layer has
/// the first few.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Upper {
    pub(super) nodes: Vec<NodeId>,
    /// From the lowest, which has all, to the highest.
    pub(super) layers: Vec<Layer>,
}

/// The links of the nodes of a layer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layer {
    /// End of the links of each node.
    pub(super) ends: Vec<u32>,
    pub(super) links: Vec<u32>,
}

impl Layer {
    fn links(&self, place: u32) -> &[u32] {
        let end = |place: u32| self.ends.get(place as usize).map(|&end| end as usize);
        let begin = place.checked_sub(1).and_then(end).unwrap_or(0);
        end(place).and_then(|end| self.links.get(begin..end)).unwrap_or_default()
    }
}

impl Upper {
    /// Layers of nodes that each have links, to nodes, in as many layers as they are in.
    pub(super) fn of(mut linked: Vec<(NodeId, Vec<Vec<NodeId>>)>) -> Self {
        linked.sort_by_key(|(node, layers)| (std::cmp::Reverse(layers.len()), *node));
        let nodes: Vec<_> = linked.iter().map(|&(node, _)| node).collect();
        let mut places: Vec<_> = (0..).zip(&nodes).map(|(place, &node)| (node, place)).collect();
        places.sort_unstable();
        let place = |node: &NodeId| {
            let at = places.binary_search_by_key(node, |&(node, _)| node).ok()?;
            Some(places[at].1)
        };
        let mut layers: Vec<Layer> = Vec::new();
        for (_, links) in &linked {
            for (at, links) in links.iter().enumerate() {
                if layers.len() <= at {
                    layers.push(Layer::default());
                }
                let layer = &mut layers[at];
                // hnsw_rs links to some that are in lower layers only.
                let there = linked.partition_point(|(_, layers)| layers.len() > at) as u32;
                layer.links.extend(links.iter().filter_map(place).filter(|&it| it < there));
                layer.ends.push(layer.links.len() as u32);
            }
        }
        Self { nodes, layers }
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Some nodes that are near where one looks from, as far as these links lead.
    pub(super) fn nearest<'u>(
        &'u self,
        from: Outlook<'u>,
        walk: &'u mut Walk,
    ) -> impl Iterator<Item = Near> + 'u {
        let mut start = 0;
        for (at, layer) in self.layers.iter().enumerate().rev() {
            walk.begin(self.len(), if at == 0 { EF } else { 1 });
            let ground = UpperGround { upper: self, layer, from };
            walk.visit(&ground, [start]);
            walk.run(&ground);
            start = walk.kept().next().map_or(start, Near::node);
        }
        let node =
            |near: Near| Some(Near::new(near.nearness(), *self.nodes.get(near.node() as usize)?));
        walk.kept().filter_map(node)
    }
}

struct UpperGround<'u> {
    upper: &'u Upper,
    layer: &'u Layer,
    from: Outlook<'u>,
}

impl Ground for UpperGround<'_> {
    fn nearness(&self, places: &[u32], to: &mut Vec<f32>) {
        // What isn't there is a node that isn't there.
        let node = |&place: &u32| *self.upper.nodes.get(place as usize).unwrap_or(&NodeId::MAX);
        self.from.nearness_of(places.iter().map(node), to);
    }

    fn fetch_links(&self, _: u32) {}

    fn links(&self, place: u32, to: &mut impl FnMut(u32)) {
        self.layer.links(place).iter().copied().for_each(to);
    }
}
