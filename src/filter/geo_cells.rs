//! Cells of the Earth: where a place stands in an index, and which cells an area takes up.
//!
//! A cell is a rectangle of longitudes and latitudes; halving it in both directions makes four of the next
//! level. Digits of a place's cells, one for each level, are one number: those of a cell's places
//! are a range.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::GeoPoint;
use super::geo_area::{GeoArea, GeoRing, side_of_line};

/// Cells of the last level are a few millimetres wide.
const LEVELS: u32 = 32;

/// An area is described by no more ranges than about this.
const MOST: usize = 256;

/// More than rounding moves a place, in degrees.
const SLACK: f64 = 1e-9;

/// Numbers of the cells that lie in an area, and of those that may.
pub(super) struct Cover {
    /// Cells all of whose places are in the area.
    pub sure: Vec<RangeInclusive<u64>>,
    /// Cells that may have places in the area.
    pub possible: Vec<RangeInclusive<u64>>,
}

/// Cell of a level, by its column and row.
#[derive(Clone, Copy)]
struct Cell {
    level: u32,
    column: u32,
    row: u32,
}

/// Share of a cell that lies in an area.
enum Share {
    All,
    Some,
    None,
}

/// The number of a place's cell.
pub(super) fn number(place: GeoPoint) -> u64 {
    let digits = |degrees: f64, whole: f64| {
        // A cast keeps the last cell for what would be past it.
        ((degrees / whole + 0.5) * f64::from(LEVELS).exp2()) as u32
    };
    interleaved(digits(place.lon(), 360.0), digits(place.lat(), 180.0))
}

/// The bits of a row and a column, in turns.
fn interleaved(column: u32, row: u32) -> u64 {
    (0..LEVELS).fold(0, |number, bit| {
        let pair = u64::from(row >> bit & 1) << 1 | u64::from(column >> bit & 1);
        number | pair << (2 * bit)
    })
}

/// The cells of an area, divided where that tells most.
pub(super) fn cover(area: &GeoArea) -> Cover {
    let mut cover = Cover { sure: Vec::new(), possible: Vec::new() };
    // Larger cells come first.
    let mut open = VecDeque::from([Cell { level: 0, column: 0, row: 0 }]);
    while let Some(cell) = open.pop_front() {
        match cell.share(area) {
            Share::None => {}
            Share::All => cover.sure.push(cell.numbers()),
            Share::Some => {
                let full = cover.sure.len() + cover.possible.len() + open.len() >= MOST;
                if full || cell.level == LEVELS {
                    cover.possible.push(cell.numbers());
                } else {
                    open.extend(cell.quarters());
                }
            }
        }
    }
    Cover { sure: joined(cover.sure), possible: joined(cover.possible) }
}

/// The same numbers in as few ranges as can be.
fn joined(mut ranges: Vec<RangeInclusive<u64>>) -> Vec<RangeInclusive<u64>> {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u64>> = Vec::new();
    for next in ranges {
        match joined.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(*next.start()) => {
                *last = *last.start()..=*next.end();
            }
            _ => joined.push(next),
        }
    }
    joined
}

impl Cell {
    fn quarters(self) -> [Self; 4] {
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(right, up)| Self {
            level: self.level + 1,
            column: self.column << 1 | right,
            row: self.row << 1 | up,
        })
    }

    /// The numbers of the cells of the last level in it.
    fn numbers(self) -> RangeInclusive<u64> {
        let below = 2 * (LEVELS - self.level);
        let first = interleaved(self.column, self.row).unbounded_shl(below);
        first..=first + u64::MAX.unbounded_shr(2 * LEVELS - below)
    }

    /// Share of the cell in an area: all or none only where that is certain.
    fn share(self, area: &GeoArea) -> Share {
        let square = self.square();
        match area {
            GeoArea::BoundingBox { top_left, bottom_right } => {
                square.share_of_box(*top_left, *bottom_right)
            }
            GeoArea::Radius { center, radius } => square.share_of_circle(*center, *radius),
            GeoArea::Polygon { exterior, interiors } => {
                let crosses = |ring: &GeoRing| ring.edges().any(|edge| square.is_met(edge));
                if crosses(exterior) || interiors.iter().any(crosses) {
                    return Share::Some;
                }
                if area.contains(square.center) { Share::All } else { Share::None }
            }
        }
    }

    fn square(self) -> Square {
        let side = (-f64::from(self.level)).exp2();
        let middle = |at: u32, whole: f64| ((f64::from(at) + 0.5) * side - 0.5) * whole;
        let center = GeoPoint::anywhere(middle(self.row, 180.0), middle(self.column, 360.0));
        Square { center, width: side * 180.0 + SLACK, height: side * 90.0 + SLACK }
    }
}

/// The places of a cell, and a little more.
struct Square {
    center: GeoPoint,
    /// Degrees from its center to the east and to the west.
    width: f64,
    /// Degrees to the north and to the south.
    height: f64,
}

impl Square {
    fn share_of_box(&self, top_left: GeoPoint, bottom_right: GeoPoint) -> Share {
        let within = |from: f64, to: f64, at: f64, half: f64| {
            (from < at - half && at + half < to, from < at + half && at - half < to)
        };
        let (west, east) = (top_left.lon(), bottom_right.lon());
        let (lon, width) = (self.center.lon(), self.width);
        let columns = if west > east {
            // Between its edges is what does not belong to it.
            let (all, some) = within(east, west, lon, width);
            (!some, !all)
        } else {
            within(west, east, lon, width)
        };
        let rows = within(bottom_right.lat(), top_left.lat(), self.center.lat(), self.height);
        match (columns, rows) {
            ((true, _), (true, _)) => Share::All,
            ((_, true), (_, true)) => Share::Some,
            _ => Share::None,
        }
    }

    fn share_of_circle(&self, center: GeoPoint, radius: f64) -> Share {
        // No place is farther from the middle than by way of a meridian and then of a parallel.
        let nearest_to_equator = (self.center.lat().abs() - self.height).max(0.0);
        let degrees = self.height + self.width * nearest_to_equator.to_radians().cos();
        let reach = degrees.to_radians() * GeoPoint::EARTH_RADIUS;
        let distance = self.center.distance(center);
        // Rounding: the formula of distances loses half of its digits where they are longest.
        let slack = 1.0 + distance * 1e-7;
        if distance + reach + slack < radius {
            Share::All
        } else if distance - reach - slack > radius {
            Share::None
        } else {
            Share::Some
        }
    }

    /// Tells whether a line meets it.
    fn is_met(&self, [from, to]: [GeoPoint; 2]) -> bool {
        let apart =
            |a: f64, b: f64, at: f64, half: f64| a.max(b) < at - half || a.min(b) > at + half;
        let (lon, lat) = (self.center.lon(), self.center.lat());
        if apart(from.lon(), to.lon(), lon, self.width)
            || apart(from.lat(), to.lat(), lat, self.height)
        {
            return false;
        }
        let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)].map(|(east, north)| {
            let (lat, lon) = (lat + north * self.height, lon + east * self.width);
            side_of_line(from, to, GeoPoint::anywhere(lat, lon))
        });
        !(corners.iter().all(|side| *side > 0.0) || corners.iter().all(|side| *side < 0.0))
    }
}
