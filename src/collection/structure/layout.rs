//! Layout of an LMDB file.
//!
//! The layout is LMDB's data version 1 on 64-bit little-endian machines, from the structs `MDB_meta`,
//! `MDB_page`, `MDB_node` and `MDB_db` of its source.

use std::cmp::Ordering;

use super::{Checked, ensure};

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
pub const PAGE_SIZES: std::ops::RangeInclusive<u64> = 512..=1 << 16;

pub const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
pub const TREE: usize = 48;
pub const META: usize = 24 + 2 * TREE + 16;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
pub const OVERFLOW: u16 = 0x04;
const META_PAGE: u16 = 0x08;

pub const BIG_DATA: u16 = 0x01;
pub const SUB_TREE: u16 = 0x02;

pub const INTEGER_KEY: u16 = 0x08;
pub const NO_ROOT: u64 = u64::MAX;

/// `MDB_meta`: where everything begins. There are two, written in turn.
pub struct Meta {
    pub free: Tree,
    pub main: Tree,
    pub last_page: u64,
    pub transaction: u64,
}

/// `MDB_db`: a B-tree.
#[derive(Clone, Copy)]
pub struct Tree {
    pub pad: u32,
    pub flags: u16,
    pub depth: u16,
    pub branch_pages: u64,
    pub leaf_pages: u64,
    pub overflow_pages: u64,
    pub entries: u64,
    pub root: u64,
}

/// Kind of the entries of a tree.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Trees, by name.
    Main,
    /// Records.
    Records,
    /// Lists of unused pages, by transaction.
    Free,
}

impl Meta {
    /// From page `number`, 0 or 1.
    pub fn parse(page: &[u8], number: u64, page_size: u64) -> Checked<Self> {
        let (told, flags) = (u64_at(page, 0), u16_at(page, 10));
        let (magic, version) = (u32_at(page, PAGE_HEADER), u32_at(page, PAGE_HEADER + 4));
        let ours = (told, flags, magic, version) == (number, META_PAGE, MAGIC, VERSION);
        ensure(ours, || format!("no LMDB file of version {VERSION}, by page {number}"))?;
        let page = &page[PAGE_HEADER + 24..];
        let (free, main) = (Tree::parse(page), Tree::parse(&page[TREE..]));
        let same = u64::from(free.pad) == page_size;
        ensure(same, || format!("two page sizes, {page_size} and {}", free.pad))?;
        let (last_page, transaction) = (u64_at(page, 2 * TREE), u64_at(page, 2 * TREE + 8));
        Ok(Self { free, main, last_page, transaction })
    }
}

impl Tree {
    pub fn parse(bytes: &[u8]) -> Self {
        Self {
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
}

/// `MDB_page`, and the nodes on it.
pub struct Page<'f> {
    pub number: u64,
    pub flags: u16,
    pub bytes: &'f [u8],
    pub nodes: Vec<Node>,
}

/// `MDB_node`: a key, and either its data or the page of those from there on.
#[derive(Clone, Copy)]
pub struct Node {
    pub start: usize,
    /// Of the data; in a branch, the low half of a page number.
    pub size: u32,
    /// In a branch, the high half of a page number.
    pub flags: u16,
    pub key: usize,
}

impl Node {
    pub fn child(self) -> u64 {
        u64::from(self.size) | u64::from(self.flags) << 32
    }

    /// Number of bytes of the page that are its own.
    fn length(self, leaf: bool) -> usize {
        let data = match leaf {
            false => 0,
            true if self.flags & BIG_DATA != 0 => 8,
            true => self.size as usize,
        };
        (NODE_HEADER + self.key + data).next_multiple_of(2)
    }
}

impl<'f> Page<'f> {
    pub fn parse(bytes: &'f [u8], number: u64) -> Checked<Self> {
        let (told, flags) = (u64_at(bytes, 0), u16_at(bytes, 10));
        ensure(told == number, || format!("page {told} in the place of {number}"))?;
        let known = flags == BRANCH || flags == LEAF;
        ensure(known, || format!("page {number} with flags {flags:#x}"))?;
        let (lower, upper) = (usize::from(u16_at(bytes, 12)), usize::from(u16_at(bytes, 14)));
        let sane = lower > PAGE_HEADER && lower % 2 == 0 && lower <= upper && upper <= bytes.len();
        ensure(sane, || format!("page {number} with bounds {lower} and {upper}"))?;
        let starts = (PAGE_HEADER..lower).step_by(2).map(|at| usize::from(u16_at(bytes, at)));
        let starts: Vec<usize> = starts.collect();
        let inside = |start: &usize| (upper..=bytes.len() - NODE_HEADER).contains(start);
        ensure(starts.iter().all(inside), || format!("page {number} with an entry outside"))?;
        let node = |start: usize| Node {
            start,
            size: u32_at(bytes, start),
            flags: u16_at(bytes, start + 4),
            key: usize::from(u16_at(bytes, start + 6)),
        };
        let nodes = starts.into_iter().map(node).collect();
        let page = Self { number, flags, bytes, nodes };
        page.check_tiling(upper)?;
        Ok(page)
    }

    pub fn is_leaf(&self) -> bool {
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

    pub fn check_order(&self, kind: Kind, low: Option<&[u8]>, high: Option<&[u8]>) -> Checked<()> {
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

    pub fn key(&self, at: usize) -> &'f [u8] {
        let Node { start, key, .. } = self.nodes[at];
        &self.bytes[start + NODE_HEADER..][..key]
    }

    /// The data, or of large data the page number.
    pub fn data(&self, at: usize) -> &'f [u8] {
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

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
