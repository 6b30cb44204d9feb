//! Sizes of the kernels that an adapter likes better or worse, and the shapes that they are compiled for.
//! No GPU in it.

use std::fmt;
use std::str::FromStr;

use wgpu::Limits;

use super::shader::{OCTET_COLUMNS, ShaderVariant};
use crate::Error;

/// Query tokens that go through a kernel of short queries.
pub(super) const SHORT: usize = 32;

/// Columns of a row whose query tokens matrix units hold in registers. They are one chain of additions.
const HELD_COLUMNS: usize = 256;

/// Columns times query tokens that fit the registers of a subgroup.
const HELD_VALUES: usize = 128 * 64;

/// Query tokens of a block of multiply-adds: `TOKENS` in `maxsim_teams.wgsl`.
const FMA_TOKENS: usize = 32;

/// Threads of a team: `TEAM` in `maxsim_teams.wgsl`.
const TEAM: u32 = 32;

/// The sizes of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tuning {
    /// Of matrix units: threads of a workgroup, and whether products are maximised in registers, which
    /// takes SPIR-V.
    Matrix { threads: u32, in_registers: bool },
    /// Of multiply-adds: threads of a workgroup, rows of a lane, and octets of columns of query tokens in
    /// workgroup memory.
    Fma { threads: u32, rows: u32, octets: u32 },
}

/// For queries of up to [`SHORT`] tokens, and for longer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tunings {
    pub short: Tuning,
    pub long: Tuning,
}

/// Sizes of the kernel that bounds scores from int8: every device has room for them.
pub(super) const BOUNDS: Tuning = Tuning::Fma { threads: 64, rows: 4, octets: 16 };

/// Properties of a device that sizes depend on.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub limits: Limits,
    /// Lanes of a subgroup, at least.
    pub least_lanes: u32,
    /// `true` if it takes SPIR-V as it is.
    pub spirv: bool,
    /// `true` if it computes on the CPU.
    pub software: bool,
}

/// Shape that a kernel is compiled for, beside its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// Query tokens of a block.
    pub tokens: usize,
    /// `true` if all columns of a block's query tokens are held.
    pub held: bool,
    /// Tiles of columns of a row, where matrix units hold them.
    tiles: usize,
}

impl Shape {
    /// For rows of `dim` columns, and queries of up to `tokens` tokens.
    pub(super) fn new(variant: ShaderVariant, tunings: Tunings, dim: usize, tokens: usize) -> Self {
        match (variant.tile(), tunings.of(tokens)) {
            (Some(tile), _) => Self::of_matrices(tile as usize, dim, tokens),
            (None, Tuning::Fma { octets, .. }) => {
                let held = dim.div_ceil(OCTET_COLUMNS) <= octets as usize;
                Self { tokens: FMA_TOKENS, held, tiles: 0 }
            }
            (None, Tuning::Matrix { .. }) => Self { tokens: FMA_TOKENS, held: false, tiles: 0 },
        }
    }

    /// Of the kernel that bounds scores from int8, for rows of so many octets.
    pub(super) fn of_bounds(octets: usize) -> Self {
        let held = matches!(BOUNDS, Tuning::Fma { octets: most, .. } if octets <= most as usize);
        Self { tokens: FMA_TOKENS, held, tiles: 0 }
    }

    fn of_matrices(tile: usize, dim: usize, tokens: usize) -> Self {
        let wanted = tokens.clamp(16, 64).next_power_of_two();
        if dim > HELD_COLUMNS {
            return Self { tokens: wanted, held: false, tiles: 1 };
        }
        let tiles = dim.div_ceil(tile);
        let fitting = if tiles * tile * 64 <= HELD_VALUES { 64 } else { SHORT };
        Self { tokens: wanted.min(fitting), held: true, tiles }
    }

    /// Octets of a query token on the device, for rows of `dim` columns: as many as a row's, or, for
    /// matrix units, whole tiles of columns.
    pub(super) fn query_octets(variant: ShaderVariant, dim: usize) -> usize {
        match variant.tile() {
            None => dim.div_ceil(OCTET_COLUMNS),
            Some(tile) => dim.div_ceil(tile as usize) * tile as usize / OCTET_COLUMNS,
        }
    }
}

impl Tuning {
    /// The constants that the kernel's source begins with.
    pub(super) fn sizes(self, variant: ShaderVariant, shape: Shape, room: &Room) -> String {
        let Shape { tokens, held, tiles } = shape;
        match self {
            Self::Matrix { threads, in_registers } => {
                let query_tiles = tokens as u32 / variant.tile().unwrap_or(1);
                let subgroups = threads.div_ceil(room.least_lanes);
                format!(
                    "const THREADS = {threads}u;\nconst SUBGROUPS = {subgroups}u;\n\
                     const TILES = {query_tiles}u;\nconst COLUMNS = {tiles}u;\n\
                     const HELD = {held};\nconst IN_REGISTERS = {in_registers};\n"
                )
            }
            Self::Fma { threads, rows, octets } => format!(
                "const THREADS = {threads}u;\nconst ROWS_OF_LANE = {rows}u;\n\
                 const OCTETS = {octets}u;\nconst HELD = {held};\n"
            ),
        }
    }

    /// Chunks of a workgroup, at least: a subgroup of matrix units takes one, or a workgroup.
    pub(super) fn chunks_of_workgroup(self, most_lanes: u32) -> usize {
        match self {
            Self::Matrix { threads, .. } => (threads / most_lanes).max(1) as usize,
            Self::Fma { .. } => 1,
        }
    }

    /// Documents that a chunk takes side by side.
    pub(super) fn teams(self) -> usize {
        match self {
            Self::Matrix { .. } => 1,
            Self::Fma { threads, .. } => (threads / TEAM) as usize,
        }
    }

    fn threads(self) -> u32 {
        let (Self::Matrix { threads, .. } | Self::Fma { threads, .. }) = self;
        threads
    }

    /// Bytes of workgroup memory at most.
    fn memory(self, variant: ShaderVariant, room: &Room) -> u32 {
        match self {
            Self::Matrix { threads, .. } => {
                let subgroups = threads.div_ceil(room.least_lanes);
                4 * subgroups * (variant.tile().unwrap_or(0) * (64 + 8) + 64)
            }
            Self::Fma { threads, octets, .. } => {
                let tokens = FMA_TOKENS as u32;
                4 * tokens * 8 * octets + 4 * threads / TEAM * (8 * (tokens + 1) + tokens) + 4
            }
        }
    }

    /// Returns `true` if it is a variant's, with sizes that its kernel can have.
    fn suits(self, variant: ShaderVariant) -> bool {
        let threads = self.threads();
        let sane = threads.is_power_of_two() && (8..=1024).contains(&threads);
        sane && match self {
            Self::Matrix { .. } => variant.has_matrices(),
            Self::Fma { threads, rows, octets } => {
                let sane = (1..=16).contains(&rows) && (1..=32).contains(&octets);
                !variant.has_matrices() && threads >= TEAM && sane
            }
        }
    }

    /// Returns `true` if a device has the memory, the threads and the compiler for it. A software
    /// device takes the barrier of a subgroup for that of the workgroup, and so has to have one
    /// subgroup in each.
    fn fits(self, variant: ShaderVariant, room: &Room) -> bool {
        let limits = &room.limits;
        let most = limits.max_compute_invocations_per_workgroup;
        let threads = most.min(limits.max_compute_workgroup_size_x);
        let fits = self.memory(variant, room) <= limits.max_compute_workgroup_storage_size
            && self.threads() <= threads;
        fits && match self {
            Self::Matrix { threads, in_registers } => {
                (room.spirv || !in_registers) && room.software == (threads <= room.least_lanes)
            }
            Self::Fma { .. } => true,
        }
    }
}

impl Tunings {
    /// The tuning for queries of up to `tokens` tokens.
    pub(super) fn of(self, tokens: usize) -> Tuning {
        if tokens <= SHORT { self.short } else { self.long }
    }

    /// Sizes worth trying for short queries and for long ones, what is expected to be fastest first.
    pub(super) fn candidates(variant: ShaderVariant, room: &Room) -> Vec<Self> {
        let matrix = [true, false].into_iter().flat_map(|in_registers| {
            MATRIX_THREADS.map(|threads| Tuning::Matrix { threads, in_registers })
        });
        let fma = FMA.map(|[threads, rows, octets]| Tuning::Fma { threads, rows, octets });
        let all: Vec<Tuning> = if variant.has_matrices() { matrix.collect() } else { fma.to_vec() };
        let fitting = all.into_iter().filter(|it| it.fits(variant, room));
        fitting.map(|tuning| Self { short: tuning, long: tuning }).collect()
    }

    /// Returns `true` if both are a variant's.
    pub(super) fn suit(self, variant: ShaderVariant) -> bool {
        [self.short, self.long].iter().all(|tuning| tuning.suits(variant))
    }

    /// Returns `true` if a device can have both.
    pub(super) fn fit(self, variant: ShaderVariant, room: &Room) -> bool {
        [self.short, self.long].iter().all(|tuning| tuning.fits(variant, room))
    }
}

/// Threads of a workgroup; the last one is a subgroup of a software device.
const MATRIX_THREADS: [u32; 5] = [128, 64, 256, 32, 8];

/// Threads, rows of a lane, octets in workgroup memory. The last one fits the least of devices.
const FMA: [[u32; 3]; 5] = [[128, 4, 16], [128, 8, 16], [64, 4, 16], [128, 2, 16], [64, 4, 8]];

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matrix { threads, in_registers } => {
                let place = if *in_registers { "registers" } else { "memory" };
                write!(f, "{threads} {place}")
            }
            Self::Fma { threads, rows, octets } => write!(f, "{threads} {rows} {octets}"),
        }
    }
}

impl FromStr for Tuning {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::InvalidParameter {
            name: "sizes of a kernel",
            expected: "THREADS registers, THREADS memory, or THREADS ROWS OCTETS".into(),
            got: format!("{text:?}"),
        };
        let number = |word: &str| word.parse::<u32>().map_err(|_| malformed());
        match text.split(' ').collect::<Vec<_>>()[..] {
            [threads, place @ ("registers" | "memory")] => {
                let in_registers = place == "registers";
                Ok(Self::Matrix { threads: number(threads)?, in_registers })
            }
            [threads, rows, octets] => {
                let (threads, rows, octets) = (number(threads)?, number(rows)?, number(octets)?);
                Ok(Self::Fma { threads, rows, octets })
            }
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::gpu) fn room(software: bool) -> Room {
        let limits = Limits { max_compute_workgroup_storage_size: 48 << 10, ..Limits::defaults() };
        let least_lanes = if software { 8 } else { 32 };
        Room { limits, least_lanes, spirv: true, software }
    }

    #[test]
    fn every_candidate_suits_its_kernel() {
        for variant in ShaderVariant::ALL {
            for software in [false, true] {
                let all = Tunings::candidates(variant, &room(software));
                assert!(!all.is_empty());
                assert!(all.iter().all(|it| it.suit(variant) && it.fit(variant, &room(software))));
            }
        }
    }

    #[test]
    fn the_least_of_devices_has_a_tuning() {
        let limits = Limits::downlevel_defaults();
        let least = Room { limits, least_lanes: 32, spirv: false, software: false };
        for variant in ShaderVariant::ALL {
            assert!(!Tunings::candidates(variant, &least).is_empty(), "{variant}");
        }
    }

    #[test]
    fn sizes_parse_back() {
        for variant in ShaderVariant::ALL {
            for Tunings { short, .. } in Tunings::candidates(variant, &room(false)) {
                assert_eq!(short.to_string().parse::<Tuning>().unwrap(), short);
            }
        }
        for text in ["", "128", "128 4", "128 4 16 1", "x registers", "128 somewhere"] {
            assert!(text.parse::<Tuning>().is_err(), "{text}");
        }
    }

    #[test]
    fn blocks_are_no_larger_than_registers_hold() {
        let [matrix16, _, fma] = ShaderVariant::ALL;
        let of = |variant, dim, tokens| {
            let tunings = Tunings::candidates(variant, &room(false))[0];
            let shape = Shape::new(variant, tunings, dim, tokens);
            (shape.tokens, shape.held)
        };
        assert_eq!(of(matrix16, 128, 20), (32, true));
        assert_eq!(of(matrix16, 128, 1_024), (64, true));
        assert_eq!(of(matrix16, 256, 1_024), (32, true));
        assert_eq!(of(matrix16, 257, 40), (64, false));
        assert_eq!(of(matrix16, 3, 1), (16, true));
        assert_eq!(of(fma, 128, 1_024), (32, true));
        assert_eq!(of(fma, 129, 5), (32, false));
    }
}
