//! Texts of points, which a model turns into vectors.

use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::collection::{CollectionConfig, Datatype, Point, Vector, VectorConfig, VectorKind};
use maxfold::encoder::{Encoder, Encoding};
use maxfold::filter::PointId;
use maxfold::multivector::Pooling;
use maxfold::recall::Distance;
use rayon::prelude::*;
use serde_json::Value;

use super::passages::Passages;
use super::sources::put;
use crate::command_line::Usage;
use crate::model::{self, MEAN, POOLED, TOKENS};

#[derive(clap::Args)]
pub struct TextArgs {
    /// Folder of a model, which makes the vectors `tokens`, `mean` and `pooled` of a text, as far as the
    /// collection has them.
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// The key of the payload that has the text.
    #[arg(long = "text", value_name = "FIELD", default_value = model::TEXT)]
    pub field: String,
    /// Keeps a second multivector, `pooled`, with fewer rows: `ward:FACTOR`, `windows:TOKENS`.
    #[arg(long, value_name = "POOLING", requires = "model")]
    pool: Option<Pooling>,
}

/// Texts of points, and the model for them.
pub struct Texts<'a> {
    folder: &'a Path,
    field: &'a str,
    pool: Option<Pooling>,
    encoder: Box<dyn Encoder>,
    passages: Option<Passages>,
    /// Texts that are longer than the model reads: how many, and whose the first is.
    long: usize,
    first_long: Option<PointId>,
}

impl TextArgs {
    /// Tells whether a model is asked for.
    pub fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// Opens the model, if one is asked for.
    pub fn open(&self, passages: Option<Passages>) -> maxfold::Result<Option<Texts<'_>>> {
        let Some(folder) = &self.model else { return Ok(None) };
        let (encoder, field, pool) = (model::open(folder)?, self.field.as_str(), self.pool);
        let (long, first_long) = (0, None);
        Ok(Some(Texts { folder, field, pool, encoder, passages, long, first_long }))
    }
}

impl Texts<'_> {
    /// The configuration of a collection for texts, where none is given.
    pub fn config(&self) -> CollectionConfig {
        let multi = |distance| {
            VectorConfig::multi(self.encoder.dim(), distance).datatype(Datatype::Float16)
        };
        let config = CollectionConfig::new()
            .vector(MEAN, VectorConfig::dense(self.encoder.dim(), Distance::Cosine))
            .vector(TOKENS, multi(Distance::Cosine));
        match self.pool {
            // A mean of vectors that differ is shorter, and is to weigh less.
            Some(_) => config.vector(POOLED, multi(Distance::Dot)),
            None => config,
        }
    }

    /// Refuses a collection that can't take the vectors.
    pub fn check(&self, config: &CollectionConfig) -> Result<(), Box<dyn Error>> {
        self.check_multi(config, TOKENS)?;
        let has_pooled = config.get(POOLED).is_ok();
        match self.pool {
            Some(_) => self.check_multi(config, POOLED),
            None if has_pooled => {
                Err(Usage::new("expected --pool for the vector \"pooled\", got none").into())
            }
            None => Ok(()),
        }
    }

    fn check_multi(&self, config: &CollectionConfig, name: &str) -> Result<(), Box<dyn Error>> {
        let (found, dim) = (config.get(name)?, self.encoder.dim());
        if found.kind != VectorKind::Multi {
            return Err(format!("expected vector {name:?} to be a multivector, got another").into());
        }
        if found.size != dim {
            let (folder, size) = (self.folder.display(), found.size);
            return Err(format!("expected a model of dimension {size} in {folder}, for the vector {name:?}, got {dim}").into());
        }
        Ok(())
    }

    /// Tells whether documents are cut into passages.
    pub fn have_passages(&self) -> bool {
        self.passages.is_some()
    }

    /// The points that a document becomes: itself, or its passages.
    pub fn passages(&self, document: Point) -> Result<Vec<Point>, Box<dyn Error>> {
        match &self.passages {
            Some(passages) => passages.of(self.encoder.as_ref(), document, self.field),
            None => Ok(vec![document]),
        }
    }

    /// Adds the vectors of points.
    pub fn add(
        &mut self,
        points: &mut [Point],
        config: &CollectionConfig,
    ) -> Result<(), Box<dyn Error>> {
        let texts = points.iter().map(|point| self.text(point));
        let texts = texts.collect::<Result<Vec<&str>, _>>()?;
        let encodings = self.encoder.documents(&texts)?;
        let is_long = texts.iter().zip(&encodings).map(|(text, encoding)| is_long(text, encoding));
        for (_, point) in is_long.zip(&*points).filter(|(is_long, _)| *is_long) {
            self.long += 1;
            self.first_long.get_or_insert(point.id);
        }
        let pooled =
            encodings.par_iter().map(|it| self.pooled(it)).collect::<Result<Vec<_>, _>>()?;
        let is_mean = |it: &VectorConfig| {
            matches!(it.kind, VectorKind::Dense(_)) && it.size == self.encoder.dim()
        };
        let has_mean = config.get(MEAN).is_ok_and(is_mean);
        for ((point, encoding), pooled) in points.iter_mut().zip(encodings).zip(pooled) {
            if has_mean {
                put(point, MEAN, encoding.mean().into(), self.folder)?;
            }
            if let Some(vector) = pooled {
                put(point, POOLED, vector, self.folder)?;
            }
            let dim = encoding.dim();
            let vector = Vector::Multi { values: encoding.into_values(), dim };
            put(point, TOKENS, vector, self.folder)?;
        }
        Ok(())
    }

    fn text<'p>(&self, point: &'p Point) -> Result<&'p str, String> {
        let (field, id) = (self.field, point.id);
        match point.payload.get(field) {
            Some(Value::String(text)) => Ok(text),
            other => {
                let got = other.map_or("nothing".into(), Value::to_string);
                Err(format!("expected payload key {field:?} of point {id} to be text, got {got}"))
            }
        }
    }

    fn pooled(&self, encoding: &Encoding) -> maxfold::Result<Option<Vector>> {
        let dim = encoding.dim();
        let pool = |pool: Pooling| pool.apply(encoding.values(), dim);
        Ok(self.pool.map(pool).transpose()?.map(|values| Vector::Multi { values, dim }))
    }

    /// Warns of texts of which only the beginning is found.
    pub fn warn(&self) {
        if let (long, Some(first)) = (self.long, self.first_long) {
            let hint = if self.have_passages() { "" } else { "; --passages cuts them" };
            eprintln!(
                "warning: {long} texts are longer than the model reads, and only their beginnings are found; \
                 the first is that of point {first}{hint}"
            );
        }
    }
}

/// Tells whether a text goes on with words after the last token.
fn is_long(text: &str, encoding: &Encoding) -> bool {
    let ends = encoding.tokens().iter().filter_map(|token| Some(token.span.as_ref()?.end));
    let rest = text.get(ends.max().unwrap_or(0)..).unwrap_or_default();
    rest.contains(char::is_alphanumeric)
}
