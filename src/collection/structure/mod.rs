//! Check of an LMDB file before it is opened: every page in its place, every key in order.
//!
//! LMDB has no checksums and trusts its file: a damaged page number or offset is followed wherever
//! it leads, out of the map too. So before LMDB sees a file, its B-trees are walked here, in a map of
//! the same bytes: what LMDB will follow was followed once, and found to stay inside. Records are not
//! looked into; they have checksums of their own. `layout.rs` knows what a page looks like.

mod layout;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;
use roaring::RoaringTreemap;

use crate::{Error, Result};
use layout::{
    BIG_DATA, INTEGER_KEY, Kind, META, Meta, NO_ROOT, Node, OVERFLOW, PAGE_HEADER, PAGE_SIZES,
    Page, SUB_TREE, TREE, Tree, u16_at, u32_at, u64_at,
};

/// Walks an LMDB file that may have been mapped with `largest` bytes; `Ok` is the number of its last
/// transaction.
///
/// # Errors
/// [`Error::Damaged`]; [`Error::Io`].
pub(super) fn check(path: &Path, largest: u64) -> Result<u64> {
    walk(path, |walk| {
        let [first, second] = walk.metas()?;
        walk.all(newer(first, second)?, largest)
    })
}

/// Looks only where LMDB looks when it opens a file.
///
/// # Errors
/// As [`check`].
pub(super) fn check_head(path: &Path, largest: u64) -> Result<u64> {
    walk(path, |walk| {
        let [first, second] = walk.metas()?;
        let newest = first.transaction.max(second.transaction);
        [first, second].iter().try_for_each(|meta| walk.mapped(meta, largest)).map(|()| newest)
    })
}

/// Walks what `transaction` wrote, which a reader keeps from being written over meanwhile; `false` if
/// others have been written since, so that it can't be told where that begins.
///
/// # Errors
/// As [`check`].
pub(super) fn check_pinned(path: &Path, largest: u64, transaction: u64) -> Result<bool> {
    let walked = walk(path, |walk| match walk.metas() {
        Ok(metas) => match metas.into_iter().find(|meta| meta.transaction == transaction) {
            Some(meta) => walk.all(meta, largest),
            None => Ok(0),
        },
        // Read while it was written.
        Err(Fault::Damage(_)) => Ok(0),
        Err(fault) => Err(fault),
    });
    walked.map(|walked| walked == transaction)
}

fn walk(path: &Path, check: impl FnOnce(&mut Walk<'_>) -> Checked<u64>) -> Result<u64> {
    let failed = |source| Error::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    // SAFETY: pages are read of a transaction that was written, which nobody writes over: the directory
    // is locked, or a reader holds them.
    let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
    match check(&mut Walk::new(&file, &map)) {
        Ok(transaction) => Ok(transaction),
        Err(Fault::Io(source)) => Err(Error::io("read", path, source)),
        Err(Fault::Damage(what)) => Err(Error::Damaged { path: path.into(), what }),
    }
}

/// LMDB has room for no more on its way down a tree.
const DEEPEST: u16 = 32;

/// Pages on the way down a tree that is not worth several threads.
const ALONE: u16 = 2;

enum Fault {
    Io(io::Error),
    Damage(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Checked<T> = Result<T, Fault>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(Fault::Damage(what())) }
}

/// Counts of a walk through a tree.
#[derive(Default, PartialEq)]
struct Count {
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    entries: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.branch_pages += other.branch_pages;
        self.leaf_pages += other.leaf_pages;
        self.overflow_pages += other.overflow_pages;
        self.entries += other.entries;
    }
}

/// The newer of both beginnings.
fn newer(first: Meta, second: Meta) -> Checked<Meta> {
    let (one, two) = (first.transaction, second.transaction);
    let in_turn = (one, two) == (0, 0) || one.abs_diff(two) == 1;
    ensure(in_turn, || format!("last transactions {one} and {two}"))?;
    let newer = if two > one { second } else { first };
    let place = newer.transaction % 2;
    let placed = (newer.transaction == 0) || (place == 1) == (two > one);
    ensure(placed, || format!("transaction {} in place {}", newer.transaction, 1 - place))?;
    Ok(newer)
}

struct Walk<'f> {
    file: &'f File,
    map: &'f [u8],
    page_size: u64,
    last_page: u64,
    /// Pages that have a use, or are listed as unused: each has one place.
    taken: RoaringTreemap,
}

impl<'f> Walk<'f> {
    fn new(file: &'f File, map: &'f [u8]) -> Self {
        Self { file, map, page_size: 0, last_page: 0, taken: RoaringTreemap::from_iter([0, 1]) }
    }

    fn all(&mut self, meta: Meta, largest: u64) -> Checked<u64> {
        self.mapped(&meta, largest)?;
        self.last_page = meta.last_page;
        self.tree(meta.main, Kind::Main)?;
        self.tree(meta.free, Kind::Free)?;
        Ok(meta.transaction)
    }

    /// Pages after the last of the file may have been given out, and never written. But LMDB maps them
    /// all.
    fn mapped(&self, meta: &Meta, largest: u64) -> Checked<()> {
        let mapped = meta.last_page < largest / self.page_size;
        ensure(mapped, || format!("a last page {}, beyond all maps", meta.last_page))
    }

    /// Both beginnings.
    fn metas(&mut self) -> Checked<[Meta; 2]> {
        let first = self.beginning(0)?;
        // The page size stands where the tree of free pages has room for it.
        let page_size = u64::from(u32_at(&first, PAGE_HEADER + 24));
        let sane = page_size.is_power_of_two() && PAGE_SIZES.contains(&page_size);
        ensure(sane, || format!("a page size of {page_size}"))?;
        self.page_size = page_size;
        let second = self.beginning(page_size)?;
        Ok([Meta::parse(&first, 0, page_size)?, Meta::parse(&second, 1, page_size)?])
    }

    fn tree(&mut self, tree: Tree, kind: Kind) -> Checked<()> {
        let Tree { flags, depth, root, .. } = tree;
        let expected = if kind == Kind::Free { INTEGER_KEY } else { 0 };
        let sane = flags == expected && depth <= DEEPEST;
        ensure(sane, || format!("a tree of depth {depth} with flags {flags:#x}"))?;
        let mut count = Count::default();
        if root == NO_ROOT {
            ensure(depth == 0, || format!("an empty tree of depth {depth}"))?;
        } else {
            self.page(root, depth, kind, None, None, &mut count)?;
        }
        let Tree { branch_pages, leaf_pages, overflow_pages, entries, .. } = tree;
        let told = Count { branch_pages, leaf_pages, overflow_pages, entries };
        ensure(count == told, || {
            format!("{} entries of {entries} in the tree at page {root}", count.entries)
        })
    }

    /// A page of a tree, `depth` pages above the ground, with keys from `low` to below `high`.
    fn page(
        &mut self,
        number: u64,
        depth: u16,
        kind: Kind,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        count: &mut Count,
    ) -> Checked<()> {
        ensure(depth > 0, || format!("page {number} below the ground"))?;
        self.take(number, 1)?;
        let bytes = self.bytes(number * self.page_size, self.page_size as usize)?;
        let page = Page::parse(bytes, number)?;
        ensure(page.is_leaf() == (depth == 1), || format!("page {number} at a wrong depth"))?;
        page.check_order(kind, low, high)?;
        if page.is_leaf() {
            count.leaf_pages += 1;
            count.entries += page.nodes.len() as u64;
            return (0..page.nodes.len()).try_for_each(|at| self.leaf(&page, at, kind, count));
        }
        count.branch_pages += 1;
        let least = if kind == Kind::Free { 1 } else { 2 };
        ensure(page.nodes.len() >= least, || format!("page {number} with no choice of branches"))?;
        let child = |walk: &mut Self, at: usize, count: &mut Count| {
            // The first key of a branch stands for all that is less.
            let low = if at == 0 { low } else { Some(page.key(at)) };
            let high = if at + 1 == page.nodes.len() { high } else { Some(page.key(at + 1)) };
            walk.page(page.nodes[at].child(), depth - 1, kind, low, high, count)
        };
        let children = 0..page.nodes.len();
        if depth <= ALONE {
            return children.into_iter().try_for_each(|at| child(self, at, count));
        }
        let walked = children.into_par_iter().map(|at| {
            let (mut part, mut count) = (self.part(), Count::default());
            child(&mut part, at, &mut count).map(|()| (part.taken, count))
        });
        walked.collect::<Checked<Vec<_>>>()?.into_iter().try_for_each(|(taken, part)| {
            count.add(part);
            self.take_all(taken)
        })
    }

    /// A walk of the same file by another thread.
    fn part(&self) -> Self {
        let Self { file, map, page_size, last_page, .. } = *self;
        Self { file, map, page_size, last_page, taken: RoaringTreemap::new() }
    }

    fn leaf(&mut self, page: &Page<'_>, at: usize, kind: Kind, count: &mut Count) -> Checked<()> {
        let (node, number) = (page.nodes[at], page.number);
        let data = page.data(at);
        let odd = || format!("an entry with flags {:#x} in page {number}", node.flags);
        match (kind, node.flags) {
            (Kind::Main, SUB_TREE) => {
                ensure(data.len() == TREE, || format!("a tree of {} bytes", data.len()))?;
                self.tree(Tree::parse(data), Kind::Records)
            }
            (Kind::Records, 0) => Ok(()),
            (Kind::Records, BIG_DATA) => self.overflow(node, data, count).map(drop),
            (Kind::Free, 0) => self.free(data),
            (Kind::Free, BIG_DATA) => {
                let first = self.overflow(node, data, count)?;
                let start = first * self.page_size + PAGE_HEADER as u64;
                let list = self.bytes(start, node.size as usize)?;
                self.free(list)
            }
            _ => Err(Fault::Damage(odd())),
        }
    }

    /// Data too large for a page; gives its first page.
    fn overflow(&mut self, node: Node, data: &[u8], count: &mut Count) -> Checked<u64> {
        let first = u64_at(data, 0);
        let pages = (PAGE_HEADER as u64 - 1 + u64::from(node.size)) / self.page_size + 1;
        self.take(first, pages)?;
        count.overflow_pages += pages;
        let header = self.bytes(first * self.page_size, PAGE_HEADER)?;
        let told = (u64_at(header, 0), u16_at(header, 10), u64::from(u32_at(header, 12)));
        ensure(told == (first, OVERFLOW, pages), || format!("page {first} that begins no data"))?;
        Ok(first)
    }

    /// A list of unused pages: its length, and the pages, descending.
    fn free(&mut self, list: &[u8]) -> Checked<()> {
        let fits = list.len() >= 8 && u64_at(list, 0) <= (list.len() as u64 / 8 - 1);
        ensure(fits, || "a list of unused pages that is cut off".into())?;
        let pages = (1..=u64_at(list, 0) as usize).map(|at| u64_at(list, at * 8));
        let mut above = u64::MAX;
        for page in pages {
            ensure(page < above, || format!("unused page {page} out of order"))?;
            above = page;
            let inside = page <= self.last_page && self.taken.insert(page);
            ensure(inside, || format!("page {page}, unused and used"))?;
        }
        Ok(())
    }

    /// Notes that pages have a use.
    fn take(&mut self, first: u64, pages: u64) -> Checked<()> {
        let last = first.checked_add(pages - 1).filter(|last| *last <= self.last_page);
        let Some(last) = last else {
            return Err(Fault::Damage(format!("page {first}, past the last")));
        };
        let new = self.taken.insert_range(first..=last);
        ensure(new == pages, || format!("page {first} with two uses"))?;
        let end = (last + 1).checked_mul(self.page_size);
        let inside = end.is_some_and(|end| end <= self.map.len() as u64);
        ensure(inside, || format!("page {last} past the end of the file"))
    }

    /// One of both beginnings, which may be written meanwhile.
    fn beginning(&mut self, start: u64) -> Checked<Vec<u8>> {
        let length = self.bytes(start, PAGE_HEADER + META)?.len();
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Notes that pages have a use which another thread saw.
    fn take_all(&mut self, taken: RoaringTreemap) -> Checked<()> {
        let both = (&self.taken & &taken).min();
        ensure(both.is_none(), || format!("page {} with two uses", both.unwrap_or_default()))?;
        self.taken |= taken;
        Ok(())
    }

    fn bytes(&self, start: u64, length: usize) -> Checked<&'f [u8]> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let bytes = self.map.get(start..start.saturating_add(length));
        bytes.ok_or_else(|| Fault::Damage("a file that is cut off".into()))
    }
}
