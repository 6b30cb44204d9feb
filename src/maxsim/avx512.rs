//! Sixteen lanes with AVX-512 F, BW and DQ.

use std::arch::x86_64::*;

use half::f16;

#[cfg(feature = "recall")]
use super::lanes::ByteLanes;
use super::lanes::{FloatLanes, Lanes};

/// Proof that this machine has AVX-512 F, BW and DQ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        found.then_some(Self(()))
    }
}

super::lanes::compile_for!(Avx512, "avx512f,avx512bw,avx512dq");

impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    const REGISTERS: usize = 32;
    type Value = f32;
    type Register = __m512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, values: *const f32) -> __m512 {
        // SAFETY: the caller vouches for 16 values; loadu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_loadu_ps(values) }
    }

    #[inline(always)]
    fn store(self, register: __m512, to: &mut [f32]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 16 values; storeu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), register) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f16) {
        // SAFETY: a prefetch reads nothing, so any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl FloatLanes for Avx512 {
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn sums(self, registers: [__m512; 4]) -> [f32; 4] {
        // SAFETY: `self` exists, so detect() has found AVX-512 F and DQ, and with them AVX.
        let sums = unsafe {
            // Not `registers.map`, which is compiled by itself, without these instructions.
            let [a, b, c, d] = registers;
            let (a, b, c, d) = (folded(a), folded(b), folded(c), folded(d));
            let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps::<1>(pairs))
        };
        // SAFETY: both are 16 bytes of f32.
        unsafe { std::mem::transmute(sums) }
    }

    #[inline(always)]
    fn widen(self, from: &[f16], to: &mut [f32]) {
        let (from, from_tail) = from.as_chunks::<16>();
        let (to, to_tail) = to.as_chunks_mut::<16>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: `from` is 32 bytes and `to` 64; loadu and storeu need no alignment; `self`
            // proves AVX-512F.
            unsafe {
                let halves = _mm256_loadu_si256(from.as_ptr().cast());
                _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtph_ps(halves));
            }
        }
        for (from, to) in from_tail.iter().zip(to_tail) {
            *to = from.to_f32();
        }
    }
    #[inline(always)]
    unsafe fn load_widened(self, values: *const f16) -> __m512 {
        // SAFETY: the caller vouches for 16 values; loadu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(values.cast())) }
    }
}

#[cfg(feature = "recall")]
impl ByteLanes for Avx512 {
    const PRODUCTS: usize = 32;
    type Sums = __m512i;

    #[inline(always)]
    fn zero(self) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn add_products(self, a: *const i16, b: *const u8, to: __m512i) -> __m512i {
        // SAFETY: the caller vouches for 32 values of both; loadu needs no alignment; `self` proves
        // AVX-512 F and BW.
        unsafe {
            let b = _mm512_cvtepu8_epi16(_mm256_loadu_si256(b.cast()));
            _mm512_add_epi32(to, _mm512_madd_epi16(_mm512_loadu_si512(a.cast()), b))
        }
    }

    #[inline(always)]
    fn total(self, a: __m512i, b: __m512i) -> i32 {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_reduce_add_epi32(_mm512_add_epi32(a, b)) }
    }
}

/// The upper half of a register's lanes added to the lower.
///
/// # Safety
/// The machine has AVX-512 F and DQ.
#[inline(always)]
unsafe fn folded(register: __m512) -> __m256 {
    // SAFETY: the caller vouches for AVX-512 F and DQ, and with them AVX.
    unsafe {
        let high = _mm512_extractf32x8_ps::<1>(register);
        _mm256_add_ps(_mm512_castps512_ps256(register), high)
    }
}
