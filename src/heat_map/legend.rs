//! Legend: a bar of the colours, with the similarities that they stand for.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::colours::{PAPER, blended, warmed};

const FONT: (FontWeight, RasterHeight) = (FontWeight::Regular, RasterHeight::Size16);
const INK: Rgb<u8> = Rgb([40, 40, 40]);

/// Pixels between things.
const GAP: u32 = 10;
/// Width of the bar.
const BAR: u32 = 18;
/// Length of the line from the bar to a value.
const TICK: u32 = 5;
/// Values beside the bar, the first and the last included.
const TICKS: u32 = 5;

/// Height that a legend needs.
pub(super) const LEAST_HEIGHT: u32 = 120;

/// Height that is enough.
const MOST_HEIGHT: u32 = 360;

/// Legend of similarities from `least` to `most`.
pub(super) struct Legend {
    /// Values, the largest first.
    labels: Vec<String>,
}

impl Legend {
    pub fn new(least: f32, most: f32) -> Self {
        // One colour has one value.
        let ticks = if most > least { TICKS } else { 1 };
        let value = |tick| most - (most - least) * tick as f32 / (TICKS - 1) as f32;
        Self { labels: (0..ticks).map(|tick| number(value(tick), most - least)).collect() }
    }

    pub fn width(&self) -> u32 {
        let longest = self.labels.iter().map(String::len).max().unwrap_or(0);
        GAP + BAR + TICK + GAP / 2 + (longest * get_raster_width(FONT.0, FONT.1)) as u32 + GAP
    }

    /// Draws it at the right of a picture, `left` being where it begins.
    pub fn draw(&self, picture: &mut RgbImage, left: u32) {
        let (top, bar) = (GAP, left + GAP);
        let height = (picture.height() - 2 * GAP).min(MOST_HEIGHT);
        for (x, y) in (bar..bar + BAR).flat_map(|x| (0..height).map(move |y| (x, y))) {
            let heat = 1.0 - y as f32 / (height - 1) as f32;
            let framed = y == 0 || y == height - 1 || x == bar || x == bar + BAR - 1;
            let pixel = if framed { INK } else { warmed(PAPER, heat) };
            picture.put_pixel(x, top + y, pixel);
        }
        for (tick, label) in (0..).zip(&self.labels) {
            let y = top + tick * (height - 1) / (TICKS - 1);
            (0..TICK).for_each(|x| picture.put_pixel(bar + BAR + x, y, INK));
            write(picture, label, bar + BAR + TICK + GAP / 2, y);
        }
    }
}

/// Writes a text, `y` being its middle.
fn write(picture: &mut RgbImage, text: &str, x: u32, y: u32) {
    let (weight, size) = FONT;
    let glyphs = text.chars().filter_map(|it| get_raster(it, weight, size));
    let top = y.saturating_sub(size.val() as u32 / 2);
    for (left, glyph) in (x..).step_by(get_raster_width(weight, size)).zip(glyphs) {
        for (y, row) in (top..).zip(glyph.rows()) {
            for (x, intensity) in (left..).zip(row) {
                if let Some(pixel) = picture.get_pixel_mut_checked(x, y) {
                    *pixel = blended(*pixel, INK, f32::from(*intensity) / 255.0);
                }
            }
        }
    }
}

/// A similarity with digits enough to tell it from others of so wide a range.
fn number(similarity: f32, range: f32) -> String {
    if similarity.abs() < 1e4 && (range == 0.0 || range > 0.01) {
        format!("{similarity:.3}")
    } else {
        format!("{similarity:.3e}")
    }
}
