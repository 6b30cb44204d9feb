//! Passes over contiguous tensors of f32, in place, as many values at once as this machine has instructions for.
//!
//! Candle's own make a tensor each, take logarithms and exponentials number by number, and wait for one another on
//! threads besides rayon's.

use std::ops::Range;

use candle_core::{CpuStorage, D, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Tensor};
use candle_nn::{Activation, Module};
use pulp::{Arch, NullaryFnOnce};

/// Sums that a sum is made of, so that they are added at once.
const LANES: usize = 16;

/// Adds a row to all rows, or a tensor to one of its shape.
pub(super) fn add(states: &Tensor, more: &Tensor) -> Result<()> {
    states.inplace_op2(more, &Pass(Add))
}

struct Add;

impl Values<1> for Add {
    const NAME: &str = "add";

    #[inline(always)]
    fn change(&self, states: &mut [f32], [more]: [&[f32]; 1]) {
        for states in states.chunks_exact_mut(more.len()) {
            states.iter_mut().zip(more).for_each(|(it, more)| *it += more);
        }
    }
}

/// Multiplies by a tensor of the same shape.
pub(super) fn multiply(states: &Tensor, by: &Tensor) -> Result<()> {
    states.inplace_op2(by, &Pass(Multiply))
}

struct Multiply;

impl Values<1> for Multiply {
    const NAME: &str = "multiply";

    #[inline(always)]
    fn change(&self, states: &mut [f32], [by]: [&[f32]; 1]) {
        states.iter_mut().zip(by).for_each(|(it, by)| *it *= by);
    }
}

/// A layer's activation.
pub(super) fn activate(activation: Activation, states: Tensor) -> Result<Tensor> {
    let Activation::Gelu = activation else { return activation.forward(&states) };
    states.inplace_op1(&Pass(Gelu))?;
    Ok(states)
}

struct Gelu;

impl Values<0> for Gelu {
    const NAME: &str = "gelu";

    #[inline(always)]
    fn change(&self, states: &mut [f32], []: [&[f32]; 0]) {
        states.iter_mut().for_each(|it| *it = gelu(*it));
    }
}

/// Normalizes each row to the mean 0 and the variance 1, then scales and shifts its columns
/// ([Ba et al. 2016](https://arxiv.org/abs/1607.06450)).
pub(super) fn normalize(states: &Tensor, scale: &Tensor, shift: &Tensor, eps: f32) -> Result<()> {
    states.inplace_op3(scale, shift, &Pass(Normalize { eps }))
}

struct Normalize {
    eps: f32,
}

impl Values<2> for Normalize {
    const NAME: &str = "normalize";

    #[inline(always)]
    fn change(&self, states: &mut [f32], [scale, shift]: [&[f32]; 2]) {
        for row in states.chunks_exact_mut(scale.len()) {
            let mean = sum(row, |it| it) / row.len() as f32;
            let variance = sum(row, |it| (it - mean) * (it - mean)) / row.len() as f32;
            let factor = 1.0 / (variance + self.eps).sqrt();
            for ((it, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                *it = (*it - mean) * factor * scale + shift;
            }
        }
    }
}

/// Softmax of the columns that each row sees, times `factor`; what it doesn't see is 0. A row sees one at least.
pub(super) fn softmax(
    scores: &Tensor,
    factor: f32,
    seen: impl Fn(usize) -> Range<usize>,
) -> Result<()> {
    let columns = scores.dim(D::Minus1)?;
    scores.inplace_op1(&Pass(Softmax { columns, factor, seen }))
}

struct Softmax<F> {
    columns: usize,
    factor: f32,
    seen: F,
}

impl<F: Fn(usize) -> Range<usize>> Values<0> for Softmax<F> {
    const NAME: &str = "softmax";

    #[inline(always)]
    fn change(&self, scores: &mut [f32], []: [&[f32]; 0]) {
        for (number, row) in scores.chunks_exact_mut(self.columns).enumerate() {
            let seen = (self.seen)(number);
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
            softmax_of_row(&mut row[seen], self.factor);
        }
    }
}

#[inline(always)]
fn softmax_of_row(row: &mut [f32], factor: f32) {
    let largest = max(row);
    row.iter_mut().for_each(|it| *it = exp_of_negative((*it - largest) * factor));
    let part = 1.0 / sum(row, |it| it);
    row.iter_mut().for_each(|it| *it *= part);
}

/// The sum of what becomes of each value.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, it)| *sum += of(*it));
    }
    sums.into_iter().sum::<f32>() + rest.iter().map(|it| of(*it)).sum::<f32>()
}

#[inline(always)]
fn max(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        largest
            .iter_mut()
            .zip(block)
            .for_each(|(max, it)| *max = if it > max { *it } else { *max });
    }
    largest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// `x · Φ(x)`, where Φ is the distribution function of the standard normal distribution
/// ([Hendrycks & Gimpel 2016](https://arxiv.org/abs/1606.08415)); off by less than `2e-7 · max(1, |x|)`.
///
/// The error function is 7.1.26 of Abramowitz & Stegun, *Handbook of Mathematical Functions* (1964), which is off by
/// 1.5e-7 at most. No branch, no call: so the compiler computes several values at once.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let terms = [1.061_405_4, -1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6_f32];
    let sum = terms.into_iter().fold(0.0, |sum, term| sum * t + term);
    // The part of the distribution that is farther out than x.
    let tail = 0.5 * t * sum * exp_of_negative(-z * z);
    let beyond = if x < 0.0 { tail } else { 1.0 - tail };
    x * beyond
}

/// `e^x` of 0 or less, to 1e-7 of it; below -87, where f32 ends, that of -87.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    // Added, it leaves a whole number in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    // The logarithm of 2 in two parts, the first of which leaves no rounding.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let terms = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0_f32];
    let power = terms.into_iter().fold(0.0, |sum, term| sum * rest + term);
    // Times 2 to the whole number, in the exponent's bits.
    f32::from_bits(power.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// A change of a tensor's values, with `N` tensors beside it. What computes is inlined, or it would be compiled for the
/// least of machines.
trait Values<const N: usize> {
    const NAME: &str;

    fn change(&self, states: &mut [f32], others: [&[f32]; N]);
}

struct Pass<V>(V);

/// A tensor, as candle gives it.
type Stored<'a> = (&'a CpuStorage, &'a Layout);

impl<V> Pass<V> {
    fn run<const N: usize>(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        others: [Stored<'_>; N],
    ) -> Result<()>
    where
        V: Values<N>,
    {
        let CpuStorage::F32(states) = storage else { candle_core::bail!("expected f32") };
        let states = &mut states[range(layout)?];
        let mut values: [&[f32]; N] = [&[]; N];
        for (values, (storage, layout)) in values.iter_mut().zip(others) {
            *values = &storage.as_slice::<f32>()?[range(layout)?];
        }
        Arch::new().dispatch(Dispatched { pass: &self.0, states, others: values });
        Ok(())
    }
}

impl<V: Values<0>> InplaceOp1 for Pass<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.run(storage, layout, [])
    }
}

impl<V: Values<1>> InplaceOp2 for Pass<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        other: &CpuStorage,
        of_other: &Layout,
    ) -> Result<()> {
        self.run(storage, layout, [(other, of_other)])
    }
}

impl<V: Values<2>> InplaceOp3 for Pass<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        second: &CpuStorage,
        of_second: &Layout,
        third: &CpuStorage,
        of_third: &Layout,
    ) -> Result<()> {
        self.run(storage, layout, [(second, of_second), (third, of_third)])
    }
}

/// The part of a storage that a tensor is.
fn range(layout: &Layout) -> Result<Range<usize>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("expected a contiguous tensor, got strides {:?}", layout.stride());
    };
    Ok(start..end)
}

struct Dispatched<'a, V, const N: usize> {
    pass: &'a V,
    states: &'a mut [f32],
    others: [&'a [f32]; N],
}

impl<V: Values<N>, const N: usize> NullaryFnOnce for Dispatched<'_, V, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.pass.change(self.states, self.others);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// The error function by a series of terms of one sign, in f64.
    fn erf(x: f64) -> f64 {
        if x.abs() > 6.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..400 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn it_is_x_times_the_normal_distribution() {
        let values = (-160_000..160_000).map(|it| it as f32 / 10_000.0);
        let values = values.chain([0.0, -0.0, 1e-30, -1e-30, f32::MAX, f32::MIN, 1e4, -1e4]);
        for x in values {
            let exact = f64::from(x) * 0.5 * (1.0 + erf(f64::from(x) / 2_f64.sqrt()));
            let error = (f64::from(gelu(x)) - exact).abs();
            assert!(error <= 2e-7 * f64::from(x.abs().max(1.0)), "{x}: {}, not {exact}", gelu(x));
        }
        assert!(gelu(f32::NAN).is_nan());
    }

    /// Values between -3 and 3, by a generator of Lehmer's.
    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1_u64;
        let mut next = || {
            state = state * 48_271 % 0x7fff_ffff;
            (state as f64 / f64::from(0x7fff_ffff_u32) * 6.0 - 3.0) as f32
        };
        (0..count).map(|_| next()).collect()
    }

    fn tensor(values: &[f32], columns: usize) -> Tensor {
        Tensor::from_slice(values, (values.len() / columns, columns), &Device::Cpu).unwrap()
    }

    fn farthest(got: &Tensor, expected: &[f64]) -> f64 {
        let got: Vec<f32> = got.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(got.len(), expected.len());
        got.iter().zip(expected).map(|(it, to)| (f64::from(*it) - to).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn rows_are_normalized_as_in_f64() {
        for columns in [1, 3, 16, 50, 384] {
            let (states, scale, shift) = (noise(7 * columns), noise(columns), noise(columns));
            let expected = states.chunks(columns).flat_map(|row| {
                let n = columns as f64;
                let mean = row.iter().map(|it| f64::from(*it)).sum::<f64>() / n;
                let variance =
                    row.iter().map(|it| (f64::from(*it) - mean).powi(2)).sum::<f64>() / n;
                let of = move |it: &f32| (f64::from(*it) - mean) / (variance + 1e-5).sqrt();
                let columns = row.iter().zip(&scale).zip(&shift);
                columns.map(move |((it, a), b)| of(it) * f64::from(*a) + f64::from(*b))
            });
            let expected: Vec<f64> = expected.collect();
            let got = tensor(&states, columns);
            let of_columns = |it: &[f32]| Tensor::from_slice(it, columns, &Device::Cpu).unwrap();
            normalize(&got, &of_columns(&scale), &of_columns(&shift), 1e-5).unwrap();
            assert!(farthest(&got, &expected) < 1e-5, "{columns}");
        }
    }

    #[test]
    fn softmax_is_of_what_is_seen() {
        for columns in [1, 5, 16, 33, 200] {
            let scores = noise(9 * columns);
            let seen = |row: usize| row.min(columns - 1) / 2..(row * 7 + 1).min(columns);
            let expected = scores.chunks(columns).enumerate().flat_map(|(row, scores)| {
                let power = |it: usize| (f64::from(scores[it]) * 4.0).exp();
                let sum: f64 = seen(row).map(power).sum();
                let part = |it| if seen(row).contains(&it) { power(it) / sum } else { 0.0 };
                (0..columns).map(part).collect::<Vec<_>>()
            });
            let expected: Vec<f64> = expected.collect();
            let got = tensor(&scores, columns);
            softmax(&got, 4.0, seen).unwrap();
            assert!(farthest(&got, &expected) < 1e-6, "{columns}");
        }
    }

    #[test]
    fn a_tensor_is_added_to_and_a_row_to_each_of_its_rows() {
        let states = noise(60);
        let (all, row) = (tensor(&noise(60), 20), tensor(&noise(20), 20));
        let got = tensor(&states, 20);
        add(&got, &row).unwrap();
        add(&got, &all).unwrap();
        multiply(&got, &all).unwrap();
        let of = |it: usize| f64::from(noise(60)[it]);
        let expected: Vec<f64> =
            (0..60).map(|it| (of(it) + of(it % 20) + of(it)) * of(it)).collect();
        assert!(farthest(&got, &expected) < 1e-5);
    }

    #[test]
    fn a_part_of_a_tensor_is_its_own() {
        let states = Tensor::arange(-4_f32, 4.0, &Device::Cpu).unwrap();
        let part = activate(Activation::Gelu, states.narrow(0, 3, 2).unwrap()).unwrap();
        assert_eq!(part.to_vec1::<f32>().unwrap(), [gelu(-1.0), gelu(0.0)]);
        let others = states.narrow(0, 0, 3).unwrap();
        assert_eq!(others.to_vec1::<f32>().unwrap(), [-4.0, -3.0, -2.0]);
    }
}
