//! Eight lanes of pairs, with AVX2 and F16C, and with AVX-VNNI.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{Columns, IntegerLanes, MAGNITUDE, largest_bits, quantize, quantize_pairs};
use crate::maxsim::lanes::Lanes;

/// Proof that this machine has AVX2 and F16C; and AVX-VNNI, if `VNNI`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2Pairs<const VNNI: bool>(());

impl<const VNNI: bool> Avx2Pairs<VNNI> {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("f16c")
            && (!VNNI || is_x86_feature_detected!("avxvnni"));
        found.then_some(Self(()))
    }
}

super::lanes::compile_bound_for!(Avx2Pairs<false>, "avx2,f16c");
super::lanes::compile_bound_for!(Avx2Pairs<true>, "avx2,f16c,avxvnni");

impl<const VNNI: bool> Lanes for Avx2Pairs<VNNI> {
    const WIDTH: usize = 8;
    // Without VNNI, products are in registers before they are added.
    const REGISTERS: usize = if VNNI { 16 } else { 12 };
    type Value = i32;
    type Register = __m256i;

    #[inline(always)]
    fn splat(self, value: i32) -> __m256i {
        // SAFETY: `self` exists, so detect() has found AVX.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn load(self, values: *const i32) -> __m256i {
        // SAFETY: the caller vouches for 8 values; loadu needs no alignment; `self` proves AVX.
        unsafe { _mm256_loadu_si256(values.cast()) }
    }

    #[inline(always)]
    fn store(self, register: __m256i, to: &mut [i32]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 8 values; storeu needs no alignment; `self` proves AVX.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), register) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        if VNNI {
            // SAFETY: `self` exists, so detect() has found AVX-VNNI.
            return unsafe { _mm256_dpwssd_avx_epi32(c, a, b) };
        }
        // SAFETY: `self` exists, so detect() has found AVX2.
        unsafe { _mm256_add_epi32(_mm256_madd_epi16(a, b), c) }
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

impl<const VNNI: bool> IntegerLanes for Avx2Pairs<VNNI> {
    const COLUMNS: Columns = Columns::Pairs;

    #[inline(always)]
    fn largest(self, values: &[f16]) -> f32 {
        let (registers, tail) = values.as_chunks::<16>();
        // SAFETY: a chunk is 32 bytes; loadu needs no alignment; `self` proves AVX2.
        let largest: [u16; 16] = unsafe {
            let mut largest = _mm256_setzero_si256();
            for register in registers {
                let bits = _mm256_loadu_si256(register.as_ptr().cast());
                let magnitudes = _mm256_and_si256(bits, _mm256_set1_epi16(MAGNITUDE as i16));
                largest = _mm256_max_epu16(largest, magnitudes);
            }
            std::mem::transmute(largest)
        };
        let largest = largest.into_iter().fold(largest_bits(tail), u16::max);
        f16::from_bits(largest).to_f32()
    }

    #[inline(always)]
    fn quantize(self, rows: &[f16], dim: usize, scale: f32, to: &mut [i32]) -> i32 {
        quantize_pairs(rows, dim, to, |from, to| self.quantize_part(from, scale, to));
        0
    }
}

impl<const VNNI: bool> Avx2Pairs<VNNI> {
    /// Rounds values; both slices are of one length.
    #[inline(always)]
    fn quantize_part(self, from: &[f16], scale: f32, to: &mut [i16]) {
        let (from, from_tail) = from.as_chunks::<16>();
        let (to, to_tail) = to.as_chunks_mut::<16>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: both are 32 bytes, of which a half is 16; loadu and storeu need no alignment;
            // `self` proves AVX2 and F16C.
            unsafe {
                let integers = |at: usize| {
                    let halves = _mm_loadu_si128(from.as_ptr().add(at).cast());
                    let scaled = _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(scale));
                    _mm256_cvtps_epi32(scaled)
                };
                // Packing takes turns between the two in every 128 bits.
                let packed = _mm256_packs_epi32(integers(0), integers(8));
                let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
                _mm256_storeu_si256(to.as_mut_ptr().cast(), packed);
            }
        }
        quantize(from_tail, scale, to_tail);
    }
}
