//! Sixteen lanes of quads with AVX-512 VNNI.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{QuadLanes, Row, Tokens};
use crate::maxsim::lanes::Lanes;

/// Proof that this machine has AVX-512F and AVX-512 VNNI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512Vnni(());

impl Avx512Vnni {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        found.then_some(Self(()))
    }
}

super::lanes::compile_for!(Avx512Vnni, "avx512f,avx512vnni");

impl Lanes for Avx512Vnni {
    const WIDTH: usize = 16;
    const REGISTERS: usize = 32;
    type Value = [u8; 4];
    type Register = __m512i;

    #[inline(always)]
    fn splat(self, value: [u8; 4]) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_set1_epi32(i32::from_le_bytes(value)) }
    }

    #[inline(always)]
    unsafe fn load(self, values: *const [u8; 4]) -> __m512i {
        // SAFETY: the caller vouches for 16 values; loadu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_loadu_si512(values.cast()) }
    }

    #[inline(always)]
    fn store(self, register: __m512i, to: &mut [[u8; 4]]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 16 values; storeu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), register) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512 VNNI.
        unsafe { _mm512_dpbusd_epi32(c, a, b) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_max_epi32(a, b) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f16) {
        // SAFETY: a prefetch reads nothing, so any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl QuadLanes for Avx512Vnni {
    const LARGEST: f32 = 127.0;
    type Floats = __m512;

    #[inline(always)]
    fn load_floats(self, values: &[f32]) -> __m512 {
        let values = &values[..Self::WIDTH];
        // SAFETY: there are 16 values; loadu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_integers(self, values: &[i32]) -> __m512i {
        let values = &values[..Self::WIDTH];
        // SAFETY: there are 16 values; loadu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_floats(self, register: __m512, to: &mut [f32]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 16 values; storeu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), register) }
    }

    #[inline(always)]
    fn raise(self, max: __m512, sums: __m512i, row: Row, tokens: Tokens<Self>) -> __m512 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe {
            let sums = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums, tokens.excess));
            let similarity = _mm512_mul_ps(sums, _mm512_set1_ps(row.scale));
            let bound = _mm512_fmadd_ps(_mm512_set1_ps(row.residual), tokens.lengths, similarity);
            _mm512_max_ps(bound, max)
        }
    }
}
