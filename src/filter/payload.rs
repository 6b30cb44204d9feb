//! Operations on payloads: merge, remove, select.

use serde_json::{Map, Value};

use super::FieldPath;
use super::path::Step;

/// Payload of a point: a JSON object.
///
/// ```
/// use maxfold::Payload;
///
/// let payload = Payload::from_iter([("year".to_owned(), 2024.into())]);
/// assert_eq!(payload["year"], 2024);
/// ```
pub type Payload = Map<String, Value>;

/// Sets the top-level fields of `new` in `payload`; a field that is `null` there is removed.
pub fn merge(payload: &mut Payload, new: &Payload) {
    for (key, value) in new {
        match value {
            Value::Null => payload.remove(key),
            _ => payload.insert(key.clone(), value.clone()),
        };
    }
}

/// Merges `new` into the object at a path. What stands on the way or there and is of another kind gives way to
/// an object, or, before an index or `[]`, to an empty array; elements that are not there aren't made.
pub fn merge_at(payload: &mut Payload, path: &FieldPath, new: &Payload) {
    let value = payload.entry(path.first.clone()).or_insert_with(|| Payload::new().into());
    merge_in(value, &path.rest, new);
}

fn merge_in(value: &mut Value, steps: &[Step], new: &Payload) {
    match steps.first() {
        None | Some(Step::Key(_)) if !value.is_object() => *value = Payload::new().into(),
        Some(Step::Index(_) | Step::Every) if !value.is_array() => {
            *value = Value::Array(Vec::new())
        }
        _ => {}
    }
    match (steps, value) {
        ([], Value::Object(fields)) => merge(fields, new),
        ([Step::Key(key), rest @ ..], Value::Object(fields)) => {
            let below = fields.entry(key.clone()).or_insert_with(|| Payload::new().into());
            merge_in(below, rest, new);
        }
        ([Step::Index(index), rest @ ..], Value::Array(elements)) => {
            elements.get_mut(*index).into_iter().for_each(|it| merge_in(it, rest, new));
        }
        ([Step::Every, rest @ ..], Value::Array(elements)) => {
            elements.iter_mut().for_each(|it| merge_in(it, rest, new));
        }
        _ => {}
    }
}

/// Removes what stands at a path. `a[]` empties an array; an element can't be removed by its index,
/// because doing so twice would remove two.
pub fn remove(payload: &mut Payload, path: &FieldPath) {
    match path.rest.as_slice() {
        [] => drop(payload.remove(&path.first)),
        rest => payload.get_mut(&path.first).into_iter().for_each(|value| remove_in(value, rest)),
    }
}

fn remove_in(value: &mut Value, steps: &[Step]) {
    match (steps, value) {
        ([Step::Key(key)], Value::Object(map)) => drop(map.remove(key)),
        ([Step::Every], Value::Array(array)) => array.clear(),
        ([_], _) | ([], _) => {}
        ([Step::Key(key), rest @ ..], Value::Object(map)) => {
            map.get_mut(key).into_iter().for_each(|value| remove_in(value, rest));
        }
        ([Step::Index(index), rest @ ..], Value::Array(array)) => {
            array.get_mut(*index).into_iter().for_each(|value| remove_in(value, rest));
        }
        ([Step::Every, rest @ ..], Value::Array(array)) => {
            array.iter_mut().for_each(|value| remove_in(value, rest));
        }
        _ => {}
    }
}

/// Fields of a payload that are returned.
#[derive(Clone, Debug, PartialEq)]
pub enum PayloadSelector {
    /// All.
    All,
    /// None.
    None,
    /// These, with all that is in them.
    Include(Vec<FieldPath>),
    /// All but these.
    Exclude(Vec<FieldPath>),
}

impl PayloadSelector {
    /// The wanted part of a payload, or `None` if none of it is wanted.
    pub fn select(&self, payload: Payload) -> Option<Payload> {
        let keep: &dyn Fn(&Place<'_>) -> bool = match self {
            Self::All => return Some(payload),
            Self::None => return None,
            Self::Include(paths) => &|place| paths.iter().any(|path| place.leads_to(path)),
            Self::Exclude(paths) => &|place| !paths.iter().any(|path| place.is(path)),
        };
        Some(select_fields(payload, None, keep))
    }
}

/// A place in a payload: steps down from the top, of which the elements of an array are one.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: PlaceStep<'a>,
}

#[derive(Clone, Copy, PartialEq)]
enum PlaceStep<'a> {
    Key(&'a str),
    Element,
}

impl Place<'_> {
    /// From here up to the top.
    fn steps(&self) -> Vec<PlaceStep<'_>> {
        let mut steps: Vec<_> =
            std::iter::successors(Some(self), |place| place.above).map(|it| it.step).collect();
        steps.reverse();
        steps
    }

    /// Returns `true` if this place is on the way to `path`, or in what stands there.
    fn leads_to(&self, path: &FieldPath) -> bool {
        self.steps().iter().zip(path_steps(path)).all(|(mine, its)| Some(*mine) == its)
    }

    /// Returns `true` if this is the place that `path` names.
    fn is(&self, path: &FieldPath) -> bool {
        self.steps().into_iter().map(Some).eq(path_steps(path))
    }
}

/// `None` for the index of an element: only all elements can be selected.
fn path_steps(path: &FieldPath) -> impl Iterator<Item = Option<PlaceStep<'_>>> {
    let rest = path.rest.iter().map(|step| match step {
        Step::Key(key) => Some(PlaceStep::Key(key)),
        Step::Every => Some(PlaceStep::Element),
        Step::Index(_) => None,
    });
    std::iter::once(Some(PlaceStep::Key(&path.first))).chain(rest)
}

fn select_fields(
    fields: Payload,
    above: Option<&Place<'_>>,
    keep: &dyn Fn(&Place<'_>) -> bool,
) -> Payload {
    let mut selected = Payload::new();
    for (key, value) in fields {
        let place = Place { above, step: PlaceStep::Key(&key) };
        if keep(&place) {
            let value = select_in(value, &place, keep);
            selected.insert(key, value);
        }
    }
    selected
}

fn select_in(value: Value, place: &Place<'_>, keep: &dyn Fn(&Place<'_>) -> bool) -> Value {
    match value {
        Value::Object(fields) => select_fields(fields, Some(place), keep).into(),
        Value::Array(elements) => {
            let element = Place { above: Some(place), step: PlaceStep::Element };
            if !keep(&element) {
                return Value::Array(Vec::new());
            }
            elements.into_iter().map(|value| select_in(value, &element, keep)).collect()
        }
        _ => value,
    }
}
