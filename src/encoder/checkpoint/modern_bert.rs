//! ModernBERT: rotary positions, layers that see only the neighbourhood, gated units.

use candle_core::{D, Result, Tensor};
use candle_nn::{Activation, Embedding, Module, VarBuilder};
use serde::Deserialize;

use super::attention::{Attention, Batch, Rotation, View};
use super::passes::{activate, add, multiply};
use super::weights::{LayerNorm, Linear};

/// `config.json`, as versions 4 and 5 of transformers write it.
#[derive(Deserialize)]
pub(super) struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    norm_eps: f64,
    hidden_activation: Activation,
    local_attention: usize,
    global_attn_every_n_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    global_rope_theta: Option<f64>,
    local_rope_theta: Option<f64>,
    rope_parameters: Option<Rotations>,
}

#[derive(Deserialize)]
struct Rotations {
    full_attention: RotationConfig,
    sliding_attention: RotationConfig,
}

#[derive(Deserialize)]
struct RotationConfig {
    rope_theta: f64,
    rope_type: Option<String>,
}

impl Config {
    /// The bases of positions: of layers that see everything, and of the others.
    fn bases(&self) -> Result<(f64, f64)> {
        let Some(Rotations { full_attention, sliding_attention }) = &self.rope_parameters else {
            let global = self.global_rope_theta.unwrap_or(160_000.0);
            return Ok((global, self.local_rope_theta.unwrap_or(10_000.0)));
        };
        for rotation in [full_attention, sliding_attention] {
            if rotation.rope_type.as_ref().is_some_and(|it| it != "default") {
                candle_core::bail!(
                    "expected rope_type to be default, got {:?}",
                    rotation.rope_type
                );
            }
        }
        Ok((full_attention.rope_theta, sliding_attention.rope_theta))
    }

    fn sees_all(&self, layer: usize) -> bool {
        match &self.layer_types {
            Some(types) => types.get(layer).is_none_or(|it| it == "full_attention"),
            None => layer.is_multiple_of(self.global_attn_every_n_layers.unwrap_or(3)),
        }
    }
}

pub(super) struct ModernBert {
    words: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    rotation: Rotation,
    local_rotation: Rotation,
    reach: usize,
    longest: usize,
}

struct Layer {
    sees_all: bool,
    /// None in the first layer.
    attention_norm: Option<LayerNorm>,
    attention: Attention,
    norm: LayerNorm,
    up: Linear,
    activation: Activation,
    down: Linear,
}

impl ModernBert {
    pub fn load(config: &Config, weights: &VarBuilder<'_>) -> Result<Self> {
        let words = weights.get_unchecked("embeddings.tok_embeddings.weight")?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::load(config, layer, &weights.pp("layers").pp(layer)))
            .collect::<Result<_>>()?;
        let (base, local_base) = config.bases()?;
        let columns = config.hidden_size / config.num_attention_heads.max(1);
        let longest = config.max_position_embeddings;
        Ok(Self {
            words: Embedding::new(words, config.hidden_size),
            norm: LayerNorm::load(&weights.pp("embeddings.norm"), config.norm_eps)?,
            layers,
            final_norm: LayerNorm::load(&weights.pp("final_norm"), config.norm_eps)?,
            rotation: Rotation::new(base, columns, longest)?,
            local_rotation: Rotation::new(local_base, columns, longest)?,
            reach: config.local_attention / 2,
            longest,
        })
    }

    /// The most tokens of a text.
    pub fn longest(&self) -> usize {
        self.longest
    }

    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let states = self.norm.forward(self.words.forward(&batch.ids()?)?)?;
        let states = self.layers.iter().try_fold(states, |states, layer| {
            let view = match layer.sees_all {
                true => View { rotation: Some(&self.rotation), reach: None },
                false => View { rotation: Some(&self.local_rotation), reach: Some(self.reach) },
            };
            layer.forward(states, batch, view)
        })?;
        self.final_norm.forward(states)
    }
}

impl Layer {
    fn load(config: &Config, layer: usize, weights: &VarBuilder<'_>) -> Result<Self> {
        let attention = Attention {
            qkv: Linear::load(&weights.pp("attn.Wqkv"))?,
            out: Linear::load(&weights.pp("attn.Wo"))?,
            heads: config.num_attention_heads,
        };
        let attention_norm =
            (layer > 0).then(|| LayerNorm::load(&weights.pp("attn_norm"), config.norm_eps));
        Ok(Self {
            sees_all: config.sees_all(layer),
            attention_norm: attention_norm.transpose()?,
            attention,
            norm: LayerNorm::load(&weights.pp("mlp_norm"), config.norm_eps)?,
            up: Linear::load(&weights.pp("mlp.Wi"))?,
            activation: config.hidden_activation,
            down: Linear::load(&weights.pp("mlp.Wo"))?,
        })
    }

    fn forward(&self, states: Tensor, batch: &Batch, view: View<'_>) -> Result<Tensor> {
        let normed = match &self.attention_norm {
            Some(norm) => norm.forward(states.copy()?)?,
            None => states.clone(),
        };
        let mixed = self.attention.forward(&normed, &batch.texts, view)?;
        add(&mixed, &states)?;
        let wide = self.up.forward(&self.norm.forward(mixed.copy()?)?)?.chunk(2, D::Minus1)?;
        let (input, gate) = (wide[0].force_contiguous()?, wide[1].force_contiguous()?);
        let gated = activate(self.activation, input)?;
        multiply(&gated, &gate)?;
        let narrow = self.down.forward(&gated)?;
        add(&narrow, &mixed)?;
        Ok(narrow)
    }
}
