//! [`Batch`]: one transaction of changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use heed::RwTxn;

use super::PayloadIndex;
use super::config::Shape;
use super::point::{Prepared, Values, payload_json};
use super::postings::{self, PostingChanges};
use super::record::{self, Table};
use super::schema::Schema;
use super::sparse::SparseVector;
use super::state::State;
use super::store::Store;
use crate::filter::{Payload, PointId, PointNumber, PointSet};
use crate::maxsim::norm;
use crate::multivector::QuantizedMatrix;
use crate::{Error, Result};

/// Changes that are applied together, or, if this is dropped, not at all.
pub(super) struct Batch<'s> {
    pub(super) store: &'s Store,
    pub(super) txn: RwTxn<'s>,
    old: Arc<State>,
    pub(super) state: State,
    /// Shapes of the vectors, by slot.
    shapes: Vec<Option<Shape>>,
    /// Slots of vectors that are kept in int8, too.
    quantized: BTreeSet<u8>,
    /// Changes of the payload indexes, by key.
    pub(super) changes: BTreeMap<Vec<u8>, Change>,
    /// Changes of the inverted indexes.
    postings: PostingChanges,
}

/// Change of a set of points.
#[derive(Default)]
pub(super) struct Change {
    pub insert: PointSet,
    remove: PointSet,
}

impl<'s> Batch<'s> {
    /// `txn` sees `state`.
    pub fn new(store: &'s Store, txn: RwTxn<'s>, state: Arc<State>) -> Self {
        let (old, state) = (state.clone(), State::clone(&state));
        let (shapes, quantized) = (state.schema.shapes(), state.schema.quantized());
        let (changes, postings) = (BTreeMap::new(), PostingChanges::default());
        Self { store, txn, old, state, shapes, quantized, changes, postings }
    }

    /// Writes what is left to write, and makes all of it last.
    pub fn commit(mut self) -> Result<State> {
        self.write_changes()?;
        std::mem::take(&mut self.postings).write(self.store, &mut self.txn)?;
        self.state.transaction = self.txn.id() as u64;
        self.state.id = Some(State::new_id());
        self.state.write(self.store, &mut self.txn, &self.old)?;
        self.store.commit(self.txn)?;
        Ok(self.state)
    }

    /// Adds a point, in the place of the one with its id.
    pub fn upsert(&mut self, point: &Prepared) -> Result<()> {
        let Prepared { id, vectors, payload, json } = point;
        self.delete(*id)?;
        let number = self.insert(*id, payload, json)?;
        vectors.iter().try_for_each(|(slot, it)| self.put_values(number, *slot, it))
    }

    /// Replaces vectors of a point that is there, or adds them, and removes those of other slots. The point
    /// gets another number, as the vectors of one never change.
    pub fn change_vectors(
        &mut self,
        id: PointId,
        new: &[(u8, Values)],
        removed: &[u8],
    ) -> Result<()> {
        let number = self.known_number(id)?;
        let (_, payload) = self.point(number)?;
        let json = payload_json(&payload).map_err(|error| error.in_point(id))?;
        let mut vectors = Vec::new();
        for (slot, having) in (0..).zip(&self.state.having) {
            let changed = removed.contains(&slot) || new.iter().any(|(it, _)| *it == slot);
            if having.contains(number) && !changed {
                let key = record::vector_key(slot, number);
                let body = self.store.get(&self.txn, Table::Vectors, &key)?;
                let body = body.ok_or_else(|| self.store.damaged(Table::Vectors, &key))?;
                vectors.push((slot, body.to_vec(), self.rows(slot, number)?));
            }
        }
        self.delete(id)?;
        let number = self.insert(id, &payload, &json)?;
        vectors.iter().try_for_each(|(slot, bytes, rows)| {
            self.put_vector(number, *slot, (bytes, None), rows.as_deref())
        })?;
        new.iter().try_for_each(|(slot, it)| self.put_values(number, *slot, it))
    }

    fn put_values(&mut self, number: PointNumber, slot: u8, values: &Values) -> Result<()> {
        let tokens = values.tokens();
        if let Some(normed) = tokens.and_then(|it| it.normed.as_ref()) {
            let longest = &mut self.state.longest[usize::from(slot)];
            *longest = longest.max(normed.longest);
        }
        let quantized = tokens.and_then(|it| it.quantized.as_ref());
        self.put_vector(number, slot, (&values.bytes(), quantized), values.rows())
    }

    /// The rows of a multivector that is kept in f32.
    fn rows(&self, slot: u8, number: PointNumber) -> Result<Option<Vec<f32>>> {
        let key = record::vector_key(slot, number);
        let Some(body) = self.store.get(&self.txn, Table::Rows, &key)? else { return Ok(None) };
        let rows = record::parse_rows(body, self.dim(slot));
        rows.map(Some).ok_or_else(|| self.store.damaged(Table::Rows, &key))
    }

    /// Number of columns of the vector of a slot.
    pub(super) fn dim(&self, slot: u8) -> usize {
        self.state.schema.at(slot).map_or(1, |config| config.size.max(1))
    }

    /// Writes a vector; of a multivector that is kept in f32, those rows, too, and in int8, what is known of that.
    fn put_vector(
        &mut self,
        number: PointNumber,
        slot: u8,
        (bytes, quantized): (&[u8], Option<&QuantizedMatrix>),
        rows: Option<&[f32]>,
    ) -> Result<()> {
        let (key, at) = (record::vector_key(slot, number), usize::from(slot));
        self.store.put(&mut self.txn, Table::Vectors, &key, bytes)?;
        if self.shapes[at] == Some(Shape::Sparse) {
            let vector = SparseVector::parse(bytes);
            let vector = vector.ok_or_else(|| self.store.damaged(Table::Vectors, &key))?;
            self.postings.insert(slot, number, &vector);
        }
        if let Some(rows) = rows {
            let dim = self.dim(slot);
            let longest = &mut self.state.longest[at];
            *longest = rows.chunks(dim).map(norm).fold(*longest, f64::max);
            self.store.put(&mut self.txn, Table::Rows, &key, bytemuck::cast_slice(rows))?;
        }
        if self.quantized.contains(&slot) {
            self.put_quantized(number, slot, bytes, quantized)?;
        }
        self.state.having[at].insert(number);
        Ok(())
    }

    /// Adds a point without vectors.
    fn insert(&mut self, id: PointId, payload: &Payload, json: &[u8]) -> Result<PointNumber> {
        let number = self.state.take_number()?;
        let (key, body) = (record::id_key(id), number.get().to_le_bytes());
        self.store.put(&mut self.txn, Table::Ids, &key, &body)?;
        self.put_point(id, number, json)?;
        self.state.all.insert(number);
        self.note(number, payload, |change| &mut change.insert);
        Ok(number)
    }

    /// Removes a point; whether there was one.
    pub fn delete(&mut self, id: PointId) -> Result<bool> {
        let Some(number) = self.number(id)? else { return Ok(false) };
        let (_, payload) = self.point(number)?;
        self.note(number, &payload, |change| &mut change.remove);
        self.store.delete(&mut self.txn, Table::Ids, &record::id_key(id))?;
        self.store.delete(&mut self.txn, Table::Points, &record::point_key(number))?;
        let vectors = self.state.having.iter_mut().zip(&self.shapes);
        for (slot, (having, shape)) in (0..).zip(vectors) {
            if having.remove(number) {
                if *shape == Some(Shape::Sparse) {
                    let vector = postings::vector(self.store, &self.txn, slot, number)?;
                    self.postings.remove(slot, number, &vector);
                }
                let key = record::vector_key(slot, number);
                self.store.delete(&mut self.txn, Table::Vectors, &key)?;
                if *shape == Some(Shape::Multi) {
                    self.store.delete(&mut self.txn, Table::Rows, &key)?;
                    self.store.delete(&mut self.txn, Table::Quantized, &key)?;
                }
            }
        }
        self.state.all.remove(number);
        Ok(true)
    }

    /// Changes the payload of a point that is there.
    pub fn change_payload(&mut self, id: PointId, change: impl FnOnce(&mut Payload)) -> Result<()> {
        let number = self.known_number(id)?;
        let (_, old) = self.point(number)?;
        let mut new = old.clone();
        change(&mut new);
        let json = payload_json(&new).map_err(|error| error.in_point(id))?;
        self.put_point(id, number, &json)?;
        self.note(number, &old, |change| &mut change.remove);
        self.note(number, &new, |change| &mut change.insert);
        Ok(())
    }

    /// Goes on with another configuration, in which vectors have the slots that they had.
    pub fn reconfigure(&mut self, schema: Schema) {
        self.state.having.resize_with(schema.slots(), PointSet::new);
        self.state.longest.resize(schema.slots(), 0.0);
        (self.shapes, self.quantized) = (schema.shapes(), schema.quantized());
        self.state.schema = Arc::new(schema);
    }

    /// Drops a vector, and what points have of it. Their numbers stay, and so no key is ever another vector's.
    pub fn drop_vector(&mut self, name: &str) -> Result<()> {
        let (slot, _) = self.state.schema.slot(name)?;
        for table in [Table::Vectors, Table::Rows, Table::Quantized, Table::Postings] {
            self.clear(table, slot)?;
        }
        let schema = self.state.schema.without(name);
        self.reconfigure(schema);
        if let Some(having) = self.state.having.get_mut(usize::from(slot)) {
            *having = PointSet::new();
            self.state.longest[usize::from(slot)] = 0.0;
        }
        State::forget(slot.into(), self.store, &mut self.txn)
    }

    /// Deletes all records of a slot.
    pub(super) fn clear(&mut self, table: Table, slot: u8) -> Result<()> {
        let (first, last) = (record::slot_key(slot), record::slot_key_end(slot));
        let keys = (Bound::Included(first.as_slice()), Bound::Excluded(last.as_slice()));
        self.store.delete_range(&mut self.txn, table, keys)
    }

    fn known_number(&self, id: PointId) -> Result<PointNumber> {
        self.number(id)?.ok_or_else(|| Error::UnknownPoint { id: id.to_string() })
    }

    pub fn number(&self, id: PointId) -> Result<Option<PointNumber>> {
        let key = record::id_key(id);
        let body = self.store.get(&self.txn, Table::Ids, &key)?;
        let damaged = || self.store.damaged(Table::Ids, &key);
        body.map(|body| record::parse_number(body).ok_or_else(damaged)).transpose()
    }

    pub fn point(&self, number: PointNumber) -> Result<(PointId, Payload)> {
        let key = record::point_key(number);
        let body = self.store.get(&self.txn, Table::Points, &key)?;
        body.and_then(record::parse_point).ok_or_else(|| self.store.damaged(Table::Points, &key))
    }

    fn put_point(&mut self, id: PointId, number: PointNumber, json: &[u8]) -> Result<()> {
        let (key, body) =
            (record::point_key(number), record::point_body(id, self.txn.id() as u64, json));
        self.store.put(&mut self.txn, Table::Points, &key, &body)
    }

    /// Notes where in the indexes a point comes, or goes. Of both, the later counts.
    fn note(
        &mut self,
        number: PointNumber,
        payload: &Payload,
        which: fn(&mut Change) -> &mut PointSet,
    ) {
        for (index, PayloadIndex { field, kind, .. }) in &self.state.indexes {
            for key in kind.keys(field, payload) {
                let change = self.changes.entry(record::index_key(*index, &key)).or_default();
                change.insert.remove(number);
                change.remove.remove(number);
                which(change).insert(number);
            }
        }
    }

    /// Writes the changes of the payload indexes so far.
    pub fn write_changes(&mut self) -> Result<()> {
        for (key, Change { insert, remove }) in std::mem::take(&mut self.changes) {
            let damaged = || self.store.damaged(Table::Index, &key);
            let mut set = match self.store.get(&self.txn, Table::Index, &key)? {
                None => PointSet::new(),
                Some(body) => record::parse_set(body).ok_or_else(damaged)?,
            };
            set -= remove;
            set |= insert;
            if set.is_empty() {
                self.store.delete(&mut self.txn, Table::Index, &key)?;
            } else {
                self.store.put(&mut self.txn, Table::Index, &key, &record::set_body(&set))?;
            }
        }
        Ok(())
    }
}
