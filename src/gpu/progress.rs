//! How far a batch has come: first what is resident, then what is streamed.

use std::collections::VecDeque;

use super::plan::{Batch, Plan};
use super::record::Upload;
use super::source::Source;
use super::unit::{Pair, Unit};
use crate::Result;
use crate::multivector::{TokenMatrixRef, check_dimension};

/// The pairs of a batch that are in no unit yet.
pub(super) struct Progress<'a> {
    source: &'a dyn Source,
    dim: usize,
    pairs: Vec<Pair>,
    /// The first pair that was not looked up, and the first whose use was not noted.
    next: usize,
    unnoted: usize,
    /// Pairs that are not resident, and how many there were.
    waiting: Vec<Pair>,
    pub absent: usize,
    /// The same, with their matrices.
    streams: VecDeque<(Pair, TokenMatrixRef<'a>)>,
    /// Rows of the first of them that were streamed.
    streamed_rows: usize,
    /// Whether there was no unit yet.
    pub first: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(source: &'a dyn Source, dim: usize, batch: &Batch) -> Result<Self> {
        let mut progress = Self {
            source,
            dim,
            pairs: Vec::with_capacity(batch.pairs),
            next: 0,
            unnoted: 0,
            waiting: Vec::new(),
            absent: 0,
            streams: VecDeque::new(),
            streamed_rows: 0,
            first: true,
        };
        let mut first_cell = 0;
        for (span, slice) in batch.slices.iter().enumerate() {
            let (query, tokens) = (slice.query, slice.part.len());
            for candidate in slice.candidates.clone() {
                progress.pairs.push(Pair { query, candidate, span, tokens, first_cell });
                first_cell += tokens;
            }
        }
        if !source.has_store() {
            progress.waiting = std::mem::take(&mut progress.pairs);
            progress.fetch()?;
        }
        Ok(progress)
    }

    /// Whether pairs remain that were not looked up.
    pub(super) fn looks_up(&self) -> bool {
        self.next < self.pairs.len()
    }

    /// Whether every pair is in a unit.
    pub(super) fn is_done(&self) -> bool {
        !self.looks_up() && self.waiting.is_empty() && self.streams.is_empty()
    }

    /// Rows that remain to be streamed; 0 while pairs remain that were not looked up.
    pub(super) fn rows_left(&self) -> usize {
        let rows = self.streams.iter().map(|(_, matrix)| matrix.tokens()).sum::<usize>();
        rows - self.streamed_rows
    }

    /// Adds resident pairs to a unit until it is full. What was looked up stays where it is while
    /// the source is held.
    pub(super) fn look_up(&mut self, unit: &mut Unit) -> Result<()> {
        let Self { source, pairs, next, waiting, .. } = self;
        let mut rest = pairs[*next..].iter().map(|pair| (pair.query, pair.candidate));
        source.locate(&mut rest, &mut |extents| {
            let pair = pairs[*next];
            match extents {
                Some(extents) if !unit.add(&pair, extents) => return Ok(false),
                Some(_) => {}
                None => waiting.push(pair),
            }
            *next += 1;
            Ok(true)
        })
    }

    /// Notes the use of what was looked up: after its submission, so that the GPU need not wait.
    pub(super) fn note_use(&mut self) {
        let pairs = &self.pairs[self.unnoted..self.next];
        self.source.used(&mut pairs.iter().map(|pair| (pair.query, pair.candidate)));
        self.unnoted = self.next;
    }

    /// Asks the caller for the matrices of what is absent, once everything was looked up.
    pub(super) fn fetch(&mut self) -> Result<()> {
        if self.looks_up() {
            return Ok(());
        }
        self.absent += self.waiting.len();
        for pair in std::mem::take(&mut self.waiting) {
            let Pair { query, candidate, .. } = pair;
            let matrix = self.source.matrix(query, candidate);
            let matrix = matrix.ok_or_else(|| self.source.missing(query, candidate))?;
            check_dimension(|| format!("candidate {candidate}"), self.dim, matrix.dim())?;
            self.streams.push_back((pair, matrix));
        }
        Ok(())
    }

    /// Adds rows to a unit, and to what is uploaded, until it is full.
    pub(super) fn stream(&mut self, unit: &mut Unit, upload: &mut Upload<'_>, plan: &Plan) {
        while let Some((pair, matrix)) = self.streams.front() {
            let left = matrix.tokens() - self.streamed_rows;
            let rows = unit.stream(pair, self.streamed_rows, left);
            if rows == 0 {
                return;
            }
            let first = self.streamed_rows * self.dim;
            let values = &matrix.values()[first..][..rows * self.dim];
            upload.append_rows(values, self.dim, plan.row_bytes());
            self.streamed_rows += rows;
            if rows == left {
                self.streams.pop_front();
                self.streamed_rows = 0;
            }
        }
    }
}
