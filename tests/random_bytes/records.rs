//! Door: the records of a collection, with checksums that are right.

use std::fs;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, EnvOpenOptions, RwTxn};
use maxfold::collection::{Collection, PayloadIndex, Point};
use maxfold::filter::{Filter, IndexKind};
use maxfold::search::QueryRequest;
use rand::prelude::*;

use crate::{mutate, sample, trials};

/// Table, key and body.
type Record = (usize, Vec<u8>, Vec<u8>);

/// In FORMAT.md's order.
const TABLES: [&str; 5] = ["meta", "ids", "points", "vectors", "index"];

/// Whatever the records say, a collection is refused, or answers or refuses every call.
#[test]
fn forged_records_are_only_data() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    sample::searcher(path).close().unwrap();
    let data = fs::read(path.join("data.mdb")).unwrap();
    let mut records = Vec::new();
    edit(path, |tables, txn| records = all(tables, txn));
    let input = |rng: &mut StdRng| -> Vec<Record> {
        let table = [0, 0, 0, 1, 2, 3, 4].choose(rng).unwrap();
        let forged = (0..rng.random_range(1..3)).map(|_| {
            let (table, key, body) =
                records.iter().filter(|it| it.0 == *table).choose(rng).unwrap().clone();
            let body =
                if rng.random_bool(0.9) { mutate::bytes(rng, body) } else { mutate::noise(rng) };
            (table, key, body)
        });
        forged.collect()
    };
    trials::door("records", input, |forged| {
        fs::write(path.join("data.mdb"), &data).unwrap();
        edit(path, |tables, txn| {
            for (table, key, body) in forged {
                tables[*table].put(txn, key, &sealed(*table, key, body)).unwrap();
            }
        });
        Collection::open(path).is_ok_and(used)
    });
}

/// Every way to use a collection; each may be refused.
fn used(collection: Collection) -> bool {
    let Ok(searcher) = sample::searcher_of(collection) else { return false };
    let requests = [
        r#"{"query": [1, 0.5, -1], "using": "v", "limit": 100, "with_payload": true, "with_vector": true}"#,
        r#"{"query": [1, 0.5, -1], "using": "q", "filter": {"must": {"key": "b", "range": {"gte": -5}}}}"#,
        r#"{"query": [1, 0.5], "limit": 3, "filter": {"must_not": {"key": "a", "match": {"value": "red"}}}}"#,
        r#"{"query": [[1, 0], [0, 1]], "using": "t", "limit": 30, "with_vector": true}"#,
    ];
    for request in requests {
        drop(searcher.query(&request.parse::<QueryRequest>().unwrap()));
    }
    let collection = searcher.collection();
    if let Ok(snapshot) = collection.snapshot() {
        snapshot.numbers().iter().for_each(|number| drop(snapshot.payload(number)));
    }
    let payload = serde_json::json!({"a": "x", "b": 3}).as_object().unwrap().clone();
    drop(collection.upsert(vec![Point::new(5).vector("q", vec![1.0; 3]).payload(payload)]));
    drop(collection.create_index(PayloadIndex::new("o.b", IndexKind::Integer).unwrap()));
    let some: Filter = r#"{"must": {"key": "b", "range": {"gte": -5}}}"#.parse().unwrap();
    drop(collection.delete(some));
    drop(searcher.close());
    true
}

/// Edits the tables of a closed collection; the state then names the transaction that did it.
fn edit(path: &Path, change: impl FnOnce(&[Database<Bytes, Bytes>; 5], &mut RwTxn<'_>)) {
    // SAFETY: the collection is closed, and nobody else knows of it.
    let env = unsafe { EnvOpenOptions::new().map_size(1 << 30).max_dbs(5).open(path) }.unwrap();
    let opened = env.open_databases_and_commit(env.read_txn().unwrap(), |opener, txn| {
        let table = |name| opener.open_database(txn, Some(name)).map(Option::unwrap);
        let [a, b, c, d, e] = TABLES.map(table);
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit([a?, b?, c?, d?, e?]))
    });
    let tables = opened.unwrap().commit().unwrap();
    let mut txn = env.write_txn().unwrap();
    change(&tables, &mut txn);
    let mut state = tables[0].get(&txn, b"state").unwrap().unwrap()[4..].to_vec();
    if let Some(transaction) = state.first_chunk_mut() {
        *transaction = (txn.id() as u64).to_le_bytes();
    }
    tables[0].put(&mut txn, b"state", &sealed(0, b"state", &state)).unwrap();
    txn.commit().unwrap();
    env.prepare_for_closing().wait();
}

fn all(tables: &[Database<Bytes, Bytes>; 5], txn: &RwTxn<'_>) -> Vec<Record> {
    let records = tables.iter().enumerate().flat_map(|(table, records)| {
        let record = move |(key, value): (&[u8], &[u8])| (table, key.to_vec(), value[4..].to_vec());
        records.iter(txn).unwrap().map(move |it| record(it.unwrap()))
    });
    records.collect()
}

/// A value, after its checksum.
fn sealed(table: usize, key: &[u8], body: &[u8]) -> Vec<u8> {
    let head = [table as u8, key.len() as u8, (key.len() >> 8) as u8];
    let checksum = crc32fast::hash(&[&head, key, body].concat());
    [&checksum.to_le_bytes(), body].concat()
}
