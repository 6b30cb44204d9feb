//! An index from the bytes of a file. Nothing in them is trusted: a checksum guards against damage, not
//! against forgery.

use std::ops::Range;
use std::sync::Arc;

use memmap2::{MmapMut, MmapRaw};
use rayon::prelude::*;
use twox_hash::XxHash3_64;

use super::{ALIGNMENT, MAGIC, PIECE, Saved, Snapshot, header};
use crate::recall::blocks::Blocks;
use crate::recall::codes::Codes;
use crate::recall::gauge::Gauge;
use crate::recall::graph::{Graph, links, measures};
use crate::recall::mapped::Numbers;
use crate::recall::upper::{Layer, Upper};
use crate::recall::uppers::Uppers;
use crate::recall::vectors::Vectors;
use crate::recall::web::Web;

/// Reads what was encoded of an index with a graph like this one, which is empty.
pub(super) fn decode(map: MmapMut, like: &Graph) -> Result<Snapshot, String> {
    let parts = Parts::read(&map, like)?;
    let map = Arc::new(MmapRaw::from(map));
    let (params, distance, dim) = (like.params, like.vectors.distance, like.vectors.dim);
    let rows = |stride, bytes| Blocks::from_file(stride, Numbers::new(&map, bytes));
    let codes = Codes::stride(distance, dim).zip(parts.codes);
    let codes = codes.map(|(stride, bytes)| rows(stride, bytes));
    let vectors = Vectors::from_file(distance, dim, rows(dim, parts.vectors), codes);
    let webs = measures(distance, params).iter().zip(parts.webs);
    let webs = webs.map(|(&by, bytes)| Web::from_file(by, rows(links(params), bytes))).collect();
    let graph = Graph::from_parts(params, vectors, parts.uppers, webs);
    graph.be_rough(parts.gauge.is_rough);
    let Parts { stamp, gauge, hashes, documents, .. } = parts;
    Ok(Snapshot { stamp, gauge, graph, hashes, documents })
}

/// Contents of a file: values, or the ranges in which they stand.
struct Parts {
    stamp: u64,
    gauge: Gauge,
    uppers: Uppers,
    hashes: Vec<u64>,
    vectors: Range<usize>,
    codes: Option<Range<usize>>,
    webs: Vec<Range<usize>>,
    documents: Vec<Saved>,
}

impl Parts {
    fn read(bytes: &[u8], like: &Graph) -> Result<Self, String> {
        let (body, checksum) = bytes.split_last_chunk().ok_or("its beginning alone")?;
        if !body.starts_with(MAGIC) {
            return Err("something that is not a snapshot of a graph".into());
        }
        let mut fields = Fields { bytes: body, at: MAGIC.len() };
        fields.check_header(like)?;
        let stamp = u64::from_le_bytes(fields.take()?);
        let gauge = fields.gauge()?;
        let [nodes, documents] = [fields.number()? as usize, fields.number()? as usize];
        let built = (0..fields.number()?).map(|_| fields.upper(nodes).map(Arc::new));
        let built = built.collect::<Result<_, _>>()?;
        let fresh = fields.list(nodes, nodes)?.collect();
        let uppers = Uppers { built, fresh };

        let (distance, dim) = (like.vectors.distance, like.vectors.dim);
        let hashes = fields.section(nodes, size_of::<u64>())?;
        let hashes = numbers_of(&body[hashes]).map(u64::from_le_bytes).collect();
        let vectors = fields.section(nodes, dim.saturating_mul(size_of::<f32>()))?;
        let codes = Codes::stride(distance, dim).map(|it| fields.section(nodes, it * 4));
        let codes = codes.transpose()?;
        let webs = measures(distance, like.params).iter().map(|_| {
            let web = fields.section(nodes, links(like.params) * size_of::<u32>())?;
            check_links(&body[web.clone()], nodes).map(|()| web)
        });
        let webs = webs.collect::<Result<_, _>>()?;
        let documents = fields.documents(documents, nodes)?;
        if fields.at != body.len() {
            return Err("more than a snapshot".into());
        }
        check_bytes(body, u64::from_le_bytes(*checksum), &vectors)?;
        Ok(Self { stamp, gauge, uppers, hashes, vectors, codes, webs, documents })
    }
}

/// Checks that bytes fit their checksum, and that the vectors among them have no NaN or infinity: both at
/// once, as a piece at a time stays in the cache.
fn check_bytes(body: &[u8], checksum: u64, vectors: &Range<usize>) -> Result<(), String> {
    let check = |(at, piece): (usize, &[u8])| {
        let place = |of: usize| of.saturating_sub(at * PIECE).min(piece.len());
        let values = &piece[place(vectors.start)..place(vectors.end)];
        (XxHash3_64::oneshot(piece).to_le_bytes(), are_finite(values))
    };
    let (sums, finite): (Vec<_>, Vec<_>) = body.par_chunks(PIECE).enumerate().map(check).unzip();
    if XxHash3_64::oneshot(sums.as_flattened()) != checksum {
        return Err("bytes that don't fit their checksum".into());
    }
    match finite.iter().all(|&finite| finite) {
        true => Ok(()),
        false => Err("a vector with NaN or infinity".into()),
    }
}

fn are_finite(values: &[u8]) -> bool {
    // Not `all`, which would look at one after the other.
    numbers_of(values).fold(true, |finite, value| finite & f32::from_le_bytes(value).is_finite())
}

fn numbers_of<const N: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; N]> + Clone {
    bytes.as_chunks().0.iter().copied()
}

/// Checks that links lead to nodes.
fn check_links(bytes: &[u8], nodes: usize) -> Result<(), String> {
    let last = |piece| numbers_of(piece).map(u32::from_le_bytes).fold(0, u32::max);
    let last = bytes.par_chunks(PIECE).map(last).max().unwrap_or(0);
    let inside = last as usize <= nodes;
    if inside { Ok(()) } else { Err(format!("a link to number {} of {nodes}", last - 1)) }
}

/// Bytes that are read from a place on.
struct Fields<'b> {
    bytes: &'b [u8],
    at: usize,
}

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

    /// Bytes of each node or document, from where they can be mapped.
    fn section(&mut self, count: usize, size: usize) -> Result<Range<usize>, String> {
        self.part(Some(self.at.next_multiple_of(ALIGNMENT) - self.at))?;
        let start = self.at;
        self.part(count.checked_mul(size))?;
        Ok(start..self.at)
    }

    fn documents(&mut self, count: usize, nodes: usize) -> Result<Vec<Saved>, String> {
        let mut column = || {
            let column = self.section(count, size_of::<u32>())?;
            Ok::<_, String>(numbers_of(&self.bytes[column]).map(u32::from_le_bytes))
        };
        let columns = column()?.zip(column()?).zip(column()?);
        let saved = columns.map(|((number, node), revision)| Saved { number, node, revision });
        let documents: Vec<_> = saved.collect();
        if !documents.is_sorted_by(|a, b| a.number < b.number) {
            return Err("documents out of order".into());
        }
        match documents.iter().find(|it| it.node as usize >= nodes) {
            Some(Saved { number, node, .. }) => {
                Err(format!("document {number} with node {node} of {nodes}"))
            }
            None => Ok(documents),
        }
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

    fn number(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.bytes[self.at..].first_chunk().ok_or("less than a snapshot")?;
        self.at += N;
        Ok(*taken)
    }

    fn part(&mut self, bytes: Option<usize>) -> Result<&'b [u8], String> {
        let part = bytes.and_then(|bytes| self.bytes[self.at..].get(..bytes));
        let part = part.ok_or("less than a snapshot")?;
        self.at += part.len();
        Ok(part)
    }
}
