//! Shader variants as data, their source, and the structs they share with WGSL.

use std::fmt;
use std::str::FromStr;

use bytemuck::{Pod, Zeroable};
use wgpu::{CooperativeMatrixProperties, CooperativeScalarType, Features};

use crate::{Error, Result};

/// One way to compute MaxSim in WGSL, named after how elements are read and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShaderVariant {
    /// `f16-matrix16`: in matrix units, in tiles of 16 × 16, f16 in, f32 accumulated.
    F16Matrix16,
    /// `f16-matrix8`: in matrix units, in tiles of 8 × 8.
    F16Matrix8,
    /// `packed-fma`: by fused multiply-adds in f32 of two f16 packed in a `u32`; runs everywhere.
    PackedFma,
}

impl ShaderVariant {
    /// Every variant, the one expected to be fastest first.
    pub const ALL: [Self; 3] = [Self::F16Matrix16, Self::F16Matrix8, Self::PackedFma];

    /// The variants that a device with these features, of an adapter with these
    /// [`matrices`](wgpu::Adapter::cooperative_matrix_properties), runs, in the order of
    /// [`Self::ALL`].
    pub fn supported(features: Features, matrices: &[CooperativeMatrixProperties]) -> Vec<Self> {
        let runs =
            |variant: &Self| features.contains(variant.features()) && variant.is_among(matrices);
        Self::ALL.into_iter().filter(runs).collect()
    }

    /// The features it needs.
    pub fn features(self) -> Features {
        match self {
            Self::PackedFma => Features::empty(),
            Self::F16Matrix16 | Self::F16Matrix8 => {
                Features::EXPERIMENTAL_COOPERATIVE_MATRIX
                    | Features::SHADER_F16
                    | Features::SUBGROUP
                    | Features::SUBGROUP_BARRIER
            }
        }
    }

    /// Returns `true` if it multiplies in matrix units.
    pub fn has_matrices(self) -> bool {
        self.tile().is_some()
    }

    /// Rows and columns of a tile of a matrix unit.
    pub(super) fn tile(self) -> Option<u32> {
        match self {
            Self::F16Matrix16 => Some(16),
            Self::F16Matrix8 => Some(8),
            Self::PackedFma => None,
        }
    }

    /// Returns `true` if one of an adapter's `matrices` is what it multiplies.
    fn is_among(self, matrices: &[CooperativeMatrixProperties]) -> bool {
        let Some(tile) = self.tile() else { return true };
        matrices.iter().any(|it| {
            let (inputs, sums) = (CooperativeScalarType::F16, CooperativeScalarType::F32);
            [it.m_size, it.n_size, it.k_size] == [tile; 3]
                && (it.ab_type, it.cr_type) == (inputs, sums)
        })
    }

    /// WGSL of the kernel that scores, entry point `maxsim`: pieces joined, `sizes` among them;
    /// extensions first, because they have to lead.
    pub(super) fn maxsim_source(self, sizes: &str) -> String {
        let pieces: &[&str] = match self {
            Self::F16Matrix16 => &[ENABLE, sizes, MATRIX_16, COMMON, TASKS, SCORE, MATRIX],
            Self::F16Matrix8 => &[ENABLE, sizes, MATRIX_8, COMMON, TASKS, SCORE, MATRIX],
            Self::PackedFma => &[sizes, ELEMENT, COMMON, TASKS, SCORE, TEAMS, FMA],
        };
        pieces.join("\n")
    }

    /// WGSL of the kernel that bounds scores from int8, entry point `maxsim`: the same for every variant.
    pub(super) fn bounds_source(sizes: &str) -> String {
        [sizes, COMMON, TASKS, SCORE, TEAMS, INT8].join("\n")
    }

    /// WGSL that sums up maxima, entry point `sum`: the same for every variant.
    pub(super) fn sum_source() -> String {
        [COMMON, include_str!("../../shaders/sum.wgsl")].join("\n")
    }

    /// WGSL that finds the best, entry points `top_k_of_scores` and `top_k_of_entries`: the same for
    /// every variant.
    pub(super) fn top_k_source() -> String {
        [COMMON, include_str!("../../shaders/top_k.wgsl")].join("\n")
    }

    /// WGSL that finds matches, entry point `find_matches`: the same for every variant.
    pub(super) fn matches_source() -> String {
        [ELEMENT, COMMON, TASKS, include_str!("../../shaders/matches.wgsl")].join("\n")
    }
}

const ENABLE: &str = "enable f16; enable wgpu_cooperative_matrix;";
const COMMON: &str = include_str!("../../shaders/common.wgsl");
const ELEMENT: &str = include_str!("../../shaders/element.wgsl");
const SCORE: &str = include_str!("../../shaders/score.wgsl");
const TASKS: &str = include_str!("../../shaders/tasks.wgsl");
const MATRIX_16: &str = include_str!("../../shaders/matrix_16.wgsl");
const MATRIX_8: &str = include_str!("../../shaders/matrix_8.wgsl");
const MATRIX: &str = include_str!("../../shaders/maxsim_matrix.wgsl");
const TEAMS: &str = include_str!("../../shaders/maxsim_teams.wgsl");
const FMA: &str = include_str!("../../shaders/maxsim_fma.wgsl");
const INT8: &str = include_str!("../../shaders/maxsim_int8.wgsl");

impl fmt::Display for ShaderVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16Matrix16 => "f16-matrix16",
            Self::F16Matrix8 => "f16-matrix8",
            Self::PackedFma => "packed-fma",
        })
    }
}

impl FromStr for ShaderVariant {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|variant| variant.to_string() == name).ok_or_else(|| {
            Error::InvalidParameter {
                name: "the shader variant",
                expected: format!("one of {}", Self::ALL.map(|v| v.to_string()).join(", ")),
                got: name.into(),
            }
        })
    }
}

/// Columns of an octet, the unit in which rows are laid out: eight neighbouring f16, 16 bytes.
pub(super) const OCTET_COLUMNS: usize = 8;

/// Bytes of an octet.
pub(super) const OCTET_BYTES: usize = 16;

/// Format of rows on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Format {
    /// Two f16 a word.
    F16,
    /// Four integers a word, and a word a row beside them: its scale and its residual.
    Int8,
}

impl Format {
    /// Octets of a row.
    pub(super) fn octets(self, dim: usize) -> usize {
        match self {
            Self::F16 => dim.div_ceil(OCTET_COLUMNS),
            Self::Int8 => dim.div_ceil(OCTET_BYTES),
        }
    }

    /// Bytes of a row.
    pub(super) fn row_bytes(self, dim: usize) -> usize {
        self.octets(dim) * OCTET_BYTES + self.beside()
    }

    /// Bytes of a row beside its octets.
    pub(super) fn beside(self) -> usize {
        match self {
            Self::F16 => 0,
            Self::Int8 => size_of::<u32>(),
        }
    }
}

/// `Params` in `common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Params {
    pub row_octets: u32,
    pub query_octets: u32,
    pub first_entry: u32,
    pub entries: u32,
    pub first_unit: u32,
    pub end_unit: u32,
    pub fold_width: u32,
    pub units_of_workgroup: u32,
}

/// `Run` in `tasks.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Run {
    pub first_chunk: u32,
    pub first_item: u32,
    pub items: u32,
    pub item_words: u32,
    pub parts: u32,
    pub group: u32,
    pub first_block: u32,
    pub blocks: u32,
    pub first_result: u32,
    pub cells: u32,
}

/// `TokenBlock` in `tasks.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct TokenBlock {
    pub first_token: u32,
    pub tokens: u32,
    pub first_cell: u32,
}

/// `Place` in `tasks.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub(super) struct Place {
    pub first_row: u32,
    pub rows: u32,
    pub longest: f32,
}

/// `Sum` in `sum.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Sum {
    pub first_pair: u32,
    pub first_score: u32,
    pub first_cell: u32,
    pub cells: u32,
    pub parts: u32,
    pub tokens: u32,
}

/// `Match` in `matches.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct MatchCell {
    pub similarity: u32,
    pub token: u32,
}

/// `Block` in `top_k.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Block {
    pub first: u32,
    pub count: u32,
    pub first_out: u32,
    pub keep: u32,
}

/// `Entry` in `top_k.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Entry {
    pub score: u32,
    pub pair: u32,
}

/// Turns what `ordered` in `common.wgsl` gives back into the float.
pub(super) fn unordered(bits: u32) -> f32 {
    f32::from_bits(if bits >= 0x8000_0000 { bits & 0x7fff_ffff } else { !bits })
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use naga::valid::{Capabilities, ValidationFlags, Validator};
    use naga::{Module, TypeInner};

    use super::*;

    fn parsed(source: &str) -> Module {
        let module = naga::front::wgsl::parse_str(source)
            .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        validator
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
        module
    }

    /// Members (name, offset) and span of a struct in WGSL.
    fn layout(module: &Module, name: &str) -> (Vec<(String, usize)>, usize) {
        let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name));
        let Some((_, naga::Type { inner: TypeInner::Struct { members, span }, .. })) = found else {
            panic!("no struct {name}");
        };
        let member = |m: &naga::StructMember| (m.name.clone().unwrap(), m.offset as usize);
        (members.iter().map(member).collect(), *span as usize)
    }

    macro_rules! rust_layout {
        ($type:ty { $($field:ident),* }) => {
            (vec![$((stringify!($field).to_owned(), offset_of!($type, $field))),*], size_of::<$type>())
        };
    }

    #[test]
    fn structs_are_those_of_wgsl() {
        let params = rust_layout!(Params {
            row_octets,
            query_octets,
            first_entry,
            entries,
            first_unit,
            end_unit,
            fold_width,
            units_of_workgroup
        });
        let run = rust_layout!(Run {
            first_chunk,
            first_item,
            items,
            item_words,
            parts,
            group,
            first_block,
            blocks,
            first_result,
            cells
        });
        let block = rust_layout!(TokenBlock { first_token, tokens, first_cell });
        let place = rust_layout!(Place { first_row, rows, longest });
        let cell = rust_layout!(MatchCell { similarity, token });
        let module = parsed(&ShaderVariant::matches_source());
        assert_eq!(layout(&module, "Params"), params);
        assert_eq!(layout(&module, "Run"), run);
        assert_eq!(layout(&module, "TokenBlock"), block);
        assert_eq!(layout(&module, "Place"), place);
        assert_eq!(layout(&module, "Match"), cell);
        let sum = rust_layout!(Sum { first_pair, first_score, first_cell, cells, parts, tokens });
        assert_eq!(layout(&parsed(&ShaderVariant::sum_source()), "Sum"), sum);
        let module = parsed(&ShaderVariant::top_k_source());
        assert_eq!(layout(&module, "Block"), rust_layout!(Block { first, count, first_out, keep }));
        assert_eq!(layout(&module, "Entry"), rust_layout!(Entry { score, pair }));
    }

    fn assert_constant(source: &str, name: &str, expected: usize) {
        let module = parsed(source);
        let mut constants = module.constants.iter();
        let (_, constant) =
            constants.find(|(_, constant)| constant.name.as_deref() == Some(name)).unwrap();
        let value = &module.global_expressions[constant.init];
        let expected = naga::Expression::Literal(naga::Literal::U32(expected as u32));
        assert_eq!(format!("{value:?}"), format!("{expected:?}"));
    }

    #[test]
    fn constants_are_those_of_wgsl() {
        assert_constant(&ShaderVariant::top_k_source(), "BLOCK", super::super::top_k::BLOCK);
    }

    #[test]
    fn ordered_floats_come_back() {
        let floats = [f32::MIN, -1.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-40, 2.0, f32::MAX];
        // `ordered` in `common.wgsl`.
        let ordered = |x: f32| {
            let bits = x.to_bits();
            if bits >= 0x8000_0000 { !bits } else { bits | 0x8000_0000 }
        };
        assert!(floats.map(ordered).is_sorted());
        assert_eq!(floats.map(|x| unordered(ordered(x)).to_bits()), floats.map(f32::to_bits));
    }

    #[test]
    fn names_parse_back() {
        for variant in ShaderVariant::ALL {
            assert_eq!(variant.to_string().parse::<ShaderVariant>().unwrap(), variant);
        }
        let error = "f32-warp".parse::<ShaderVariant>().unwrap_err().to_string();
        assert!(error.contains("f16-matrix16") && error.contains("f32-warp"), "{error}");
    }
}
