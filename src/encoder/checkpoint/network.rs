//! [`Network`]: a transformer of any kind, and the layers after it.

use candle_core::{D, Result, Tensor};
use candle_nn::VarBuilder;
use serde::Deserialize;

use super::attention::Batch;
use super::bert::{self, Bert};
use super::folder::{Folder, bytes, required, unusable};
use super::head::Head;
use super::modern_bert::{self, ModernBert};
use super::weights;

pub(super) struct Network {
    transformer: Transformer,
    heads: Vec<Head>,
}

enum Transformer {
    Bert(Bert),
    ModernBert(ModernBert),
}

#[derive(Deserialize)]
struct ModelType {
    model_type: String,
}

impl Network {
    pub fn open(folder: &Folder) -> crate::Result<Self> {
        let path = &folder.transformer;
        let ModelType { model_type } = required(path, "config.json")?;
        let refused = |fault| unusable(path, fault);
        let weights = weights::open(bytes(path, "model.safetensors")?).map_err(refused)?;
        let transformer = match model_type.as_str() {
            "bert" | "distilbert" | "roberta" | "xlm-roberta" => {
                let config: bert::Config = required(path, "config.json")?;
                let within = within(&weights, "embeddings.word_embeddings.weight");
                Transformer::Bert(Bert::load(&config, &within).map_err(refused)?)
            }
            "modernbert" => {
                let config: modern_bert::Config = required(path, "config.json")?;
                let within = within(&weights, "embeddings.tok_embeddings.weight");
                Transformer::ModernBert(ModernBert::load(&config, &within).map_err(refused)?)
            }
            got => {
                let fault = format!(
                    "expected model_type to be bert, distilbert, roberta, xlm-roberta or modernbert, got {got}"
                );
                return Err(unusable(path, fault));
            }
        };
        let heads = if folder.has_linear {
            vec![Head::of(weights::Linear::load(&weights.pp("linear")).map_err(refused)?)]
        } else {
            folder.heads.iter().map(|head| Head::open(head)).collect::<crate::Result<_>>()?
        };
        Ok(Self { transformer, heads })
    }

    /// The most tokens of a text.
    pub fn longest(&self) -> Result<usize> {
        match &self.transformer {
            Transformer::Bert(bert) => bert.longest(),
            Transformer::ModernBert(bert) => Ok(bert.longest()),
        }
    }

    /// Vectors of all tokens, `[tokens, dim]`, each of length 1.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let states = match &self.transformer {
            Transformer::Bert(bert) => bert.forward(batch)?,
            Transformer::ModernBert(bert) => bert.forward(batch)?,
        };
        let vectors = self.heads.iter().try_fold(states, |states, head| head.forward(&states))?;
        let lengths = vectors.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(1e-12)?;
        vectors.broadcast_div(&lengths)
    }
}

/// The tensors of a transformer, which a model that has more than it keeps under a name.
fn within<'a>(weights: &VarBuilder<'a>, first: &str) -> VarBuilder<'a> {
    let names = ["bert", "distilbert", "roberta", "model"];
    let name = names.into_iter().find(|name| weights.contains_tensor(&format!("{name}.{first}")));
    name.map_or_else(|| weights.clone(), |name| weights.pp(name))
}
