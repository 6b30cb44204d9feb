//! Records whose checksums were compared since a collection was opened.

use std::sync::{PoisonError, RwLock};

use roaring::RoaringTreemap;

use super::record::Table;
use crate::filter::PointNumber;

/// A set of records of vectors, by table, slot and number. A number's vectors never change, so whoever is in here once
/// may stay.
#[derive(Default)]
pub(super) struct Verified(RwLock<RoaringTreemap>);

impl Verified {
    pub fn contains(&self, table: Table, slot: u8, number: PointNumber) -> bool {
        let set = self.0.read().unwrap_or_else(PoisonError::into_inner);
        set.contains(place(table, slot, number))
    }

    pub fn insert(&self, table: Table, slot: u8, number: PointNumber) {
        let mut set = self.0.write().unwrap_or_else(PoisonError::into_inner);
        set.insert(place(table, slot, number));
    }
}

fn place(table: Table, slot: u8, number: PointNumber) -> u64 {
    u64::from(table as u8) << 40 | u64::from(slot) << 32 | u64::from(number.get())
}
