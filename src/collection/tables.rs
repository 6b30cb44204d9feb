//! The databases in a collection's file: made, opened, and brought to our version of the format.

use heed::types::Bytes;
use heed::{CommitOrAbort, Env, RwTxn, WithoutTls};
use serde_json::{Map, Value};

use super::record::{self, Table};

pub(super) type Database<'e> = heed::Database<'e, Bytes, Bytes>;

/// Every [`Table`], in their order.
pub(super) type Tables = [Database<'static>; Table::ALL.len()];

/// Makes all of them, with `records`.
pub(super) fn create(
    env: &Env<WithoutTls>,
    records: &[(Table, &[u8], Vec<u8>)],
) -> heed::Result<Option<Tables>> {
    let txn = env.write_txn()?;
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        let mut create = |table: Table| opener.create_database(txn, Some(table.name()));
        let tables = Table::ALL.into_iter().map(&mut create).collect::<heed::Result<Vec<_>>>()?;
        for (table, key, body) in records {
            put(tables[*table as usize], txn, *table, key, body)?;
        }
        heed::Result::Ok(all(tables))
    });
    Ok(made?.commit())
}

/// Opens all of them; `None` if one is missing.
pub(super) fn open(env: &Env<WithoutTls>) -> heed::Result<Option<Tables>> {
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        let open = |table: Table| opener.open_database(txn, Some(table.name()));
        let mut tables = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            tables.extend(open(table)?);
        }
        heed::Result::Ok(all(tables))
    });
    Ok(opened?.commit())
}

/// All tables, if there are as many as there should be.
fn all(tables: Vec<Database<'_>>) -> CommitOrAbort<[Database<'_>; Table::ALL.len()], ()> {
    tables.try_into().map_or(CommitOrAbort::Abort(()), CommitOrAbort::Commit)
}

/// The version of the format; `None` if there is no such record, or none that is whole.
pub(super) fn version(env: &Env<WithoutTls>) -> heed::Result<Option<u32>> {
    let txn = env.read_txn()?;
    let version = env.open_databases_and_commit(txn, |opener, txn| {
        let meta: Option<Database<'_>> = opener.open_database(txn, Some(Table::Meta.name()))?;
        let value = meta.map(|it| it.get(txn, record::FORMAT_KEY)).transpose()?.flatten();
        let body = value.and_then(|it| Table::Meta.open(record::FORMAT_KEY, it));
        // Nothing is kept open.
        heed::Result::Ok(CommitOrAbort::<(), _>::Abort(body.and_then(record::parse_format)))
    });
    match version? {
        CommitOrAbort::Abort(version) => Ok(version),
        CommitOrAbort::Commit(()) => Ok(None),
    }
}

/// Makes a collection of an older version one of our version, in one transaction: it gets the tables that it lacks.
/// `None`, and nothing changed, if it is not one.
pub(super) fn upgrade(env: &Env<WithoutTls>) -> heed::Result<Option<Tables>> {
    let Some(version @ 1..record::FORMAT) = version(env)? else { return Ok(None) };
    let txn = env.write_txn()?;
    let upgraded = env.create_databases_and_commit(txn, |opener, txn| {
        let meta = opener.create_database(txn, Some(Table::Meta.name()))?;
        let body =
            |key| heed::Result::Ok(meta.get(txn, key)?.and_then(|it| Table::Meta.open(key, it)));
        let state = body(record::STATE_KEY)?.and_then(|it| it.split_first_chunk::<8>());
        let config = body(record::CONFIG_KEY)?.map(<[u8]>::to_vec);
        let config = if version == 1 { config.as_deref().and_then(in_half) } else { config };
        let (Some((_, rest)), Some(config)) = (state, config) else {
            return heed::Result::Ok(CommitOrAbort::Abort(()));
        };
        let state = [&(txn.id() as u64).to_le_bytes(), rest].concat();
        put(meta, txn, Table::Meta, record::CONFIG_KEY, &config)?;
        put(meta, txn, Table::Meta, record::STATE_KEY, &state)?;
        put(meta, txn, Table::Meta, record::FORMAT_KEY, &record::FORMAT.to_le_bytes())?;
        for table in [Table::Postings, Table::Rows, Table::Quantized] {
            let _: Database<'_> = opener.create_database(txn, Some(table.name()))?;
        }
        Ok(CommitOrAbort::Commit(()))
    });
    match upgraded? {
        CommitOrAbort::Commit(()) => open(env),
        CommitOrAbort::Abort(()) => Ok(None),
    }
}

/// A configuration of version 1, which kept all multivectors in f16, in the words of ours.
fn in_half(config: &[u8]) -> Option<Vec<u8>> {
    let mut config: Value = serde_json::from_slice(config).ok()?;
    let vectors = config.get_mut("vectors")?.as_object_mut()?;
    let in_half = |vector: &mut Map<String, Value>| {
        if vector.contains_key("multivector_config") {
            vector.insert("datatype".into(), "float16".into());
        }
    };
    // The vector without a name stands there itself.
    in_half(vectors);
    vectors.values_mut().filter_map(Value::as_object_mut).for_each(in_half);
    serde_json::to_vec(&config).ok()
}

fn put(
    database: Database<'_>,
    txn: &mut RwTxn<'_>,
    table: Table,
    key: &[u8],
    body: &[u8],
) -> heed::Result<()> {
    database.put(txn, key, &table.seal(key, body))
}
