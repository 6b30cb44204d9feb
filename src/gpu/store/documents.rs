//! Table of the documents in a store: where they are, and when they were last used. No GPU in it.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::gpu::source::{Found, Piece};
use crate::ranking::DocumentId;

/// Documents that are looked up together: the processor waits for several at once then.
const TOGETHER: usize = 32;

/// Places of a document: nearly always one.
pub(super) type Pieces = SmallVec<[Piece; 1]>;

/// Documents by id.
#[derive(Debug)]
pub(super) struct Documents<Id> {
    resident: HashMap<Id, Resident, RandomState>,
    /// Counts requests and changes.
    clock: AtomicU64,
    /// The least recently used when it was last looked for them, and when they had been used.
    idle: VecDeque<(Id, u64)>,
}

#[derive(Debug)]
struct Resident {
    pieces: Pieces,
    /// Time of its last use: a number to be written, and no list to be relinked.
    used: AtomicU64,
}

impl<Id> Default for Documents<Id> {
    fn default() -> Self {
        let (resident, clock, idle) = Default::default();
        Self { resident, clock, idle }
    }
}

impl<Id: DocumentId> Documents<Id> {
    /// Shows where candidates are, and notes that they are used now.
    pub(super) fn locate(&self, ids: &[Id], visit: &mut dyn FnMut(Found<'_>)) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        for ids in ids.chunks(TOGETHER) {
            let mut found = [None; TOGETHER];
            for (found, id) in found.iter_mut().zip(ids) {
                *found = self.resident.get(id);
            }
            for found in &found[..ids.len()] {
                let Some(resident) = found else {
                    visit(Found::Absent);
                    continue;
                };
                resident.used.store(now, Ordering::Relaxed);
                match resident.pieces[..] {
                    [piece] => visit(Found::Whole(piece)),
                    ref pieces => visit(Found::Pieces(pieces)),
                }
            }
        }
    }

    /// Adds a document; returns the pieces of the one that it replaces.
    pub(super) fn insert(&mut self, id: Id, pieces: Pieces) -> Option<Pieces> {
        let used = AtomicU64::new(self.clock.fetch_add(1, Ordering::Relaxed));
        self.resident.insert(id, Resident { pieces, used }).map(|old| old.pieces)
    }

    pub(super) fn remove(&mut self, id: &Id) -> Option<Pieces> {
        self.resident.remove(id).map(|resident| resident.pieces)
    }

    /// Removes the least recently used document.
    pub(super) fn remove_idle(&mut self) -> Option<Pieces> {
        loop {
            if let Some((id, since)) = self.idle.pop_front() {
                let idle = |it: &Resident| it.used.load(Ordering::Relaxed) == since;
                // Used again, or replaced, since it was looked for: others are idler.
                if self.resident.get(&id).is_some_and(idle) {
                    return self.remove(&id);
                }
            } else if self.resident.is_empty() {
                return None;
            } else {
                self.find_idle();
            }
        }
    }

    /// Looks for the eighth that was not used for the longest time.
    fn find_idle(&mut self) {
        let used = |it: &Resident| it.used.load(Ordering::Relaxed);
        let mut all: Vec<(u64, Id)> =
            self.resident.iter().map(|(id, resident)| (used(resident), *id)).collect();
        let count = all.len().div_ceil(8);
        if count < all.len() {
            all.select_nth_unstable(count);
            all.truncate(count);
        }
        all.sort_unstable();
        self.idle = all.into_iter().map(|(since, id)| (id, since)).collect();
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.resident.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.resident.len()
    }
}
