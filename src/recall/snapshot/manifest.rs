//! The file that says which vectors a graph is of.
//!
//! Little-endian:
//!
//! | field | type |
//! |---|---|
//! | `MXFDHNSW` | 8 bytes |
//! | version: 3 | u32 |
//! | the kind of machine: bits of an address, plus 256 if big-endian | u32 |
//! | distance: its place in [`Distance::ALL`] | u32 |
//! | `m`, `ef_construct`, dimension | 3 × u32 |
//! | stamp | u64 |
//! | length and XXH3 of hnsw_rs's `graph` and `data` file; 0 if there are none | 4 × u64 |
//! | how far walks have to go: the `ef`, and of how many nodes it was measured | 2 × u32 |
//! | nodes | u32 |
//! | for each node: XXH3 of its vector (prepared, f32); 0 if that is lost | u64 |
//! | for each node, for each of its lists of links: how many, and the nodes | u32 each |
//! | nodes without a document | u32 |
//! | for each of those that isn't lost: the node, and its vector | u32, dimension × f32 |
//! | at the end: XXH3 of all before | u64 |
//!
//! Each XXH3 is that of 64 bits, with seed 0.

use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::dump::{Content, Dump};
use crate::recall::gauge::Gauge;
use crate::recall::graph::Graph;
use crate::recall::vectors::hash;
use crate::recall::{Distance, HnswView, NodeId};

const MAGIC: &[u8; 8] = b"MXFDHNSW";
const VERSION: u32 = 3;
/// hnsw_rs writes its files as its machine has them in memory.
const MACHINE: u32 = usize::BITS + 256 * cfg!(target_endian = "big") as u32;
const NO_FILE: Content = Content { bytes: 0, checksum: 0 };

/// Contents of the file, but for its beginning.
pub(super) struct Manifest {
    pub(super) stamp: u64,
    pub(super) dump: Option<Dump>,
    pub(super) gauge: Gauge,
    /// Of the nodes' vectors.
    pub(super) hashes: Vec<u64>,
    /// Of each node, its links in each [web](crate::recall::web::Web).
    pub(super) links: Vec<Vec<Vec<NodeId>>>,
    /// Nodes that are only there to pass through.
    pub(super) without_document: Vec<(NodeId, Arc<[f32]>)>,
}

impl Manifest {
    pub(super) fn of(view: &HnswView, dump: Option<Dump>) -> Self {
        let graph = &view.graph;
        let nodes = || (0..graph.len() as NodeId).map(|node| (node, graph.vector(node)));
        let links = |node| graph.webs.iter().map(|web| web.links(node)).collect();
        let lonely = nodes().filter(|&(node, _)| view.documents.of(node).next().is_none());
        Self {
            stamp: view.stamp(),
            dump,
            gauge: view.gauge,
            hashes: nodes().map(|(_, vector)| vector.map_or(0, |vector| hash(vector))).collect(),
            links: nodes().map(|(node, _)| links(node)).collect(),
            without_document: lonely
                .filter_map(|(node, vector)| Some((node, Arc::clone(vector?))))
                .collect(),
        }
    }

    pub(super) fn encode(&self, graph: &Graph) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put(&mut out, header(graph));
        out.extend(self.stamp.to_le_bytes());
        let Dump(files) = self.dump.unwrap_or(Dump([NO_FILE; 2]));
        let files = files.into_iter().flat_map(|file| [file.bytes, file.checksum]);
        out.extend(files.flat_map(u64::to_le_bytes));
        put(&mut out, [self.gauge.ef, self.gauge.nodes]);
        put(&mut out, [self.hashes.len() as u32]);
        out.extend(self.hashes.iter().flat_map(|hash| hash.to_le_bytes()));
        for links in self.links.iter().flatten() {
            put(&mut out, [links.len() as u32]);
            put(&mut out, links.iter().copied());
        }
        put(&mut out, [self.without_document.len() as u32]);
        for (node, vector) in &self.without_document {
            put(&mut out, [*node]);
            out.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
        }
        out.extend(XxHash3_64::oneshot(&out).to_le_bytes());
        out
    }

    /// Reads what was encoded of a graph like this one.
    pub(super) fn decode(bytes: &[u8], graph: &Graph) -> Result<Self, String> {
        let (body, checksum) = bytes.split_last_chunk().ok_or("its beginning alone")?;
        let fields =
            body.strip_prefix(MAGIC).ok_or("something that is not a snapshot of a graph")?;
        if XxHash3_64::oneshot(body) != u64::from_le_bytes(*checksum) {
            return Err("bytes that don't fit their checksum".into());
        }
        let mut fields = Fields(fields);
        fields.check_header(graph)?;
        let manifest = Self {
            stamp: fields.long()?,
            dump: fields.dump()?,
            gauge: Gauge { ef: fields.number()?, nodes: fields.number()? },
            hashes: fields.many(|fields| fields.long())?,
            links: Vec::new(),
            without_document: Vec::new(),
        };
        let nodes = manifest.hashes.len();
        let lists = |_| graph.webs.iter().map(|_| fields.many(|it| it.node(nodes))).collect();
        let links = (0..nodes).map(lists).collect::<Result<_, _>>()?;
        let without_document = fields.many(|fields| fields.vector(nodes, graph))?;
        match fields.0 {
            [] => Ok(Self { links, without_document, ..manifest }),
            _ => Err("more than a snapshot".into()),
        }
    }
}

/// Header, which has to be the same in the index that is loaded.
fn header(graph: &Graph) -> [u32; 6] {
    let (params, vectors) = (graph.params, &graph.vectors);
    let distance = Distance::ALL.iter().position(|&distance| distance == vectors.distance);
    let [distance, m, ef_construct, dim] =
        [distance.unwrap_or_default(), params.m, params.ef_construct, vectors.dim]
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    [VERSION, MACHINE, distance, m, ef_construct, dim]
}

fn put(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>) {
    out.extend(numbers.into_iter().flat_map(u32::to_le_bytes));
}

/// Bytes that are left to be read.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn check_header(&mut self, graph: &Graph) -> Result<(), String> {
        let names = ["version", "machine", "distance", "m", "ef_construct", "dimension"];
        for (name, expected) in names.into_iter().zip(header(graph)) {
            let got = self.number()?;
            if got != expected {
                return Err(format!("{name} {got} instead of {expected}"));
            }
        }
        Ok(())
    }

    fn dump(&mut self) -> Result<Option<Dump>, String> {
        let mut file = || Ok::<_, String>(Content { bytes: self.long()?, checksum: self.long()? });
        let files = [file()?, file()?];
        Ok((files != [NO_FILE; 2]).then_some(Dump(files)))
    }

    fn many<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let count = self.number()?;
        (0..count).map(|_| one(self)).collect()
    }

    fn vector(&mut self, nodes: usize, graph: &Graph) -> Result<(NodeId, Arc<[f32]>), String> {
        let node = self.node(nodes)?;
        let value = |_| self.take().map(f32::from_le_bytes);
        let vector: Arc<[f32]> = (0..graph.vectors.dim).map(value).collect::<Result<_, _>>()?;
        match vector.iter().all(|value| value.is_finite()) {
            true => Ok((node, vector)),
            false => Err(format!("a vector with NaN or infinity at node {node}")),
        }
    }

    fn node(&mut self, nodes: usize) -> Result<NodeId, String> {
        let node = self.number()?;
        match (node as usize) < nodes {
            true => Ok(node),
            false => Err(format!("node {node} of {nodes}")),
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64, String> {
        self.take().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("less than a snapshot")?;
        self.0 = rest;
        Ok(*taken)
    }
}
