//! Eight lanes with AVX2, FMA and F16C.

use std::arch::x86_64::*;

use half::f16;

#[cfg(feature = "recall")]
use super::lanes::ByteLanes;
use super::lanes::{FloatLanes, Lanes};

/// Proof that this machine has AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }
}

super::lanes::compile_for!(Avx2, "avx2,fma,f16c");

impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    const REGISTERS: usize = 16;
    type Value = f32;
    type Register = __m256;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, values: *const f32) -> __m256 {
        // SAFETY: the caller vouches for 8 values; loadu needs no alignment; `self` proves AVX.
        unsafe { _mm256_loadu_ps(values) }
    }

    #[inline(always)]
    fn store(self, register: __m256, to: &mut [f32]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 8 values; storeu needs no alignment; `self` proves AVX.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), register) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` exists, so detect() has found FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f16) {
        // SAFETY: a prefetch reads nothing, so any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl FloatLanes for Avx2 {
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        // SAFETY: `self` exists, so detect() has found AVX.
        let sums = unsafe {
            let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps::<1>(pairs))
        };
        // SAFETY: both are 16 bytes of f32.
        unsafe { std::mem::transmute(sums) }
    }

    #[inline(always)]
    fn widen(self, from: &[f16], to: &mut [f32]) {
        let (from, from_tail) = from.as_chunks::<8>();
        let (to, to_tail) = to.as_chunks_mut::<8>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: `from` is 16 bytes and `to` 32; loadu and storeu need no alignment; `self`
            // proves AVX and F16C.
            unsafe {
                let halves = _mm_loadu_si128(from.as_ptr().cast());
                _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(halves));
            }
        }
        for (from, to) in from_tail.iter().zip(to_tail) {
            *to = from.to_f32();
        }
    }
    #[inline(always)]
    unsafe fn load_widened(self, values: *const f16) -> __m256 {
        // SAFETY: the caller vouches for 8 values; loadu needs no alignment; `self` proves F16C.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(values.cast())) }
    }
}

#[cfg(feature = "recall")]
impl ByteLanes for Avx2 {
    const PRODUCTS: usize = 16;
    type Sums = __m256i;

    #[inline(always)]
    fn zero(self) -> __m256i {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn add_products(self, a: *const i16, b: *const u8, to: __m256i) -> __m256i {
        // SAFETY: the caller vouches for 16 values of both; loadu needs no alignment; `self` proves
        // AVX2.
        unsafe {
            let b = _mm256_cvtepu8_epi16(_mm_loadu_si128(b.cast()));
            _mm256_add_epi32(to, _mm256_madd_epi16(_mm256_loadu_si256(a.cast()), b))
        }
    }

    #[inline(always)]
    fn total(self, a: __m256i, b: __m256i) -> i32 {
        // SAFETY: both are 32 bytes; `self` proves AVX2.
        let lanes: [i32; 8] = unsafe { std::mem::transmute(_mm256_add_epi32(a, b)) };
        lanes.into_iter().sum()
    }
}
