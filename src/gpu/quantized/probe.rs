//! A known batch that a device has to bound correctly before its bounds are trusted.
//!
//! As for scores, all numbers are small integers, so every product and every sum is exact in f32.

use std::ops::Range;
use std::sync::RwLockReadGuard;

use bytemuck::{bytes_of, cast_slice};
use wgpu::{BindGroup, Buffer, BufferUsages};

use crate::gpu::batch::{QueryTokens, Work};
use crate::gpu::device::Gpu;
use crate::gpu::plan::{Plan, ROW_SLACK};
use crate::gpu::probe::{compare, integer};
use crate::gpu::results::Results;
use crate::gpu::shader::Place;
use crate::gpu::source::{Found, Piece, Source};
use crate::multivector::TokenMatrixRef;
use crate::{Error, Result};

/// Rows of documents: fewer than a team's lanes, and more than a few rounds of them.
const DOCUMENT_ROWS: [usize; 4] = [1, 70, 3, 37];

/// Columns of a query token that are not 0, at most: sums stay exact.
const COLUMNS: usize = 128;

/// Finds out whether a device is right with the bounds of a plan, once.
///
/// # Errors
/// It isn't.
pub(in crate::gpu) fn prove_bounds(gpu: &Gpu, plan: &Plan) -> Result<()> {
    if gpu.is_proven(plan) {
        return Ok(());
    }
    let known = Known::new(plan);
    let plan = &Plan { tokens: known.tokens.len(), ..*plan };
    let got = known.bounds(gpu, plan)?;
    let expected: Vec<f32> = known.documents.iter().map(|it| known.expected(it)).collect();
    compare("int8", &expected, &got)?;
    gpu.note_proven(plan);
    Ok(())
}

/// Query tokens and rows, as they lie in the GPU's memory.
struct Known {
    tokens: Vec<Token>,
    documents: Vec<Document>,
}

struct Token {
    integers: Vec<i8>,
    /// Unit, length, error.
    constants: [i32; 3],
}

struct Document {
    rows: Vec<Row>,
    longest: i32,
}

struct Row {
    codes: Vec<i8>,
    scale: i32,
    residual: i32,
}

impl Known {
    fn new(plan: &Plan) -> Self {
        let mut state = 1;
        let every = plan.dim.div_ceil(COLUMNS);
        let mut row = |magnitude: i64, every: usize| -> Vec<i8> {
            let mut value = || integer(&mut state, -magnitude, magnitude) as i8;
            (0..plan.dim).map(|at| if at % every == 0 { value() } else { 0 }).collect()
        };
        let mut token = |at: i32| Token {
            integers: row(15, every),
            constants: [1 + at % 2, 1 + at % 3, at % 4],
        };
        let tokens = (0..plan.tokens.min(67) as i32).map(&mut token).collect();
        let mut document = |(number, rows): (i32, usize)| {
            let mut row_of = |at: i32| {
                let codes = row(127, 1);
                Row { codes, scale: 1 + at % 2, residual: (at + number) % 5 }
            };
            let rows = (0..rows as i32).map(&mut row_of).collect();
            Document { rows, longest: number + 1 }
        };
        let documents = (0..).zip(DOCUMENT_ROWS).map(&mut document).collect();
        Self { tokens, documents }
    }

    /// The bound of a document, in integers.
    fn expected(&self, document: &Document) -> f32 {
        let of_token = |token: &Token| {
            let [unit, length, error] = token.constants;
            let of_row = |row: &Row| {
                let products = token.integers.iter().zip(&row.codes);
                let sum: i32 = products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
                row.scale * sum + row.residual * length
            };
            let highest = document.rows.iter().map(of_row).max().unwrap_or_default();
            (highest + error * document.longest) * unit
        };
        self.tokens.iter().map(of_token).sum::<i32>() as f32
    }

    /// Bounds as the device computes them.
    fn bounds(&self, gpu: &Gpu, plan: &Plan) -> Result<Vec<f32>> {
        let query = self.query(plan);
        let tokens = [QueryTokens::Int8 { bytes: &query, tokens: self.tokens.len() }];
        let candidates = self.documents.len();
        let groups = plan.groups([(self.tokens.len(), candidates)].into_iter(), |_| false);
        let source = &self.page(gpu, plan)?;
        match gpu.run(&Work { plan, queries: &tokens, groups: &groups, source })?.0 {
            Results::Scores(bounds) => Ok(bounds.concat()),
            _ => Ok(Vec::new()),
        }
    }

    fn query(&self, plan: &Plan) -> Vec<u8> {
        let mut bytes = Vec::new();
        for token in &self.tokens {
            let constants = token.constants.map(|it| it as f32);
            let end = bytes.len() + plan.row_bytes();
            bytes.extend_from_slice(cast_slice(&token.integers));
            bytes.resize(end, 0);
            bytes.extend_from_slice(cast_slice(&constants));
            bytes.extend_from_slice(bytes_of(&0.0_f32));
        }
        bytes
    }

    /// The rows in a page, all documents one after the other.
    fn page(&self, gpu: &Gpu, plan: &Plan) -> Result<Page> {
        let (mut rows, mut beside, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for document in &self.documents {
            let (first_row, count) = (beside.len() as u32, document.rows.len() as u32);
            places.push(Place { first_row, rows: count, longest: document.longest as f32 });
            for row in &document.rows {
                let end = rows.len() + plan.row_bytes();
                rows.extend_from_slice(cast_slice(&row.codes));
                rows.resize(end, 0);
                let [scale, residual] = [row.scale, row.residual].map(|it| (it as f32).to_bits());
                beside.push(((scale >> 11) << 12) | (residual >> 19));
            }
        }
        rows.resize(rows.len() + ROW_SLACK * plan.row_bytes(), 0);
        beside.resize(beside.len() + ROW_SLACK, 0);
        gpu.checked(|| {
            let buffers = [
                filled(gpu, &rows),
                filled(gpu, cast_slice(&places)),
                filled(gpu, cast_slice(&beside)),
            ];
            let resources = buffers.iter().map(Buffer::as_entire_binding).collect();
            let bindings = gpu.kernels.bind(&gpu.kernels.layouts.int8_page, resources);
            Page { bindings, places }
        })
    }
}

fn filled(gpu: &Gpu, bytes: &[u8]) -> Buffer {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
    let buffer = gpu.maker.buffer("known", bytes.len(), usage);
    gpu.queue.write_buffer(&buffer, 0, bytes);
    buffer
}

/// A page with all documents.
struct Page {
    bindings: BindGroup,
    places: Vec<Place>,
}

impl Source for Page {
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        None
    }

    fn locate(&self, _: usize, candidates: Range<usize>, visit: &mut dyn FnMut(Found<'_>)) {
        for at in candidates {
            let Place { first_row, rows, .. } = self.places[at];
            visit(Found::Whole(Piece { page: 0, slot: at as u32, first_row, rows }));
        }
    }

    fn page(&self, _: u32) -> Option<BindGroup> {
        Some(self.bindings.clone())
    }

    fn matrix(&self, _: usize, candidate: usize) -> Result<TokenMatrixRef<'_>> {
        Err(Error::NotResident { id: candidate.to_string() })
    }
}
