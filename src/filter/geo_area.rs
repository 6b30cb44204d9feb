//! [`GeoArea`]: an area on Earth, and which places are in it.

use robust::{Coord, orient2d};
use serde_json::{Value, json};

use super::GeoPoint;
use crate::json::{self, Node};
use crate::{Error, Result};

/// An area on Earth; places on its edge are not in it.
///
/// ```
/// use maxfold::filter::{Condition, Filter, GeoArea, GeoPoint};
///
/// let berlin = GeoPoint::new(52.52, 13.405)?;
/// let near = Filter::new().must(Condition::field("place", GeoArea::radius(berlin, 10_000.0)?)?);
/// let json = r#"{"must": {"key": "place", "geo_radius": {
///     "center": {"lon": 13.405, "lat": 52.52}, "radius": 10000
/// }}}"#;
/// assert_eq!(near, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GeoArea {
    /// Between two meridians and two parallels. A box whose western edge is east of its eastern edge goes
    /// across the antimeridian.
    BoundingBox {
        /// The corner in the north-west.
        top_left: GeoPoint,
        /// The corner in the south-east.
        bottom_right: GeoPoint,
    },
    /// Less than so many metres from a place.
    Radius {
        /// The place.
        center: GeoPoint,
        /// Metres.
        radius: f64,
    },
    /// Within a ring, and in none of others. Longitudes and latitudes are those of a plane, so a ring
    /// can't go across the antimeridian.
    Polygon {
        /// The ring around it.
        exterior: GeoRing,
        /// Rings around its holes.
        interiors: Vec<GeoRing>,
    },
}

/// A closed line: its last place is the first one.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoRing(Vec<GeoPoint>);

/// A ring as a place sees it.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Inside,
    Edge,
    Outside,
}

impl GeoArea {
    /// Between the corners in the north-west and in the south-east.
    pub fn bounding_box(top_left: GeoPoint, bottom_right: GeoPoint) -> Self {
        Self::BoundingBox { top_left, bottom_right }
    }

    /// Less than `radius` metres from a place.
    ///
    /// # Errors
    /// The radius is negative or not finite.
    pub fn radius(center: GeoPoint, radius: f64) -> Result<Self> {
        if radius >= 0.0 && radius.is_finite() {
            return Ok(Self::Radius { center, radius });
        }
        Err(refused("the radius", "finite and at least 0", radius))
    }

    /// Within one ring, and in none of others.
    pub fn polygon(exterior: GeoRing, interiors: Vec<GeoRing>) -> Self {
        Self::Polygon { exterior, interiors }
    }

    /// Returns `true` if the place is in the area.
    pub fn contains(&self, place: GeoPoint) -> bool {
        match self {
            Self::BoundingBox { top_left, bottom_right } => {
                let (west, east) = (top_left.lon(), bottom_right.lon());
                let (after, before) = (west < place.lon(), place.lon() < east);
                let between = if west > east { after || before } else { after && before };
                between && bottom_right.lat() < place.lat() && place.lat() < top_left.lat()
            }
            Self::Radius { center, radius } => center.distance(place) < *radius,
            Self::Polygon { exterior, interiors } => {
                exterior.side(place) == Side::Inside
                    && interiors.iter().all(|hole| hole.side(place) == Side::Outside)
            }
        }
    }

    pub(super) fn read(kind: &str, node: &Node<'_>) -> Result<Self> {
        match kind {
            "geo_bounding_box" => {
                let object = node.object(&["top_left", "bottom_right"])?;
                let corner = |name| GeoPoint::read(&object.required(name)?);
                Ok(Self::bounding_box(corner("top_left")?, corner("bottom_right")?))
            }
            "geo_radius" => {
                let object = node.object(&["center", "radius"])?;
                let center = GeoPoint::read(&object.required("center")?)?;
                let radius = object.required("radius")?;
                Self::radius(center, radius.number()?).map_err(|error| radius.wrong(error))
            }
            _ => {
                let object = node.object(&["exterior", "interiors"])?;
                let rings = |node: &Node<'_>| node.array()?.iter().map(GeoRing::read).collect();
                let exterior = GeoRing::read(&object.required("exterior")?)?;
                let interiors: Option<Result<_>> = object.get("interiors").as_ref().map(rings);
                Ok(Self::polygon(exterior, interiors.transpose()?.unwrap_or_default()))
            }
        }
    }

    /// The name of its test in JSON, and what stands there.
    pub(super) fn to_json(&self) -> (&'static str, Value) {
        match self {
            Self::BoundingBox { top_left, bottom_right } => (
                "geo_bounding_box",
                json!({"top_left": top_left.to_json(), "bottom_right": bottom_right.to_json()}),
            ),
            Self::Radius { center, radius } => {
                ("geo_radius", json!({"center": center.to_json(), "radius": radius}))
            }
            Self::Polygon { exterior, interiors } => {
                let interiors = interiors.iter().map(GeoRing::to_json).collect::<Vec<_>>();
                let interiors = if interiors.is_empty() { Value::Null } else { interiors.into() };
                let fields = [("exterior", exterior.to_json()), ("interiors", interiors)];
                ("geo_polygon", json::object(fields))
            }
        }
    }
}

impl GeoRing {
    /// A ring of at least four places, the last of which is the first.
    ///
    /// # Errors
    /// There are fewer, or the last is another.
    pub fn new(places: Vec<GeoPoint>) -> Result<Self> {
        if places.len() < 4 {
            return Err(refused("a ring", "of at least 4 places", places.len()));
        }
        if places.first() != places.last() {
            return Err(refused("a ring", "closed: its last place is the first", "another one"));
        }
        Ok(Self(places))
    }

    fn read(node: &Node<'_>) -> Result<Self> {
        let places = node.object(&["points"])?.required("points")?;
        let places = places.array()?.iter().map(GeoPoint::read).collect::<Result<_>>()?;
        Self::new(places).map_err(|error| node.wrong(error))
    }

    fn to_json(&self) -> Value {
        json!({"points": self.0.iter().map(|place| place.to_json()).collect::<Vec<_>>()})
    }

    /// The line from each place to the next.
    pub(super) fn edges(&self) -> impl Iterator<Item = [GeoPoint; 2]> {
        self.0.windows(2).map(|edge| [edge[0], edge[1]])
    }

    /// A ring that goes around a place, one way more often than the other, has it inside.
    fn side(&self, place: GeoPoint) -> Side {
        let mut turns = 0;
        for [from, to] in self.edges() {
            let left = side_of_line(from, to, place);
            if left == 0.0 && is_between(from, to, place) {
                return Side::Edge;
            }
            match (from.lat() <= place.lat(), to.lat() <= place.lat()) {
                (true, false) if left > 0.0 => turns += 1,
                (false, true) if left < 0.0 => turns -= 1,
                _ => {}
            }
        }
        if turns == 0 { Side::Outside } else { Side::Inside }
    }
}

/// Above 0 for a place to the left of a line, below for one to the right; exact.
pub(super) fn side_of_line(from: GeoPoint, to: GeoPoint, place: GeoPoint) -> f64 {
    let [from, to, place] = [from, to, place].map(|it| Coord { x: it.lon(), y: it.lat() });
    orient2d(from, to, place)
}

/// Tells whether a place on a line is no farther than its ends.
fn is_between(from: GeoPoint, to: GeoPoint, place: GeoPoint) -> bool {
    let between = |a: f64, b: f64, it: f64| a.min(b) <= it && it <= a.max(b);
    between(from.lon(), to.lon(), place.lon()) && between(from.lat(), to.lat(), place.lat())
}

fn refused(name: &'static str, expected: &str, got: impl ToString) -> Error {
    Error::InvalidParameter { name, expected: expected.into(), got: got.to_string() }
}
