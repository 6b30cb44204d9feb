//! Integer lanes of this machine, detected once.

#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

use half::f16;

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2Pairs;
#[cfg(target_arch = "x86_64")]
use super::avx512::{Avx512Quads, Avx512Vnni};
use super::kernel::{self, Scratch};
use super::lanes::{Columns, IntegerLanes, PortableIntegers};
use super::query::QuantizedQuery;
#[cfg(target_arch = "x86_64")]
use crate::multivector::TokenMatrix;

/// Integer lanes that this machine was found to have, and that were found to be right.
#[derive(Clone, Copy, Debug)]
pub(in crate::maxsim) struct Integers(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    Avx512Quads(Avx512Quads),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(Avx2Pairs<true>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2Pairs<false>),
    /// Portable lanes, which the others are checked against. It takes longer than scoring.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // There are no others yet.
    Portable(PortableIntegers<8, false>),
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    PortableQuads(PortableIntegers<8, true>),
}

impl Integers {
    /// Those of machines with AVX-512. Without VNNI they would not be faster than scoring.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::maxsim) fn avx512() -> Option<Self> {
        static FOUND: OnceLock<Option<Integers>> = OnceLock::new();
        *FOUND.get_or_init(|| Self::checked(Avx512Vnni::detect().map(Kind::Avx512Vnni)))
    }

    /// Quads of machines with AVX-512 VNNI: coarser bounds in about half the time.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::maxsim) fn avx512_quads() -> Option<Self> {
        static FOUND: OnceLock<Option<Integers>> = OnceLock::new();
        *FOUND.get_or_init(|| Self::checked(Avx512Quads::detect().map(Kind::Avx512Quads)))
    }

    /// Those of machines with AVX2: with AVX-VNNI, if it is there.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::maxsim) fn avx2() -> Option<Self> {
        static FOUND: OnceLock<Option<Integers>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let vnni = || Self::checked(Avx2Pairs::detect().map(Kind::AvxVnni));
            vnni().or_else(|| Self::checked(Avx2Pairs::detect().map(Kind::Avx2)))
        })
    }

    /// Every kind that this machine has, checked or not.
    #[cfg(test)]
    pub(in crate::maxsim) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let native = [
            Avx512Vnni::detect().map(Kind::Avx512Vnni),
            Avx512Quads::detect().map(Kind::Avx512Quads),
            Avx2Pairs::detect().map(Kind::AvxVnni),
            Avx2Pairs::detect().map(Kind::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let native: [Option<Kind>; 0] = [];
        let portable = [Kind::PortableQuads(PortableIntegers), Kind::Portable(PortableIntegers)];
        native.into_iter().flatten().chain(portable).map(Self).collect()
    }

    /// A kind that estimates a known batch as the portable lanes do: instructions that are there may
    /// still be broken, by an emulator for one.
    #[cfg(target_arch = "x86_64")]
    fn checked(kind: Option<Kind>) -> Option<Self> {
        let found = Self(kind?);
        let portable = found.portable();
        let right = found.known_batch().is_some_and(|got| portable.known_batch() == Some(got));
        if !right {
            log::warn!("{found:?} is not used: it bounded a known batch wrong");
        }
        right.then_some(found)
    }

    /// Portable lanes of as many integers.
    #[cfg(any(test, target_arch = "x86_64"))]
    pub(super) fn portable(self) -> Self {
        match self.layout().1 {
            Columns::Pairs => Self(Kind::Portable(PortableIntegers)),
            Columns::Quads => Self(Kind::PortableQuads(PortableIntegers)),
        }
    }

    /// Estimates of a known batch, as many as it has query tokens.
    #[cfg(target_arch = "x86_64")]
    fn known_batch(self) -> Option<(Vec<f32>, f32, f64)> {
        let matrix = |tokens: usize| {
            let value = |at: usize| ((at * at * 7 + at) % 257) as f32 / 16.0 - 8.0;
            TokenMatrix::new(&(0..tokens * 45).map(value).collect::<Vec<_>>(), 45).ok()
        };
        let (tokens, document) = (67, matrix(61)?);
        let query = QuantizedQuery::new(matrix(tokens)?.view(), self.layout())?;
        let mut scratch = Scratch::new(&query);
        self.fold(&query, document.values(), &[], &mut scratch);
        let estimates = scratch.estimates();
        Some((estimates.maxima.get(..tokens)?.to_vec(), estimates.largest, estimates.longest))
    }

    /// i32 lanes of a register, and the integers of a lane.
    pub(in crate::maxsim) fn layout(self) -> (usize, Columns) {
        fn layout<L: IntegerLanes>(_: L) -> (usize, Columns) {
            (L::WIDTH, L::COLUMNS)
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni(lanes) => layout(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Quads(lanes) => layout(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni(lanes) => layout(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(lanes) => layout(lanes),
            Kind::Portable(lanes) => layout(lanes),
            Kind::PortableQuads(lanes) => layout(lanes),
        }
    }

    /// Folds token vectors `[tokens, dim]` into the estimates of `scratch`; `next` come after them.
    pub(super) fn fold(
        self,
        query: &QuantizedQuery,
        tokens: &[f16],
        next: &[f16],
        scratch: &mut Scratch,
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni(lanes) => lanes.fold(query, tokens, next, scratch),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Quads(lanes) => lanes.fold(query, tokens, next, scratch),
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni(lanes) => lanes.fold(query, tokens, next, scratch),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(lanes) => lanes.fold(query, tokens, next, scratch),
            Kind::Portable(lanes) => kernel::fold(lanes, query, tokens, next, scratch),
            Kind::PortableQuads(lanes) => kernel::fold(lanes, query, tokens, next, scratch),
        }
    }
}
