//! Lanes of two or four integers each, and portable ones.

use half::f16;

use crate::maxsim::lanes::Lanes;

/// Lanes that hold integers of neighbouring columns: `mul_add` multiplies each with its like and adds
/// the products to a sum of 32 bits. They are packed in an `i32` as they lie in memory.
///
/// All that is done here is the same, bit for bit, whatever the instructions are.
pub(super) trait IntegerLanes: Lanes<Value = i32> {
    /// The integers of a lane.
    const COLUMNS: Columns;

    /// The largest magnitude.
    fn largest(self, values: &[f16]) -> f32;

    /// Rounds `value · scale`, in f32, to the nearest integer, ties to the even one: of rows `[rows, dim]`
    /// to lanes `[rows, dim / columns of a lane]`, whose columns past `dim` stay as they are.
    ///
    /// It gives the largest sum of squares of a row's integers, where bounds need that.
    fn quantize(self, rows: &[f16], dim: usize, scale: f32, to: &mut [i32]) -> i32;
}

/// Integers of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::maxsim) enum Columns {
    /// Two of 16 bits.
    Pairs,
    /// Four of 8 bits. A document's are stored plus [`OFFSET`], without a sign.
    Quads,
}

impl Columns {
    /// Number of columns.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Pairs => 2,
            Self::Quads => 4,
        }
    }
}

/// What is added to a document's integers of 8 bits.
pub(super) const OFFSET: i32 = 128;

/// Bits of a magnitude in f16: all but the sign.
pub(super) const MAGNITUDE: u16 = 0x7fff;

/// `N` lanes, of four integers each if `QUADS`, else of two, in plain Rust: what others are tested against, and run where
/// there are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortableIntegers<const N: usize, const QUADS: bool>;

impl<const N: usize, const QUADS: bool> Lanes for PortableIntegers<N, QUADS> {
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
        let products = if QUADS { products_of_quads } else { products_of_pairs };
        std::array::from_fn(|lane| c[lane].wrapping_add(products(a[lane], b[lane])))
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

/// The sum of the products of two lanes' pairs.
#[inline(always)]
fn products_of_pairs(a: i32, b: i32) -> i32 {
    let pair = |packed: i32| bytemuck::cast::<i32, [i16; 2]>(packed).map(i32::from);
    let ([a, b], [x, y]) = (pair(a), pair(b));
    a * x + b * y
}

/// The sum of the products of two lanes' quads, the first without a sign.
#[inline(always)]
fn products_of_quads(a: i32, b: i32) -> i32 {
    let quads = a.to_ne_bytes().into_iter().zip(b.to_ne_bytes());
    quads.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum()
}

impl<const N: usize> IntegerLanes for PortableIntegers<N, false> {
    const COLUMNS: Columns = Columns::Pairs;

    #[inline(always)]
    fn largest(self, values: &[f16]) -> f32 {
        f16::from_bits(largest_bits(values)).to_f32()
    }

    #[inline(always)]
    fn quantize(self, rows: &[f16], dim: usize, scale: f32, to: &mut [i32]) -> i32 {
        quantize_pairs(rows, dim, to, |from, to| quantize(from, scale, to));
        0
    }
}

impl<const N: usize> IntegerLanes for PortableIntegers<N, true> {
    const COLUMNS: Columns = Columns::Quads;

    #[inline(always)]
    fn largest(self, values: &[f16]) -> f32 {
        f16::from_bits(largest_bits(values)).to_f32()
    }

    #[inline(always)]
    fn quantize(self, rows: &[f16], dim: usize, scale: f32, to: &mut [i32]) -> i32 {
        let to: &mut [u8] = bytemuck::cast_slice_mut(to);
        let to = to.chunks_exact_mut(dim.next_multiple_of(4));
        let mut most = 0;
        for (from, to) in rows.chunks_exact(dim).zip(to) {
            most = most.max(quantize_row(from, scale, &mut to[..dim]));
        }
        most
    }
}

/// The largest magnitude's bits, which are in the order of what they stand for.
#[inline(always)]
pub(super) fn largest_bits(values: &[f16]) -> u16 {
    values.iter().fold(0, |largest, value| largest.max(value.to_bits() & MAGNITUDE))
}

/// [`IntegerLanes::quantize`] to 16 bits, of rows or of all of them at once, by what rounds values to as many integers.
#[inline(always)]
pub(super) fn quantize_pairs(
    rows: &[f16],
    dim: usize,
    to: &mut [i32],
    round: impl Fn(&[f16], &mut [i16]),
) {
    // Of an even number of columns, nothing lies between rows.
    let part = if dim.is_multiple_of(2) { rows.len() } else { dim };
    let to: &mut [i16] = bytemuck::cast_slice_mut(to);
    let to = to.chunks_exact_mut(part.next_multiple_of(2));
    for (from, to) in rows.chunks_exact(part).zip(to) {
        round(from, &mut to[..part]);
    }
}

/// [`IntegerLanes::quantize`] to 16 bits, one by one.
#[inline(always)]
pub(super) fn quantize(from: &[f16], scale: f32, to: &mut [i16]) {
    for (from, to) in from.iter().zip(to) {
        *to = (from.to_f32() * scale).round_ties_even() as i16;
    }
}

/// A row rounded to bytes, plus [`OFFSET`], one by one; gives the sum of squares.
fn quantize_row(from: &[f16], scale: f32, to: &mut [u8]) -> i32 {
    let mut squares = 0;
    for (from, to) in from.iter().zip(to) {
        let integer = (from.to_f32() * scale).round_ties_even() as i32;
        *to = (integer + OFFSET) as u8;
        squares += integer * integer;
    }
    squares
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
