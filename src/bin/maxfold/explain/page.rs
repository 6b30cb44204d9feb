//! Page of a hit: its grid and its image, and the heat map over it.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use base64::prelude::*;
use maxfold::filter::Payload;
use maxfold::heat_map::{Grid, HeatMap};
use maxfold::serde_json::Value;

use super::hits::{Explained, Hit};

#[derive(clap::Args)]
pub struct PageArgs {
    /// The page's image, a PNG or a JPEG; by default that in the payload, or white paper.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Columns and rows of the page's patches; by default those in the payload, or 32x32.
    #[arg(long, value_name = "COLUMNSxROWS")]
    grid: Option<Grid>,
    /// The row of the hit's multivector that is the first patch: others come first with some models.
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    first_patch: usize,
}

/// Patches of a page among the rows of its multivector.
pub struct Patches {
    grid: Grid,
    first: usize,
}

impl Patches {
    /// Patches that arguments or a payload tell of; those of ColPali, if there is an image and as many
    /// `rows`.
    pub fn of(args: &PageArgs, payload: &Payload, rows: usize) -> Option<Self> {
        let first = args.first_patch;
        let has_image = args.image.is_some() || payload.contains_key("image");
        let is_page = has_image && rows >= first + Grid::COLPALI.patches();
        let usual = is_page.then_some(Grid::COLPALI);
        let grid = args.grid.or_else(|| grid_of(payload)).or(usual)?;
        Some(Self { grid, first })
    }

    /// Name of a row that is a patch.
    pub fn name(&self, row: usize) -> Option<String> {
        let patch = row.checked_sub(self.first).filter(|it| *it < self.grid.patches())?;
        let columns = usize::from(self.grid.columns());
        Some(format!("column {}, row {}", patch % columns + 1, patch / columns + 1))
    }
}

/// `[columns, rows]`, as the dashboard reads it.
fn grid_of(payload: &Payload) -> Option<Grid> {
    let [columns, rows] = payload.get("grid")?.as_array()?.as_slice() else { return None };
    let side = |side: &Value| u16::try_from(side.as_u64()?).ok();
    Grid::new(side(columns)?, side(rows)?).ok()
}

/// The image that stands in a payload itself.
fn image_of(payload: &Payload) -> Option<Vec<u8>> {
    let address = payload.get("image")?.as_str()?.strip_prefix("data:image/")?;
    let (_, encoded) = address.split_once(";base64,")?;
    BASE64_STANDARD.decode(encoded).ok()
}

impl PageArgs {
    /// The heat of a hit's page.
    pub fn heat(&self, explained: &Explained, hit: &Hit) -> Result<HeatMap, String> {
        let rows: Vec<&[f32]> = hit.similarities.rows().collect();
        let chosen = explained.tokens.iter().filter_map(|at| rows.get(*at));
        let patches = chosen.map(|row| row.get(self.first_patch..).unwrap_or_default());
        let grid = hit.patches.as_ref().map_or(Grid::COLPALI, |it| it.grid);
        HeatMap::new(patches, grid)
            .map_err(|error| format!("point {} by a grid of {grid}: {error}", hit.id))
    }

    /// The heat over the image of a hit's page, a PNG.
    pub fn picture(&self, heat: &HeatMap, hit: &Hit) -> Result<Vec<u8>, Box<dyn Error>> {
        let Some(file) = &self.image else {
            return Ok(heat.png(image_of(&hit.payload).as_deref())?);
        };
        let named = |error: &dyn Error| format!("{}: {error}", file.display());
        let image = fs::read(file).map_err(|error| named(&error))?;
        Ok(heat.png(Some(&image)).map_err(|error| named(&error))?)
    }
}
