//! [`Schema`]: the configuration of a state, and the slots of its vectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use heed::{AnyTls, RoTxn, RwTxn};

use super::config::{CollectionConfig, Shape, VectorConfig};
use super::record::{CONFIG_KEY, FORMAT, FORMAT_KEY, SLOTS_KEY, Table};
use super::store::Store;
use crate::json::{Node, Tree};
use crate::{Error, Result};

/// The vectors of a collection, each in its slot. A slot that a dropped vector left may be another's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Schema {
    pub config: Arc<CollectionConfig>,
    slots: BTreeMap<String, u8>,
}

impl Schema {
    /// Slots in the order of names, as those of a new collection are.
    pub fn new(config: CollectionConfig) -> Self {
        let slots = config.vectors.keys().cloned().zip(0..=u8::MAX).collect();
        Self { config: Arc::new(config), slots }
    }

    /// Reads the schema of a collection whose format is ours.
    pub fn read(store: &Store, txn: &RoTxn<'_, AnyTls>) -> Result<Self> {
        let damaged = |key| store.damaged(Table::Meta, key);
        let record = |key: &[u8]| store.get(txn, Table::Meta, key);
        let format = record(FORMAT_KEY)?.ok_or_else(|| damaged(FORMAT_KEY))?;
        match format.try_into().map(u32::from_le_bytes).map_err(|_| damaged(FORMAT_KEY))? {
            FORMAT => {}
            got => {
                let path = store.path().into();
                return Err(Error::FormatVersion { path, expected: FORMAT, got });
            }
        }
        let config =
            record(CONFIG_KEY)?.and_then(|it| serde_json::from_slice::<serde_json::Value>(it).ok());
        let config = config.ok_or_else(|| damaged(CONFIG_KEY))?;
        let schema =
            Self::new(CollectionConfig::read(&Node::root(&Tree::from(&config), "config"))?);
        let Some(slots) = record(SLOTS_KEY)? else { return Ok(schema) };
        let slots: Option<BTreeMap<String, u8>> = serde_json::from_slice(slots).ok();
        let slots = slots.filter(|it| it.keys().eq(schema.config.vectors.keys()));
        Ok(Self { slots: slots.ok_or_else(|| damaged(SLOTS_KEY))?, ..schema })
    }

    /// The records of a new collection.
    pub fn records(&self) -> [(&'static [u8], Vec<u8>); 2] {
        [(FORMAT_KEY, FORMAT.to_le_bytes().to_vec()), (CONFIG_KEY, self.config_json())]
    }

    /// Writes what differs from `old`.
    pub fn write(&self, store: &Store, txn: &mut RwTxn<'_>, old: &Self) -> Result<()> {
        let config = self.config_json();
        if config != old.config_json() {
            store.put(txn, Table::Meta, CONFIG_KEY, &config)?;
        }
        if self.slots != old.slots {
            let slots = serde_json::json!(self.slots).to_string();
            store.put(txn, Table::Meta, SLOTS_KEY, slots.as_bytes())?;
        }
        Ok(())
    }

    fn config_json(&self) -> Vec<u8> {
        self.config.to_json().to_string().into_bytes()
    }

    /// The slot and the configuration of a vector.
    pub fn slot(&self, name: &str) -> Result<(u8, &VectorConfig)> {
        let config = self.config.get(name)?;
        // Each name has one.
        Ok((self.slots.get(name).copied().unwrap_or_default(), config))
    }

    /// All vectors: slots, names and configurations, by name.
    pub fn vectors(&self) -> impl Iterator<Item = (u8, &str, &VectorConfig)> {
        let vectors = self.slots.values().zip(self.config.vectors());
        vectors.map(|(slot, (name, config))| (*slot, name, config))
    }

    /// The configuration of the vector in a slot.
    pub fn at(&self, slot: u8) -> Option<&VectorConfig> {
        self.vectors().find(|it| it.0 == slot).map(|it| it.2)
    }

    /// Refuses another schema where the vector of a slot is not the same.
    pub fn check_same(&self, other: &Self, slot: u8) -> Result<()> {
        let Some((_, name, old)) = self.vectors().find(|it| it.0 == slot) else { return Ok(()) };
        let (now, new) = other.slot(name)?;
        let shape = |it: &VectorConfig| (it.kind.shape(), it.size, it.distance, it.datatype);
        if now == slot && shape(old) == shape(new) {
            return Ok(());
        }
        let expected = format!("that of vector {name:?} when the call began");
        let name = "the configuration";
        Err(Error::InvalidParameter { name, expected, got: "another one".into() })
    }

    /// The shapes of vectors, by slot; `None` where there is none.
    pub fn shapes(&self) -> Vec<Option<Shape>> {
        let mut shapes = vec![None; self.slots()];
        self.vectors().for_each(|(slot, _, it)| shapes[usize::from(slot)] = Some(it.kind.shape()));
        shapes
    }

    /// One more than the last slot.
    pub fn slots(&self) -> usize {
        self.slots.values().map(|slot| usize::from(*slot) + 1).max().unwrap_or(0)
    }

    /// With another configuration of the same vectors.
    pub fn with_config(&self, config: CollectionConfig) -> Self {
        Self { config: Arc::new(config), slots: self.slots.clone() }
    }

    /// With one more vector, in the first slot that is free.
    pub fn with_vector(&self, name: &str, vector: VectorConfig) -> Result<Self> {
        if self.slots.contains_key(name) {
            return Err(Error::VectorExists { name: name.into() });
        }
        let config = CollectionConfig::clone(&self.config).vector(name, vector);
        config.check()?;
        let mut slots = self.slots.clone();
        let free = (0..=u8::MAX).find(|slot| self.slots.values().all(|it| it != slot));
        // There are no more vectors than slots, or they had been refused.
        slots.extend(free.map(|slot| (name.to_owned(), slot)));
        Ok(Self { config: Arc::new(config), slots })
    }

    /// Without a vector.
    pub fn without(&self, name: &str) -> Self {
        let (mut config, mut slots) = (CollectionConfig::clone(&self.config), self.slots.clone());
        config.vectors.remove(name);
        slots.remove(name);
        Self { config: Arc::new(config), slots }
    }
}
