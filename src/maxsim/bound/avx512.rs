//! Sixteen lanes of pairs, or of quads, with AVX-512 VNNI.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{Columns, IntegerLanes, MAGNITUDE, OFFSET, largest_bits, quantize};
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

impl IntegerLanes for Avx512Vnni {
    const COLUMNS: Columns = Columns::Pairs;

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
    fn quantize(self, rows: &[f16], dim: usize, scale: f32, to: &mut [i32]) -> i32 {
        // Of an even number of columns, nothing lies between rows.
        let part = if dim.is_multiple_of(2) { rows.len() } else { dim };
        let to: &mut [i16] = bytemuck::cast_slice_mut(to);
        let to = to.chunks_exact_mut(part.next_multiple_of(2));
        for (from, to) in rows.chunks_exact(part).zip(to) {
            self.quantize_part(from, scale, &mut to[..part]);
        }
        0
    }
}

impl Avx512Vnni {
    /// Rounds values; both slices are of one length.
    #[inline(always)]
    fn quantize_part(self, from: &[f16], scale: f32, to: &mut [i16]) {
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

/// Lanes of four integers each: of the same instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512Quads(Avx512Vnni);

impl Avx512Quads {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        Avx512Vnni::detect().map(Self)
    }

    /// Rounds a row's values to bytes, plus [`OFFSET`], and sums up their squares; both slices are of one length.
    #[inline(always)]
    fn quantize_row(self, from: &[f16], scale: f32, to: &mut [u8]) -> i32 {
        let ((from, from_tail), (to, to_tail)) = (from.as_chunks::<64>(), to.as_chunks_mut::<64>());
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        let mut squares = unsafe { _mm512_setzero_si512() };
        for (from, to) in from.iter().zip(to) {
            self.quantize_64(from, scale, to, &mut squares);
        }
        if !from_tail.is_empty() {
            let (mut values, mut bytes) = ([f16::ZERO; 64], [0; 64]);
            values[..from_tail.len()].copy_from_slice(from_tail);
            self.quantize_64(&values, scale, &mut bytes, &mut squares);
            to_tail.copy_from_slice(&bytes[..to_tail.len()]);
        }
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe { _mm512_reduce_add_epi32(squares) }
    }

    #[inline(always)]
    fn quantize_64(self, from: &[f16; 64], scale: f32, to: &mut [u8; 64], squares: &mut __m512i) {
        // SAFETY: `from` is 128 bytes, of which a quarter is 32, and `to` 64; loadu and storeu need no alignment;
        // `self` proves AVX-512 F, BW and VNNI.
        unsafe {
            let integers = |at: usize| {
                let halves = _mm256_loadu_si256(from.as_ptr().add(at).cast());
                _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(scale)))
            };
            let low = _mm512_packs_epi32(integers(0), integers(16));
            let high = _mm512_packs_epi32(integers(32), integers(48));
            *squares = _mm512_dpwssd_epi32(*squares, low, low);
            *squares = _mm512_dpwssd_epi32(*squares, high, high);
            // Packing takes turns between the four in every 128 bits.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
            // Adds 128, modulo 256.
            let bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8(OFFSET as i8));
            _mm512_storeu_si512(to.as_mut_ptr().cast(), bytes);
        }
    }
}

super::lanes::compile_bound_for!(Avx512Quads, "avx512f,avx512bw,avx512vnni");

impl Lanes for Avx512Quads {
    const WIDTH: usize = 16;
    const REGISTERS: usize = 32;
    type Value = i32;
    type Register = __m512i;

    #[inline(always)]
    fn splat(self, value: i32) -> __m512i {
        self.0.splat(value)
    }

    #[inline(always)]
    unsafe fn load(self, values: *const i32) -> __m512i {
        // SAFETY: as the caller vouches.
        unsafe { self.0.load(values) }
    }

    #[inline(always)]
    fn store(self, register: __m512i, to: &mut [i32]) {
        self.0.store(register, to);
    }

    #[inline(always)]
    fn mul_add(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: `self` exists, so detect() has found AVX-512 VNNI.
        unsafe { _mm512_dpbusd_epi32(c, a, b) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        self.0.add(a, b)
    }

    #[inline(always)]
    fn max(self, a: __m512i, b: __m512i) -> __m512i {
        self.0.max(a, b)
    }

    /// Two lines: a tile takes half the time of one of pairs, while as much is to be fetched.
    #[inline(always)]
    fn prefetch(self, at: *const f16) {
        self.0.prefetch(at);
        self.0.prefetch(at.wrapping_add(32));
    }
}

impl IntegerLanes for Avx512Quads {
    const COLUMNS: Columns = Columns::Quads;

    #[inline(always)]
    fn largest(self, values: &[f16]) -> f32 {
        self.0.largest(values)
    }

    #[inline(always)]
    fn quantize(self, rows: &[f16], dim: usize, scale: f32, to: &mut [i32]) -> i32 {
        let to: &mut [u8] = bytemuck::cast_slice_mut(to);
        let to = to.chunks_exact_mut(dim.next_multiple_of(4));
        let mut most = 0;
        for (from, to) in rows.chunks_exact(dim).zip(to) {
            most = most.max(self.quantize_row(from, scale, &mut to[..dim]));
        }
        most
    }
}
