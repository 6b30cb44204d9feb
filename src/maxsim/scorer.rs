//! Many documents in parallel.

use std::sync::Arc;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::instruction_set::InstructionSet;
use super::kernel::Scratch;
use super::query::PackedQuery;
use crate::multivector::{TokenMatrixRef, check_dimensions};
use crate::{Error, Result};

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
    /// `threads` is 0, or the operating system refuses to start them.
    pub fn with_threads(self, threads: usize) -> Result<Self> {
        if threads == 0 {
            let (expected, got) = ("at least 1".into(), threads.to_string());
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
        let query = PackedQuery::new(query, self.instructions.lane_width());
        let score = || self.score_packed(&query, documents);
        Ok(match &self.pool {
            Some(pool) => pool.install(score),
            None => score(),
        })
    }

    fn score_packed(&self, query: &PackedQuery, documents: &[TokenMatrixRef<'_>]) -> Vec<f32> {
        let one = |scratch: &mut Scratch, document: &TokenMatrixRef<'_>| {
            self.instructions.score(query, *document, scratch)
        };
        documents.par_iter().map_init(|| Scratch::new(query), one).collect()
    }
}
