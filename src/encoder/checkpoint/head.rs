//! Layers after a transformer, which bring its states to the vectors' dimension.

use std::path::Path;

use candle_core::{Result, Tensor};
use candle_nn::Activation;
use serde::Deserialize;

use super::folder::{bytes, required, unusable};
use super::passes::{activate, add};
use super::weights::{self, Linear};

/// `config.json` of a layer.
#[derive(Deserialize)]
struct Config {
    activation_function: Option<String>,
    #[serde(default)]
    use_residual: bool,
}

pub(super) struct Head {
    linear: Linear,
    activation: Function,
    residual: Residual,
}

enum Function {
    Identity,
    Tanh,
    Of(Activation),
}

/// Addition of a layer's input to its output.
enum Residual {
    None,
    Same,
    By(Linear),
}

impl Head {
    pub fn open(folder: &Path) -> crate::Result<Self> {
        let config: Config = required(folder, "config.json")?;
        let bytes = bytes(folder, "model.safetensors")?;
        Self::load(&config, bytes).map_err(|fault| unusable(folder, fault))
    }

    /// A layer that is only a product.
    pub fn of(linear: Linear) -> Self {
        Self { linear, activation: Function::Identity, residual: Residual::None }
    }

    fn load(config: &Config, bytes: Vec<u8>) -> Result<Self> {
        let weights = weights::open(bytes)?;
        let name = config.activation_function.as_deref().unwrap_or("Identity");
        let activation = match name.rsplit('.').next().unwrap_or(name) {
            "Identity" => Function::Identity,
            "Tanh" => Function::Tanh,
            "GELU" => Function::Of(Activation::Gelu),
            "ReLU" => Function::Of(Activation::Relu),
            "SiLU" => Function::Of(Activation::Silu),
            "Sigmoid" => Function::Of(Activation::Sigmoid),
            _ => candle_core::bail!(
                "expected activation_function to be Identity, Tanh, GELU, ReLU, SiLU or Sigmoid, got {name}"
            ),
        };
        let residual = match config.use_residual {
            false => Residual::None,
            true if weights.contains_tensor("residual.weight") => {
                Residual::By(Linear::load(&weights.pp("residual"))?)
            }
            true => Residual::Same,
        };
        Ok(Self { linear: Linear::load(&weights.pp("linear"))?, activation, residual })
    }

    pub fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let projected = self.linear.forward(states)?;
        let projected = match &self.activation {
            Function::Identity => projected,
            Function::Tanh => projected.tanh()?,
            Function::Of(activation) => activate(*activation, projected)?,
        };
        match &self.residual {
            Residual::None => {}
            Residual::Same => add(&projected, states)?,
            Residual::By(linear) => add(&projected, &linear.forward(states)?)?,
        }
        Ok(projected)
    }
}
