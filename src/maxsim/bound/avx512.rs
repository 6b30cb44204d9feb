//! Sixteen lanes of pairs with AVX-512 VNNI.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{MAGNITUDE, PairLanes, largest_bits, quantize};
use crate::maxsim::lanes::Lanes;

/// Proof that this machine has AVX-512 F, BW and VNNI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512Vnni(());

impl Avx512Vnni {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        found.then_some(Self(()))
    }
}

super::lanes::compile_bound_for!(Avx512Vnni, "avx512f,avx512bw,avx512vnni");

impl Lanes for Avx512Vnni {
    const WIDTH: usize = 16;
    const REGISTERS: usize = 32;
    type Value = i32;
    type Register = __m512i;

    #[inline(always)]
    fn splat(self, value: i32) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn load(self, values: *const i32) -> __m512i {
        // SAFETY: the caller vouches for 16 values; loadu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_loadu_si512(values.cast()) }
    }

    #[inline(always)]
    fn store(self, register: __m512i, to: &mut [i32]) {
        let to = &mut to[..Self::WIDTH];
        // SAFETY: `to` has 16 values; storeu needs no alignment; `self` proves AVX-512F.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), register) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512 VNNI.
        unsafe { _mm512_dpwssd_epi32(c, a, b) }
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

impl PairLanes for Avx512Vnni {
    #[inline(always)]
    fn largest(self, values: &[f16]) -> f32 {
        let (registers, tail) = values.as_chunks::<32>();
        // SAFETY: a chunk is 64 bytes; loadu needs no alignment; `self` proves AVX-512 F and BW.
        let largest: [u16; 32] = unsafe {
            let mut largest = _mm512_setzero_si512();
            for register in registers {
                let bits = _mm512_loadu_si512(register.as_ptr().cast());
                let magnitudes = _mm512_and_si512(bits, _mm512_set1_epi16(MAGNITUDE as i16));
                largest = _mm512_max_epu16(largest, magnitudes);
            }
            std::mem::transmute(largest)
        };
        let largest = largest.into_iter().fold(largest_bits(tail), u16::max);
        f16::from_bits(largest).to_f32()
    }

    #[inline(always)]
    fn quantize(self, from: &[f16], scale: f32, to: &mut [i16]) {
        let (from, from_tail) = from.as_chunks::<32>();
        let (to, to_tail) = to.as_chunks_mut::<32>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: both are 64 bytes, of which a half is 32; loadu and storeu need no alignment;
            // `self` proves AVX-512 F and BW.
            unsafe {
                let integers = |at: usize| {
                    let halves = _mm256_loadu_si256(from.as_ptr().add(at).cast());
                    let scaled = _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(scale));
                    _mm512_cvtps_epi32(scaled)
                };
                // Packing takes turns between the two in every 128 bits.
                let packed = _mm512_packs_epi32(integers(0), integers(16));
                let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
                let packed = _mm512_permutexvar_epi64(order, packed);
                _mm512_storeu_si512(to.as_mut_ptr().cast(), packed);
            }
        }
        quantize(from_tail, scale, to_tail);
    }
}
