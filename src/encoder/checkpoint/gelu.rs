//! GELU by the error function, as fast as its input is read: candle's computes each value in f64, on its own.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use candle_nn::{Activation, Module};

/// A layer's activation, of a contiguous tensor in f32.
pub(super) fn activate(activation: Activation, states: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => states.apply_op1_no_bwd(&Gelu),
        other => other.forward(states),
    }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("expected a contiguous tensor, got strides {:?}", layout.stride());
        };
        let states = &storage.as_slice::<f32>()?[start..end];
        let states = states.iter().map(|&it| gelu(it)).collect();
        Ok((CpuStorage::F32(states), layout.shape().clone()))
    }
}

/// `x · Φ(x)`, where Φ is the distribution function of the standard normal distribution
/// ([Hendrycks & Gimpel 2016](https://arxiv.org/abs/1606.08415)); off by less than `2e-7 · max(1, |x|)`.
///
/// The error function is 7.1.26 of Abramowitz & Stegun, *Handbook of Mathematical Functions* (1964), which is off by
/// 1.5e-7 at most. No branch, no call: so the compiler computes several values at once.
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

    #[test]
    fn a_part_of_a_tensor_is_its_own() {
        let states = Tensor::arange(-4_f32, 4.0, &Device::Cpu).unwrap();
        let part = states.narrow(0, 3, 2).unwrap();
        let part: Vec<f32> = activate(Activation::Gelu, &part).unwrap().to_vec1().unwrap();
        assert_eq!(part, [gelu(-1.0), gelu(0.0)]);
    }
}
