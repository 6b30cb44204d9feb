//! Integer lanes of this machine, detected once.

#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2Quads;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512Vnni;
use super::kernel::{self, Scratch};
use super::lanes::{PortableQuads, QuadLanes};
use super::query::QuantizedQuery;
#[cfg(target_arch = "x86_64")]
use crate::multivector::{QuantizedMatrix, TokenMatrix};
use crate::multivector::{QuantizedMatrixRef, TokenMatrixRef};

/// Integer lanes that this machine was found to have, and that were found to be right.
#[derive(Clone, Copy, Debug)]
pub(in crate::maxsim) struct Integers(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(Avx2Quads<true>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2Quads<false>),
    /// Portable lanes, which the others are checked against. They take longer than scoring.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // There are no others yet.
    Portable(PortableQuads<8>),
}

impl Integers {
    /// Those of machines with AVX-512. Without VNNI they would not be faster than scoring.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::maxsim) fn avx512() -> Option<Self> {
        static FOUND: OnceLock<Option<Integers>> = OnceLock::new();
        *FOUND.get_or_init(|| Self::checked(Avx512Vnni::detect().map(Kind::Avx512Vnni)))
    }

    /// Those of machines with AVX2: with AVX-VNNI, if it is there.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::maxsim) fn avx2() -> Option<Self> {
        static FOUND: OnceLock<Option<Integers>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let vnni = || Self::checked(Avx2Quads::detect().map(Kind::AvxVnni));
            vnni().or_else(|| Self::checked(Avx2Quads::detect().map(Kind::Avx2)))
        })
    }

    /// Every kind that this machine has, checked or not.
    #[cfg(test)]
    pub(in crate::maxsim) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let native = [
            Avx512Vnni::detect().map(Kind::Avx512Vnni),
            Avx2Quads::detect().map(Kind::AvxVnni),
            Avx2Quads::detect().map(Kind::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let native: [Option<Kind>; 0] = [];
        let portable = Kind::Portable(PortableQuads);
        native.into_iter().flatten().chain([portable]).map(Self).collect()
    }

    /// A kind that bounds a known batch as the portable lanes do: instructions that are there may still be broken, by
    /// an emulator for one.
    #[cfg(target_arch = "x86_64")]
    fn checked(kind: Option<Kind>) -> Option<Self> {
        let (found, portable) = (Self(kind?), Self(Kind::Portable(PortableQuads)));
        let right = found.known_batch(portable).is_some_and(|(got, expected)| got == expected);
        if !right {
            log::warn!("{found:?} is not used: it bounded a known batch wrong");
        }
        right.then_some(found)
    }

    /// Maxima of a known batch, by these lanes and by others, from the same integers.
    #[cfg(target_arch = "x86_64")]
    fn known_batch(self, other: Self) -> Option<(Vec<f32>, Vec<f32>)> {
        let matrix = |tokens: usize| {
            let value = |at: usize| ((at * at * 7 + at) % 257) as f32 / 16.0 - 8.0;
            TokenMatrix::new(&(0..tokens * 45).map(value).collect::<Vec<_>>(), 45).ok()
        };
        let (tokens, query) = (67, matrix(67)?);
        let document = QuantizedMatrix::new(matrix(61)?.view()).ok()?;
        let maxima = |lanes: Self| {
            let query = QuantizedQuery::new(query.view(), lanes.lane_width(), self.largest())?;
            let mut scratch = Scratch::new(&query);
            lanes.fold(&query, document.view(), None, &mut scratch);
            Some(scratch.maxima.get(..tokens)?.to_vec())
        };
        Some((maxima(self)?, maxima(other)?))
    }

    /// A query for these lanes; `None` where bounds would be of no use.
    pub(in crate::maxsim) fn query(self, query: TokenMatrixRef<'_>) -> Option<QuantizedQuery> {
        QuantizedQuery::new(query, self.lane_width(), self.largest())
    }

    /// Upper bound of a document's score; `next` is the one after.
    pub(in crate::maxsim) fn bound(
        self,
        query: &QuantizedQuery,
        document: QuantizedMatrixRef<'_>,
        next: Option<QuantizedMatrixRef<'_>>,
        scratch: &mut Scratch,
    ) -> f64 {
        self.fold(query, document, next, scratch);
        query.bound(&scratch.maxima, document.parts().longest)
    }

    /// i32 lanes of a register.
    pub(in crate::maxsim) fn lane_width(self) -> usize {
        self.constants().0
    }

    /// Largest integer of a query.
    fn largest(self) -> f32 {
        self.constants().1
    }

    fn constants(self) -> (usize, f32) {
        fn of<L: QuadLanes>(_: L) -> (usize, f32) {
            (L::WIDTH, L::LARGEST)
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni(lanes) => of(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni(lanes) => of(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(lanes) => of(lanes),
            Kind::Portable(lanes) => of(lanes),
        }
    }

    /// Maxima of a document, to `scratch`.
    fn fold(
        self,
        query: &QuantizedQuery,
        document: QuantizedMatrixRef<'_>,
        next: Option<QuantizedMatrixRef<'_>>,
        scratch: &mut Scratch,
    ) {
        let (rows, maxima) = (document.parts(), &mut scratch.maxima);
        let next = next.unwrap_or(document).parts().codes.as_ptr().cast();
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni(lanes) => lanes.fold(query, &rows, next, maxima),
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni(lanes) => lanes.fold(query, &rows, next, maxima),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(lanes) => lanes.fold(query, &rows, next, maxima),
            Kind::Portable(lanes) => kernel::fold(lanes, query, &rows, next, maxima),
        }
    }
}
