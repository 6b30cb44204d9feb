//! The databases in a collection's file, made and opened.

use heed::types::Bytes;
use heed::{CommitOrAbort, Env, RwTxn, WithoutTls};

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

/// Writes a record.
pub(super) fn put(
    database: Database<'_>,
    txn: &mut RwTxn<'_>,
    table: Table,
    key: &[u8],
    body: &[u8],
) -> heed::Result<()> {
    database.put(txn, key, &table.seal(key, body))
}
