//! Picture of a heat map: the page in grey, the heat over it, the legend beside it.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType as Filter, PngEncoder};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, ImageReader, Luma, Pixel, Rgb, RgbImage};

use super::colours::{PAPER, warmed};
use super::legend::{LEAST_HEIGHT, Legend};
use super::{Grid, HeatMap};
use crate::error::Foreign;
use crate::{Error, Result};

/// Pixels of the longer side, where there is no page to be drawn on; but patches are no larger than `PATCH`.
const BLANK: u32 = 768;
const PATCH: u32 = 96;

/// Pixels of a page's longer side: less is enlarged, more is made smaller.
const SIDE: std::ops::RangeInclusive<u32> = 640..=1600;

const EDGE: Rgb<u8> = Rgb([200, 200, 200]);

impl HeatMap {
    /// Picture of it as a PNG: over a page, which is a PNG or a JPEG, or over white paper. The heat goes smoothly
    /// from the middle of a patch to that of its neighbours (bilinear interpolation). The page is drawn in grey, so
    /// that every colour is heat; at the right are the colours with the similarities that they stand for.
    ///
    /// # Errors
    /// The page is not an image that can be read.
    pub fn png(&self, page: Option<&[u8]>) -> Result<Vec<u8>> {
        let page = match page {
            Some(bytes) => grey(&decoded(bytes)?),
            None => blank(self.grid()),
        };
        let (width, height) = page.dimensions();
        let (least, most) = self.range();
        let legend = Legend::new(least, most);
        let size = (width + legend.width(), height.max(LEAST_HEIGHT));
        let mut picture = RgbImage::from_pixel(size.0, size.1, PAPER);
        let heat = self.smooth(width, height);
        for (x, y, page) in page.enumerate_pixels() {
            let edge = x == 0 || y == 0 || x == width - 1 || y == height - 1;
            let warm = warmed(page.to_rgb(), heat.get_pixel(x, y).0[0]);
            picture.put_pixel(x, y, if edge { EDGE } else { warm });
        }
        legend.draw(&mut picture, width);
        encoded(&picture)
    }

    /// Heat of each pixel of a page, from 0 to 1.
    fn smooth(&self, width: u32, height: u32) -> ImageBuffer<Luma<f32>, Vec<f32>> {
        let (least, most) = self.range();
        let heat = |similarity: f32| {
            if most > least { (similarity - least) / (most - least) } else { 1.0 }
        };
        let (columns, rows) = (self.grid().columns(), self.grid().rows());
        let patches = ImageBuffer::from_fn(columns.into(), rows.into(), |column, row| {
            let at = row as usize * usize::from(columns) + column as usize;
            Luma([heat(self.values()[at])])
        });
        imageops::resize(&patches, width, height, FilterType::Triangle)
    }
}

fn blank(grid: Grid) -> ImageBuffer<Luma<u8>, Vec<u8>> {
    let (columns, rows) = (u32::from(grid.columns()), u32::from(grid.rows()));
    let patch = (BLANK / columns.max(rows)).clamp(1, PATCH);
    ImageBuffer::from_pixel(columns * patch, rows * patch, Luma([255]))
}

/// A page in grey, of a size that is good to look at, paler than it is, so that heat is seen on ink, too.
fn grey(page: &DynamicImage) -> ImageBuffer<Luma<u8>, Vec<u8>> {
    let longer = page.width().max(page.height());
    let wanted = longer.clamp(*SIDE.start(), *SIDE.end());
    let scaled = |side: u32| {
        let scaled = u64::from(side) * u64::from(wanted) / u64::from(longer);
        (scaled as u32).max(1)
    };
    // What is transparent shows paper.
    let mut page = page.to_rgba8();
    let paper = PAPER.to_rgba();
    page.pixels_mut().for_each(|pixel| {
        let mut below = paper;
        below.blend(pixel);
        *pixel = below;
    });
    let mut grey = DynamicImage::from(page).into_luma8();
    grey.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|ink| 255 - (255 - ink) / 3 * 2));
    imageops::resize(&grey, scaled(grey.width()), scaled(grey.height()), FilterType::Triangle)
}

fn decoded(bytes: &[u8]) -> Result<DynamicImage> {
    let refused = |source: Foreign| Error::Image { action: "read", source };
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    reader.map_err(|error| refused(error.into()))?.decode().map_err(|error| refused(error.into()))
}

fn encoded(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, Filter::Adaptive);
    let written = picture.write_with_encoder(encoder);
    written.map_err(|error| Error::Image { action: "write", source: error.into() })?;
    Ok(bytes)
}
