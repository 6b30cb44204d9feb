//! State of a collection in one transaction: counters, and sets of points.

use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use heed::{AnyTls, RoTxn, RwTxn, WithoutTls};
use serde_json::{Value, json};

use super::PayloadIndex;
use super::record::{STATE_KEY, Table, index_key, longest_key, parse_length, parse_set, set_body};
use super::schema::Schema;
use super::store::Store;
use crate::filter::{FieldPath, IndexKind, PointNumber, PointSet, Span};
use crate::json::{Node, Tree};
use crate::{Error, Result};

const INDEXES_KEY: &[u8] = b"indexes";
const ALL_KEY: &[u8] = b"all";

/// Counters and sets of points of a collection.
#[derive(Clone)]
pub(super) struct State {
    /// LMDB's number of the transaction that wrote this.
    pub transaction: u64,
    /// A random number that no other state has, of this collection or of a copy that went another way; `None` in files
    /// that were last written before there were such.
    pub id: Option<u64>,
    /// The configuration.
    pub schema: Arc<Schema>,
    /// The number of the next point. None is given twice.
    pub next: u64,
    /// The number of the next payload index. None is given twice.
    pub next_index: u32,
    /// Every point.
    pub all: PointSet,
    /// The points that have a vector, by its slot.
    pub having: Vec<PointSet>,
    /// The length of the longest row that a multivector kept in f32 ever had, by its slot.
    pub longest: Vec<f64>,
    /// The payload indexes, with their numbers.
    pub indexes: Vec<(u32, PayloadIndex)>,
}

impl State {
    /// The records of a new collection.
    pub fn records(schema: Schema) -> Vec<(Table, &'static [u8], Vec<u8>)> {
        let new = Self {
            // LMDB's first.
            transaction: 1,
            id: Some(Self::new_id()),
            schema: Arc::new(schema),
            next: 0,
            next_index: 0,
            all: PointSet::new(),
            having: Vec::new(),
            longest: Vec::new(),
            indexes: Vec::new(),
        };
        let records = new.schema.records().into_iter().chain(new.bodies());
        records.map(|(key, body)| (Table::Meta, key, body)).collect()
    }

    /// An id for a state that is going to be written.
    pub fn new_id() -> u64 {
        // Keyed at random, each time otherwise.
        RandomState::new().hash_one(())
    }

    /// All but the sets of points that have a vector.
    fn bodies(&self) -> [(&'static [u8], Vec<u8>); 3] {
        let Self { transaction, next, next_index, .. } = self;
        let mut state = transaction.to_le_bytes().to_vec();
        state.extend(next.to_le_bytes());
        state.extend(next_index.to_le_bytes());
        state.extend(self.id.into_iter().flat_map(u64::to_le_bytes));
        let indexes = self.indexes.iter().map(|(number, index)| {
            json!({"number": number, "field": index.field, "kind": index.schema()})
        });
        let indexes = Value::Array(indexes.collect()).to_string().into_bytes();
        [(STATE_KEY, state), (INDEXES_KEY, indexes), (ALL_KEY, set_body(&self.all))]
    }

    /// Begins to read what the last commit wrote; gives that transaction's number, too.
    ///
    /// LMDB takes the number of the last commit, and then the roots from the page that goes with it, which the commit
    /// after the next writes over before it is durable and its number is told. A thread that was held up in between
    /// sees the roots of a commit to come, and in its next transaction an older one.
    pub fn begin(store: &Store) -> Result<(RoTxn<'_, WithoutTls>, u64)> {
        // A thread is held up just there in one of many thousands, and seldom twice.
        const TRIES: usize = 100;
        let mut seen = (0, 0);
        for _ in 0..TRIES {
            let txn = store.read()?;
            seen = (Self::transaction(store, &txn)?, txn.id() as u64);
            if seen.0 == seen.1 {
                return Ok((txn, seen.0));
            }
        }
        Err(store.damage(format!("what transaction {} wrote in {}", seen.0, seen.1)))
    }

    /// The transaction that wrote what a transaction sees.
    pub fn transaction(store: &Store, txn: &RoTxn<'_, AnyTls>) -> Result<u64> {
        let body = store.get(txn, Table::Meta, STATE_KEY)?;
        let state = body.and_then(Counters::parse);
        state.map(|it| it.transaction).ok_or_else(|| store.damaged(Table::Meta, STATE_KEY))
    }

    /// Reads what a transaction sees.
    pub fn read(store: &Store, txn: &RoTxn<'_, AnyTls>) -> Result<Self> {
        let schema = Arc::new(Schema::read(store, txn)?);
        let record = |key: &[u8]| {
            let body = store.get(txn, Table::Meta, key)?;
            body.ok_or_else(|| store.damaged(Table::Meta, key))
        };
        let damaged = |key: &[u8]| store.damaged(Table::Meta, key);
        let counters = Counters::parse(record(STATE_KEY)?).ok_or_else(|| damaged(STATE_KEY))?;
        let Counters { transaction, next, next_index, id } = counters;
        let all = parse_set(record(ALL_KEY)?).ok_or_else(|| damaged(ALL_KEY))?;
        let having = (0..schema.slots()).map(|slot| {
            let key = having_key(slot);
            match store.get(txn, Table::Meta, &key)? {
                None => Ok(PointSet::new()),
                Some(body) => parse_set(body).ok_or_else(|| damaged(&key)),
            }
        });
        let having = having.collect::<Result<_>>()?;
        let longest = (0..schema.slots()).map(|slot| {
            let key = longest_key(slot);
            let body = store.get(txn, Table::Meta, &key)?;
            body.map_or(Ok(0.0), |body| parse_length(body).ok_or_else(|| damaged(&key)))
        });
        let longest = longest.collect::<Result<_>>()?;
        let indexes = parse_indexes(record(INDEXES_KEY)?).ok_or_else(|| damaged(INDEXES_KEY))?;
        Ok(Self { transaction, id, schema, next, next_index, all, having, longest, indexes })
    }

    /// The kinds of the indexes of a field.
    pub fn kinds(&self, field: &FieldPath) -> Vec<IndexKind> {
        let indexes = self.indexes.iter().filter(|(_, index)| index.field == *field);
        indexes.map(|(_, index)| index.kind.clone()).collect()
    }

    /// The points that stand in an index under any key in these spans.
    pub fn with_keys(
        &self,
        store: &Store,
        txn: &RoTxn<'_, AnyTls>,
        (field, kind): (&FieldPath, &IndexKind),
        spans: &[Span],
    ) -> Result<PointSet> {
        let mut indexes = self.indexes.iter();
        let index = indexes.find(|(_, index)| index.field == *field && index.kind == *kind);
        let Some((number, _)) = index else { return Ok(PointSet::new()) };
        let mut sets = Vec::new();
        for span in spans {
            let start = index_key(*number, &span.start);
            let end = index_key(*number, &span.end);
            let keys = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
            store.scan(txn, Table::Index, keys, |key, body| {
                let set = parse_set(body);
                sets.push(set.ok_or_else(|| store.damaged(Table::Index, key))?);
                Ok(())
            })?;
        }
        Ok(PointSet::union(sets))
    }

    /// Writes what differs from `old`.
    pub fn write(&self, store: &Store, txn: &mut RwTxn<'_>, old: &Self) -> Result<()> {
        for ((key, body), (_, old)) in self.bodies().into_iter().zip(old.bodies()) {
            if body != old {
                store.put(txn, Table::Meta, key, &body)?;
            }
        }
        self.schema.write(store, txn, &old.schema)?;
        for (slot, having) in self.having.iter().enumerate() {
            if old.having.get(slot) != Some(having) {
                store.put(txn, Table::Meta, &having_key(slot), &set_body(having))?;
            }
        }
        for (slot, longest) in self.longest.iter().enumerate() {
            if old.longest.get(slot) != Some(longest) {
                store.put(txn, Table::Meta, &longest_key(slot), &longest.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Removes what was written of a slot.
    pub fn forget(slot: usize, store: &Store, txn: &mut RwTxn<'_>) -> Result<()> {
        for key in [having_key(slot), longest_key(slot)] {
            store.delete(txn, Table::Meta, &key)?;
        }
        Ok(())
    }

    /// The number of the next point.
    pub fn take_number(&mut self) -> Result<PointNumber> {
        let number = u32::try_from(self.next).map_err(|_| Error::InvalidParameter {
            name: "the number of points ever written",
            expected: "at most 2³²".into(),
            got: "one more".into(),
        })?;
        self.next += 1;
        Ok(PointNumber::new(number))
    }
}

fn having_key(slot: usize) -> Vec<u8> {
    [b"having".as_slice(), &[slot as u8]].concat()
}

/// Record under [`STATE_KEY`].
struct Counters {
    transaction: u64,
    next: u64,
    next_index: u32,
    id: Option<u64>,
}

impl Counters {
    fn parse(body: &[u8]) -> Option<Self> {
        let (transaction, rest) = body.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let (next_index, id) = rest.split_first_chunk()?;
        let id = if id.is_empty() { None } else { Some(u64::from_le_bytes(id.try_into().ok()?)) };
        let (transaction, next) = (u64::from_le_bytes(*transaction), u64::from_le_bytes(*next));
        Some(Self { transaction, next, next_index: u32::from_le_bytes(*next_index), id })
    }
}

fn parse_indexes(body: &[u8]) -> Option<Vec<(u32, PayloadIndex)>> {
    let indexes: Vec<Value> = serde_json::from_slice(body).ok()?;
    let index = |index: &Value| {
        let number = u32::try_from(index["number"].as_u64()?).ok()?;
        let field = index["field"].as_str()?.parse().ok()?;
        let index =
            PayloadIndex::with_schema(field, &Node::root(&Tree::from(&index["kind"]), "kind"))
                .ok()?;
        Some((number, index))
    };
    indexes.iter().map(index).collect()
}
