//! Eight lanes of quads, with AVX2, and with AVX-VNNI.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{QuadLanes, Row, Tokens};
use crate::maxsim::lanes::Lanes;

/// Proof that this machine has AVX2 and FMA; and AVX-VNNI, if `VNNI`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2Quads<const VNNI: bool>(());

impl<const VNNI: bool> Avx2Quads<VNNI> {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && (!VNNI || is_x86_feature_detected!("avxvnni"));
        found.then_some(Self(()))
    }
}

super::lanes::compile_for!(Avx2Quads<false>, "avx2,fma");
super::lanes::compile_for!(Avx2Quads<true>, "avx2,fma,avxvnni");

impl<const VNNI: bool> Lanes for Avx2Quads<VNNI> {
    const WIDTH: usize = 8;
    // Without VNNI, products are in registers before they are added.
    const REGISTERS: usize = if VNNI { 16 } else { 12 };
    type Value = [u8; 4];
    type Register = __m256i;

    #[inline(always)]
    fn splat(self, value: [u8; 4]) -> __m256i {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_set1_epi32(i32::from_le_bytes(value)) }
    }

    #[inline(always)]
    unsafe fn load(self, values: *const [u8; 4]) -> __m256i {
        // SAFETY: the caller vouches for 8 values; loadu needs no alignment; `self` proves AVX.
        unsafe { _mm256_loadu_si256(values.cast()) }
    }

    #[inline(always)]
    fn store(self, register: __m256i, to: &mut [[u8; 4]]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 8 values; storeu needs no alignment; `self` proves AVX.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), register) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        if VNNI {
            // SAFETY: `self` exists, so detect() has found AVX-VNNI.
            return unsafe { _mm256_dpbusd_avx_epi32(c, a, b) };
        }
        // SAFETY: `self` exists, so detect() has found AVX2. Two products of 255 and 64 fit into 16 bits.
        unsafe {
            let pairs = _mm256_maddubs_epi16(a, b);
            _mm256_add_epi32(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)), c)
        }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` exists, so detect() has found AVX2.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` exists, so detect() has found AVX2.
        unsafe { _mm256_max_epi32(a, b) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f16) {
        // SAFETY: a prefetch reads nothing, so any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl<const VNNI: bool> QuadLanes for Avx2Quads<VNNI> {
    // Without VNNI, two products are added in 16 bits.
    const LARGEST: f32 = if VNNI { 127.0 } else { 64.0 };
    type Floats = __m256;

    #[inline(always)]
    fn load_floats(self, values: &[f32]) -> __m256 {
        let values = &values[..Self::WIDTH];
        // SAFETY: there are 8 values; loadu needs no alignment; `self` proves AVX.
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_integers(self, values: &[i32]) -> __m256i {
        let values = &values[..Self::WIDTH];
        // SAFETY: there are 8 values; loadu needs no alignment; `self` proves AVX.
        unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_floats(self, register: __m256, to: &mut [f32]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 8 values; storeu needs no alignment; `self` proves AVX.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), register) }
    }

    #[inline(always)]
    fn raise(self, max: __m256, sums: __m256i, row: Row, tokens: Tokens<Self>) -> __m256 {
        // SAFETY: `self` exists, so detect() has found AVX2 and FMA.
        unsafe {
            let sums = _mm256_cvtepi32_ps(_mm256_sub_epi32(sums, tokens.excess));
            let similarity = _mm256_mul_ps(sums, _mm256_set1_ps(row.scale));
            let bound = _mm256_fmadd_ps(_mm256_set1_ps(row.residual), tokens.lengths, similarity);
            _mm256_max_ps(bound, max)
        }
    }
}
