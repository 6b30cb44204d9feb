//! Vector instructions of this machine, detected once.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use half::f16;

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
use super::bound::Integers;
#[cfg(feature = "recall")]
use super::coded::{self, Coded};
use super::dense;
use super::kernel::{self, Scratch};
use super::lanes::{FloatLanes, Portable};
use super::quantized;
use super::query::PackedQueries;
use super::reference;
use crate::multivector::TokenMatrix;
use crate::{Error, Result};

/// A set of vector instructions that this machine was found to have.
///
/// There is no other way to get one than [`InstructionSet::detect`], [`InstructionSet::available`]
/// and parsing a name, all of which look at the machine: holding a value proves that the
/// instructions are there.
#[derive(Clone, Copy, Debug)]
pub struct InstructionSet(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable8(Portable<8>),
    Portable16(Portable<16>),
}

/// Runs `$shell` with `$native` bound to lanes that were compiled for, or `$body` with `$lanes` bound
/// to portable ones.
macro_rules! with_lanes {
    ($set:expr, $native:ident => $shell:expr, $lanes:ident => $body:expr) => {
        match $set.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512($native) => $shell,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2($native) => $shell,
            Kind::Portable8($lanes) => $body,
            Kind::Portable16($lanes) => $body,
        }
    };
}

impl InstructionSet {
    /// The fastest set of this machine.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<InstructionSet> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::available()[0])
    }

    /// Every set of this machine that scores a known batch right, fastest first; the portable ones
    /// run everywhere.
    pub fn available() -> Vec<Self> {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(Self::find).clone()
    }

    fn find() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let native = [Avx512::detect().map(Kind::Avx512), Avx2::detect().map(Kind::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let native: [Option<Kind>; 0] = [];
        let portable = [Kind::Portable8(Portable), Kind::Portable16(Portable)];
        let native = native.into_iter().flatten().map(Self).filter(Self::checks_out);
        native.chain(portable.map(Self)).collect()
    }

    /// Returns `true` if it scores a known batch right: instructions that are there may still be
    /// broken, by an emulator for one.
    fn checks_out(&self) -> bool {
        // Full registers, and a few tokens more.
        let right = [64, 67].into_iter().all(|tokens| self.scores_right(tokens).unwrap_or(false));
        if !right {
            log::warn!("{self} is not used: it scored a known batch wrong");
        }
        right
    }

    /// The values are small integers, so every product and sum is exact in f32, in any order.
    fn scores_right(&self, query_tokens: usize) -> Result<bool> {
        let (query, document) = (small_integers(query_tokens, 3)?, small_integers(29, 7)?);
        let packed = PackedQueries::new(&[query.view()], query.dim(), self.lane_width());
        let mut scratch = Scratch::new(&packed);
        self.fold(&packed, document.values(), &[], &mut scratch);
        let mut score = [0.0];
        scratch.maxima().sums(&packed, &mut score);
        Ok(f64::from(score[0]) == reference::score(query.view(), document.view()))
    }

    /// `avx512`, `avx2`, `portable8` or `portable16`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            Kind::Portable8(_) => "portable8",
            Kind::Portable16(_) => "portable16",
        }
    }

    /// f32 lanes of a register.
    pub(super) fn lane_width(self) -> usize {
        fn width<L: FloatLanes>(_: L) -> usize {
            L::WIDTH
        }
        with_lanes!(self, native => width(native), lanes => width(lanes))
    }

    /// The integer lanes that bounds on scores are computed with, where that is faster than scoring.
    pub(super) fn integers(self) -> Option<Integers> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => Integers::avx512(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => Integers::avx2(),
            Kind::Portable8(_) | Kind::Portable16(_) => None,
        }
    }

    /// The integer lanes that coarser bounds are computed with, where that takes about half the time.
    pub(super) fn coarse_integers(self) -> Option<Integers> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => Integers::avx512_quads(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => None,
            Kind::Portable8(_) | Kind::Portable16(_) => None,
        }
    }

    /// The integer lanes that bounds from quantized documents are computed with, where that is faster than scoring.
    pub(super) fn quads(self) -> Option<quantized::Integers> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => quantized::Integers::avx512(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => quantized::Integers::avx2(),
            Kind::Portable8(_) | Kind::Portable16(_) => None,
        }
    }

    /// Folds token vectors `[tokens, dim]` into the maxima of `scratch`; `next` come after them.
    pub(super) fn fold(
        self,
        queries: &PackedQueries,
        tokens: &[f16],
        next: &[f16],
        scratch: &mut Scratch,
    ) {
        with_lanes!(
            self,
            native => native.fold(queries, tokens, next, scratch),
            lanes => kernel::fold(lanes, queries, tokens, next, scratch)
        )
    }

    /// `a · b`.
    pub(super) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        with_lanes!(self, native => native.dot(a, b), lanes => dense::dot_lanes(lanes, a, b))
    }

    /// `|a − b|²`.
    pub(super) fn squared_distance(self, a: &[f32], b: &[f32]) -> f32 {
        with_lanes!(
            self,
            native => native.squared_distance(a, b),
            lanes => dense::squared_distance_lanes(lanes, a, b)
        )
    }

    /// The sum of `|aᵢ − bᵢ|`.
    pub(super) fn absolute_distance(self, a: &[f32], b: &[f32]) -> f32 {
        with_lanes!(
            self,
            native => native.absolute_distance(a, b),
            lanes => dense::absolute_distance_lanes(lanes, a, b)
        )
    }

    /// The products of a query and each of some coded vectors.
    #[cfg(feature = "recall")]
    pub(super) fn products<'c>(
        self,
        query: &[i16],
        coded: impl Iterator<Item = Coded<'c>>,
        to: impl FnMut(Coded<'c>, i32),
    ) {
        with_lanes!(
            self,
            native => native.products(query, coded, to),
            lanes => coded::products_lanes(lanes, query, coded, to)
        )
    }
}

/// A matrix `[tokens, 45]` of integers from −8 to 8.
fn small_integers(tokens: usize, seed: usize) -> Result<TokenMatrix> {
    const DIM: usize = 45;
    let values: Vec<f32> =
        (0..tokens * DIM).map(|at| ((at * at * seed + at) % 17) as f32 - 8.0).collect();
    TokenMatrix::new(&values, DIM)
}

impl PartialEq for InstructionSet {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for InstructionSet {}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InstructionSet {
    type Err = Error;

    /// The set of that name, if this machine has it.
    fn from_str(name: &str) -> Result<Self> {
        let available = Self::available();
        available.iter().copied().find(|set| set.name() == name).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|set| set.name()).collect();
            Error::InvalidParameter {
                name: "the instruction set",
                expected: format!("one of this machine's: {}", names.join(", ")),
                got: name.into(),
            }
        })
    }
}
