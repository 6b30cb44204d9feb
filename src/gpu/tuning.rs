//! Sizes of the first pass that an adapter likes better or worse, and how a dispatch is spread over
//! workgroups. No GPU in it.

use std::fmt;

use wgpu::Limits;

use super::plan::DeviceLimits;
use super::shader::{Multiply, Params, Segment, ShaderVariant};

/// Query tokens of a tile for short queries: up to so many, one tile is enough.
pub(super) const QUERY_TILE: usize = 32;

/// Segments of a workgroup at most: `GROUP` in `maxsim.wgsl`.
pub(super) const GROUP: usize = 64;

/// Rows that a workgroup takes where there are enough for all: so many that staging the query tokens
/// costs little beside them.
const WORKGROUP_ROWS: usize = 1024;

/// Workgroups that keep a large GPU busy.
const BUSY: usize = 1024;

/// Sizes of the first pass for queries of one length: the overrides in `tile.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tuning {
    pub threads: u32,
    pub rows: u32,
    pub queries: u32,
    pub depth: u32,
    pub held: u32,
}

/// Queries that fit one tile, and longer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tunings {
    pub short: Tuning,
    pub long: Tuning,
}

impl Tuning {
    pub(super) const fn new([threads, rows, queries, depth, held]: [u32; 5]) -> Self {
        Self { threads, rows, queries, depth, held }
    }

    /// What the shader is compiled with.
    pub(super) fn constants(self) -> [(&'static str, f64); 5] {
        let Self { threads, rows, queries, depth, held } = self;
        let named = [
            ("THREADS", threads),
            ("ROWS", rows),
            ("QUERIES", queries),
            ("DEPTH", depth),
            ("HELD", held),
        ];
        named.map(|(name, value)| (name, f64::from(value)))
    }

    /// Bytes of workgroup memory.
    fn memory(self, multiply: Multiply) -> u32 {
        let Self { rows, queries, depth, held, .. } = self;
        let tiles = match multiply {
            Multiply::Fma => {
                16 * (held * (queries + 1) + (depth * (rows + 1)).max(rows * (queries / 4 + 1)))
            }
            Multiply::Matrix16 | Multiply::Matrix8 => {
                8 * (queries * (held + 2) + rows * (depth + 2)) + 4 * rows * (queries + 8)
            }
        };
        let group = GROUP as u32 * (size_of::<Segment>() as u32 + 8);
        tiles + group + 8 * rows + 8
    }

    /// Whether the shader's loops come out even.
    pub(super) fn suits(self, multiply: Multiply) -> bool {
        let Self { threads, rows, queries, depth, held } = self;
        let sane = (GROUP as u32..=1024).contains(&threads)
            && (1..=256).contains(&rows)
            && (4..=256).contains(&queries)
            && (1..=64).contains(&depth)
            && (depth..=256).contains(&held);
        sane && threads % queries == 0
            && rows % (threads / queries) == 0
            && match multiply.tile() {
                None => rows % 4 == 0 && queries % 4 == 0 && threads == queries * rows / 16,
                Some(tile) => {
                    (rows % (2 * tile), queries % (2 * tile)) == (0, 0)
                        && (depth % 4, held % 4) == (0, 0)
                        && rows * depth % (8 * threads) == 0
                }
            }
    }

    fn fits(self, multiply: Multiply, limits: &Limits) -> bool {
        let memory = limits.max_compute_workgroup_storage_size;
        let threads =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        self.memory(multiply) <= memory && self.threads <= threads
    }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, rows, queries, depth, held } = self;
        write!(f, "{threads} {rows} {queries} {depth} {held}")
    }
}

impl Tunings {
    /// What is expected to be fastest.
    pub(super) fn expected(variant: ShaderVariant, limits: &Limits) -> Option<Self> {
        let first = |all: Vec<Tuning>| all.first().copied();
        let (short, long) = Self::candidates(variant, limits);
        Some(Self { short: first(short)?, long: first(long)? })
    }

    /// What is worth trying for short queries and for long ones, what is expected to be fastest
    /// first.
    pub(super) fn candidates(
        variant: ShaderVariant,
        limits: &Limits,
    ) -> (Vec<Tuning>, Vec<Tuning>) {
        let (short, long): (&[_], &[_]) = match variant.multiply {
            Multiply::Fma => (&FMA_SHORT, &FMA_LONG),
            Multiply::Matrix16 | Multiply::Matrix8 => (&MATRIX_SHORT, &MATRIX_LONG),
        };
        let fitting = |all: &[[u32; 5]]| {
            let all = all.iter().map(|sizes| Tuning::new(*sizes));
            all.filter(|tuning| tuning.fits(variant.multiply, limits)).collect()
        };
        (fitting(short), fitting(long))
    }

    /// Whether a variant's loops come out even with both.
    pub(super) fn suit(self, variant: ShaderVariant) -> bool {
        self.short.queries as usize >= QUERY_TILE
            && [self.short, self.long].iter().all(|tuning| tuning.suits(variant.multiply))
    }

    /// Whether a device has the memory and the threads for both.
    pub(super) fn fit(self, variant: ShaderVariant, limits: &Limits) -> bool {
        [self.short, self.long].iter().all(|tuning| tuning.fits(variant.multiply, limits))
    }
}

// Threads, rows, query tokens, depth, and quads of query tokens held. Each list ends with what the
// least of devices can run.
const FMA_SHORT: [[u32; 5]; 3] = [[128, 64, 32, 8, 32], [128, 64, 32, 8, 8], [64, 32, 32, 8, 8]];
const FMA_LONG: [[u32; 5]; 3] = [[256, 64, 64, 8, 8], [128, 64, 32, 8, 8], [64, 32, 32, 8, 8]];
const MATRIX_SHORT: [[u32; 5]; 5] = [
    [128, 64, 32, 32, 32],
    [64, 64, 32, 32, 32],
    [64, 32, 32, 32, 32],
    [128, 64, 32, 16, 32],
    [64, 32, 32, 16, 16],
];
const MATRIX_LONG: [[u32; 5]; 5] = [
    [128, 64, 64, 32, 32],
    [128, 64, 64, 16, 32],
    [64, 32, 64, 32, 32],
    [64, 64, 32, 32, 32],
    [64, 32, 32, 16, 16],
];

/// How the segments of a dispatch are spread over workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// Segments of a workgroup.
    pub group: usize,
    /// Workgroups that take all segments once.
    pub workgroups: usize,
    /// Tiles of query tokens of a workgroup.
    pub tiles: u32,
    /// Workgroups in z, which share the tiles of query tokens.
    pub shares: u32,
}

impl Spread {
    /// For `segments` of `rows` together, and queries of up to `tokens`. Short documents share a
    /// workgroup; the tiles of a query are shared among workgroups where there are few.
    pub(super) fn new(
        tuning: Tuning,
        limits: DeviceLimits,
        segments: usize,
        rows: usize,
        tokens: usize,
    ) -> Self {
        let wanted = (rows / BUSY).clamp(tuning.rows as usize, WORKGROUP_ROWS);
        let group = (wanted * segments).div_ceil(rows.max(1)).clamp(1, GROUP);
        let workgroups = segments.div_ceil(group);
        let tiles = tokens.div_ceil(tuning.queries as usize).max(1);
        let shares = (BUSY / workgroups.max(1)).clamp(1, tiles.min(limits.workgroups as usize));
        let tiles = tiles.div_ceil(shares);
        Self { group, workgroups, tiles: tiles as u32, shares: shares as u32 }
    }

    /// Rows that workgroups fetch of documents and of queries, from memory or from a cache, where a
    /// row has `quads`.
    pub(super) fn fetched(self, tuning: Tuning, rows: usize, quads: usize) -> usize {
        let tiles = self.tiles as usize;
        let workgroups = self.workgroups * self.shares as usize;
        let again = if quads > tuning.depth as usize { tiles } else { 1 };
        let documents = rows * self.shares as usize * again;
        // Staged once, or for every tile of rows.
        let once = quads <= tuning.held as usize && tiles == 1;
        let times = if once { 1 } else { rows.div_ceil(self.workgroups * tuning.rows as usize) };
        documents + workgroups * times * tiles * tuning.queries as usize
    }

    /// Tells the shader.
    pub(super) fn describe(self, params: Params) -> Params {
        Params { group: self.group as u32, tiles: self.tiles, ..params }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DeviceLimits = DeviceLimits { binding_bytes: 1 << 30, workgroups: 256 };

    #[test]
    fn every_candidate_suits_its_shader() {
        for variant in ShaderVariant::ALL {
            let everything = Limits {
                max_compute_workgroup_storage_size: 1 << 20,
                max_compute_invocations_per_workgroup: 1024,
                ..Limits::default()
            };
            let (short, long) = Tunings::candidates(variant, &everything);
            assert!(short.len() >= 3 && long.len() >= 3);
            for tuning in short.into_iter().chain(long) {
                assert!(tuning.suits(variant.multiply), "{variant}: {tuning:?}");
            }
            let least = Tunings::expected(variant, &Limits::downlevel_defaults());
            assert!(least.is_some_and(|it| it.suit(variant)), "{variant}");
        }
    }

    /// Every segment and every query token is some workgroup's, and none has too many.
    #[test]
    fn a_dispatch_is_covered() {
        let tuning = Tuning::new(FMA_SHORT[0]);
        for segments in [1, 7, 1_000, 65_000] {
            for rows_each in [1, 8, 300, 512] {
                for tokens in [1, 32, 33, 1_024] {
                    let rows = segments * rows_each;
                    let spread = Spread::new(tuning, LIMITS, segments, rows, tokens);
                    assert!((1..=GROUP).contains(&spread.group));
                    assert!(spread.workgroups * spread.group >= segments);
                    let tiles = (spread.tiles * spread.shares) as usize;
                    assert!(tiles * QUERY_TILE >= tokens, "{spread:?}");
                }
            }
        }
    }

    /// Of what has to be read, for the shapes of `examples/roofline`: at most a tenth more from memory,
    /// maxima included, and for short queries little more from caches.
    #[test]
    fn each_row_is_read_once() {
        let limits = Limits { max_compute_workgroup_storage_size: 48 << 10, ..Limits::defaults() };
        for variant in ShaderVariant::ALL {
            let tunings = Tunings::expected(variant, &limits).unwrap();
            for (candidates, query_tokens, tokens) in [
                (1_000_usize, 32, 300_usize),
                (10_000, 32, 300),
                (16_000, 32, 180),
                (1_000, 20, 1_030),
            ] {
                let rows = candidates * tokens;
                let segments = candidates * tokens.div_ceil(512);
                let spread = Spread::new(tunings.short, LIMITS, segments, rows, query_tokens);
                assert_eq!(spread.shares, 1);
                let fetched = spread.fetched(tunings.short, rows, 32) as f64 / rows as f64;
                assert!(fetched < 1.11, "{candidates} of {tokens}: {fetched}");
                // Maxima are cleared, raised and read: four bytes a query token.
                let maxima = (candidates * query_tokens * 3 * 4) as f64;
                assert!(maxima < 0.1 * (rows * 256) as f64);
            }
            let spread = Spread::new(tunings.long, LIMITS, 3_000, 1_030_000, 1_024);
            assert_eq!(spread.shares, 1);
        }
    }

    #[test]
    fn short_documents_share_a_workgroup_and_few_share_the_query() {
        let tuning = Tuning::new(FMA_SHORT[0]);
        let many = Spread::new(tuning, LIMITS, 10_000, 80_000, 32);
        assert_eq!((many.group, many.tiles, many.shares), (10, 1, 1));
        let few = Spread::new(tuning, LIMITS, 3, 1_500, 1_024);
        assert_eq!((few.group, few.workgroups, few.tiles, few.shares), (1, 3, 1, 32));
        let pages = Spread::new(tuning, LIMITS, 3_000, 1_030_000, 1_024);
        assert_eq!((pages.group, pages.tiles, pages.shares), (3, 32, 1));
    }
}
