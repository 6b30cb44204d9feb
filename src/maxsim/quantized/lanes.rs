//! Lanes of four integers each, and portable ones.

use crate::maxsim::lanes::Lanes;

/// Lanes that hold four integers of 8 bits, of four columns: `mul_add` multiplies each of the first operand, without a
/// sign, by that of the second, with one, and adds the products to a sum of 32 bits.
///
/// All that is done here is the same, bit for bit, whatever the instructions are, if integers of queries are no larger
/// than what [`QuadLanes::LARGEST`] says.
pub(super) trait QuadLanes: Lanes<Value = [u8; 4]> {
    /// Largest integer of a query.
    const LARGEST: f32;

    /// A register of f32.
    type Floats: Copy;

    /// Lanes from the first [`Lanes::WIDTH`] values, which there are.
    fn load_floats(self, values: &[f32]) -> Self::Floats;

    /// Lanes from the first [`Lanes::WIDTH`] values, which there are.
    fn load_integers(self, values: &[i32]) -> Self::Register;

    /// Lanes to the first [`Lanes::WIDTH`] values of `to`, which has no fewer.
    fn store_floats(self, register: Self::Floats, to: &mut [f32]);

    /// The greater of `max` and `scale · (sums − excess) + residual · lengths` in each lane; the last addition rounds
    /// once.
    fn raise(
        self,
        max: Self::Floats,
        sums: Self::Register,
        row: Row,
        token: Tokens<Self>,
    ) -> Self::Floats;
}

/// A document row's scale and residual.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub scale: f32,
    pub residual: f32,
}

/// A register of query tokens, without their integers.
#[derive(Clone, Copy)]
pub(super) struct Tokens<L: QuadLanes> {
    pub excess: L::Register,
    pub lengths: L::Floats,
}

/// `N` lanes in plain Rust: what others are tested against.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortableQuads<const N: usize>;

impl<const N: usize> Lanes for PortableQuads<N> {
    const WIDTH: usize = N;
    const REGISTERS: usize = 16;
    type Value = [u8; 4];
    type Register = [i32; N];

    #[inline(always)]
    fn splat(self, value: [u8; 4]) -> [i32; N] {
        [i32::from_ne_bytes(value); N]
    }

    #[inline(always)]
    unsafe fn load(self, values: *const [u8; 4]) -> [i32; N] {
        // SAFETY: the caller vouches for N values; an array of i32 read unaligned needs no more.
        unsafe { values.cast::<[i32; N]>().read_unaligned() }
    }

    #[inline(always)]
    fn store(self, register: [i32; N], to: &mut [[u8; 4]]) {
        to.iter_mut().zip(register).for_each(|(to, lane)| *to = lane.to_ne_bytes());
    }

    #[inline(always)]
    fn mul_add(self, a: [i32; N], b: [i32; N], c: [i32; N]) -> [i32; N] {
        std::array::from_fn(|lane| {
            let pairs = a[lane].to_ne_bytes().into_iter().zip(b[lane].to_ne_bytes());
            c[lane] + pairs.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum::<i32>()
        })
    }

    #[inline(always)]
    fn add(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn max(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        std::array::from_fn(|lane| a[lane].max(b[lane]))
    }
}

impl<const N: usize> QuadLanes for PortableQuads<N> {
    const LARGEST: f32 = 127.0;
    type Floats = [f32; N];

    #[inline(always)]
    fn load_floats(self, values: &[f32]) -> [f32; N] {
        std::array::from_fn(|lane| values[lane])
    }

    #[inline(always)]
    fn load_integers(self, values: &[i32]) -> [i32; N] {
        std::array::from_fn(|lane| values[lane])
    }

    #[inline(always)]
    fn store_floats(self, register: [f32; N], to: &mut [f32]) {
        to[..N].copy_from_slice(&register);
    }

    #[inline(always)]
    fn raise(self, max: [f32; N], sums: [i32; N], row: Row, tokens: Tokens<Self>) -> [f32; N] {
        std::array::from_fn(|lane| {
            let similarity = (sums[lane] - tokens.excess[lane]) as f32 * row.scale;
            let bound = row.residual.mul_add(tokens.lengths[lane], similarity);
            if bound > max[lane] { bound } else { max[lane] }
        })
    }
}

/// Compiles the kernel for the instructions that lanes prove.
#[cfg(target_arch = "x86_64")]
macro_rules! compile_for {
    ($lanes:ty, $features:literal) => {
        impl $lanes {
            /// The kernel.
            pub(super) fn fold(
                self,
                query: &super::query::QuantizedQuery,
                rows: &crate::multivector::QuantizedRows<'_>,
                next: *const u8,
                maxima: &mut [f32],
            ) {
                #[target_feature(enable = $features)]
                fn compiled(
                    lanes: $lanes,
                    query: &super::query::QuantizedQuery,
                    rows: &crate::multivector::QuantizedRows<'_>,
                    next: *const u8,
                    maxima: &mut [f32],
                ) {
                    super::kernel::fold(lanes, query, rows, next, maxima)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, query, rows, next, maxima) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use compile_for;
