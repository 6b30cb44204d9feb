//! [`GeoPoint`]: a place on Earth, and how far it is to another.

use serde_json::{Value, json};

use crate::json::Node;
use crate::{Error, Result};

/// A place on Earth, in degrees; in JSON `{"lon": 13.4, "lat": 52.5}`.
///
/// ```
/// use maxfold::filter::GeoPoint;
///
/// let berlin = GeoPoint::new(52.52, 13.405)?;
/// let london = GeoPoint::new(51.5074, -0.1278)?;
/// assert_eq!((berlin.distance(london) / 1000.0).round(), 932.0);
/// assert!(GeoPoint::new(91.0, 0.0).is_err());
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    lat: f64,
    lon: f64,
}

const EXPECTED: &str = "a place: lon from -180 to 180, and lat from -90 to 90";

impl GeoPoint {
    /// Mean radius of the Earth in metres, as the IUGG has it.
    pub(super) const EARTH_RADIUS: f64 = 6_371_008.8;

    /// A place by its latitude, −90 to 90, and its longitude, −180 to 180.
    ///
    /// # Errors
    /// One of them is not.
    pub fn new(lat: f64, lon: f64) -> Result<Self> {
        Self::within(lat, lon).ok_or_else(|| Error::InvalidParameter {
            name: "the place",
            expected: "within -90 to 90 degrees of latitude and -180 to 180 of longitude".into(),
            got: format!("{lat}, {lon}"),
        })
    }

    /// Degrees north of the equator.
    pub fn lat(self) -> f64 {
        self.lat
    }

    /// Degrees east of Greenwich.
    pub fn lon(self) -> f64 {
        self.lon
    }

    /// Metres to another place, along a great circle (haversine).
    pub fn distance(self, other: Self) -> f64 {
        let [a, b] = [self, other].map(|it| (it.lat.to_radians(), it.lon.to_radians()));
        let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
        let square = half(a.0, b.0) + a.0.cos() * b.0.cos() * half(a.1, b.1);
        // Rounding may take it past 1 for places on opposite sides.
        2.0 * Self::EARTH_RADIUS * square.min(1.0).sqrt().asin()
    }

    /// A place, or a point of the plane beyond them all.
    pub(super) fn anywhere(lat: f64, lon: f64) -> Self {
        Self { lat, lon }
    }

    /// The place that a payload value says, if it says one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let degrees = |key| value.get(key)?.as_f64();
        Self::within(degrees("lat")?, degrees("lon")?)
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        node.object(&["lon", "lat"])?;
        Self::of(&node.json().to_value()).ok_or_else(|| node.expected(EXPECTED))
    }

    pub(crate) fn to_json(self) -> Value {
        json!({"lon": self.lon, "lat": self.lat})
    }

    fn within(lat: f64, lon: f64) -> Option<Self> {
        let fits = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        fits.then_some(Self { lat, lon })
    }
}
