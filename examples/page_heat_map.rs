//! A page, and the patches of it that a query matched, as a picture.
//!
//! The patch matrix is made here, as a model like ColPali would make it: 32 × 32 patches, then a few tokens of the
//! prompt. The answer is planted: the highest bar of a chart. Your model's matrices go the same way.
//!
//! ```sh
//! cargo run --release --features heat-map --example page_heat_map -- heat.png
//! ```

use std::error::Error;
use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use maxfold::TokenMatrix;
use maxfold::heat_map::{Grid, HeatMap};
use maxfold::maxsim::CpuMaxSim;
use rand::prelude::*;

const DIM: usize = 128;
const GRID: Grid = Grid::COLPALI;
/// Rows after the patches.
const PROMPT: usize = 6;
/// Pixels of the page.
const PAGE: (u32, u32) = (640, 832);

/// Column and row of the answer.
const ANSWER: (usize, usize) = (24, 9);
/// First columns and heights of the chart's bars, in patches; they are two wide, and stand below row 16.
const BARS: [(usize, usize); 4] = [(18, 3), (21, 5), (24, 8), (27, 4)];
const FLOOR: usize = 17;

/// Content of a patch.
#[derive(Clone, Copy, PartialEq)]
enum Content {
    Blank,
    Text,
    Bar,
    Answer,
}

/// A meaning after those of contents.
const ELSEWHERE: usize = Content::Answer as usize + 1;

fn content(column: usize, row: usize) -> Content {
    let is_bar = |bar: &(usize, usize)| {
        (bar.0..bar.0 + 2).contains(&column) && (FLOOR - bar.1..FLOOR).contains(&row)
    };
    match BARS.iter().any(is_bar) {
        _ if (column, row) == ANSWER => Content::Answer,
        true => Content::Bar,
        false if is_text(column, row) => Content::Text,
        false => Content::Blank,
    }
}

/// A heading, a column of text beside the chart, and text below both.
fn is_text(column: usize, row: usize) -> bool {
    let heading = row == 3 && (3..17).contains(&column);
    let beside = (7..=16).contains(&row) && (3..15).contains(&column);
    let below = (20..=28).contains(&row) && (3..29).contains(&column) && row != 24;
    heading || beside || below
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "page_heat_map.png".into());
    let mut rng = StdRng::seed_from_u64(1);
    let meanings: Vec<Vec<f32>> = (0..=ELSEWHERE).map(|_| direction(&mut rng)).collect();
    let (page, query) = (patches(&meanings, &mut rng)?, query(&meanings)?);

    let similarities = CpuMaxSim::new().similarities(query.view(), page.view())?;
    // Of all query tokens; of one it is `similarities.rows().skip(n).take(1)`.
    let heat = HeatMap::new(similarities.rows(), GRID)?;
    std::fs::write(&file, heat.png(Some(&drawn()?))?)?;

    let hottest = heat.hottest();
    println!("hottest patch: column {}, row {}", hottest.column, hottest.row);
    println!("similarity {:.3}; picture in {file}", hottest.similarity);
    Ok(())
}

/// The page's matrix: each patch has the direction of what it shows, and noise.
fn patches(meanings: &[Vec<f32>], rng: &mut StdRng) -> maxfold::Result<TokenMatrix> {
    let mut values = Vec::new();
    for patch in 0..GRID.patches() {
        let columns = usize::from(GRID.columns());
        let content = content(patch % columns, patch / columns);
        values.extend(mixed(&meanings[content as usize], 1.0, &direction(rng)));
    }
    // Tokens of the prompt are like the answer, too, and not on the page.
    for _ in 0..PROMPT {
        values.extend(mixed(&meanings[Content::Answer as usize], 2.0, &direction(rng)));
    }
    TokenMatrix::new(&values, DIM)
}

/// "highest bar": the one token means the answer, the other every bar, and much that isn't on this page.
fn query(meanings: &[Vec<f32>]) -> maxfold::Result<TokenMatrix> {
    let (answer, bar) = (&meanings[Content::Answer as usize], &meanings[Content::Bar as usize]);
    let (highest, bars) = (mixed(answer, 3.0, bar), mixed(bar, 0.7, &meanings[ELSEWHERE]));
    TokenMatrix::new(&[highest, bars].concat(), DIM)
}

fn direction(rng: &mut StdRng) -> Vec<f32> {
    unit((0..DIM).map(|_| rng.random_range(-1.0..1.0)).collect())
}

/// `share` of one direction and 1 of another.
fn mixed(one: &[f32], share: f32, other: &[f32]) -> Vec<f32> {
    unit(one.iter().zip(other).map(|(one, other)| one * share + other).collect())
}

fn unit(values: Vec<f32>) -> Vec<f32> {
    let length = values.iter().map(|it| it * it).sum::<f32>().sqrt();
    values.iter().map(|it| it / length).collect()
}

/// The page as a PNG: a bar where there is one, lines where there is text.
fn drawn() -> image::ImageResult<Vec<u8>> {
    let page = GrayImage::from_fn(PAGE.0, PAGE.1, |x, y| {
        let column = x as usize * usize::from(GRID.columns()) / PAGE.0 as usize;
        let row = y as usize * usize::from(GRID.rows()) / PAGE.1 as usize;
        let (line, word) = (y / 13, 31 + y / 13 * 7 % 23);
        let in_line = y % 13 > 6 && (x + line * 17) % word > 4;
        Luma([match content(column, row) {
            Content::Bar | Content::Answer => 90,
            Content::Text if in_line => 110,
            _ => 255,
        }])
    });
    let mut png = Cursor::new(Vec::new());
    page.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}
