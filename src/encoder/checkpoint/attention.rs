//! Attention within texts that lie one after the other, so that nothing is padded.

use std::ops::Range;

use candle_core::{D, Device, Result, Tensor};
use candle_nn::rotary_emb::rope;

use super::passes::softmax;
use super::weights::Linear;

/// Tokens of several texts, one after the other.
pub(super) struct Batch {
    pub ids: Vec<u32>,
    pub texts: Vec<Extent>,
}

/// Rows of one text.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub start: usize,
    pub tokens: usize,
    /// Tokens, from the first, that all tokens see.
    pub attended: usize,
}

impl Batch {
    pub fn ids(&self) -> Result<Tensor> {
        Tensor::new(self.ids.as_slice(), &Device::Cpu)
    }
}

/// Queries that are compared at once, so that scores of long texts need little memory.
const ROWS: usize = 256;

/// Attention of several heads; queries, keys and values come of one layer.
pub(super) struct Attention {
    pub qkv: Linear,
    pub out: Linear,
    pub heads: usize,
}

/// Differences between layers of one model.
#[derive(Clone, Copy, Default)]
pub(super) struct View<'a> {
    pub rotation: Option<&'a Rotation>,
    /// Distance to the farthest token that is seen; none if all are.
    pub reach: Option<usize>,
}

impl Attention {
    pub fn forward(&self, states: &Tensor, texts: &[Extent], view: View<'_>) -> Result<Tensor> {
        let (tokens, hidden) = states.dims2()?;
        let shape = (tokens, 3, self.heads, hidden / self.heads);
        let qkv = self.qkv.forward(states)?.reshape(shape)?;
        let mixed = texts.iter().map(|text| self.within(&qkv, text, view));
        self.out.forward(&Tensor::cat(&mixed.collect::<Result<Vec<_>>>()?, 0)?)
    }

    /// `[tokens, hidden]` of one text.
    fn within(&self, qkv: &Tensor, text: &Extent, view: View<'_>) -> Result<Tensor> {
        let qkv = qkv.narrow(0, text.start, text.tokens)?.permute((1, 2, 0, 3))?.contiguous()?;
        let (queries, keys, values) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let (queries, keys) = match view.rotation {
            Some(rotation) => (rotation.of(&queries)?, rotation.of(&keys)?),
            None => (queries, keys),
        };
        let factor = (queries.dim(D::Minus1)? as f32).sqrt().recip();
        // Tokens that see none get zeros.
        let seeing = view.reach.map_or(text.tokens, |it| text.tokens.min(text.attended + it));
        let mut blocks = Vec::new();
        for start in (0..seeing).step_by(ROWS) {
            let end = (start + ROWS).min(seeing);
            let (from, to) = match view.reach {
                Some(reach) => (start.saturating_sub(reach), (end + reach).min(text.attended)),
                None => (0, text.attended),
            };
            let seen = keys.narrow(1, from, to - from)?;
            let scores = queries.narrow(1, start, end - start)?.matmul(&seen.t()?)?;
            softmax(&scores, factor, |row| match view.reach {
                Some(reach) => within(reach, start + row % (end - start), from..to),
                None => 0..to,
            })?;
            let values = values.narrow(1, from, to - from)?;
            blocks.push(scores.matmul(&values)?);
        }
        let mixed = Tensor::cat(&blocks, 1)?.pad_with_zeros(1, 0, text.tokens - seeing)?;
        mixed.transpose(0, 1)?.flatten_from(1)
    }
}

/// Those of some keys that are within reach of a query, counted from the first of them.
fn within(reach: usize, query: usize, keys: Range<usize>) -> Range<usize> {
    let end = (query + reach + 1).min(keys.end);
    query.saturating_sub(reach).max(keys.start) - keys.start..end - keys.start
}

/// Rotary positions: pairs of columns turned by the position of a token.
pub(super) struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rotation {
    pub fn new(base: f64, columns: usize, positions: usize) -> Result<Self> {
        let rates =
            (0..columns).step_by(2).map(|it| base.powf(-(it as f64) / columns as f64) as f32);
        let rates = Tensor::from_iter(rates, &Device::Cpu)?.unsqueeze(0)?;
        let positions = Tensor::arange(0, positions as u32, &Device::Cpu)?;
        let angles = positions.to_dtype(rates.dtype())?.unsqueeze(1)?.matmul(&rates)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()? })
    }

    /// `[heads, tokens, columns]`, turned.
    fn of(&self, heads: &Tensor) -> Result<Tensor> {
        let tokens = heads.dim(1)?;
        let (cos, sin) = (self.cos.narrow(0, 0, tokens)?, self.sin.narrow(0, 0, tokens)?);
        rope(&heads.unsqueeze(0)?, &cos, &sin)?.squeeze(0)
    }
}
