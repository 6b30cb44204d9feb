//! Whether an LMDB file may be opened: every page in its place, every key in order.
//!
//! LMDB has no checksums and trusts its file: a damaged page number or offset is followed wherever
//! it leads, out of the map too. So before LMDB sees a file, its B-trees are walked here, with
//! ordinary reads: what LMDB will follow was followed once, and found to stay inside. Records are not
//! looked into; they have checksums of their own.
//!
//! The layout is LMDB's data version 1 on 64-bit little-endian machines, from the structs `MDB_meta`,
//! `MDB_page`, `MDB_node` and `MDB_db` of its source.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use roaring::RoaringTreemap;

use crate::{Error, Result};

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const PAGE_SIZES: std::ops::RangeInclusive<u64> = 512..=1 << 16;

const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
const TREE: usize = 48;
const META: usize = 24 + 2 * TREE + 16;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const META_PAGE: u16 = 0x08;

const BIG_DATA: u16 = 0x01;
const SUB_TREE: u16 = 0x02;

const INTEGER_KEY: u16 = 0x08;
const NO_ROOT: u64 = u64::MAX;

/// Walks an LMDB file; `Ok` is the number of its last transaction.
///
/// # Errors
/// [`Error::Damaged`]; [`Error::Io`].
pub(super) fn check(path: &Path) -> Result<u64> {
    let file = File::open(path).map_err(|source| Error::io("read", path, source))?;
    match Walk::new(file).and_then(|mut walk| walk.all()) {
        Ok(transaction) => Ok(transaction),
        Err(Fault::Io(source)) => Err(Error::io("read", path, source)),
        Err(Fault::Damage(what)) => Err(Error::Damaged { path: path.into(), what }),
    }
}

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

/// `MDB_meta`: where everything begins. There are two, written in turn.
struct Meta {
    free: Tree,
    main: Tree,
    last_page: u64,
    transaction: u64,
}

/// `MDB_db`: a B-tree.
#[derive(Clone, Copy)]
struct Tree {
    pad: u32,
    flags: u16,
    depth: u16,
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    entries: u64,
    root: u64,
}

/// What a tree holds.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Trees, by name.
    Main,
    /// Records.
    Records,
    /// Lists of unused pages, by transaction.
    Free,
}

/// What a walk of a tree met.
#[derive(Default, PartialEq)]
struct Count {
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    entries: u64,
}

struct Walk {
    file: File,
    length: u64,
    page_size: u64,
    last_page: u64,
    /// Pages that have a use, or are listed as unused: each has one place.
    taken: RoaringTreemap,
}

impl Walk {
    fn new(file: File) -> Checked<Self> {
        let length = file.metadata()?.len();
        let taken = RoaringTreemap::from_iter([0, 1]);
        Ok(Self { file, length, page_size: 0, last_page: 0, taken })
    }

    fn all(&mut self) -> Checked<u64> {
        let meta = self.metas()?;
        self.last_page = meta.last_page;
        self.tree(meta.main, Kind::Main)?;
        self.tree(meta.free, Kind::Free)?;
        Ok(meta.transaction)
    }

    /// The newer of both.
    fn metas(&mut self) -> Checked<Meta> {
        let first = self.bytes(0, PAGE_HEADER + META)?;
        // The page size stands where the tree of free pages has room for it.
        let page_size = u64::from(u32_at(&first, PAGE_HEADER + 24));
        let sane = page_size.is_power_of_two() && PAGE_SIZES.contains(&page_size);
        ensure(sane, || format!("a page size of {page_size}"))?;
        self.page_size = page_size;
        let second = self.bytes(page_size, PAGE_HEADER + META)?;
        let (first, second) = (meta(&first, 0, page_size)?, meta(&second, 1, page_size)?);
        let (one, two) = (first.transaction, second.transaction);
        let in_turn = (one, two) == (0, 0) || one.abs_diff(two) == 1;
        ensure(in_turn, || format!("last transactions {one} and {two}"))?;
        let newer = if two > one { second } else { first };
        let place = newer.transaction % 2;
        let placed = (newer.transaction == 0) || (place == 1) == (two > one);
        ensure(placed, || format!("transaction {} in place {}", newer.transaction, 1 - place))?;
        Ok(newer)
    }

    fn tree(&mut self, tree: Tree, kind: Kind) -> Checked<()> {
        let Tree { flags, depth, root, .. } = tree;
        let expected = if kind == Kind::Free { INTEGER_KEY } else { 0 };
        ensure(flags == expected, || format!("a tree with flags {flags:#x}"))?;
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
        let page =
            Page::parse(self.bytes(number * self.page_size, self.page_size as usize)?, number)?;
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
        for (at, node) in page.nodes.iter().enumerate() {
            // The first key of a branch stands for all that is less.
            let low = if at == 0 { low } else { Some(page.key(at)) };
            let high = if at + 1 == page.nodes.len() { high } else { Some(page.key(at + 1)) };
            self.page(node.child(), depth - 1, kind, low, high, count)?;
        }
        Ok(())
    }

    fn leaf(&mut self, page: &Page, at: usize, kind: Kind, count: &mut Count) -> Checked<()> {
        let (node, number) = (page.nodes[at], page.number);
        let data = page.data(at);
        let odd = || format!("an entry with flags {:#x} in page {number}", node.flags);
        match (kind, node.flags) {
            (Kind::Main, SUB_TREE) => {
                ensure(data.len() == TREE, || format!("a tree of {} bytes", data.len()))?;
                self.tree(tree(data), Kind::Records)
            }
            (Kind::Records, 0) => Ok(()),
            (Kind::Records, BIG_DATA) => self.overflow(node, data, count).map(drop),
            (Kind::Free, 0) => self.free(data),
            (Kind::Free, BIG_DATA) => {
                let first = self.overflow(node, data, count)?;
                let start = first * self.page_size + PAGE_HEADER as u64;
                let list = self.bytes(start, node.size as usize)?;
                self.free(&list)
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
        let told = (u64_at(&header, 0), u16_at(&header, 10), u64::from(u32_at(&header, 12)));
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
        let inside = end.is_some_and(|end| end <= self.length);
        ensure(inside, || format!("page {last} past the end of the file"))
    }

    fn bytes(&mut self, start: u64, length: usize) -> Checked<Vec<u8>> {
        let end = start.checked_add(length as u64);
        ensure(end.is_some_and(|end| end <= self.length), || "a file that is cut off".into())?;
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// `MDB_page`, and the nodes on it.
struct Page {
    number: u64,
    flags: u16,
    bytes: Vec<u8>,
    nodes: Vec<Node>,
}

/// `MDB_node`: a key, and either its data or the page of those from there on.
#[derive(Clone, Copy)]
struct Node {
    start: usize,
    /// Of the data; in a branch, the low half of a page number.
    size: u32,
    /// In a branch, the high half of a page number.
    flags: u16,
    key: usize,
}

impl Node {
    fn child(self) -> u64 {
        u64::from(self.size) | u64::from(self.flags) << 32
    }

    /// How many bytes of the page are its own.
    fn length(self, leaf: bool) -> usize {
        let data = match leaf {
            false => 0,
            true if self.flags & BIG_DATA != 0 => 8,
            true => self.size as usize,
        };
        (NODE_HEADER + self.key + data).next_multiple_of(2)
    }
}

impl Page {
    fn parse(bytes: Vec<u8>, number: u64) -> Checked<Self> {
        let (told, flags) = (u64_at(&bytes, 0), u16_at(&bytes, 10));
        ensure(told == number, || format!("page {told} in the place of {number}"))?;
        let known = flags == BRANCH || flags == LEAF;
        ensure(known, || format!("page {number} with flags {flags:#x}"))?;
        let (lower, upper) = (usize::from(u16_at(&bytes, 12)), usize::from(u16_at(&bytes, 14)));
        let sane = lower > PAGE_HEADER && lower % 2 == 0 && lower <= upper && upper <= bytes.len();
        ensure(sane, || format!("page {number} with bounds {lower} and {upper}"))?;
        let starts = (PAGE_HEADER..lower).step_by(2).map(|at| usize::from(u16_at(&bytes, at)));
        let starts: Vec<usize> = starts.collect();
        let inside = |start: &usize| (upper..=bytes.len() - NODE_HEADER).contains(start);
        ensure(starts.iter().all(inside), || format!("page {number} with an entry outside"))?;
        let node = |start: usize| Node {
            start,
            size: u32_at(&bytes, start),
            flags: u16_at(&bytes, start + 4),
            key: usize::from(u16_at(&bytes, start + 6)),
        };
        let nodes = starts.into_iter().map(node).collect();
        let page = Self { number, flags, bytes, nodes };
        page.check_tiling(upper)?;
        Ok(page)
    }

    fn is_leaf(&self) -> bool {
        self.flags == LEAF
    }

    /// Nodes fill the page from `upper` to its end, without gaps and without overlap.
    fn check_tiling(&self, upper: usize) -> Checked<()> {
        let mut nodes = self.nodes.clone();
        nodes.sort_unstable_by_key(|node| node.start);
        let mut end = upper;
        for node in nodes {
            ensure(node.start == end, || format!("page {} with overlapping entries", self.number))?;
            end = end.saturating_add(node.length(self.is_leaf()));
        }
        ensure(end == self.bytes.len(), || format!("page {} with a wrong end", self.number))
    }

    fn check_order(&self, kind: Kind, low: Option<&[u8]>, high: Option<&[u8]>) -> Checked<()> {
        // The first key of a branch is never looked at.
        let first = usize::from(!self.is_leaf());
        let keys: Vec<&[u8]> = (first..self.nodes.len()).map(|at| self.key(at)).collect();
        let sized = kind != Kind::Free || keys.iter().all(|key| key.len() == 8);
        ensure(sized, || format!("page {} with a key of another type", self.number))?;
        let mut in_order = keys.windows(2).all(|pair| compare(kind, pair[0], pair[1]).is_lt());
        if let (Some(low), Some(first)) = (low, keys.first()) {
            in_order &= compare(kind, low, first).is_le();
        }
        if let (Some(high), Some(last)) = (high, keys.last()) {
            in_order &= compare(kind, last, high).is_lt();
        }
        ensure(in_order, || format!("page {} with keys out of order", self.number))
    }

    fn key(&self, at: usize) -> &[u8] {
        let Node { start, key, .. } = self.nodes[at];
        &self.bytes[start + NODE_HEADER..][..key]
    }

    /// The data, or of large data the page number.
    fn data(&self, at: usize) -> &[u8] {
        let Node { start, key, size, flags } = self.nodes[at];
        let length = if flags & BIG_DATA != 0 { 8 } else { size as usize };
        &self.bytes[start + NODE_HEADER + key..][..length]
    }
}

fn compare(kind: Kind, a: &[u8], b: &[u8]) -> Ordering {
    match kind {
        Kind::Free => u64_at(a, 0).cmp(&u64_at(b, 0)),
        Kind::Main | Kind::Records => a.cmp(b),
    }
}

fn meta(page: &[u8], number: u64, page_size: u64) -> Checked<Meta> {
    let (told, flags) = (u64_at(page, 0), u16_at(page, 10));
    let (magic, version) = (u32_at(page, PAGE_HEADER), u32_at(page, PAGE_HEADER + 4));
    let ours = (told, flags, magic, version) == (number, META_PAGE, MAGIC, VERSION);
    ensure(ours, || format!("no LMDB file of version {VERSION}, by page {number}"))?;
    let page = &page[PAGE_HEADER + 24..];
    let (free, main) = (tree(page), tree(&page[TREE..]));
    ensure(u64::from(free.pad) == page_size, || {
        format!("two page sizes, {page_size} and {}", free.pad)
    })?;
    let last_page = u64_at(page, 2 * TREE);
    Ok(Meta { free, main, last_page, transaction: u64_at(page, 2 * TREE + 8) })
}

fn tree(bytes: &[u8]) -> Tree {
    Tree {
        pad: u32_at(bytes, 0),
        flags: u16_at(bytes, 4),
        depth: u16_at(bytes, 6),
        branch_pages: u64_at(bytes, 8),
        leaf_pages: u64_at(bytes, 16),
        overflow_pages: u64_at(bytes, 24),
        entries: u64_at(bytes, 32),
        root: u64_at(bytes, 40),
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
