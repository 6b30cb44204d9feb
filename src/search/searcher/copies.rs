//! [`Copies`]: one multivector of a collection in a store of the GPU, kept in step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Result;
use crate::collection::Snapshot;
use crate::filter::{PointNumber, PointSet};
use crate::gpu::{QuantizedStore, ResidentStore, StoreStatistics};
use crate::multivector::{QuantizedMatrixRef, TokenMatrixRef};

/// Points that are read from the map at once.
const CHUNK_POINTS: usize = 256;

/// Store of the GPU, by numbers.
pub(super) trait Store {
    type Matrix<'a>: Copy;

    /// The matrices of these points, in the order of their numbers; `None` where the collection doesn't have them, as one of an
    /// older version, opened to be read, has none in int8.
    fn read<'s>(
        snapshot: &'s Snapshot<'_>,
        name: &str,
        points: &PointSet,
    ) -> Result<Option<Vec<Self::Matrix<'s>>>>;

    fn tokens(matrix: &Self::Matrix<'_>) -> usize;

    /// Bytes of a row of so many columns.
    fn row_bytes(dim: usize) -> u64;

    fn dim(&self) -> usize;

    fn load(&self, documents: &[(PointNumber, Self::Matrix<'_>)]) -> Result<()>;

    fn remove(&self, number: PointNumber);

    fn statistics(&self) -> StoreStatistics;
}

/// What was loaded into a store.
pub(super) struct Copies<S> {
    pub store: S,
    known: Mutex<PointSet>,
}

impl<S: Store> Copies<S> {
    pub fn new(store: S) -> Self {
        Self { store, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, PointSet> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of `numbers` that are not known to be resident.
    pub fn missing(&self, numbers: &PointSet) -> PointSet {
        numbers - &*self.known()
    }

    /// Brings them to the state of a snapshot, as far as the budget goes; tells whether that is all the way. One caller at a
    /// time.
    pub fn follow(&self, snapshot: &Snapshot<'_>, name: &str) -> Result<bool> {
        let having = snapshot.having(name)?;
        let known = self.known().clone();
        for gone in &(&known - having) {
            self.store.remove(gone);
        }
        *self.known() &= having;
        let (statistics, row_bytes) = (self.store.statistics(), S::row_bytes(self.store.dim()));
        let mut room = statistics.budget_bytes.saturating_sub(statistics.used_bytes);
        let new: Vec<PointNumber> = (having - &known).iter().collect();
        for numbers in new.chunks(CHUNK_POINTS) {
            let points = numbers.iter().copied().collect();
            let Some(matrices) = S::read(snapshot, name, &points)? else { return Ok(true) };
            let mut chunk: Vec<_> = points.iter().zip(matrices).collect();
            let mut fits = |(_, matrix): &(PointNumber, S::Matrix<'_>)| {
                let left = room.checked_sub(S::tokens(matrix) as u64 * row_bytes);
                room = left.unwrap_or(room);
                left.is_some()
            };
            let fitting = chunk.iter().take_while(|it| fits(it)).count();
            chunk.truncate(fitting);
            self.load(&chunk)?;
            if fitting < numbers.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn load(&self, chunk: &[(PointNumber, S::Matrix<'_>)]) -> Result<()> {
        self.store.load(chunk)?;
        self.known().extend(chunk.iter().map(|(number, _)| *number));
        Ok(())
    }
}

impl Store for ResidentStore<PointNumber> {
    type Matrix<'a> = TokenMatrixRef<'a>;

    fn read<'s>(
        snapshot: &'s Snapshot<'_>,
        name: &str,
        points: &PointSet,
    ) -> Result<Option<Vec<TokenMatrixRef<'s>>>> {
        snapshot.all_tokens(name, points).map(Some)
    }

    fn tokens(matrix: &TokenMatrixRef<'_>) -> usize {
        matrix.tokens()
    }

    fn row_bytes(dim: usize) -> u64 {
        Self::row_bytes_of(dim)
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn load(&self, documents: &[(PointNumber, TokenMatrixRef<'_>)]) -> Result<()> {
        self.load(documents, |_| {})
    }

    fn remove(&self, number: PointNumber) {
        self.remove(number);
    }

    fn statistics(&self) -> StoreStatistics {
        self.statistics()
    }
}

impl Store for QuantizedStore<PointNumber> {
    type Matrix<'a> = QuantizedMatrixRef<'a>;

    fn read<'s>(
        snapshot: &'s Snapshot<'_>,
        name: &str,
        points: &PointSet,
    ) -> Result<Option<Vec<QuantizedMatrixRef<'s>>>> {
        snapshot.quantized(name, points)
    }

    fn tokens(matrix: &QuantizedMatrixRef<'_>) -> usize {
        matrix.tokens()
    }

    fn row_bytes(dim: usize) -> u64 {
        Self::row_bytes_of(dim)
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn load(&self, documents: &[(PointNumber, QuantizedMatrixRef<'_>)]) -> Result<()> {
        self.load(documents, |_| {})
    }

    fn remove(&self, number: PointNumber) {
        self.remove(number);
    }

    fn statistics(&self) -> StoreStatistics {
        self.statistics()
    }
}
