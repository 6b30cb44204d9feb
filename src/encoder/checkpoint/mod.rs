//! [`Checkpoint`]: an encoder from the folder of a model.
//!
//! | file | holds |
//! |---|---|
//! | `folder.rs` | the files of a model, and what they say about texts |
//! | `tokens.rs` | tokenizer, markers, lengths, expansion, tokens left out |
//! | `network.rs` | a transformer and the layers after it |
//! | `bert.rs`, `modern_bert.rs` | the transformers |
//! | `attention.rs` | attention within texts that lie one after the other |
//! | `head.rs` | a layer after a transformer |
//! | `passes.rs` | what is done to each number or row, in place |
//! | `weights.rs` | layers from tensors, by their names |
//!
//! Texts of a batch lie one after the other, without padding: every layer but attention treats tokens alone, and
//! attention takes the rows of one text. So a text has the same vectors in any company.

mod attention;
mod bert;
mod folder;
mod head;
mod modern_bert;
mod network;
mod passes;
mod tokens;
mod weights;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use attention::{Batch, Extent};
use folder::{Folder, unusable};
use network::Network;
use tokens::{Prepared, Tokens};

use super::{Encoder, Encoding};
use crate::background::Cancellation;
use crate::{Error, Result};

/// Encoder from a folder as [PyLate] writes it, or as [ColBERT]'s own checkpoints are: BERT, DistilBERT, RoBERTa,
/// XLM-RoBERTa or ModernBERT, with weights in safetensors, computed in f32 on the CPU.
///
/// Markers, lengths, expansion of queries and tokens left out of documents are those of the folder. A model that
/// isn't made for late interaction has none of these, and gives its last states. Nothing is downloaded. Texts are
/// spread over rayon's threads: the caller's pool if the call is made inside one, else the global one.
///
/// ```no_run
/// use maxfold::encoder::{Checkpoint, Encoder};
///
/// let model = Checkpoint::open("GTE-ModernColBERT-v1")?;
/// let query = model.query("how do I change a tyre?")?;
/// let pages = model.documents(&["Take the wheel off.", "Oil the chain."])?;
/// assert_eq!((query.dim(), pages.len()), (128, 2));
/// # Ok::<(), maxfold::Error>(())
/// ```
///
/// [PyLate]: https://github.com/lightonai/pylate
/// [ColBERT]: https://github.com/stanford-futuredata/ColBERT
pub struct Checkpoint {
    path: PathBuf,
    tokens: Tokens,
    network: Network,
    dim: usize,
}

/// Tokens that go through a model at once, unless one text has more.
const BATCH: usize = 1024;

impl Checkpoint {
    /// Opens the folder of a model.
    ///
    /// # Errors
    /// A file is missing: [`Error::NoModel`]. Another architecture, weights that don't fit it, a marker that is no
    /// token, lengths that the model doesn't have: [`Error::UnusableModel`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let folder = Folder::open(path.as_ref())?;
        let network = Network::open(&folder)?;
        let refused = |fault| unusable(&folder.path, fault);
        let tokens = Tokens::open(&folder, network.longest().map_err(refused)?)?;
        // Tensors that don't fit together show now.
        let one = Batch { ids: vec![0], texts: vec![Extent { start: 0, tokens: 1, attended: 1 }] };
        let dim = network.forward(&one).and_then(|it| it.dim(1)).map_err(refused)?;
        Ok(Self { path: folder.path, tokens, network, dim })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn encode(
        &self,
        texts: &[&str],
        prepare: impl Fn(&str) -> Result<Prepared> + Sync,
    ) -> Result<Vec<Encoding>> {
        let prepared = texts.par_iter().map(|text| prepare(text)).collect::<Result<Vec<_>>>()?;
        let batches = batches(prepared);
        let cancellation = Cancellation::current();
        let encoded = batches.into_par_iter().map(|batch| {
            cancellation.check()?;
            self.encode_batch(batch)
        });
        Ok(encoded.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn encode_batch(&self, texts: Vec<Prepared>) -> Result<Vec<Encoding>> {
        let mut batch = Batch { ids: Vec::new(), texts: Vec::new() };
        for Prepared { ids, attended, .. } in &texts {
            let (start, tokens, attended) = (batch.ids.len(), ids.len(), *attended);
            batch.texts.push(Extent { start, tokens, attended });
            batch.ids.extend(ids);
        }
        let vectors =
            self.network.forward(&batch).and_then(|it| it.flatten_all()?.to_vec1::<f32>());
        let vectors = vectors.map_err(|fault| Error::Unencodable { source: fault.into() })?;
        let extents = batch.texts.iter().zip(texts);
        extents.map(|(text, prepared)| self.kept(&vectors, text.start, prepared)).collect()
    }

    /// The rows of one text that are wanted.
    fn kept(&self, vectors: &[f32], start: usize, text: Prepared) -> Result<Encoding> {
        let row = |position: usize| &vectors[(start + position) * self.dim..][..self.dim];
        let values = text.kept.iter().flat_map(|(position, _)| row(*position)).copied().collect();
        Encoding::new(values, self.dim, text.kept.into_iter().map(|(_, token)| token).collect())
    }
}

/// Texts that go through a model at once, in order.
fn batches(texts: Vec<Prepared>) -> Vec<Vec<Prepared>> {
    let (mut batches, mut tokens) = (Vec::new(), BATCH);
    for text in texts {
        tokens += text.ids.len();
        match batches.last_mut() {
            Some(batch) if tokens <= BATCH => Vec::push(batch, text),
            _ => {
                tokens = text.ids.len();
                batches.push(vec![text]);
            }
        }
    }
    batches
}

impl Encoder for Checkpoint {
    fn dim(&self) -> usize {
        self.dim
    }

    fn queries(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
        self.encode(texts, |text| self.tokens.query(text))
    }

    fn documents(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
        self.encode(texts, |text| self.tokens.document(text))
    }

    fn document_length(&self) -> Option<usize> {
        Some(self.tokens.document_length())
    }

    fn document_spans(&self, text: &str) -> Result<Vec<Range<usize>>> {
        self.tokens.spans(text)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("path", &self.path).field("dim", &self.dim).finish()
    }
}
