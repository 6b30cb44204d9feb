//! Multivectors in int8 beside f16, kept and read.
//!
//! They are derived data. Each transaction writes them with the vectors that they are of; where some are missing, as in a
//! collection of an older version, all are made again when it is opened to be written.

use super::batch::Batch;
use super::config::Shape;
use super::record::{self, Table};
use super::schema::Schema;
use super::{Collection, Snapshot};
use crate::filter::{PointNumber, PointSet};
use crate::multivector::{QuantizedMatrix, QuantizedMatrixRef, TokenMatrixRef};
use crate::{Error, Result};

impl Batch<'_> {
    /// Makes and drops what another schema wants made or dropped.
    pub(super) fn requantize(&mut self, old: &Schema) -> Result<()> {
        let (old, new) = (old.quantized(), self.state.schema.quantized());
        old.difference(&new).try_for_each(|slot| self.clear(Table::Quantized, *slot))?;
        new.difference(&old).try_for_each(|slot| self.make_quantized(*slot))
    }

    /// Makes those of all points that have the vector.
    fn make_quantized(&mut self, slot: u8) -> Result<()> {
        let having = self.state.having[usize::from(slot)].clone();
        for number in having.iter() {
            let key = record::vector_key(slot, number);
            let body = self.store.get(&self.txn, Table::Vectors, &key)?;
            let body = body.ok_or_else(|| self.store.damaged(Table::Vectors, &key))?.to_vec();
            self.put_quantized(number, slot, &body, None)?;
        }
        Ok(())
    }

    /// Writes that of a multivector, which is `known` or is made from its bytes.
    pub(super) fn put_quantized(
        &mut self,
        number: PointNumber,
        slot: u8,
        bytes: &[u8],
        known: Option<&QuantizedMatrix>,
    ) -> Result<()> {
        let (key, dim) = (record::vector_key(slot, number), self.dim(slot));
        let made;
        let quantized = match known {
            Some(known) => known,
            None => {
                let damaged = || self.store.damaged(Table::Vectors, &key);
                let values = record::parse_tokens(bytes, dim).ok_or_else(damaged)?;
                made = QuantizedMatrix::new(TokenMatrixRef::trusted(values, dim))?;
                &made
            }
        };
        self.store.put(&mut self.txn, Table::Quantized, &key, quantized.bytes())
    }
}

impl Collection {
    /// Makes all in int8 again, if there are not as many as there should be.
    pub(super) fn complete_quantized(self) -> Result<Self> {
        if self.is_read_only() || self.snapshot()?.has_all_quantized()? {
            return Ok(self);
        }
        log::info!("{}: vectors in int8 are made", self.path().display());
        self.write(|batch| {
            batch.state.schema.quantized().into_iter().try_for_each(|slot| {
                batch.clear(Table::Quantized, slot)?;
                batch.make_quantized(slot)
            })
        })?;
        Ok(self)
    }
}

impl Snapshot<'_> {
    fn has_all_quantized(&self) -> Result<bool> {
        let slots = self.state.schema.quantized().into_iter();
        let expected: u64 = slots.map(|slot| self.state.having[usize::from(slot)].len()).sum();
        Ok(self.collection.store.count(&self.txn, Table::Quantized)? == expected)
    }

    /// The multivectors `name` of these points, which have it, in int8, in the order of their numbers; `None` if it isn't
    /// kept so, or if one is missing: they only make an answer come sooner.
    ///
    /// Checksums are compared at the first reading since the collection was opened.
    ///
    /// # Errors
    /// There is no such vector, or it is of another kind; a record is damaged or can't be read.
    pub(crate) fn quantized(
        &self,
        name: &str,
        numbers: &PointSet,
    ) -> Result<Option<Vec<QuantizedMatrixRef<'_>>>> {
        let (slot, config) = self.slot(name, Shape::Multi)?;
        if !self.state.schema.config.is_quantized(config) {
            return Ok(None);
        }
        let values = self.values_that_are(Table::Quantized, slot, numbers)?;
        if values.len() as u64 != numbers.len() {
            return Ok(None);
        }
        let matrices = values.into_iter().map(|(number, value)| {
            let damaged = || {
                let key = record::vector_key(slot, number);
                self.collection.store.damaged(Table::Quantized, &key)
            };
            let body = self.verified_body(slot, number, value).ok_or_else(damaged)?;
            QuantizedMatrixRef::new(body, config.size).map_err(|_: Error| damaged())
        });
        matrices.collect::<Result<_>>().map(Some)
    }

    /// The body of a record, whose checksum is compared once.
    fn verified_body<'v>(
        &self,
        slot: u8,
        number: PointNumber,
        value: &'v [u8],
    ) -> Option<&'v [u8]> {
        let verified = &self.collection.verified;
        if verified.contains(Table::Quantized, slot, number) {
            return value.get(record::CHECKSUM..);
        }
        let body = Table::Quantized.open(&record::vector_key(slot, number), value)?;
        verified.insert(Table::Quantized, slot, number);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::{CollectionConfig, Point, Vector, VectorConfig};
    use crate::recall::Distance;

    fn point(id: u64) -> Point {
        let values = (0..8 * (1 + id % 3)).map(|at| (id * 7 + at) as f32 / 10.0).collect();
        Point::new(id).vector("t", Vector::Multi { values, dim: 8 })
    }

    /// Compares what is kept of every point with what is made of its vector.
    fn check(collection: &Collection) {
        let snapshot = collection.snapshot().unwrap();
        assert!(snapshot.has_all_quantized().unwrap());
        let having = snapshot.having("t").unwrap().clone();
        let kept = snapshot.quantized("t", &having).unwrap().unwrap();
        for (number, kept) in having.iter().zip(kept) {
            let matrix = snapshot.tokens("t", number).unwrap().unwrap();
            assert_eq!(kept, QuantizedMatrix::new(matrix).unwrap().view());
        }
    }

    #[test]
    fn missing_ones_are_made_when_a_collection_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let config = VectorConfig::multi(8, Distance::Dot).int8();
        let config = CollectionConfig::new().vector("t", config);
        let collection = Collection::create(directory.path(), config).unwrap();
        collection.upsert((0..30).map(point).collect()).unwrap();
        collection.delete([3, 4]).unwrap();
        check(&collection);
        // As if it had been of version 2 of the format.
        collection.write(|batch| batch.clear(Table::Quantized, 0)).unwrap();
        let snapshot = collection.snapshot().unwrap();
        let having = snapshot.having("t").unwrap();
        assert_eq!(snapshot.quantized("t", having).unwrap(), None);
        drop(snapshot);
        drop(collection);
        check(&Collection::open(directory.path()).unwrap());
    }
}
