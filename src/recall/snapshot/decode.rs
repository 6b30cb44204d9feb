//! A graph from the bytes of a file. Nothing in them is trusted: a checksum guards against damage, not
//! against forgery.

use std::sync::Arc;

use roaring::RoaringBitmap;
use twox_hash::XxHash3_64;

use super::{MAGIC, Snapshot, header};
use crate::recall::gauge::Gauge;
use crate::recall::graph::Graph;
use crate::recall::upper::{Layer, Upper};
use crate::recall::uppers::Uppers;

/// Reads what was encoded of a graph like this one, which is empty.
pub(super) fn decode(bytes: &[u8], mut graph: Graph) -> Result<Snapshot, String> {
    let (body, checksum) = bytes.split_last_chunk().ok_or("its beginning alone")?;
    let fields = body.strip_prefix(MAGIC).ok_or("something that is not a snapshot of a graph")?;
    if XxHash3_64::oneshot(body) != u64::from_le_bytes(*checksum) {
        return Err("bytes that don't fit their checksum".into());
    }
    let mut fields = Fields(fields);
    fields.check_header(&graph)?;
    let stamp = u64::from_le_bytes(fields.take()?);
    let gauge = fields.gauge()?;
    graph.be_rough(gauge.is_rough);
    let hashes = fields.hashes()?;
    let nodes = hashes.len();
    for web in &graph.webs {
        for _ in 0..nodes {
            web.push(fields.list(web.most(), nodes)?);
        }
    }
    let built = (0..fields.number()?).map(|_| fields.upper(nodes).map(Arc::new));
    let built = built.collect::<Result<_, _>>()?;
    let fresh = fields.list(nodes, nodes)?.collect();
    *graph.uppers.get_mut() = Arc::new(Uppers { built, fresh });
    for _ in 0..nodes {
        graph.vectors.push(&[]);
    }
    let mut snapshot = Snapshot { stamp, gauge, graph, hashes, known: RoaringBitmap::new() };
    for _ in 0..fields.number()? {
        fields.vector(&mut snapshot)?;
    }
    match fields.0 {
        [] => Ok(snapshot),
        _ => Err("more than a snapshot".into()),
    }
}

/// Bytes that are left to be read.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn check_header(&mut self, graph: &Graph) -> Result<(), String> {
        let names = ["version", "distance", "m", "ef_construct", "dimension"];
        for (name, expected) in names.into_iter().zip(header(graph)) {
            let got = self.number()?;
            if got != expected {
                return Err(format!("{name} {got} instead of {expected}"));
            }
        }
        Ok(())
    }

    fn gauge(&mut self) -> Result<Gauge, String> {
        let [ef, nodes, is_rough] = [self.number()?, self.number()?, self.number()?];
        match is_rough {
            0 | 1 => Ok(Gauge { ef, nodes, is_rough: is_rough == 1 }),
            other => Err(format!("{other} where 0 or 1 was expected")),
        }
    }

    fn hashes(&mut self) -> Result<Vec<u64>, String> {
        let count = self.number()? as usize;
        let (hashes, _) = self.part(count.checked_mul(8))?.as_chunks();
        Ok(hashes.iter().map(|hash| u64::from_le_bytes(*hash)).collect())
    }

    /// At most so many numbers, each below a bound.
    fn list(
        &mut self,
        most: usize,
        bound: usize,
    ) -> Result<impl ExactSizeIterator<Item = u32> + use<'b>, String> {
        let count = self.number()? as usize;
        if count > most {
            return Err(format!("a list of {count}, with at most {most}"));
        }
        let (numbers, _) = self.part(count.checked_mul(4))?.as_chunks();
        let numbers = numbers.iter().map(|number| u32::from_le_bytes(*number));
        match numbers.clone().find(|&number| number as usize >= bound) {
            Some(number) => Err(format!("number {number} of {bound}")),
            None => Ok(numbers),
        }
    }

    fn upper(&mut self, nodes: usize) -> Result<Upper, String> {
        let nodes: Vec<_> = self.list(nodes, nodes)?.collect();
        let mut layers: Vec<Layer> = Vec::new();
        for _ in 0..self.number()? {
            let most = layers.last().map_or(nodes.len(), |below| below.ends.len());
            let ends: Vec<_> = self.list(most, usize::MAX)?.collect();
            let links: Vec<_> = self.list(usize::MAX, ends.len())?.collect();
            if !ends.is_sorted() || ends.last().is_none_or(|&end| end as usize != links.len()) {
                return Err("links that don't end where they should".into());
            }
            layers.push(Layer { ends, links });
        }
        Ok(Upper { nodes, layers })
    }

    fn vector(&mut self, snapshot: &mut Snapshot) -> Result<(), String> {
        let node = self.number()?;
        let (values, _) = self.part(snapshot.graph.vectors.dim.checked_mul(4))?.as_chunks();
        let vector: Vec<_> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        if !vector.iter().all(|value| value.is_finite()) {
            return Err(format!("a vector with NaN or infinity at node {node}"));
        }
        match snapshot.know(node, &vector) {
            true => Ok(()),
            false => Err(format!("a vector of node {node} of {}", snapshot.hashes.len())),
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("less than a snapshot")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn part(&mut self, bytes: Option<usize>) -> Result<&'b [u8], String> {
        let parts = bytes.and_then(|bytes| self.0.split_at_checked(bytes));
        let (part, rest) = parts.ok_or("less than a snapshot")?;
        self.0 = rest;
        Ok(part)
    }
}
