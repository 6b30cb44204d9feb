//! [`Copies`]: one multivector of a collection in a store of the GPU, kept in step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Result;
use crate::collection::Snapshot;
use crate::filter::{PointNumber, PointSet};
use crate::gpu::{QuantizedStore, ResidentStore, StoreStatistics};
use crate::multivector::{QuantizedMatrixRef, TokenMatrixRef};

/// Points that are read from the map at once.
const CHUNK_POINTS: usize = 256;

/// Format of a multivector, and its store on the GPU, by numbers.
pub(super) trait Format {
    type Store;
    type Matrix<'a>: Copy;

    /// The matrices of these points, in the order of their numbers; `None` where the collection doesn't have them, as one of an
    /// older version, opened to be read, has none in int8.
    fn read<'s>(
        snapshot: &'s Snapshot<'_>,
        name: &str,
        points: &PointSet,
    ) -> Result<Option<Vec<Self::Matrix<'s>>>>;

    /// Bytes of a matrix in the store.
    fn bytes(matrix: &Self::Matrix<'_>) -> u64;

    fn load(store: &Self::Store, documents: &[(PointNumber, Self::Matrix<'_>)]) -> Result<()>;

    fn remove(store: &Self::Store, number: PointNumber);

    fn statistics(store: &Self::Store) -> StoreStatistics;
}

/// Store, and the points known to be in it.
pub(super) struct Copies<F: Format> {
    pub store: F::Store,
    known: Mutex<PointSet>,
}

impl<F: Format> Copies<F> {
    pub fn new(store: F::Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, PointSet> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Contents of the store.
    pub fn statistics(&self) -> StoreStatistics {
        F::statistics(&self.store)
    }

    /// Points of `numbers` that are not known to be resident.
    pub fn missing(&self, numbers: &PointSet) -> PointSet {
        numbers - &*self.known()
    }

    /// Brings them to the state of a snapshot, as far as the budget goes; tells whether that is all the way. One caller at a
    /// time.
    pub fn follow(&self, snapshot: &Snapshot<'_>, name: &str) -> Result<bool> {
        let having = snapshot.having(name)?;
        let known = self.known().clone();
        for gone in &(&known - having) {
            F::remove(&self.store, gone);
        }
        *self.known() &= having;
        let statistics = self.statistics();
        let mut room = statistics.budget_bytes.saturating_sub(statistics.used_bytes);
        let new: Vec<PointNumber> = (having - &known).iter().collect();
        for numbers in new.chunks(CHUNK_POINTS) {
            let points = numbers.iter().copied().collect();
            let Some(matrices) = F::read(snapshot, name, &points)? else { return Ok(true) };
            let mut chunk: Vec<_> = points.iter().zip(matrices).collect();
            let mut fits = |(_, matrix): &(PointNumber, F::Matrix<'_>)| {
                let left = room.checked_sub(F::bytes(matrix));
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

    fn load(&self, chunk: &[(PointNumber, F::Matrix<'_>)]) -> Result<()> {
        F::load(&self.store, chunk)?;
        self.known().extend(chunk.iter().map(|(number, _)| *number));
        Ok(())
    }
}

/// As it is scored.
pub(super) struct F16;

impl Format for F16 {
    type Store = ResidentStore<PointNumber>;
    type Matrix<'a> = TokenMatrixRef<'a>;

    fn read<'s>(
        snapshot: &'s Snapshot<'_>,
        name: &str,
        points: &PointSet,
    ) -> Result<Option<Vec<TokenMatrixRef<'s>>>> {
        snapshot.all_tokens(name, points).map(Some)
    }

    fn bytes(matrix: &TokenMatrixRef<'_>) -> u64 {
        matrix.tokens() as u64 * ResidentStore::<PointNumber>::row_bytes_of(matrix.dim())
    }

    fn load(store: &Self::Store, documents: &[(PointNumber, TokenMatrixRef<'_>)]) -> Result<()> {
        store.load(documents, |_| {})
    }

    fn remove(store: &Self::Store, number: PointNumber) {
        store.remove(number);
    }

    fn statistics(store: &Self::Store) -> StoreStatistics {
        store.statistics()
    }
}

/// As it is bounded.
pub(super) struct Int8;

impl Format for Int8 {
    type Store = QuantizedStore<PointNumber>;
    type Matrix<'a> = QuantizedMatrixRef<'a>;

    fn read<'s>(
        snapshot: &'s Snapshot<'_>,
        name: &str,
        points: &PointSet,
    ) -> Result<Option<Vec<QuantizedMatrixRef<'s>>>> {
        snapshot.quantized(name, points)
    }

    fn bytes(matrix: &QuantizedMatrixRef<'_>) -> u64 {
        matrix.tokens() as u64 * QuantizedStore::<PointNumber>::row_bytes_of(matrix.dim())
    }

    fn load(
        store: &Self::Store,
        documents: &[(PointNumber, QuantizedMatrixRef<'_>)],
    ) -> Result<()> {
        store.load(documents, |_| {})
    }

    fn remove(store: &Self::Store, number: PointNumber) {
        store.remove(number);
    }

    fn statistics(store: &Self::Store) -> StoreStatistics {
        store.statistics()
    }
}
