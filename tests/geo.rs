//! Conditions on places mean what Qdrant's mean, with and without an index.
//!
//! The judges share nothing with the library: distances are angles between vectors in space, polygons are
//! decided in integers.
#![cfg(feature = "collection")]

use maxfold::collection::PayloadIndex;
use maxfold::filter::{Filter, GeoPoint, IndexKind, Payload, Subject};
use maxfold::{Collection, CollectionConfig, Point, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Longitude and latitude.
type Place = (f64, f64);

fn at((lon, lat): Place) -> Value {
    json!({"lon": lon, "lat": lat})
}

/// Metres, by the angle between the vectors from the middle of the Earth.
fn distance(a: Place, b: Place) -> f64 {
    let [a, b] = [a, b].map(|(lon, lat)| {
        let (lon, lat) = (lon.to_radians(), lat.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    });
    let dot: f64 = (0..3).map(|at| a[at] * b[at]).sum();
    let cross = |i: usize, j: usize| a[i] * b[j] - a[j] * b[i];
    let sine = (cross(1, 2).powi(2) + cross(2, 0).powi(2) + cross(0, 1).powi(2)).sqrt();
    sine.atan2(dot) * 6_371_008.8
}

fn holds(condition: &Value, payload: &Value) -> bool {
    let filter: Filter = json!({"must": condition}).to_string().parse().unwrap();
    let payload = payload.as_object().unwrap();
    filter.matches(&Subject { id: 1.into(), payload, vectors: &[], texts: &[] }).unwrap()
}

#[test]
fn distances_are_angles_in_space() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut farthest = 0.0_f64;
    for round in 0..20_000 {
        let place =
            |rng: &mut StdRng| (rng.random_range(-180.0..=180.0), rng.random_range(-90.0..=90.0));
        let a: Place = place(&mut rng);
        let b: Place = match round % 4 {
            // The other side of the Earth, and close by.
            0 => (if a.0 > 0.0 { a.0 - 180.0 } else { a.0 + 180.0 }, -a.1),
            1 => ((a.0 + rng.random_range(-1e-4..1e-4)).clamp(-180.0, 180.0), a.1),
            _ => place(&mut rng),
        };
        let [p, q] = [a, b].map(|(lon, lat)| GeoPoint::new(lat, lon).unwrap());
        let (got, expected) = (p.distance(q), distance(a, b));
        // The haversine formula loses half of the digits of angles near half a turn: 1e-8 of the radius.
        let tolerance = if expected > 2e7 { 0.2 } else { 1e-6 + expected * 1e-9 };
        assert!((got - expected).abs() < tolerance, "{a:?} {b:?}: {got}, expected {expected}");
        farthest = farthest.max(got);
    }
    assert!(farthest <= 6_371_008.8 * std::f64::consts::PI);
}

#[test]
fn edges_are_outside() {
    let radius = |metres: f64| json!({"key": "p", "geo_radius": {"center": at((0.0, 0.0)), "radius": metres}});
    // A degree along the equator.
    let degree = 6_371_008.8 * std::f64::consts::PI / 180.0;
    let place = json!({"p": at((1.0, 0.0))});
    assert!(holds(&radius(degree + 1e-3), &place));
    assert!(!holds(&radius(degree - 1e-3), &place));
    assert!(!holds(&radius(0.0), &json!({"p": at((0.0, 0.0))})));

    let bounds = json!({"key": "p", "geo_bounding_box": {
        "top_left": at((10.0, 20.0)), "bottom_right": at((30.0, -5.0))
    }});
    for (place, inside) in [
        ((20.0, 0.0), true),
        ((10.0, 0.0), false),
        ((30.0, 0.0), false),
        ((20.0, 20.0), false),
        ((20.0, -5.0), false),
        ((10.000_000_1, 19.999_999_9), true),
        ((-20.0, 0.0), false),
    ] {
        assert_eq!(holds(&bounds, &json!({"p": at(place)})), inside, "{place:?}");
    }
    let across = json!({"key": "p", "geo_bounding_box": {
        "top_left": at((170.0, 20.0)), "bottom_right": at((-160.0, -20.0))
    }});
    for (lon, inside) in [
        (175.0, true),
        (180.0, true),
        (-180.0, true),
        (-165.0, true),
        (170.0, false),
        (-160.0, false),
        (0.0, false),
        (-155.0, false),
        (165.0, false),
    ] {
        assert_eq!(holds(&across, &json!({"p": at((lon, 0.0))})), inside, "{lon}");
    }
}

#[test]
fn polygons_have_holes_and_no_edges() {
    let ring =
        |places: &[Place]| json!({"points": places.iter().map(|it| at(*it)).collect::<Vec<_>>()});
    let square =
        |from: f64, to: f64| ring(&[(from, from), (to, from), (to, to), (from, to), (from, from)]);
    let polygon = json!({"key": "p", "geo_polygon": {
        "exterior": square(0.0, 10.0), "interiors": [square(2.0, 4.0), square(6.0, 8.0)]
    }});
    for (place, inside) in [
        ((1.0, 1.0), true),
        ((5.0, 5.0), true),
        ((3.0, 3.0), false),
        ((7.0, 7.0), false),
        ((0.0, 5.0), false),
        ((10.0, 10.0), false),
        ((2.0, 3.0), false),
        ((4.0, 4.0), false),
        ((3.0, 5.0), true),
        ((11.0, 5.0), false),
        ((-1.0, 0.0), false),
    ] {
        assert_eq!(holds(&polygon, &json!({"p": at(place)})), inside, "{place:?}");
    }
}

#[test]
fn only_places_are_places() {
    let world = json!({"key": "p", "geo_radius": {"center": at((0.0, 0.0)), "radius": 3e7}});
    for (value, is_place) in [
        (json!({"lon": 1, "lat": 2}), true),
        (json!({"lon": 1, "lat": 2, "name": "x"}), true),
        (json!([{"lon": 1}, {"lon": 1, "lat": 2}]), true),
        (json!([1, 2]), false),
        (json!({"lon": 1}), false),
        (json!({"lon": "1", "lat": 2}), false),
        (json!({"lon": 181, "lat": 2}), false),
        (json!({"lon": 1, "lat": -91}), false),
        (json!("1,2"), false),
        (json!(null), false),
    ] {
        assert_eq!(holds(&world, &json!({"p": value})), is_place, "{value}");
    }
}

// --- Random areas ------------------------------------------------------------------------------

/// A condition, and which places it means.
struct Judged {
    condition: Value,
    contains: Box<dyn Fn(Place) -> bool>,
}

fn random_radius(rng: &mut StdRng) -> Judged {
    let center = random_place(rng);
    let radius = 10_f64.powf(rng.random_range(2.0..7.3));
    let condition = json!({"key": "p", "geo_radius": {"center": at(center), "radius": radius}});
    Judged {
        condition,
        contains: Box::new(move |place| {
            let distance = distance(center, place);
            // No place is so near to the edge that rounding decides.
            assert!(
                (distance - radius).abs() > 1e-3,
                "{place:?} on the edge of {center:?}, {radius}"
            );
            distance < radius
        }),
    }
}

fn random_box(rng: &mut StdRng) -> Judged {
    let [(west, one), (east, other)] = [random_place(rng), random_place(rng)];
    let (north, south) = (one.max(other), one.min(other));
    let condition = json!({"key": "p", "geo_bounding_box": {
        "top_left": at((west, north)), "bottom_right": at((east, south))
    }});
    Judged {
        condition,
        contains: Box::new(move |(lon, lat)| {
            let columns =
                if west > east { lon > west || lon < east } else { lon > west && lon < east };
            columns && south < lat && lat < north
        }),
    }
}

/// A ring around a place, with corners on a grid of 1/64 degrees; as integers.
fn random_ring(rng: &mut StdRng, (lon, lat): (i64, i64), most: i64) -> Vec<(i64, i64)> {
    let corners = rng.random_range(3..12);
    let mut ring: Vec<(i64, i64)> = (0..corners)
        .map(|corner| {
            let angle = f64::from(corner) / f64::from(corners) * std::f64::consts::TAU;
            let reach = rng.random_range(most / 2..=most) as f64;
            (lon + (reach * angle.cos()) as i64, lat + (reach * angle.sin()) as i64)
        })
        .collect();
    ring.push(ring[0]);
    ring
}

/// `None` on an edge. A ray to the east crosses the ring an odd number of times from inside.
fn is_inside(ring: &[(i64, i64)], (x, y): (i64, i64)) -> Option<bool> {
    let mut inside = false;
    for edge in ring.windows(2) {
        let [(ax, ay), (bx, by)] = [edge[0], edge[1]];
        let cross =
            i128::from(bx - ax) * i128::from(y - ay) - i128::from(by - ay) * i128::from(x - ax);
        let within = ax.min(bx) <= x && x <= ax.max(bx) && ay.min(by) <= y && y <= ay.max(by);
        if cross == 0 && within {
            return None;
        }
        if (ay > y) != (by > y) && (cross > 0) == (by > ay) {
            inside = !inside;
        }
    }
    Some(inside)
}

fn random_polygon(rng: &mut StdRng) -> Judged {
    let most = rng.random_range(64..64 * 20);
    let center = (rng.random_range(-150 * 64..150 * 64), rng.random_range(-60 * 64..60 * 64));
    let exterior = random_ring(rng, center, most);
    let interiors: Vec<_> =
        (0..rng.random_range(0..2)).map(|_| random_ring(rng, center, most / 4)).collect();
    let ring = |ring: &Vec<(i64, i64)>| {
        let places = ring.iter().map(|(x, y)| at((*x as f64 / 64.0, *y as f64 / 64.0)));
        json!({"points": places.collect::<Vec<_>>()})
    };
    let condition = json!({"key": "p", "geo_polygon": {
        "exterior": ring(&exterior), "interiors": interiors.iter().map(ring).collect::<Vec<_>>()
    }});
    let contains = move |(lon, lat): Place| {
        let place = ((lon * 64.0) as i64, (lat * 64.0) as i64);
        is_inside(&exterior, place) == Some(true)
            && interiors.iter().all(|hole| is_inside(hole, place) == Some(false))
    };
    Judged { condition, contains: Box::new(contains) }
}

/// On the grid of 1/64 degrees, half of them in one region.
fn random_place(rng: &mut StdRng) -> Place {
    let near = rng.random_bool(0.5);
    let (lon, lat) = if near {
        (rng.random_range(0..64 * 40), rng.random_range(0..64 * 40))
    } else {
        (rng.random_range(-180 * 64..=180 * 64), rng.random_range(-90 * 64..=90 * 64))
    };
    (f64::from(lon) / 64.0, f64::from(lat) / 64.0)
}

#[test]
fn an_index_finds_what_is_in_an_area() -> Result<()> {
    const POINTS: u64 = 4000;
    let mut rng = StdRng::seed_from_u64(3);
    let mut places: Vec<Vec<Place>> = (0..POINTS - 8)
        .map(|_| (0..rng.random_range(0..3)).map(|_| random_place(&mut rng)).collect())
        .collect();
    let corners = [-180.0, 180.0].iter().flat_map(|lon| [-90.0, 90.0].map(|lat| vec![(*lon, lat)]));
    places.extend(corners);
    places.extend([(0.0, 0.0), (0.0, 90.0), (180.0, 0.0), (-180.0, 0.0)].map(|place| vec![place]));
    let collection = Collection::temporary(CollectionConfig::new())?;
    collection.upsert(
        (0..)
            .zip(&places)
            .map(|(id, places)| {
                let places: Vec<Value> = places.iter().map(|it| at(*it)).collect();
                let payload: Payload = json!({"p": places}).as_object().unwrap().clone();
                Point::new(id).payload(payload)
            })
            .collect(),
    )?;
    collection.create_index(PayloadIndex::new("p", IndexKind::Geo)?)?;

    let snapshot = collection.snapshot()?;
    let (mut found, mut scanned) = (0, 0);
    for round in 0..240 {
        let Judged { condition, contains } = match round % 3 {
            0 => random_radius(&mut rng),
            1 => random_box(&mut rng),
            _ => random_polygon(&mut rng),
        };
        let filter: Filter = json!({"must": condition}).to_string().parse()?;
        assert_eq!(serde_json::to_string(&filter).unwrap().parse::<Filter>()?, filter);
        let selected = snapshot.select(&filter)?;
        let mut ids = Vec::new();
        for number in &selected.points {
            ids.push(snapshot.id(number)?.to_string().parse::<usize>().unwrap());
        }
        ids.sort_unstable();
        let inside = |places: &[Place]| places.iter().any(|place| contains(*place));
        let expected: Vec<usize> = (0..places.len()).filter(|id| inside(&places[*id])).collect();
        assert_eq!(ids, expected, "{condition}");
        found += selected.points.len();
        scanned += selected.scanned;
    }
    // What the index is for: it leaves the payloads of few points to be read.
    assert!(found > 50_000, "{found} places found: too few to tell");
    assert!(scanned < 240 * POINTS / 10, "{scanned} payloads read to find {found} places");
    Ok(())
}

#[test]
fn what_is_no_area_is_refused_with_its_place() {
    let refused = |test: Value| {
        let mut condition = json!({"key": "p"});
        condition.as_object_mut().unwrap().extend(test.as_object().unwrap().clone());
        json!({"must": [condition]}).to_string().parse::<Filter>().unwrap_err().to_string()
    };
    let open = json!({"points": [at((0.0, 0.0)), at((1.0, 0.0)), at((1.0, 1.0)), at((0.0, 1.0))]});
    let short = json!({"points": [at((0.0, 0.0)), at((1.0, 0.0)), at((0.0, 0.0))]});
    for (test, expected) in [
        (
            json!({"geo_radius": {"center": at((0.0, 0.0))}}),
            "expected filter.must[0].geo_radius.radius to be given",
        ),
        (
            json!({"geo_radius": {"center": at((0.0, 0.0)), "radius": -1}}),
            "filter.must[0].geo_radius.radius: expected the radius to be finite and at least 0, got -1",
        ),
        (
            json!({"geo_radius": {"center": at((200.0, 0.0)), "radius": 1}}),
            "expected filter.must[0].geo_radius.center to be a place: lon from -180 to 180, and lat from -90 to 90, got",
        ),
        (
            json!({"geo_bounding_box": {"top_left": at((0.0, 0.0))}}),
            "expected filter.must[0].geo_bounding_box.bottom_right to be given",
        ),
        (
            json!({"geo_polygon": {"exterior": open}}),
            "filter.must[0].geo_polygon.exterior: expected a ring to be closed: its last place is the first, got another one",
        ),
        (
            json!({"geo_polygon": {"exterior": short}}),
            "filter.must[0].geo_polygon.exterior: expected a ring to be of at least 4 places, got 3",
        ),
    ] {
        let got = refused(test);
        assert!(got.starts_with(expected), "expected {expected}, got {got}");
    }
    assert!(GeoPoint::new(f64::NAN, 0.0).is_err());
}
