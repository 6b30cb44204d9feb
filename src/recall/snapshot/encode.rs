//! An index as the bytes of a file.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use twox_hash::XxHash3_64;

use super::{ALIGNMENT, MAGIC, PIECE, header};
use crate::recall::upper::Upper;
use crate::recall::vectors::hash;
use crate::recall::{HnswView, NodeId};

/// Writes what is linked of an index, with those of its documents of which there is a revision.
pub(super) fn encode(
    view: &HnswView,
    revision: impl Fn(u32) -> Option<u32>,
    to: impl Write,
) -> io::Result<()> {
    let (graph, gauge) = (&view.graph, view.gauge);
    let nodes = 0..graph.linked() as NodeId;
    let mut documents = [const { Vec::new() }; 3];
    for number in view.documents.numbers() {
        let node = view.documents.node_of(number).filter(|node| nodes.contains(node));
        if let (Some(node), Some(revision)) = (node, revision(number)) {
            let fields = [number, node, revision];
            documents.iter_mut().zip(fields).for_each(|(column, field)| column.push(field));
        }
    }
    let mut out = Out { to, piece: Vec::new(), pieces: Vec::new(), length: 0 };
    out.bytes(MAGIC)?;
    out.numbers(header(graph))?;
    out.bytes(&view.stamp().to_le_bytes())?;
    let counts = [nodes.len(), documents[0].len()].map(|count| count as u32);
    out.numbers([gauge.ef, gauge.nodes, gauge.is_rough.into()].into_iter().chain(counts))?;
    let uppers = graph.uppers.read().clone();
    out.numbers([uppers.built.len() as u32])?;
    uppers.built.iter().try_for_each(|upper| out.upper(upper))?;
    out.list(&uppers.fresh)?;

    out.section(nodes.clone(), |out, node| {
        out.bytes(&graph.vector(node).map_or(0, hash).to_le_bytes())
    })?;
    out.section(nodes.clone(), |out, node| {
        out.bytes(bytemuck::cast_slice(graph.vector(node).unwrap_or_default()))
    })?;
    if let Some(codes) = graph.vectors.codes() {
        out.section(nodes.clone(), |out, node| out.row(codes.row(node as usize)))?;
    }
    for web in &graph.webs {
        out.section(nodes.clone(), |out, node| out.row(web.list(node)))?;
    }
    for column in documents {
        out.section(column.into_iter(), |out, number| out.numbers([number]))?;
    }
    out.end()
}

/// Writer of bytes that their checksum follows.
struct Out<W> {
    to: W,
    /// Bytes that were not written yet.
    piece: Vec<u8>,
    /// Checksums of the pieces that were.
    pieces: Vec<u8>,
    /// Number of all bytes, so far.
    length: usize,
}

impl<W: Write> Out<W> {
    fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len();
        while self.piece.len() + bytes.len() >= PIECE {
            let (now, later) = bytes.split_at(PIECE - self.piece.len());
            self.piece.extend_from_slice(now);
            self.write()?;
            bytes = later;
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.pieces.extend(XxHash3_64::oneshot(&self.piece).to_le_bytes());
        self.to.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.write()?;
        }
        self.to.write_all(&XxHash3_64::oneshot(&self.pieces).to_le_bytes())
    }

    fn numbers(&mut self, numbers: impl IntoIterator<Item = u32>) -> io::Result<()> {
        numbers.into_iter().try_for_each(|number| self.bytes(&number.to_le_bytes()))
    }

    fn row(&mut self, row: &[AtomicU32]) -> io::Result<()> {
        self.numbers(row.iter().map(|number| number.load(Ordering::Relaxed)))
    }

    fn list(&mut self, numbers: &[u32]) -> io::Result<()> {
        self.numbers([numbers.len() as u32])?;
        self.bytes(bytemuck::cast_slice(numbers))
    }

    fn upper(&mut self, upper: &Upper) -> io::Result<()> {
        self.list(&upper.nodes)?;
        self.numbers([upper.layers.len() as u32])?;
        for layer in &upper.layers {
            self.list(&layer.ends)?;
            self.list(&layer.links)?;
        }
        Ok(())
    }

    /// Writes something of each node or document, from a place where it can be mapped.
    fn section(
        &mut self,
        mut each: impl Iterator<Item = u32>,
        mut one: impl FnMut(&mut Self, u32) -> io::Result<()>,
    ) -> io::Result<()> {
        let gap = self.length.next_multiple_of(ALIGNMENT) - self.length;
        self.bytes(&[0; ALIGNMENT][..gap])?;
        each.try_for_each(|it| one(self, it))
    }
}
