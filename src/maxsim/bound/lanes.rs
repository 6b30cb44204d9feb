//! Lanes of two integers each, and a portable one.

use half::f16;

use crate::maxsim::lanes::Lanes;

/// Lanes that hold two integers of 16 bits, of two columns: `mul_add` multiplies both and adds the
/// products to a sum of 32 bits. The two are packed in an `i32` as they lie in memory.
///
/// All that is done here is the same, bit for bit, whatever the instructions are.
pub(super) trait PairLanes: Lanes<Value = i32> {
    /// The largest magnitude.
    fn largest(self, values: &[f16]) -> f32;

    /// `value · scale` in f32, rounded to the nearest integer, ties to the even one, and to the nearest
    /// that 16 bits hold; both slices are of one length.
    fn quantize(self, from: &[f16], scale: f32, to: &mut [i16]);
}

/// Bits of a magnitude in f16: all but the sign.
pub(super) const MAGNITUDE: u16 = 0x7fff;

/// `N` lanes in plain Rust: what others are tested against, and run where there are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortablePairs<const N: usize>;

impl<const N: usize> Lanes for PortablePairs<N> {
    const WIDTH: usize = N;
    const REGISTERS: usize = 16;
    type Value = i32;
    type Register = [i32; N];

    #[inline(always)]
    fn splat(self, value: i32) -> [i32; N] {
        [value; N]
    }

    #[inline(always)]
    unsafe fn load(self, values: *const i32) -> [i32; N] {
        // SAFETY: the caller vouches for N values; an array of i32 read unaligned needs no more.
        unsafe { values.cast::<[i32; N]>().read_unaligned() }
    }

    #[inline(always)]
    fn store(self, register: [i32; N], to: &mut [i32]) {
        to[..N].copy_from_slice(&register);
    }

    #[inline(always)]
    fn mul_add(self, a: [i32; N], b: [i32; N], c: [i32; N]) -> [i32; N] {
        std::array::from_fn(|lane| {
            let ([a, b], [x, y]) = (pair(a[lane]), pair(b[lane]));
            c[lane].wrapping_add(a * x + b * y)
        })
    }

    #[inline(always)]
    fn add(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn max(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        std::array::from_fn(|lane| a[lane].max(b[lane]))
    }
}

/// The two integers of a lane.
#[inline(always)]
fn pair(packed: i32) -> [i32; 2] {
    bytemuck::cast::<i32, [i16; 2]>(packed).map(i32::from)
}

impl<const N: usize> PairLanes for PortablePairs<N> {
    #[inline(always)]
    fn largest(self, values: &[f16]) -> f32 {
        f16::from_bits(largest_bits(values)).to_f32()
    }

    #[inline(always)]
    fn quantize(self, from: &[f16], scale: f32, to: &mut [i16]) {
        quantize(from, scale, to);
    }
}

/// The largest magnitude's bits, which are in the order of what they stand for.
#[inline(always)]
pub(super) fn largest_bits(values: &[f16]) -> u16 {
    values.iter().fold(0, |largest, value| largest.max(value.to_bits() & MAGNITUDE))
}

/// [`PairLanes::quantize`], one by one.
#[inline(always)]
pub(super) fn quantize(from: &[f16], scale: f32, to: &mut [i16]) {
    for (from, to) in from.iter().zip(to) {
        *to = (from.to_f32() * scale).round_ties_even() as i16;
    }
}

/// Compiles the bound's kernel for the instructions that lanes prove.
#[cfg(target_arch = "x86_64")]
macro_rules! compile_bound_for {
    ($lanes:ty, $features:literal) => {
        impl $lanes {
            /// The kernel.
            pub(super) fn fold(
                self,
                query: &super::query::QuantizedQuery,
                tokens: &[half::f16],
                next: &[half::f16],
                scratch: &mut super::kernel::Scratch,
            ) {
                #[target_feature(enable = $features)]
                fn compiled(
                    lanes: $lanes,
                    query: &super::query::QuantizedQuery,
                    tokens: &[half::f16],
                    next: &[half::f16],
                    scratch: &mut super::kernel::Scratch,
                ) {
                    super::kernel::fold(lanes, query, tokens, next, scratch)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, query, tokens, next, scratch) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use compile_bound_for;
