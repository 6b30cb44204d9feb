//! Layers from the tensors of a file, by their names.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, VarBuilder};

/// The tensors of a safetensors file, in f32.
pub(super) fn open(bytes: Vec<u8>) -> Result<VarBuilder<'static>> {
    VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu)
}

/// A linear layer, with its bias if there is one.
pub(super) fn linear(weights: &VarBuilder<'_>) -> Result<Linear> {
    let bias = weights.contains_tensor("bias").then(|| weights.get_unchecked("bias"));
    Ok(Linear::new(weights.get_unchecked("weight")?, bias.transpose()?))
}

/// Linear layers of one input as one, their outputs side by side.
pub(super) fn joined<const N: usize>(layers: [Linear; N]) -> Result<Linear> {
    let weights: Vec<&Tensor> = layers.iter().map(Linear::weight).collect();
    let biases: Vec<&Tensor> = layers.iter().filter_map(Linear::bias).collect();
    let bias = if biases.is_empty() { None } else { Some(Tensor::cat(&biases, 0)?) };
    Ok(Linear::new(Tensor::cat(&weights, 0)?, bias))
}

/// A normalization; `gamma` and `beta` are older names of its tensors. One without a bias gets zeros, with which it is
/// a single pass.
pub(super) fn norm(weights: &VarBuilder<'_>, eps: f64) -> Result<LayerNorm> {
    let get = |names: [&str; 2]| {
        let name = names.into_iter().find(|name| weights.contains_tensor(name));
        name.map(|name| weights.get_unchecked(name)).transpose()
    };
    let weight = match get(["weight", "gamma"])? {
        Some(weight) => weight,
        None => weights.get_unchecked("weight")?,
    };
    let bias = match get(["bias", "beta"])? {
        Some(bias) => bias,
        None => weight.zeros_like()?,
    };
    Ok(LayerNorm::new(weight, bias, eps))
}
