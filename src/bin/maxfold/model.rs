//! Models in folders, and the names of the vectors that they make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use maxfold::encoder::Encoder;

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
