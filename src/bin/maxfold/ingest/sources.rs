//! Files of vectors, whose items belong to points.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use maxfold::collection::{CollectionConfig, Point, Vector, VectorConfig, VectorKind};
use maxfold::multivector::{RowCleanup, RowCounts, VectorFile};
use maxfold::recall::Distance;

use super::Args;
use crate::command_line::Usage;

/// The vectors of one name.
pub struct Source<'a> {
    name: &'a str,
    path: &'a Path,
    kind: VectorKind,
    cosine: bool,
    file: VectorFile,
    /// In the rows of multivectors so far.
    found: RowCounts,
}

impl Source<'_> {
    /// Adds the vector of a point.
    pub fn add(
        &mut self,
        item: usize,
        point: &mut Point,
        cleanup: RowCleanup,
    ) -> Result<(), Box<dyn Error>> {
        let Some(mut values) = self.file.get(item)? else { return Ok(()) };
        let vector = match self.kind {
            VectorKind::Dense(_) => Vector::Dense(values),
            VectorKind::Multi => {
                let dim = self.file.dim();
                self.found += cleanup.apply(&mut values, dim)?;
                Vector::Multi { values, dim }
            }
            _ => return Err(no_such_file(self.path).into()),
        };
        put(point, self.name, vector, self.path)
    }

    /// Warns of what was found.
    pub fn warn(&self, args: &Args) {
        args.cleanup.warn(self.path, self.found, self.cosine);
    }
}

/// Adds a vector to a point that has none of this name.
pub fn put(
    point: &mut Point,
    name: &str,
    vector: Vector,
    from: &Path,
) -> Result<(), Box<dyn Error>> {
    if point.vectors.insert(name.into(), vector).is_none() {
        return Ok(());
    }
    let (id, from) = (point.id, from.display());
    Err(format!("expected vector {name:?} of point {id} once, got it again from {from}").into())
}

/// Opens the files of vectors that are given.
pub fn open<'a>(
    args: &'a Args,
    config: &CollectionConfig,
    points: usize,
) -> Result<Vec<Source<'a>>, Box<dyn Error>> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for (name, path) in &args.vectors {
        if !names.insert(name) {
            let message = format!("expected --vectors {name}=FILE once, got it twice");
            return Err(Usage::new(message).into());
        }
        let file = open_file(path, config.get(name)?, points)?;
        let VectorConfig { kind, distance, .. } = config.get(name)?;
        let (kind, cosine) = (*kind, *distance == Distance::Cosine);
        let found = RowCounts::default();
        sources.push(Source { name, path, kind, cosine, file, found });
    }
    Ok(sources)
}

/// A file of vectors has dense ones or multivectors.
fn no_such_file(path: &Path) -> String {
    let path = path.display();
    format!(
        "expected {path} to be of a dense vector or a multivector, got a sparse one: those stand in --points"
    )
}

/// A file with a vector for each point, as the configuration has them.
fn open_file(
    path: &Path,
    config: &VectorConfig,
    points: usize,
) -> Result<VectorFile, Box<dyn Error>> {
    let file = match config.kind {
        VectorKind::Dense(_) => VectorFile::dense(path)?,
        VectorKind::Multi => VectorFile::tokens(path)?,
        _ => return Err(no_such_file(path).into()),
    };
    let (path, count, dim, size) = (path.display(), file.len(), file.dim(), config.size);
    if count != points {
        return Err(format!("expected vectors of {points} points in {path}, got {count}").into());
    }
    if dim != size {
        return Err(format!("expected vectors of dimension {size} in {path}, got {dim}").into());
    }
    Ok(file)
}
