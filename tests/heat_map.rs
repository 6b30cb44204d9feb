//! Heat maps: what a picture shows is read from its pixels, by the legend that stands in it.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use maxfold::heat_map::{Grid, HeatMap};
use maxfold::{Error, ErrorKind};

fn decoded(png: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(png, ImageFormat::Png).unwrap().into_rgb8()
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Difference between the strongest channel and the weakest: none in grey.
fn colourfulness(pixel: &Rgb<u8>) -> u32 {
    u32::from(*pixel.0.iter().max().unwrap() - *pixel.0.iter().min().unwrap())
}

/// A grid of values that rise and fall.
fn values(grid: Grid) -> Vec<f32> {
    let value = |at: usize| ((at * 37 % 101) as f32 / 50.0).sin();
    (0..grid.patches()).map(value).collect()
}

/// Column and row of the cell with the most colour, of a page that begins in the corner.
fn hottest_cell(picture: &RgbImage, page: (u32, u32), grid: (u32, u32)) -> (u32, u32) {
    let mean = |column: u32, row: u32| {
        let (xs, ys) = (
            column * page.0 / grid.0..(column + 1) * page.0 / grid.0,
            row * page.1 / grid.1..(row + 1) * page.1 / grid.1,
        );
        let pixels = (xs.end - xs.start) * (ys.end - ys.start);
        let all = ys.flat_map(|y| xs.clone().map(move |x| (x, y)));
        let sum: u32 = all.map(|(x, y)| colourfulness(picture.get_pixel(x, y))).sum();
        f64::from(sum) / f64::from(pixels)
    };
    let cells = (0..grid.1).flat_map(|row| (0..grid.0).map(move |column| (column, row)));
    cells.max_by(|a, b| mean(a.0, a.1).total_cmp(&mean(b.0, b.1))).unwrap()
}

/// The colours of the legend's bar, the hottest first: the bar has a dark frame, and is right of the page.
fn legend(picture: &RgbImage, page_width: u32) -> Vec<Rgb<u8>> {
    let is_frame = |pixel: &Rgb<u8>| pixel.0 == [40, 40, 40];
    let middle = 60;
    let left = (page_width..picture.width()).find(|x| is_frame(picture.get_pixel(*x, middle)));
    let inside = left.unwrap() + 5;
    let frames = (0..picture.height()).filter(|y| is_frame(picture.get_pixel(inside, *y)));
    let frames: Vec<u32> = frames.collect();
    assert_eq!(frames.len(), 2);
    (frames[0] + 1..frames[1]).map(|y| *picture.get_pixel(inside, y)).collect()
}

/// Share of the way from the least value to the largest that a pixel's colour stands for.
fn share(legend: &[Rgb<u8>], pixel: &Rgb<u8>) -> f64 {
    let distance = |colour: &Rgb<u8>| -> i32 {
        let channels = colour.0.iter().zip(pixel.0);
        channels.map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2)).sum()
    };
    let nearest = (0..legend.len()).min_by_key(|at| distance(&legend[*at])).unwrap();
    1.0 - nearest as f64 / (legend.len() - 1) as f64
}

/// Bilinear interpolation between the middles of patches, as textbooks have it.
fn interpolated(values: &[f32], grid: Grid, x: f64, y: f64) -> f64 {
    let (columns, rows) = (usize::from(grid.columns()), usize::from(grid.rows()));
    let (x, y) =
        ((x - 0.5).clamp(0.0, columns as f64 - 1.0), (y - 0.5).clamp(0.0, rows as f64 - 1.0));
    let (left, top) = (x.floor() as usize, y.floor() as usize);
    let (right, bottom) = ((left + 1).min(columns - 1), (top + 1).min(rows - 1));
    let at = |column: usize, row: usize| f64::from(values[row * columns + column]);
    let (dx, dy) = (x - left as f64, y - top as f64);
    let upper = at(left, top) * (1.0 - dx) + at(right, top) * dx;
    let lower = at(left, bottom) * (1.0 - dx) + at(right, bottom) * dx;
    upper * (1.0 - dy) + lower * dy
}

#[test]
fn the_colours_are_the_values_that_the_legend_says_smoothly_in_between() {
    for grid in ["5x3", "26x39", "32x32", "7x1"] {
        let grid: Grid = grid.parse().unwrap();
        let values = values(grid);
        let picture = decoded(&HeatMap::new([&*values], grid).unwrap().png(None).unwrap());
        let patch = (768 / u32::from(grid.columns().max(grid.rows()))).min(96);
        let page = (u32::from(grid.columns()) * patch, u32::from(grid.rows()) * patch);
        assert!(picture.width() > page.0 && picture.height() >= page.1);
        let legend = legend(&picture, page.0);
        let least = f64::from(values.iter().copied().fold(f32::INFINITY, f32::min));
        let most = f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let mut compared = 0;
        for (y, x) in
            (1..page.1 - 1).step_by(7).flat_map(|y| (1..page.0 - 1).step_by(5).map(move |x| (y, x)))
        {
            let middle = |at: u32| (f64::from(at) + 0.5) / f64::from(patch);
            let expected =
                (interpolated(&values, grid, middle(x), middle(y)) - least) / (most - least);
            // The coldest tenth is nearly white, and eight bits don't tell its colours apart.
            if expected > 0.1 {
                let shown = share(&legend, picture.get_pixel(x, y));
                assert!((shown - expected).abs() < 0.02, "{grid} {x} {y}: {shown}, {expected}");
                compared += 1;
            }
        }
        assert!(compared > 500, "{compared}");
    }
}

#[test]
fn of_several_tokens_the_largest_similarity_counts_and_rows_after_the_patches_do_not() {
    let grid = Grid::new(2, 2).unwrap();
    let rows: [&[f32]; 2] = [&[0.1, 0.9, -0.5, 0.0, 7.0], &[0.3, 0.2, -0.25, -0.5, 8.0]];
    let heat = HeatMap::new(rows, grid).unwrap();
    assert_eq!(heat.values(), [0.3, 0.9, -0.25, 0.0]);
    let hottest = heat.hottest();
    assert_eq!((hottest.column, hottest.row, hottest.similarity), (1, 0, 0.9));
    let tied = HeatMap::new([&[0.5_f32, 1.0, 1.0, 0.0][..]], grid).unwrap().hottest();
    assert_eq!((tied.column, tied.row), (1, 0));
}

#[test]
fn what_is_no_page_is_refused() {
    let grid = Grid::new(2, 2).unwrap();
    let refused = |rows: &[&[f32]]| HeatMap::new(rows.iter().copied(), grid).unwrap_err();
    let short = refused(&[&[0.0; 4], &[0.0; 3]]);
    assert_eq!(short.to_string(), "expected 4 patches of a page, got 3");
    assert!(matches!(refused(&[]), Error::NoTokens { .. }));
    let infinite = refused(&[&[0.0; 4], &[0.0, 0.0, f32::INFINITY, 0.0]]);
    assert!(matches!(infinite, Error::NotFinite { row: 1, column: 2, .. }));
    // What is left out may be anything.
    HeatMap::new([&[0.0, 0.0, 0.0, 0.0, f32::NAN][..]], grid).unwrap();

    for grid in ["", "32", "0x5", "5x0", "65536x1", "-1x2", "3x4x5"] {
        let error = grid.parse::<Grid>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("as in 32x32"), "{error}");
    }

    let heat = HeatMap::new([&[0.0_f32; 4][..]], grid).unwrap();
    let png = encoded(GrayImage::new(9, 9), ImageFormat::Png);
    for image in [&b""[..], b"GIF89a", b"no image", &png[..png.len() / 2]] {
        let error = heat.png(Some(image)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("cannot read an image: "), "{error}");
    }
}

/// A page shows through, in grey, whatever its format, colours and size are.
#[test]
fn pages_are_drawn_in_grey_below_the_heat() {
    let grid = Grid::new(4, 4).unwrap();
    let mut values = [0.0_f32; 16];
    values[15] = 1.0;
    let heat = HeatMap::new([&values[..]], grid).unwrap();
    let half = |x: u32, colour: [u8; 3]| if x < 400 { colour } else { [255; 3] };
    let blue = RgbImage::from_fn(800, 1000, |x, _| Rgb(half(x, [0, 0, 160])));
    let pages = [encoded(blue.clone(), ImageFormat::Png), encoded(blue, ImageFormat::Jpeg)];
    for page in pages {
        let picture = decoded(&heat.png(Some(&page)).unwrap());
        assert!(picture.width() > 800);
        assert_eq!(picture.height(), 1000);
        let (ink, paper) = (picture.get_pixel(100, 100), picture.get_pixel(700, 100));
        assert_eq!((colourfulness(ink), colourfulness(paper)), (0, 0));
        assert!(ink.0[0] + 60 < paper.0[0], "{ink:?} {paper:?}");
        assert_eq!(hottest_cell(&picture, (800, 1000), (4, 4)), (3, 3));
    }
    // What is transparent is paper.
    let clear = RgbaImage::from_pixel(700, 700, Rgba([0, 0, 0, 0]));
    let picture = decoded(&heat.png(Some(&encoded(clear, ImageFormat::Png))).unwrap());
    assert_eq!(picture.get_pixel(100, 100).0, [255; 3]);
    // Small pages are enlarged, large ones made smaller.
    for (size, drawn) in
        [((64, 32), (640, 320)), ((3200, 800), (1600, 400)), ((1, 5000), (1, 1600))]
    {
        let page = GrayImage::from_pixel(size.0, size.1, Luma([200]));
        let picture = decoded(&heat.png(Some(&encoded(page, ImageFormat::Png))).unwrap());
        assert_eq!(picture.height(), drawn.1.max(120));
        assert!((drawn.0 + 50..drawn.0 + 150).contains(&picture.width()), "{}", picture.width());
    }
}

/// One value everywhere is one colour, and one number in the legend.
#[test]
fn an_even_page_is_drawn() {
    let heat = HeatMap::new([&[0.5_f32; 4][..]], Grid::new(2, 2).unwrap()).unwrap();
    let picture = decoded(&heat.png(None).unwrap());
    let colours = (1..191).flat_map(|y| (1..191).map(move |x| (x, y)));
    let mut colours: Vec<_> = colours.map(|(x, y)| picture.get_pixel(x, y).0).collect();
    colours.dedup();
    assert_eq!(colours.len(), 1);
}

/// The example's page has its answer in column 24, row 9; its tokens of the prompt, which are no patches, are more
/// similar to the query.
#[test]
fn the_example_shows_the_planted_answer() {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let name = format!("page_heat_map{}", std::env::consts::EXE_SUFFIX);
    let example: PathBuf = profile.join("examples").join(name);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heat.png");
    let output = Command::new(example).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("hottest patch: column 24, row 9\n"), "{said}");
    let picture = decoded(&std::fs::read(file).unwrap());
    assert_eq!(hottest_cell(&picture, (640, 832), (32, 32)), (24, 9));
}
