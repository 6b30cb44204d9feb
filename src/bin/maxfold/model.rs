//! Models in folders, and the names of the vectors that they make.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use maxfold::collection::Collection;
use maxfold::encoder::Encoder;
use maxfold::filter::{FieldPath, IndexKind};

/// The multivector of all token vectors.
pub const TOKENS: &str = "tokens";
/// The dense vector that is their mean.
pub const MEAN: &str = "mean";
/// The multivector of means of some of them.
pub const POOLED: &str = "pooled";

/// The key of the payload that has the text, unless another is given.
pub const TEXT: &str = "text";
/// The key of the payload that says in which file of a folder a text was.
pub const PATH: &str = "path";

/// The key of the payload of a passage that has the id of its document, as text.
pub const DOCUMENT: &str = "document";
/// The key of the payload of a passage that has its number among those of its document, from 0.
pub const PASSAGE: &str = "passage";
/// The key of the payload of a passage that says where it begins and ends in its document's text, in bytes.
pub const BYTES: &str = "bytes";

/// Opens the folder of a model.
#[cfg(feature = "encoder")]
pub fn open(folder: &Path) -> maxfold::Result<Box<dyn Encoder>> {
    Ok(Box::new(maxfold::encoder::Checkpoint::open(folder)?))
}

/// Says what this program was built without.
#[cfg(not(feature = "encoder"))]
pub fn open(_: &Path) -> maxfold::Result<Box<dyn Encoder>> {
    Err(maxfold::Error::FeatureMissing { what: "a model", feature: "encoder" })
}

/// Cuts a text into passages of so many tokens, or of the model's length.
#[cfg(feature = "encoder")]
pub fn passages(
    encoder: &dyn Encoder,
    text: &str,
    tokens: Option<usize>,
    overlap: usize,
) -> maxfold::Result<Vec<Range<usize>>> {
    let passages = maxfold::encoder::Passages::new().overlap(overlap);
    tokens.into_iter().fold(passages, maxfold::encoder::Passages::tokens).cut(encoder, text)
}

/// Says what this program was built without.
#[cfg(not(feature = "encoder"))]
pub fn passages(
    _: &dyn Encoder,
    _: &str,
    _: Option<usize>,
    _: usize,
) -> maxfold::Result<Vec<Range<usize>>> {
    Err(maxfold::Error::FeatureMissing { what: "passages", feature: "encoder" })
}

/// Tells whether a collection has passages of documents, which are indexed by those.
pub fn has_passages(collection: &Collection) -> maxfold::Result<bool> {
    let document: FieldPath = DOCUMENT.parse()?;
    let snapshot = collection.snapshot()?;
    Ok(snapshot.indexes().any(|it| it.field == document && it.kind == IndexKind::Keyword))
}

/// The models in a folder, `NAME` or `OWNER/NAME`, with the folder of each.
pub fn all_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let failed = |fault| format!("cannot read {}: {fault}", folder.display());
    let mut models = Vec::new();
    for (name, path) in folders(folder).map_err(failed)? {
        if is_model(&path) {
            models.push((name, path));
            continue;
        }
        let of_owner =
            folders(&path).map_err(failed)?.into_iter().filter(|(_, path)| is_model(path));
        models.extend(of_owner.map(|(model, path)| (format!("{name}/{model}"), path)));
    }
    match models.is_empty() {
        true => Err(format!("expected folders of models in {}, got none", folder.display())),
        false => Ok(models),
    }
}

fn is_model(folder: &Path) -> bool {
    ["modules.json", "config.json"].iter().any(|file| folder.join(file).is_file())
}

/// The folders in a folder that have a name in UTF-8.
fn folders(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        Ok(entry.file_name().into_string().ok().map(|name| (name, entry.path())))
    });
    let mut folders = entries.filter_map(Result::transpose).collect::<io::Result<Vec<_>>>()?;
    folders.retain(|(_, path)| path.is_dir());
    folders.sort();
    Ok(folders)
}
