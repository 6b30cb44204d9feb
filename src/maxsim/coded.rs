//! Dense vectors in a byte a value, for a first look: a fourth of the memory, and products of integers.

use super::lanes::ByteLanes;

/// The greatest code of a vector.
const MOST: f32 = 255.0;

/// The greatest code of a query.
pub(super) const MOST_OF_QUERY: f32 = 2047.0;

/// The most values: more products might not fit an i32.
const LONGEST: usize = i32::MAX as usize / (MOST as usize * MOST_OF_QUERY as usize);

/// Relative error of a norm that is kept as f32, and of what is computed from it.
pub(super) const ROUNDED: f64 = 1.0 / (1 << 23) as f64;

/// Sums and the like that need not wait for each other.
const CHAINS: usize = 8;

/// A vector whose values are `first + step · code`, nearly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded<'c> {
    pub(crate) head: Head,
    pub(crate) codes: &'c [u8],
}

/// Meaning of a vector's codes, and how far they are from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) first: f32,
    pub(crate) step: f32,
    /// The length of the vector of those values.
    pub(crate) norm: f32,
    /// Its distance from the vector itself, at most.
    pub(crate) error: f32,
}

impl Coded<'_> {
    /// Returns `true` if vectors of so many values can be coded.
    pub(crate) fn is_possible(dim: usize) -> bool {
        dim <= LONGEST
    }
}

impl Head {
    /// Codes a vector, into as many bytes; nothing as a vector of zeros.
    pub(crate) fn encode(vector: &[f32], codes: &mut [u8]) -> Self {
        if vector.is_empty() {
            return Self::default();
        }
        let [first, last] = extremes(vector);
        // Not the difference, which may overflow.
        let step = last / MOST - first / MOST;
        let per_step = if step > 0.0 { step.recip() } else { 0.0 };
        for (code, value) in codes.iter_mut().zip(vector) {
            *code = ((value - first) * per_step + 0.5) as u8;
        }
        let mut sums = [[0.0; CHAINS]; 2];
        let (values, last_values) = vector.as_chunks::<CHAINS>();
        let (codes, last_codes) = codes.as_chunks::<CHAINS>();
        for (values, codes) in values.iter().zip(codes) {
            add_squares(&mut sums, first, step, values, codes);
        }
        add_squares(&mut sums, first, step, last_values, last_codes);
        let [norm, error] = sums.map(|it| it.iter().sum::<f64>().sqrt());
        Self { first, step, norm: norm as f32, error: (error * (1.0 + ROUNDED)) as f32 }
    }
}

/// Adds the squares of what codes stand for, and of how far that is from values.
#[inline(always)]
fn add_squares(
    [squares, errors]: &mut [[f64; CHAINS]; 2],
    first: f32,
    step: f32,
    values: &[f32],
    codes: &[u8],
) {
    for (chain, (&value, &code)) in values.iter().zip(codes).enumerate() {
        let coded = f64::from(first) + f64::from(step) * f64::from(code);
        squares[chain] += coded * coded;
        errors[chain] += (f64::from(value) - coded).powi(2);
    }
}

/// The least and the greatest of some values.
fn extremes(values: &[f32]) -> [f32; 2] {
    let (mut least, mut most) = ([f32::MAX; CHAINS], [f32::MIN; CHAINS]);
    let mut compare = |chain: usize, value: f32| {
        least[chain] = if value < least[chain] { value } else { least[chain] };
        most[chain] = if value > most[chain] { value } else { most[chain] };
    };
    let (values, rest) = values.as_chunks::<CHAINS>();
    for values in values {
        (0..CHAINS).for_each(|chain| compare(chain, values[chain]));
    }
    rest.iter().enumerate().for_each(|(chain, &value)| compare(chain, value));
    [least.into_iter().fold(f32::MAX, f32::min), most.into_iter().fold(f32::MIN, f32::max)]
}

/// Calls `to` with each of some vectors, and the sum of its codes' products with a query's.
#[inline(always)]
pub(super) fn products_lanes<'c, L: ByteLanes>(
    lanes: L,
    query: &[i16],
    coded: impl Iterator<Item = Coded<'c>>,
    mut to: impl FnMut(Coded<'c>, i32),
) {
    // Not `for_each`, which is compiled by itself, without these instructions.
    for coded in coded {
        to(coded, products_of(lanes, query, coded.codes));
    }
}

#[inline(always)]
fn products_of<L: ByteLanes>(lanes: L, a: &[i16], b: &[u8]) -> i32 {
    let len = a.len().min(b.len());
    let whole = len - len % (2 * L::PRODUCTS);
    let (mut even, mut odd) = (lanes.zero(), lanes.zero());
    for at in (0..whole).step_by(2 * L::PRODUCTS) {
        // SAFETY: at + 2 · PRODUCTS ≤ whole, which is in both.
        unsafe {
            let (a, b) = (a.as_ptr().add(at), b.as_ptr().add(at));
            even = lanes.add_products(a, b, even);
            odd = lanes.add_products(a.add(L::PRODUCTS), b.add(L::PRODUCTS), odd);
        }
    }
    let rest = a[whole..len].iter().zip(&b[whole..len]);
    lanes.total(even, odd) + rest.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>()
}
