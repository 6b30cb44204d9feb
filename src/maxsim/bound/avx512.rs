//! Sixteen lanes of pairs, or of quads, with AVX-512 VNNI.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{
    Columns, IntegerLanes, MAGNITUDE, OFFSET, largest_bits, quantize, quantize_pairs,
};
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
        quantize_pairs(rows, dim, to, |from, to| self.quantize_part(from, scale, to));
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

    /// Rounds a row's values to bytes, plus [`OFFSET`]; both slices are of one length. Gives sums of their squares, a lane each
    /// of some of the columns.
    #[inline(always)]
    fn quantize_row(self, from: &[f16], scale: f32, to: &mut [u8]) -> __m512i {
        let ((from, from_tail), (to, to_tail)) = (from.as_chunks::<64>(), to.as_chunks_mut::<64>());
        let mut squares = self.splat(0);
        for (from, to) in from.iter().zip(to) {
            self.quantize_64(from, scale, to, &mut squares);
        }
        if !from_tail.is_empty() {
            let (mut values, mut bytes) = ([f16::ZERO; 64], [0; 64]);
            values[..from_tail.len()].copy_from_slice(from_tail);
            self.quantize_64(&values, scale, &mut bytes, &mut squares);
            to_tail.copy_from_slice(&bytes[..to_tail.len()]);
        }
        squares
    }

    /// The sum of each of four rows' lanes.
    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m512i; 4]) -> __m128i {
        // SAFETY: `self` exists, so detect() has found AVX-512F.
        unsafe {
            let halves =
                |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (ab, cd) = (halves(a, b), halves(c, d));
            // In every 128 bits a lane a row.
            let quarters =
                _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
            let (low, high) =
                (_mm512_castsi512_si256(quarters), _mm512_extracti64x4_epi64::<1>(quarters));
            let halves = _mm256_add_epi32(low, high);
            _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
        }
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

    /// Two lines, too.
    #[inline(always)]
    fn prefetch_later(self, at: *const f16) {
        // SAFETY: a prefetch reads nothing, so any address will do.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(at.cast());
            _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(32).cast());
        }
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
        let (to, stride): (&mut [u8], _) = (bytemuck::cast_slice_mut(to), dim.next_multiple_of(4));
        let mut most = [0; 4];
        for (from, to) in rows.chunks(4 * dim).zip(to.chunks_mut(4 * stride)) {
            let rows = from.chunks_exact(dim).zip(to.chunks_exact_mut(stride));
            let mut squares = [self.splat(0); 4];
            for ((from, to), squares) in rows.zip(&mut squares) {
                *squares = self.quantize_row(from, scale, &mut to[..dim]);
            }
            let sums: [i32; 4] = bytemuck::cast(self.sums(squares));
            most = std::array::from_fn(|row| sums[row].max(most[row]));
        }
        most.into_iter().fold(0, i32::max)
    }
}
