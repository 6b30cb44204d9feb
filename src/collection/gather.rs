//! Reading vectors of many points at once.

use std::ops::Bound;

use rayon::prelude::*;

use super::Snapshot;
use super::config::Shape;
use super::record::{self, Table};
use super::store::Store;
use crate::background::Cancellation;
use crate::filter::{PointNumber, PointSet};
use crate::multivector::TokenMatrixRef;
use crate::{Error, Result};

/// Bytes of vectors that are worth a thread.
const BYTES_PER_THREAD: usize = 1 << 18;

/// Steps along the leaves of a tree that cost as much as a descent from its root.
const STEPS_PER_DESCENT: u64 = 8;

/// A number, and the value of a record.
type Value<'s> = (PointNumber, &'s [u8]);

impl Snapshot<'_> {
    /// Maps `compute` over each of these points' dense vectors `name`, in the order of their
    /// numbers. Points without the vector are left out.
    ///
    /// Checksums are compared. It runs on rayon's current thread pool if there is enough to do.
    ///
    /// # Errors
    /// There is no such vector, or it is of another kind; a record is damaged or can't be read.
    pub(crate) fn map_dense<T: Send>(
        &self,
        name: &str,
        numbers: &PointSet,
        compute: impl Fn(PointNumber, &[f32]) -> T + Send + Sync,
    ) -> Result<Vec<T>> {
        let (slot, dim, values) = self.dense_values(name, numbers)?;
        let (store, cancellation) = (&self.collection.store, Cancellation::current());
        one_each(values, dim, |buffer, value| {
            cancellation.check()?;
            decode(store, slot, value, dim, buffer).map(|number| compute(number, buffer))
        })
    }

    /// The dense vectors `name` of these points, as [`Snapshot::map_dense`], but on this thread
    /// alone: for a caller that holds a lock. A thread of rayon that waits takes up other jobs, and
    /// one of those may want the lock.
    ///
    /// # Errors
    /// As [`Snapshot::map_dense`].
    pub(crate) fn read_dense(
        &self,
        name: &str,
        numbers: &PointSet,
    ) -> Result<Vec<(PointNumber, Vec<f32>)>> {
        let (slot, dim, values) = self.dense_values(name, numbers)?;
        let read = |value| {
            let mut vector = Vec::with_capacity(dim);
            let number = decode(&self.collection.store, slot, value, dim, &mut vector)?;
            Ok((number, vector))
        };
        values.into_iter().map(read).collect()
    }

    /// The slot and the size of a dense vector, and the values of those points that have it.
    fn dense_values(&self, name: &str, numbers: &PointSet) -> Result<(u8, usize, Vec<Value<'_>>)> {
        let (slot, config) = self.slot(name, Shape::Dense)?;
        let numbers = numbers & &self.state.having[usize::from(slot)];
        Ok((slot, config.size, self.values(slot, &numbers)?))
    }

    /// The multivectors `name` of these points, in the order of their numbers; as
    /// [`Snapshot::tokens`].
    ///
    /// # Errors
    /// As [`Snapshot::tokens`]; one of the points doesn't have the vector.
    pub(crate) fn all_tokens(
        &self,
        name: &str,
        numbers: &PointSet,
    ) -> Result<Vec<TokenMatrixRef<'_>>> {
        let (slot, config) = self.slot(name, Shape::Multi)?;
        let cancellation = Cancellation::current();
        let matrices = numbers.iter().map(|number| {
            cancellation.check()?;
            self.matrix(slot, config, number)
        });
        matrices.collect()
    }

    /// Revisions of dense vectors, by number, ascending: a point whose vector is another one has another revision, but by a
    /// chance of 2⁻³², whatever becomes of the collection. They are read without the vectors.
    pub(crate) fn revisions(
        &self,
        name: &str,
        numbers: &PointSet,
    ) -> Result<Vec<(PointNumber, u32)>> {
        let (slot, _) = self.slot(name, Shape::Dense)?;
        let values = self.values_that_are(Table::Vectors, slot, numbers)?.into_iter();
        let revision = |(number, value)| Some((number, record::checksum_in(value)?));
        Ok(values.filter_map(revision).collect())
    }

    /// Values of vectors, none of which may be missing.
    fn values(&self, slot: u8, numbers: &PointSet) -> Result<Vec<Value<'_>>> {
        let values = self.values_that_are(Table::Vectors, slot, numbers)?;
        let missing =
            numbers.iter().zip(values.iter().map(|(number, _)| Some(*number)).chain([None]));
        match missing.into_iter().find(|(expected, got)| *got != Some(*expected)) {
            None => Ok(values),
            Some((missing, _)) => Err(damaged(&self.collection.store, slot, missing)),
        }
    }

    /// Values of those records that there are, of points that have the vector: by descents if they are far apart, else
    /// along the leaves. Checksums are not compared.
    pub(super) fn values_that_are(
        &self,
        table: Table,
        slot: u8,
        numbers: &PointSet,
    ) -> Result<Vec<Value<'_>>> {
        let (Some(first), Some(last)) = (numbers.min(), numbers.max()) else {
            return Ok(Vec::new());
        };
        let between = self.state.having[usize::from(slot)].range_cardinality(first..=last);
        let store = &self.collection.store;
        let mut values = Vec::with_capacity(numbers.len() as usize);
        if between < numbers.len() * STEPS_PER_DESCENT {
            let (first, last) = (record::vector_key(slot, first), record::vector_key(slot, last));
            let span = (Bound::Included(first.as_slice()), Bound::Included(last.as_slice()));
            store.scan_unchecked(&self.txn, table, span, |key, value| {
                let number = record::parse_vector_number(key);
                values.extend(number.filter(|it| numbers.contains(*it)).map(|it| (it, value)));
            })?;
            return Ok(values);
        }
        for number in numbers.iter() {
            let key = record::vector_key(slot, number);
            let value = store.get_unchecked(&self.txn, table, &key)?;
            values.extend(value.map(|value| (number, value)));
        }
        Ok(values)
    }
}

fn damaged(store: &Store, slot: u8, number: PointNumber) -> Error {
    store.damaged(Table::Vectors, &record::vector_key(slot, number))
}

/// The values of a dense vector into a buffer, if its checksum is right; gives its number.
fn decode(
    store: &Store,
    slot: u8,
    (number, value): Value<'_>,
    dim: usize,
    buffer: &mut Vec<f32>,
) -> Result<PointNumber> {
    let body = Table::Vectors.open(&record::vector_key(slot, number), value);
    let (values, rest) = body.unwrap_or_default().as_chunks::<4>();
    buffer.clear();
    buffer.extend(values.iter().map(|&bytes| f32::from_le_bytes(bytes)));
    let whole = rest.is_empty() && values.len() == dim;
    whole.then_some(number).ok_or_else(|| damaged(store, slot, number))
}

/// One result each, in order, each thread with a buffer of its own.
fn one_each<T: Send>(
    values: Vec<Value<'_>>,
    dim: usize,
    one: impl Fn(&mut Vec<f32>, Value<'_>) -> Result<T> + Send + Sync,
) -> Result<Vec<T>> {
    let worth_a_thread = (BYTES_PER_THREAD / (dim * size_of::<f32>())).max(1);
    if values.len() < 2 * worth_a_thread {
        let mut buffer = Vec::new();
        return values.into_iter().map(|value| one(&mut buffer, value)).collect();
    }
    let values = values.into_par_iter().with_min_len(worth_a_thread);
    values.map_init(Vec::new, one).collect()
}
