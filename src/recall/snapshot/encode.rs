//! A graph as the bytes of a file.

use twox_hash::XxHash3_64;

use super::{MAGIC, header};
use crate::recall::graph::Graph;
use crate::recall::upper::Upper;
use crate::recall::vectors::hash;
use crate::recall::{HnswView, NodeId};

pub(super) fn encode(view: &HnswView) -> Vec<u8> {
    let (graph, gauge) = (&view.graph, view.gauge);
    let nodes = 0..graph.len() as NodeId;
    let mut out = Out(MAGIC.to_vec());
    out.put(header(graph));
    out.0.extend(view.stamp().to_le_bytes());
    out.put([gauge.ef, gauge.nodes, gauge.is_rough.into(), graph.len() as u32]);
    for node in nodes.clone() {
        out.0.extend(hash_of(graph, node).to_le_bytes());
    }
    for web in &graph.webs {
        nodes.clone().for_each(|node| out.list(web.links(node)));
    }
    let uppers = graph.uppers.read().clone();
    out.put([uppers.built.len() as u32]);
    uppers.built.iter().for_each(|upper| out.upper(upper));
    out.list(uppers.fresh.iter().copied());
    let lonely =
        |&node: &NodeId| !graph.lost.contains(node) && view.documents.of(node).next().is_none();
    let lonely: Vec<_> = nodes.filter(lonely).collect();
    out.put([lonely.len() as u32]);
    for node in lonely {
        out.put([node]);
        out.put(graph.vector(node).into_iter().flatten().map(|value| value.to_bits()));
    }
    let checksum = XxHash3_64::oneshot(&out.0);
    out.0.extend(checksum.to_le_bytes());
    out.0
}

/// Of the vector of a node, if it isn't lost.
fn hash_of(graph: &Graph, node: NodeId) -> u64 {
    let vector = graph.vector(node).filter(|_| !graph.lost.contains(node));
    vector.map_or(0, hash)
}

/// Bytes that were written.
struct Out(Vec<u8>);

impl Out {
    fn put(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.0.extend(numbers.into_iter().flat_map(u32::to_le_bytes));
    }

    fn list(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let count = self.0.len();
        self.put([0]);
        self.put(numbers);
        let listed = (self.0.len() - count) / size_of::<u32>() - 1;
        self.0[count..][..size_of::<u32>()].copy_from_slice(&(listed as u32).to_le_bytes());
    }

    fn upper(&mut self, upper: &Upper) {
        self.list(upper.nodes.iter().copied());
        self.put([upper.layers.len() as u32]);
        for layer in &upper.layers {
            self.list(layer.ends.iter().copied());
            self.list(layer.links.iter().copied());
        }
    }
}
