//! Many documents in parallel.

use std::borrow::Cow;
use std::sync::Arc;

use half::f16;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::instruction_set::InstructionSet;
use super::kernel::{Maxima, Scratch};
use super::query::PackedQueries;
use crate::background::Cancellation;
use crate::multivector::{TokenMatrixRef, check_dimension, check_dimensions};
use crate::{Error, Result};

/// Tokens of a document that are scored on one thread: longer documents are divided.
pub(super) const PART_TOKENS: usize = 2_048;

/// Threads beyond what a machine can run at once cost time, and by the thousands minutes.
const MOST_THREADS: usize = 256;

/// The CPU scorer: which instructions, and which threads.
///
/// By default the fastest instructions of this machine, and rayon's current thread pool: the
/// caller's, if the call is made inside one, else the global one.
///
/// ```
/// use maxfold::{maxsim::CpuMaxSim, multivector::TokenMatrix};
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
/// let scores = CpuMaxSim::new().score(query.view(), &[document.view()])?;
/// assert_eq!(scores, [0.5 + -1.0]);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CpuMaxSim {
    instructions: InstructionSet,
    pool: Option<Arc<ThreadPool>>,
}

impl Default for CpuMaxSim {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuMaxSim {
    /// The fastest instructions, on rayon's current pool.
    pub fn new() -> Self {
        Self { instructions: InstructionSet::detect(), pool: None }
    }

    /// The same, with these instructions.
    pub fn with_instruction_set(self, instructions: InstructionSet) -> Self {
        Self { instructions, ..self }
    }

    /// The same, on the caller's thread pool.
    pub fn with_pool(self, pool: Arc<ThreadPool>) -> Self {
        Self { pool: Some(pool), ..self }
    }

    /// The same, on a pool of its own.
    ///
    /// # Errors
    /// `threads` is 0, or more than 256 and than this machine has; the operating system refuses to
    /// start them.
    pub fn with_threads(self, threads: usize) -> Result<Self> {
        let most = std::thread::available_parallelism().map_or(1, usize::from).max(MOST_THREADS);
        if !(1..=most).contains(&threads) {
            let (expected, got) = (format!("1 to {most}"), threads.to_string());
            return Err(Error::InvalidParameter { name: "threads", expected, got });
        }
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Error::thread(std::io::Error::other(error)))?;
        Ok(self.with_pool(Arc::new(pool)))
    }

    /// The instructions that [`CpuMaxSim::score`] uses.
    pub fn instruction_set(&self) -> InstructionSet {
        self.instructions
    }

    /// The MaxSim score of each document, in their order.
    ///
    /// # Errors
    /// A document's dimension is not the query's.
    pub fn score(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        check_dimensions(query, documents)?;
        self.score_packed(&self.pack(&[query], query.dim()), documents)
    }

    /// The MaxSim scores of each document for several queries: a list a query, a number a document.
    ///
    /// Faster than one query after the other: a document is widened once for all of them.
    ///
    /// # Errors
    /// A query's or a document's dimension is not the first query's.
    pub fn score_batch(
        &self,
        queries: &[TokenMatrixRef<'_>],
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<Vec<f32>>> {
        let Some(first) = queries.first() else { return Ok(Vec::new()) };
        for (number, query) in queries.iter().enumerate() {
            check_dimension(|| format!("query {number}"), first.dim(), query.dim())?;
        }
        check_dimensions(*first, documents)?;
        let scores = self.score_packed(&self.pack(queries, first.dim()), documents)?;
        let of_query =
            |number| scores.iter().skip(number).step_by(queries.len()).copied().collect();
        Ok((0..queries.len()).map(of_query).collect())
    }

    /// Packs queries of one dimension for these instructions.
    pub(super) fn pack(&self, queries: &[TokenMatrixRef<'_>], dim: usize) -> PackedQueries {
        PackedQueries::new(queries, dim, self.instructions.lane_width())
    }

    /// Scores `[documents, queries]`.
    pub(super) fn score_packed(
        &self,
        packed: &PackedQueries,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        let cancellation = Cancellation::current();
        let queries = packed.tokens().len();
        let mut scores = vec![0.0; documents.len() * queries];
        let rows = scores.par_chunks_mut(queries).zip(documents).enumerate();
        self.in_pool(|| {
            rows.for_each_init(
                || Scratch::new(packed),
                |scratch, (number, (scores, document))| {
                    if cancellation.is_cancelled() {
                        return;
                    }
                    let next = values_of(documents, number + 1);
                    self.maxima(packed, document.values(), next, scratch).sums(packed, scores);
                },
            );
        });
        cancellation.check()?;
        Ok(scores)
    }

    /// Runs on the caller's pool, if one was given, else on rayon's current one.
    pub(crate) fn in_pool<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// The maxima over a document; of a long one, from parts that several threads may take.
    pub(super) fn maxima<'a>(
        &self,
        queries: &PackedQueries,
        tokens: &[f16],
        next: &[f16],
        scratch: &'a mut Scratch,
    ) -> Cow<'a, Maxima> {
        let part = PART_TOKENS * queries.dim();
        if tokens.len() <= part {
            scratch.reset();
            self.instructions.fold(queries, tokens, next, scratch);
            return Cow::Borrowed(scratch.maxima());
        }
        let fold = |scratch: &mut Scratch, tokens| {
            scratch.reset();
            self.instructions.fold(queries, tokens, &[], scratch);
            scratch.maxima().clone()
        };
        let parts = tokens.par_chunks(part).map_init(|| Scratch::new(queries), fold);
        let maxima = parts.reduce(|| Maxima::new(queries), |all, more| all.merge(&more));
        Cow::Owned(maxima)
    }
}

/// The token vectors of a document; none past the last.
pub(super) fn values_of<'a>(documents: &[TokenMatrixRef<'a>], number: usize) -> &'a [f16] {
    documents.get(number).map_or(&[], |document| document.values())
}
