//! Operations of a vector register that the kernel uses.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// A register of lanes, and the instructions that a tile needs.
///
/// The value itself is the proof that this machine has the instructions: an implementation that
/// needs an instruction set has no other constructor than its detection. So the methods are safe.
pub(super) trait Lanes: Copy {
    /// Lanes of a register.
    const WIDTH: usize;

    /// Registers there are for a tile: 32, 16, or 12 where `mul_add` takes some for itself.
    const REGISTERS: usize;

    /// Value that a lane holds.
    type Value: Copy + Default;

    /// One register.
    type Register: Copy;

    /// Every lane holds `value`.
    fn splat(self, value: Self::Value) -> Self::Register;

    /// Lanes from the first [`Self::WIDTH`] values.
    ///
    /// # Safety
    /// `values` is valid for reading [`Self::WIDTH`] values; it needs no alignment.
    unsafe fn load(self, values: *const Self::Value) -> Self::Register;

    /// Lanes to the first [`Self::WIDTH`] values of `to`, which has no fewer.
    fn store(self, register: Self::Register, to: &mut [Self::Value]);

    /// `a · b + c` in each lane, with one rounding where the machine can.
    fn mul_add(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;

    /// `a + b` in each lane.
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;

    /// The greater of each pair of lanes.
    fn max(self, a: Self::Register, b: Self::Register) -> Self::Register;

    /// Fetches the cache line at an address that need not be valid, where the machine can.
    fn prefetch(self, _: *const f16) {}

    /// [`Lanes::prefetch`] into a cache further away, of what is read later.
    fn prefetch_later(self, _: *const f16) {}
}

/// Lanes of f32, and what else the exact kernels need.
pub(super) trait FloatLanes: Lanes<Value = f32> {
    /// `a − b` in each lane.
    fn sub(self, a: Self::Register, b: Self::Register) -> Self::Register;

    /// The sum of the lanes of each of four registers.
    fn sums(self, registers: [Self::Register; 4]) -> [f32; 4];

    /// Widens f16 values to f32, exactly; both slices are of one length.
    fn widen(self, from: &[f16], to: &mut [f32]);

    /// The first [`Lanes::WIDTH`] values, widened.
    ///
    /// # Safety
    /// `values` is valid for reading [`Lanes::WIDTH`] values; it needs no alignment beyond theirs.
    unsafe fn load_widened(self, values: *const f16) -> Self::Register;
}

/// Lanes of i32, which add up products of integers.
#[cfg(feature = "recall")]
pub(super) trait ByteLanes: Copy {
    /// Products that are added at once.
    const PRODUCTS: usize;

    /// One register.
    type Sums: Copy;

    /// Lanes of 0.
    fn zero(self) -> Self::Sums;

    /// The sums, and the products of the first [`Self::PRODUCTS`] of both.
    ///
    /// # Safety
    /// Both are valid for reading so many values; they need no alignment beyond their own.
    unsafe fn add_products(self, a: *const i16, b: *const u8, to: Self::Sums) -> Self::Sums;

    /// The sum of all lanes of both.
    fn total(self, a: Self::Sums, b: Self::Sums) -> i32;
}

/// `N` lanes in plain Rust, which the compiler maps to what the target always has.
///
/// Runs the algorithm of any register width on any machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable<const N: usize>;

impl<const N: usize> Lanes for Portable<N> {
    const WIDTH: usize = N;
    // What x86-64 and 64-bit Arm have, in 128 bits, holds half as many of these.
    const REGISTERS: usize = 16;
    type Value = f32;
    type Register = [f32; N];

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; N] {
        [value; N]
    }

    #[inline(always)]
    unsafe fn load(self, values: *const f32) -> [f32; N] {
        // SAFETY: the caller vouches for N values; an array of f32 read unaligned needs no more.
        unsafe { values.cast::<[f32; N]>().read_unaligned() }
    }

    #[inline(always)]
    fn store(self, register: [f32; N], to: &mut [f32]) {
        to[..N].copy_from_slice(&register);
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        std::array::from_fn(|lane| fused_where_cheap(a[lane], b[lane], c[lane]))
    }

    #[inline(always)]
    fn add(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn max(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }
}

impl<const N: usize> FloatLanes for Portable<N> {
    #[inline(always)]
    fn sub(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn sums(self, registers: [[f32; N]; 4]) -> [f32; 4] {
        registers.map(|register| register.iter().sum())
    }

    #[inline(always)]
    fn widen(self, from: &[f16], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    #[inline(always)]
    unsafe fn load_widened(self, values: *const f16) -> [f32; N] {
        let mut register = [0.0; N];
        // SAFETY: the caller vouches for N values.
        unsafe { std::slice::from_raw_parts(values, N) }.convert_to_f32_slice(&mut register);
        register
    }
}

#[cfg(feature = "recall")]
impl<const N: usize> ByteLanes for Portable<N> {
    const PRODUCTS: usize = N;
    type Sums = [i32; N];

    #[inline(always)]
    fn zero(self) -> [i32; N] {
        [0; N]
    }

    #[inline(always)]
    unsafe fn add_products(self, a: *const i16, b: *const u8, to: [i32; N]) -> [i32; N] {
        // SAFETY: the caller vouches for N values of both.
        let (a, b) = unsafe { (a.cast::<[i16; N]>().read(), b.cast::<[u8; N]>().read()) };
        std::array::from_fn(|lane| to[lane] + i32::from(a[lane]) * i32::from(b[lane]))
    }

    #[inline(always)]
    fn total(self, a: [i32; N], b: [i32; N]) -> i32 {
        a.into_iter().chain(b).sum()
    }
}

/// Without a fused instruction in the target's baseline, `f32::mul_add` is a call into libm.
#[inline(always)]
fn fused_where_cheap(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

/// Compiles what runs on lanes for the instructions that their type proves.
#[cfg(target_arch = "x86_64")]
macro_rules! compile_for {
    ($lanes:ty, $features:literal) => {
        impl $lanes {
            /// The kernel.
            pub(super) fn fold(
                self,
                queries: &super::query::PackedQueries,
                tokens: &[half::f16],
                next: &[half::f16],
                scratch: &mut super::kernel::Scratch,
            ) {
                #[target_feature(enable = $features)]
                fn compiled(
                    lanes: $lanes,
                    queries: &super::query::PackedQueries,
                    tokens: &[half::f16],
                    next: &[half::f16],
                    scratch: &mut super::kernel::Scratch,
                ) {
                    super::kernel::fold(lanes, queries, tokens, next, scratch)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, queries, tokens, next, scratch) }
            }

            /// The dot product of dense vectors.
            pub(super) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
                #[target_feature(enable = $features)]
                fn compiled(lanes: $lanes, a: &[f32], b: &[f32]) -> f32 {
                    super::dense::dot_lanes(lanes, a, b)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, a, b) }
            }

            /// The squared distance of dense vectors.
            pub(super) fn squared_distance(self, a: &[f32], b: &[f32]) -> f32 {
                #[target_feature(enable = $features)]
                fn compiled(lanes: $lanes, a: &[f32], b: &[f32]) -> f32 {
                    super::dense::squared_distance_lanes(lanes, a, b)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, a, b) }
            }

            /// The sum of the absolute differences of dense vectors.
            pub(super) fn absolute_distance(self, a: &[f32], b: &[f32]) -> f32 {
                #[target_feature(enable = $features)]
                fn compiled(lanes: $lanes, a: &[f32], b: &[f32]) -> f32 {
                    super::dense::absolute_distance_lanes(lanes, a, b)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, a, b) }
            }

            /// The products of a query and each of some coded vectors.
            #[cfg(feature = "recall")]
            pub(super) fn products<'c>(
                self,
                query: &[i16],
                coded: impl Iterator<Item = super::coded::Coded<'c>>,
                to: impl FnMut(super::coded::Coded<'c>, i32),
            ) {
                #[target_feature(enable = $features)]
                fn compiled<'c>(
                    lanes: $lanes,
                    query: &[i16],
                    coded: impl Iterator<Item = super::coded::Coded<'c>>,
                    to: impl FnMut(super::coded::Coded<'c>, i32),
                ) {
                    super::coded::products_lanes(lanes, query, coded, to)
                }
                // SAFETY: `self` exists, so its detection has found the instructions.
                unsafe { compiled(self, query, coded, to) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use compile_for;
