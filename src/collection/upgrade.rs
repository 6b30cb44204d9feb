//! A collection of an older version of the format, made one of ours.

use std::collections::BTreeMap;

use heed::{CommitOrAbort, DatabaseOpener, Env, RwTxn, WithoutTls};
use serde_json::{Map, Value};

use super::config::CollectionConfig;
use super::record::{self, SLOTS_KEY, Table, longest_key};
use super::tables::{Database, Tables, open, put, version};
use crate::json::{Node, Tree};
use crate::multivector::{NormedRows, TokenMatrixRef};

/// Makes a collection of an older version one of our version, in one transaction: it gets the tables, and its records the
/// columns, that they lack. `None`, and nothing changed, if it is not one.
pub(super) fn upgrade(env: &Env<WithoutTls>) -> heed::Result<Option<Tables>> {
    let Some(version @ 1..record::FORMAT) = version(env)? else { return Ok(None) };
    let txn = env.write_txn()?;
    let upgraded =
        env.create_databases_and_commit(txn, |opener, txn| upgrade_records(opener, txn, version));
    match upgraded? {
        CommitOrAbort::Commit(()) => open(env),
        CommitOrAbort::Abort(()) => Ok(None),
    }
}

type Opener<'e> = DatabaseOpener<'e, WithoutTls>;

fn upgrade_records<'e>(
    opener: &Opener<'e>,
    txn: &mut RwTxn<'e>,
    version: u32,
) -> heed::Result<CommitOrAbort<(), ()>> {
    let meta = opener.create_database(txn, Some(Table::Meta.name()))?;
    let body = |key: &[u8]| {
        let value = meta.get(txn, key)?;
        let body = value.and_then(|it| Table::Meta.open(key, it));
        heed::Result::Ok(body.map(<[u8]>::to_vec))
    };
    let (config, slots) = (body(record::CONFIG_KEY)?, body(SLOTS_KEY)?);
    let config = if version == 1 { config.as_deref().and_then(in_half) } else { config };
    let slotted = config.as_deref().and_then(|it| slotted(it, slots.as_deref()));
    let (Some(state), Some(config), Some(slotted)) = (body(record::STATE_KEY)?, config, slotted)
    else {
        return Ok(CommitOrAbort::Abort(()));
    };
    let Some((_, rest)) = state.split_first_chunk::<8>() else {
        return Ok(CommitOrAbort::Abort(()));
    };
    let state = [&(txn.id() as u64).to_le_bytes(), rest].concat();
    put(meta, txn, Table::Meta, record::CONFIG_KEY, &config)?;
    put(meta, txn, Table::Meta, record::STATE_KEY, &state)?;
    put(meta, txn, Table::Meta, record::FORMAT_KEY, &record::FORMAT.to_le_bytes())?;
    for table in [Table::Postings, Table::Rows, Table::Quantized] {
        let _: Database<'_> = opener.create_database(txn, Some(table.name()))?;
    }
    add_norms(opener, txn, &slotted)?;
    Ok(CommitOrAbort::Commit(()))
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

/// A configuration, and the slots of its vectors by their names.
fn slotted(
    config: &[u8],
    slots: Option<&[u8]>,
) -> Option<(CollectionConfig, BTreeMap<String, u8>)> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let config = CollectionConfig::read(&Node::root(&Tree::from(&config), "config")).ok()?;
    let slots: BTreeMap<String, u8> = match slots {
        Some(slots) => serde_json::from_slice(slots).ok()?,
        None => config.vectors.keys().cloned().zip(0..=u8::MAX).collect(),
    };
    slots.keys().eq(config.vectors.keys()).then_some((config, slots))
}

/// Gives multivectors the columns of norms, which they have since version 4. A record that is damaged stays as it is, and
/// is noticed when it is read.
fn add_norms<'e>(
    opener: &Opener<'e>,
    txn: &mut RwTxn<'e>,
    (config, slots): &(CollectionConfig, BTreeMap<String, u8>),
) -> heed::Result<()> {
    let table = |txn: &mut RwTxn<'e>, table: Table| -> heed::Result<Database<'e>> {
        opener.create_database(txn, Some(table.name()))
    };
    let (meta, vectors) = (table(txn, Table::Meta)?, table(txn, Table::Vectors)?);
    let exact = table(txn, Table::Rows)?;
    let vectors_of = config.vectors().zip(slots.values());
    for ((_, config), &slot) in vectors_of.filter(|((_, it), _)| it.has_norms()) {
        let mut longest: f64 = 0.0;
        let keys = vectors.prefix_iter(txn, &record::slot_key(slot))?.map(|it| Ok(it?.0.to_vec()));
        for key in keys.collect::<heed::Result<Vec<_>>>()? {
            let exact = exact.get(txn, &key)?.and_then(|it| Table::Rows.open(&key, it));
            let exact = exact.and_then(|it| record::parse_rows(it, config.size));
            let body = vectors.get(txn, &key)?.and_then(|it| Table::Vectors.open(&key, it));
            let values = body.and_then(|it| record::parse_tokens(it, config.size));
            let Some(values) = values else { continue };
            let matrix = TokenMatrixRef::trusted(values, config.size);
            let normed = NormedRows::new(matrix, exact.as_deref());
            longest = longest.max(normed.longest);
            let body = bytemuck::cast_slice(normed.matrix.values());
            put(vectors, txn, Table::Vectors, &key, body)?;
        }
        let key = longest_key(slot.into());
        put(meta, txn, Table::Meta, &key, &longest.to_le_bytes())?;
    }
    Ok(())
}
