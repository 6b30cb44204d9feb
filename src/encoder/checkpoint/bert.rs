//! BERT and those of its build: DistilBERT, RoBERTa, XLM-RoBERTa.

use candle_core::{Result, Tensor};
use candle_nn::{Activation, Embedding, Module, VarBuilder};
use serde::Deserialize;

use super::attention::{Attention, Batch, View};
use super::passes::{activate, add};
use super::weights::{LayerNorm, Linear};

/// `config.json`.
#[derive(Deserialize)]
pub(super) struct Config {
    model_type: String,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "activation")]
    hidden_act: Activation,
    #[serde(default = "tiny")]
    layer_norm_eps: f64,
    pad_token_id: Option<u32>,
    position_embedding_type: Option<String>,
}

fn tiny() -> f64 {
    1e-12
}

/// Names of tensors in a layer.
struct Names {
    layers: &'static str,
    qkv: [&'static str; 3],
    out: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    norm: &'static str,
}

const BERT: Names = Names {
    layers: "encoder.layer",
    qkv: ["attention.self.query", "attention.self.key", "attention.self.value"],
    out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    layers: "transformer.layer",
    qkv: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    out: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    norm: "output_layer_norm",
};

pub(super) struct Bert {
    words: Embedding,
    /// A row a position, with what every token has besides.
    positions: Tensor,
    /// RoBERTa's: its positions count from the one after it, and none is given to this token.
    padding: Option<u32>,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    up: Linear,
    activation: Activation,
    down: Linear,
    norm: LayerNorm,
}

impl Bert {
    pub fn load(config: &Config, weights: &VarBuilder<'_>) -> Result<Self> {
        if config.position_embedding_type.as_ref().is_some_and(|it| it != "absolute") {
            candle_core::bail!("expected absolute positions, got others");
        }
        let names = if config.model_type == "distilbert" { &DISTILBERT } else { &BERT };
        let of_roberta = config.model_type.ends_with("roberta");
        let embeddings = weights.pp("embeddings");
        let words = embeddings.get_unchecked("word_embeddings.weight")?;
        let mut positions = embeddings.get_unchecked("position_embeddings.weight")?;
        if embeddings.contains_tensor("token_type_embeddings.weight") {
            let kinds = embeddings.get_unchecked("token_type_embeddings.weight")?;
            positions = positions.broadcast_add(&kinds.get(0)?)?;
        }
        let layers = weights.pp(names.layers);
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::load(config, names, &layers.pp(layer)))
            .collect::<Result<_>>()?;
        Ok(Self {
            words: Embedding::new(words.clone(), words.dim(1)?),
            positions,
            padding: config.pad_token_id.filter(|_| of_roberta),
            norm: LayerNorm::load(&embeddings.pp("LayerNorm"), config.layer_norm_eps)?,
            layers,
        })
    }

    /// The most tokens of a text.
    pub fn longest(&self) -> Result<usize> {
        let rows = self.positions.dim(0)?;
        Ok(rows.saturating_sub(self.padding.map_or(0, |it| it as usize + 1)))
    }

    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let words = self.words.forward(&batch.ids()?)?;
        let positions = Tensor::new(self.positions(batch), words.device())?;
        let positions = self.positions.index_select(&positions, 0)?;
        add(&words, &positions)?;
        let states = self.norm.forward(words)?;
        self.layers.iter().try_fold(states, |states, layer| layer.forward(&states, batch))
    }

    fn positions(&self, batch: &Batch) -> Vec<u32> {
        let of_text = |ids: &[u32]| -> Vec<u32> {
            let Some(padding) = self.padding else { return (0..ids.len() as u32).collect() };
            let mut last = padding;
            let position = |id: &u32| {
                last += u32::from(*id != padding);
                if *id == padding { padding } else { last }
            };
            ids.iter().map(position).collect()
        };
        let ids = |it: &super::attention::Extent| &batch.ids[it.start..it.start + it.tokens];
        batch.texts.iter().flat_map(|text| of_text(ids(text))).collect()
    }
}

impl Layer {
    fn load(config: &Config, names: &Names, weights: &VarBuilder<'_>) -> Result<Self> {
        let [query, key, value] = names.qkv.map(|name| Linear::load(&weights.pp(name)));
        let attention = Attention {
            qkv: Linear::joined([query?, key?, value?])?,
            out: Linear::load(&weights.pp(names.out))?,
            heads: config.num_attention_heads,
        };
        Ok(Self {
            attention,
            attention_norm: LayerNorm::load(
                &weights.pp(names.attention_norm),
                config.layer_norm_eps,
            )?,
            up: Linear::load(&weights.pp(names.up))?,
            activation: config.hidden_act,
            down: Linear::load(&weights.pp(names.down))?,
            norm: LayerNorm::load(&weights.pp(names.norm), config.layer_norm_eps)?,
        })
    }

    fn forward(&self, states: &Tensor, batch: &Batch) -> Result<Tensor> {
        let mixed = self.attention.forward(states, &batch.texts, View::default())?;
        add(&mixed, states)?;
        let states = self.attention_norm.forward(mixed)?;
        let wide = activate(self.activation, self.up.forward(&states)?)?;
        let narrow = self.down.forward(&wide)?;
        add(&narrow, &states)?;
        self.norm.forward(narrow)
    }
}
