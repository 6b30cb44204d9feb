//! Points compared by a sparse vector, through the inverted index.

use super::Snapshot;
use super::config::{Modifier, Shape, SparseConfig, VectorKind};
use super::postings::{Block, SEGMENT};
use super::record::{self, Table};
use super::sparse::SparseVector;
use crate::Result;
use crate::background::Cancellation;
use crate::filter::{PointNumber, PointSet};
use crate::ranking::keep_with_ties;

/// Points that have a sparse vector, compared with another.
pub(crate) struct SparseScores {
    /// Numbers of points, and their scores.
    pub scored: Vec<(PointNumber, f32)>,
    /// Number of postings that were read.
    pub postings: u64,
}

/// The sum of no product. Products get 0 added, so no sum of any is this.
const UNTOUCHED: f32 = -0.0;

/// Sums that are compared at once: seldom is one of them among the best.
const TOGETHER: usize = 32;

impl Snapshot<'_> {
    /// Scores the `allowed` points whose sparse vector `name` has an index in common with `query`: the
    /// dot product over those indices, added up in f32 in their order. Gives the best `limit`, and all
    /// that tie with the last of them. Frequencies are counted among the points of `corpus`, or all.
    ///
    /// Checksums of postings were compared when the collection was opened.
    ///
    /// # Errors
    /// There is no such vector, or it is of another kind; a record can't be read.
    pub(crate) fn sparse_scores(
        &self,
        name: &str,
        query: &SparseVector,
        allowed: &PointSet,
        limit: usize,
        corpus: Option<&PointSet>,
    ) -> Result<SparseScores> {
        let (slot, config) = self.slot(name, Shape::Sparse)?;
        let having = &self.state.having[usize::from(slot)];
        let modified = config.kind == VectorKind::Sparse(SparseConfig { modifier: Modifier::Idf });
        // Frequencies are not only those in allowed points.
        let segments = segments(if modified { having } else { allowed });
        let terms = query.iter().map(|(index, weight)| self.term(slot, index, weight, &segments));
        let mut terms = terms.collect::<Result<Vec<_>>>()?;
        if modified {
            let counted = corpus.map(|corpus| corpus & having);
            let points = counted.as_ref().unwrap_or(having).len();
            for term in &mut terms {
                let frequency = term.frequency(&segments, counted.as_ref());
                term.weight *= idf(points as f64, frequency as f64);
            }
        }
        let mut sums = Sums::new(limit);
        let cancellation = Cancellation::current();
        for (at, segment) in segments.into_iter().enumerate() {
            cancellation.check()?;
            if has_any(allowed, segment) {
                let blocks = terms.iter().filter_map(|it| Some((it.weight, it.blocks[at]?)));
                sums.add(segment * SEGMENT, blocks, allowed);
            }
        }
        Ok(sums.into_scores())
    }

    /// The blocks of an index in these segments.
    fn term(&self, slot: u8, index: u32, weight: f32, segments: &[u32]) -> Result<Term<'_>> {
        let store = &self.collection.store;
        let block = |segment: &u32| {
            let key = record::postings_key(slot, *segment, index);
            let Some(value) = store.get_unchecked(&self.txn, Table::Postings, &key)? else {
                return Ok(None);
            };
            let block = value.get(record::CHECKSUM..).and_then(Block::parse);
            block.map(Some).ok_or_else(|| store.damaged(Table::Postings, &key))
        };
        Ok(Term { weight, blocks: segments.iter().map(block).collect::<Result<_>>()? })
    }
}

/// The segments in which a set has points.
fn segments(set: &PointSet) -> Vec<u32> {
    let (Some(first), Some(last)) = (set.min(), set.max()) else { return Vec::new() };
    let segments = first.get() / SEGMENT..=last.get() / SEGMENT;
    segments.filter(|segment| has_any(set, *segment)).collect()
}

fn has_any(set: &PointSet, segment: u32) -> bool {
    let first = segment * SEGMENT;
    let last = first + (SEGMENT - 1);
    set.range_cardinality(PointNumber::new(first)..=PointNumber::new(last)) > 0
}

/// An index of a query.
struct Term<'s> {
    weight: f32,
    /// Its block in each segment.
    blocks: Vec<Option<Block<'s>>>,
}

impl Term<'_> {
    /// Number of points, of the counted ones if not of all, that have the index.
    fn frequency(&self, segments: &[u32], counted: Option<&PointSet>) -> usize {
        let blocks = segments.iter().zip(&self.blocks);
        let blocks = blocks.filter_map(|(segment, block)| Some((segment, (*block)?)));
        let frequency = |(segment, block): (&u32, Block<'_>)| match counted {
            None => block.len(),
            Some(counted) => {
                let number = |offset| PointNumber::new(segment * SEGMENT + offset as u32);
                block.iter().filter(|(offset, _)| counted.contains(number(*offset))).count()
            }
        };
        blocks.map(frequency).sum()
    }
}

/// Inverse document frequency of what so many of all points have.
fn idf(points: f64, frequency: f64) -> f32 {
    ((points - frequency + 0.5) / (frequency + 0.5)).ln_1p() as f32
}

/// Sums of products, a segment at a time, and the best of them so far.
struct Sums {
    limit: usize,
    sums: Box<[f32]>,
    scored: Vec<(PointNumber, f32)>,
    /// Number of scores with which it is time to keep the best alone.
    room: usize,
    /// The least score that may still be among the best.
    bar: f32,
    postings: u64,
}

impl Sums {
    fn new(limit: usize) -> Self {
        let sums = vec![UNTOUCHED; SEGMENT as usize].into();
        let room = limit.max(SEGMENT as usize).saturating_mul(2);
        Self { limit, sums, scored: Vec::new(), room, bar: f32::NEG_INFINITY, postings: 0 }
    }

    /// Adds up the blocks of one segment, which begins at the number `first`.
    fn add<'b>(
        &mut self,
        first: u32,
        blocks: impl Iterator<Item = (f32, Block<'b>)>,
        allowed: &PointSet,
    ) {
        for (weight, block) in blocks {
            self.postings += block.len() as u64;
            for (offset, value) in block.iter() {
                self.sums[offset] += weight * value + 0.0;
            }
        }
        let bar = self.bar;
        let reaches = |score: f32| (score >= bar) & (score.to_bits() != UNTOUCHED.to_bits());
        for (at, sums) in (first..).step_by(TOGETHER).zip(self.sums.chunks_mut(TOGETHER)) {
            if sums.iter().fold(false, |any, score| any | reaches(*score)) {
                let scored = (at..).map(PointNumber::new).zip(sums.iter().copied());
                let scored = scored.filter(|(it, score)| reaches(*score) && allowed.contains(*it));
                self.scored.extend(scored);
            }
        }
        self.sums.fill(UNTOUCHED);
        if self.scored.len() > self.room {
            self.keep_best();
            // Many may tie: each is looked at a few times at most.
            self.room = self.room.max(self.scored.len().saturating_mul(2));
        }
    }

    fn keep_best(&mut self) {
        keep_with_ties(&mut self.scored, self.limit, |(_, score)| *score);
        if self.scored.len() >= self.limit {
            self.bar = self.scored.iter().fold(f32::INFINITY, |bar, (_, score)| bar.min(*score));
        }
    }

    fn into_scores(mut self) -> SparseScores {
        self.keep_best();
        SparseScores { scored: self.scored, postings: self.postings }
    }
}
