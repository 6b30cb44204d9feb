//! Shader variants as data, their source, and the structs they share with WGSL.

use std::fmt;
use std::str::FromStr;

use bytemuck::{Pod, Zeroable};
use wgpu::{CooperativeMatrixProperties, CooperativeScalarType, Features};

use crate::{Error, Result};

/// How a shader reads an element of a token matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// Native f16; needs `SHADER_F16`.
    F16,
    /// Two f16 packed in a `u32`; runs everywhere.
    Packed,
}

/// How a shader multiplies query tokens with document tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Multiply {
    /// By fused multiply-adds in f32; runs everywhere.
    Fma,
    /// By matrix units, in tiles of 16 × 16: f16 in, f32 accumulated.
    Matrix16,
    /// By matrix units, in tiles of 8 × 8.
    Matrix8,
}

impl Multiply {
    /// Rows and columns of a tile of a matrix unit.
    pub(super) fn tile(self) -> Option<u32> {
        match self {
            Self::Fma => None,
            Self::Matrix16 => Some(16),
            Self::Matrix8 => Some(8),
        }
    }

    /// Whether one of an adapter's `matrices` is what it multiplies.
    fn is_among(self, matrices: &[CooperativeMatrixProperties]) -> bool {
        let Some(tile) = self.tile() else { return true };
        matrices.iter().any(|it| {
            let (inputs, sums) = (CooperativeScalarType::F16, CooperativeScalarType::F32);
            [it.m_size, it.n_size, it.k_size] == [tile; 3]
                && (it.ab_type, it.cr_type) == (inputs, sums)
        })
    }
}

/// One way to compute MaxSim in WGSL, named `ELEMENT-MULTIPLY`: for example `f16-matrix16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ShaderVariant {
    /// How an element is read.
    pub element: Element,
    /// How tokens are multiplied.
    pub multiply: Multiply,
}

impl ShaderVariant {
    /// Every variant, the one expected to be fastest first.
    pub const ALL: [Self; 4] = [
        Self { element: Element::F16, multiply: Multiply::Matrix16 },
        Self { element: Element::F16, multiply: Multiply::Matrix8 },
        Self { element: Element::F16, multiply: Multiply::Fma },
        Self { element: Element::Packed, multiply: Multiply::Fma },
    ];

    /// The variants that a device with these features, of an adapter with these
    /// [`matrices`](wgpu::Adapter::cooperative_matrix_properties), runs, in the order of
    /// [`Self::ALL`].
    pub fn supported(features: Features, matrices: &[CooperativeMatrixProperties]) -> Vec<Self> {
        let runs = |variant: &Self| {
            features.contains(variant.features()) && variant.multiply.is_among(matrices)
        };
        Self::ALL.into_iter().filter(runs).collect()
    }

    /// The features it needs.
    pub fn features(self) -> Features {
        let element = match self.element {
            Element::F16 => Features::SHADER_F16,
            Element::Packed => Features::empty(),
        };
        let multiply = match self.multiply {
            Multiply::Fma => Features::empty(),
            Multiply::Matrix16 | Multiply::Matrix8 => {
                Features::EXPERIMENTAL_COOPERATIVE_MATRIX | Features::SUBGROUP
            }
        };
        element | multiply
    }

    /// WGSL of the first pass, entry point `maxsim`: pieces joined, extensions first because they
    /// have to lead.
    pub fn maxsim_source(self) -> String {
        const MATRIX: &str = include_str!("../../shaders/multiply_matrix.wgsl");
        const MATRIX_16: &str = include_str!("../../shaders/matrix_16.wgsl");
        const MATRIX_8: &str = include_str!("../../shaders/matrix_8.wgsl");
        let (enable, multiply): (_, &[&str]) = match self.multiply {
            Multiply::Fma => ("", &[include_str!("../../shaders/multiply_fma.wgsl")]),
            Multiply::Matrix16 => ("enable wgpu_cooperative_matrix;", &[MATRIX_16, MATRIX]),
            Multiply::Matrix8 => ("enable wgpu_cooperative_matrix;", &[MATRIX_8, MATRIX]),
        };
        let before =
            [enable, self.element_source(), COMMON, include_str!("../../shaders/tile.wgsl")];
        let pieces = [&before, multiply, &[include_str!("../../shaders/maxsim.wgsl")]];
        pieces.concat().join("\n")
    }

    /// WGSL of the second pass, entry point `sum`: the same for every variant.
    pub fn sum_source() -> String {
        [COMMON, include_str!("../../shaders/sum.wgsl")].join("\n")
    }

    /// WGSL of the third pass, entry points `top_k_of_scores` and `top_k_of_entries`: the same for
    /// every variant.
    pub fn top_k_source() -> String {
        [COMMON, include_str!("../../shaders/top_k.wgsl")].join("\n")
    }

    /// WGSL that finds matches, entry point `find_matches`.
    pub fn matches_source(self) -> String {
        [self.element_source(), COMMON, include_str!("../../shaders/matches.wgsl")].join("\n")
    }

    fn element_source(self) -> &'static str {
        match self.element {
            Element::F16 => include_str!("../../shaders/element_f16.wgsl"),
            Element::Packed => include_str!("../../shaders/element_packed.wgsl"),
        }
    }
}

const COMMON: &str = include_str!("../../shaders/common.wgsl");

impl fmt::Display for ShaderVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let element = match self.element {
            Element::F16 => "f16",
            Element::Packed => "packed",
        };
        let multiply = match self.multiply {
            Multiply::Fma => "fma",
            Multiply::Matrix16 => "matrix16",
            Multiply::Matrix8 => "matrix8",
        };
        write!(f, "{element}-{multiply}")
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

/// Columns of a [quad](`QUAD_BYTES`).
pub(super) const QUAD_COLUMNS: usize = 4;

/// Bytes of a quad, the unit in which shaders read rows: four neighbouring f16 columns.
pub(super) const QUAD_BYTES: usize = 8;

/// `Params` in `common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Params {
    pub quads: u32,
    pub first_item: u32,
    pub items: u32,
    pub fold_width: u32,
    pub queries: u32,
    pub group: u32,
    pub tiles: u32,
}

/// `QuerySpan` in `common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct QuerySpan {
    pub first_token: u32,
    pub tokens: u32,
    pub first_pair: u32,
    pub first_maximum: u32,
}

/// `Segment` in `maxsim.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Segment {
    pub first_row: u32,
    pub rows: u32,
    pub query: u32,
    pub first_maximum: u32,
}

/// `MatchSegment` in `matches.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct MatchSegment {
    pub first_row: u32,
    pub rows: u32,
    pub query: u32,
    pub first_match: u32,
    pub first_token: u32,
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
    fn every_variant_parses_and_shares_its_structs_with_rust() {
        let params =
            rust_layout!(Params { quads, first_item, items, fold_width, queries, group, tiles });
        let span = rust_layout!(QuerySpan { first_token, tokens, first_pair, first_maximum });
        let segment = rust_layout!(Segment { first_row, rows, query, first_maximum });
        for variant in ShaderVariant::ALL {
            let module = parsed(&variant.maxsim_source());
            assert_eq!(layout(&module, "Params"), params, "{variant}");
            assert_eq!(layout(&module, "QuerySpan"), span, "{variant}");
            assert_eq!(layout(&module, "Segment"), segment, "{variant}");
        }
        let module = parsed(&ShaderVariant::sum_source());
        assert_eq!(layout(&module, "Params"), params);
        assert_eq!(layout(&module, "QuerySpan"), span);
    }

    #[test]
    fn top_k_and_matches_share_their_structs_with_rust() {
        let block = rust_layout!(Block { first, count, first_out, keep });
        let entry = rust_layout!(Entry { score, pair });
        let module = parsed(&ShaderVariant::top_k_source());
        assert_eq!(layout(&module, "Block"), block);
        assert_eq!(layout(&module, "Entry"), entry);
        let segment =
            rust_layout!(MatchSegment { first_row, rows, query, first_match, first_token });
        let cell = rust_layout!(MatchCell { similarity, token });
        for variant in ShaderVariant::ALL {
            let module = parsed(&variant.matches_source());
            assert_eq!(layout(&module, "MatchSegment"), segment, "{variant}");
            assert_eq!(layout(&module, "Match"), cell, "{variant}");
        }
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
        for variant in ShaderVariant::ALL {
            assert_constant(&variant.maxsim_source(), "GROUP", super::super::tuning::GROUP);
        }
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
