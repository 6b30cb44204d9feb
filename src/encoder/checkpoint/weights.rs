//! Layers from the tensors of a file, by their names.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::passes::{add, normalize};

/// The tensors of a safetensors file, in f32.
pub(super) fn open(bytes: Vec<u8>) -> Result<VarBuilder<'static>> {
    VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu)
}

/// A linear layer.
pub(super) struct Linear {
    /// `[outputs, inputs]`.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// One of these names.
    pub fn load(weights: &VarBuilder<'_>) -> Result<Self> {
        let bias = weights.contains_tensor("bias").then(|| weights.get_unchecked("bias"));
        Ok(Self { weight: weights.get_unchecked("weight")?, bias: bias.transpose()? })
    }

    /// Several of one input as one, their outputs side by side.
    pub fn joined<const N: usize>(layers: [Self; N]) -> Result<Self> {
        let weights: Vec<&Tensor> = layers.iter().map(|it| &it.weight).collect();
        let biases: Vec<&Tensor> = layers.iter().filter_map(|it| it.bias.as_ref()).collect();
        let bias = if biases.is_empty() { None } else { Some(Tensor::cat(&biases, 0)?) };
        Ok(Self { weight: Tensor::cat(&weights, 0)?, bias })
    }

    /// `[tokens, outputs]` of `[tokens, inputs]`.
    pub fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let outputs = states.matmul(&self.weight.t()?)?;
        self.bias.iter().try_for_each(|bias| add(&outputs, bias))?;
        Ok(outputs)
    }
}

/// A normalization of rows.
pub(super) struct LayerNorm {
    scale: Tensor,
    shift: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// One of these names, of which `gamma` and `beta` are older; without a bias it gets zeros.
    pub fn load(weights: &VarBuilder<'_>, eps: f64) -> Result<Self> {
        let get = |names: [&str; 2]| {
            let name = names.into_iter().find(|name| weights.contains_tensor(name));
            name.map(|name| weights.get_unchecked(name)).transpose()
        };
        let scale = match get(["weight", "gamma"])? {
            Some(scale) => scale,
            None => weights.get_unchecked("weight")?,
        };
        let shift = match get(["bias", "beta"])? {
            Some(shift) => shift,
            None => scale.zeros_like()?,
        };
        Ok(Self { scale, shift, eps: eps as f32 })
    }

    /// Normalizes these states, which are nobody else's.
    pub fn forward(&self, states: Tensor) -> Result<Tensor> {
        normalize(&states, &self.scale, &self.shift, self.eps)?;
        Ok(states)
    }
}
