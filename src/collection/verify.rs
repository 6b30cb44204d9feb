//! Checks of the records at open, for damage that would go unnoticed later.
//!
//! A damaged value is noticed when it is read. A record with a damaged key is not: it is looked for,
//! and not found. So all records are read here that are looked for by something that a caller gives.

use heed::{AnyTls, RoTxn};

use super::record::{Table, parse_id, parse_number};
use super::state::State;
use super::store::{EVERY_KEY, Store};
use crate::Result;
use crate::filter::PointSet;

/// Checks the records of a collection against one another.
pub(super) fn verify(store: &Store, txn: &RoTxn<'_, AnyTls>, state: &State) -> Result<()> {
    store.scan(txn, Table::Meta, EVERY_KEY, |_, _| Ok(()))?;
    store.scan(txn, Table::Index, EVERY_KEY, |_, _| Ok(()))?;
    store.scan(txn, Table::Postings, EVERY_KEY, |_, _| Ok(()))?;
    let ids = numbers(store, txn)?;
    if ids != state.all {
        let (ids, all) = (ids.len(), state.all.len());
        return Err(store.damage(format!("{ids} ids of {all} points")));
    }
    // Which points and vectors there are is known; each is looked for by its number.
    let vectors = state.having.iter().map(PointSet::len).sum();
    let with_rows = state.schema.vectors().filter(|(_, _, it)| it.has_rows());
    let rows = with_rows.map(|(slot, ..)| state.having[usize::from(slot)].len()).sum();
    let counts = [(Table::Points, state.all.len()), (Table::Vectors, vectors), (Table::Rows, rows)];
    for (table, expected) in counts {
        let got = store.count(txn, table)?;
        if got != expected {
            let name = table.name();
            return Err(store.damage(format!("{got} records of {expected} in {name:?}")));
        }
    }
    Ok(())
}

/// The numbers of all ids, each of which has one of its own.
fn numbers(store: &Store, txn: &RoTxn<'_, AnyTls>) -> Result<PointSet> {
    let mut numbers = PointSet::new();
    store.scan(txn, Table::Ids, EVERY_KEY, |key, body| {
        let number = parse_id(key).and_then(|_| parse_number(body));
        match number.is_some_and(|number| numbers.insert(number)) {
            true => Ok(()),
            false => Err(store.damaged(Table::Ids, key)),
        }
    })?;
    Ok(numbers)
}
