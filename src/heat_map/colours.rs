//! Colours of heat: from nothing over yellow to red.

use image::Rgb;

/// Part of the scheme that is used: its end is too dark to be told from ink.
const BRIGHT: f64 = 0.8;

/// Share that the hottest colour has in a pixel; the rest is the page.
const OPACITY: f32 = 0.8;

/// White.
pub(super) const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// A pixel of the page, seen through heat from 0 to 1.
pub(super) fn warmed(page: Rgb<u8>, heat: f32) -> Rgb<u8> {
    let heat = heat.clamp(0.0, 1.0);
    let colour = colorous::YELLOW_ORANGE_RED.eval_continuous(f64::from(heat) * BRIGHT);
    // Most patches are lukewarm: what stands out is what is hot.
    blended(page, Rgb(colour.into_array()), OPACITY * heat.powf(1.5))
}

/// `below`, with so much of `above` over it.
pub(super) fn blended(below: Rgb<u8>, above: Rgb<u8>, opacity: f32) -> Rgb<u8> {
    let channel = |at: usize| {
        let (below, above) = (f32::from(below.0[at]), f32::from(above.0[at]));
        (below + (above - below) * opacity).round() as u8
    };
    Rgb([channel(0), channel(1), channel(2)])
}
