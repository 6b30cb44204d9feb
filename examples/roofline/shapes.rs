//! The shapes that are measured, and random inputs of them.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use maxfold::multivector::{TokenMatrix, TokenMatrixRef};
use rand::prelude::*;

/// A request: queries, each with candidates of its own.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub name: &'static str,
    pub queries: usize,
    /// Candidates of each query.
    pub candidates: usize,
    pub query_tokens: usize,
    pub document_tokens: usize,
    pub dim: usize,
    /// Whether all queries have the same candidates.
    pub shared: bool,
}

impl Shape {
    /// Text, from a few candidates to a deep prefetch; concurrent searches, with candidates of their own and
    /// with the same; pages found by a question and by a page.
    pub const ALL: [Self; 8] = [
        Self::new("text-1x10", [1, 10, 32, 300]),
        Self::new("text-1x100", [1, 100, 32, 300]),
        Self::new("text-1x1000", [1, 1_000, 32, 300]),
        Self::new("text-1x10000", [1, 10_000, 32, 300]),
        Self::new("text-16x1000", [16, 1_000, 32, 180]),
        Self { shared: true, ..Self::new("text-16-shared", [16, 1_000, 32, 180]) },
        Self::new("colpali-20-tokens", [1, 1_000, 20, 1_030]),
        Self::new("colpali-1024-tokens", [1, 1_000, 1_024, 1_030]),
    ];

    const fn new(name: &'static str, sizes: [usize; 4]) -> Self {
        let [queries, candidates, query_tokens, document_tokens] = sizes;
        let (dim, shared) = (128, false);
        Self { name, queries, candidates, query_tokens, document_tokens, dim, shared }
    }

    /// The same with a fiftieth of the candidates.
    pub fn smaller(self) -> Self {
        Self { candidates: (self.candidates / 50).max(2), ..self }
    }

    /// Documents that differ.
    pub fn documents(self) -> usize {
        if self.shared { self.candidates } else { self.queries * self.candidates }
    }

    /// Bytes that have to be read and written, whoever computes it: f16 matrices once, and ten
    /// results of eight bytes a query.
    pub fn necessary_bytes(self) -> f64 {
        let rows = self.documents() * self.document_tokens + self.queries * self.query_tokens;
        (rows * self.dim * 2 + self.queries * 80) as f64
    }

    /// A multiplication and an addition a column of each pair of tokens.
    pub fn operations(self) -> f64 {
        let pairs = (self.queries * self.candidates) as f64;
        2.0 * pairs * (self.query_tokens * self.document_tokens * self.dim) as f64
    }
}

/// Rows that documents are cut from, beginning anywhere: what differs is where they lie on the GPU.
const POOL_ROWS: usize = 1 << 16;

/// Queries and documents of unit vectors in random directions.
pub struct Inputs {
    pub shape: Shape,
    pub queries: Vec<TokenMatrix>,
    pool: TokenMatrix,
    /// The first row of each document.
    starts: Vec<usize>,
}

impl Inputs {
    pub fn new(shape: Shape) -> maxfold::Result<Self> {
        let mut rng = StdRng::seed_from_u64(1);
        let mut matrix = |rows: usize| {
            let values: Vec<f32> =
                (0..rows * shape.dim).map(|_| rng.random_range(-1.0..1.0)).collect();
            TokenMatrix::normalized(&values, shape.dim)
        };
        let queries = (0..shape.queries).map(|_| matrix(shape.query_tokens));
        let queries = queries.collect::<maxfold::Result<_>>()?;
        let pool = matrix(POOL_ROWS)?;
        let last = POOL_ROWS - shape.document_tokens;
        let starts = (0..shape.documents()).map(|_| rng.random_range(0..=last)).collect();
        Ok(Self { shape, queries, pool, starts })
    }

    /// The document with this id. Those of query `q` have the ids from `q · candidates` on, or from 0.
    pub fn document(&self, id: u64) -> Option<TokenMatrixRef<'_>> {
        let dim = self.shape.dim;
        let start = *self.starts.get(id as usize)?;
        let values = &self.pool.view().values()[start * dim..];
        TokenMatrixRef::new(&values[..self.shape.document_tokens * dim], dim).ok()
    }

    /// The ids of a query's candidates.
    pub fn candidates(&self, query: usize) -> Vec<u64> {
        let count = self.shape.candidates as u64;
        let first = if self.shape.shared { 0 } else { query as u64 * count };
        (first..first + count).collect()
    }

    /// Writes `NAME.queries` and `NAME.docs`, little-endian f16 one after the other, and
    /// `NAME.shape`, what they are: five sizes, and whether candidates are shared.
    pub fn export(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let Shape { name, queries, candidates, query_tokens, document_tokens, dim, shared } =
            self.shape;
        fs::create_dir_all(folder)?;
        let create = |kind: &str| File::create(folder.join(format!("{name}.{kind}")));
        let mut file = BufWriter::new(create("queries")?);
        for query in &self.queries {
            write(&mut file, query.view())?;
        }
        file.flush()?;
        let mut file = BufWriter::new(create("docs")?);
        for document in (0..self.starts.len() as u64).filter_map(|id| self.document(id)) {
            write(&mut file, document)?;
        }
        file.flush()?;
        let shape = [queries, candidates, query_tokens, document_tokens, dim, usize::from(shared)];
        writeln!(create("shape")?, "{}", shape.map(|size| size.to_string()).join(" "))?;
        Ok(())
    }
}

fn write(file: &mut impl Write, matrix: TokenMatrixRef<'_>) -> std::io::Result<()> {
    let bytes: Vec<u8> = matrix.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    file.write_all(&bytes)
}
