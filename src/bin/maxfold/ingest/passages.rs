//! Documents cut into passages, each a point.

use std::error::Error;
use std::ops::Range;

use maxfold::PointId;
use maxfold::collection::Point;
use maxfold::encoder::Encoder;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::command_line::Usage;
use crate::model::{self, BYTES, DOCUMENT, PASSAGE};

#[derive(clap::Args)]
pub struct PassageArgs {
    /// Cuts each text into passages of at most so many of the model's tokens, without those that it adds; by default of
    /// as many as it reads. Files of a FOLDER are cut even if this isn't said.
    #[arg(long, value_name = "TOKENS", requires = "model", num_args = 0..=1, require_equals = true)]
    passages: Option<Option<usize>>,
    /// Most tokens with which a passage repeats the end of the one before it.
    #[arg(long, value_name = "TOKENS", requires = "model", default_value_t = 0)]
    overlap: usize,
    /// Makes one point of each file of a FOLDER, of which only the beginning is found if it is longer than the model reads.
    #[arg(long, conflicts_with_all = ["passages", "overlap"])]
    whole: bool,
}

impl PassageArgs {
    /// How documents are cut, if they are.
    pub fn open(&self, is_folder: bool) -> Result<Option<Passages>, Usage> {
        let overlap = self.overlap;
        match self.passages {
            // clap asks for no FOLDER where --points excludes one.
            _ if self.whole && !is_folder => {
                Err(Usage::new("expected a FOLDER with --whole, got none"))
            }
            Some(tokens) => Ok(Some(Passages { tokens, overlap })),
            None if is_folder && !self.whole => Ok(Some(Passages { tokens: None, overlap })),
            None if overlap > 0 => Err(Usage::new("expected --passages with --overlap, got none")),
            None => Ok(None),
        }
    }
}

/// How documents are cut.
pub struct Passages {
    tokens: Option<usize>,
    overlap: usize,
}

impl Passages {
    /// The passages of a document, which has its text under `field`. All have the rest of its payload, and its vectors.
    pub fn of(
        &self,
        encoder: &dyn Encoder,
        mut document: Point,
        field: &str,
    ) -> Result<Vec<Point>, Box<dyn Error>> {
        check(&document)?;
        let text = match document.payload.get_mut(field) {
            Some(Value::String(text)) => std::mem::take(text),
            // It is refused where texts are encoded.
            _ => return Ok(vec![document]),
        };
        let mut places = model::passages(encoder, &text, self.tokens, self.overlap)?;
        if places.is_empty() {
            places.push(0..0);
        }
        let passages = (0..).zip(places).map(|(number, place)| {
            let mut point = passage(&document, number, &place);
            point.payload.insert(field.into(), text[place].into());
            point
        });
        Ok(passages.collect())
    }
}

/// Refuses a document whose payload has what says where passages are from.
fn check(document: &Point) -> Result<(), String> {
    let taken = |key| document.payload.get(key).map(|value| (key, value));
    match [DOCUMENT, PASSAGE, BYTES].into_iter().find_map(taken) {
        None => Ok(()),
        Some((key, got)) => Err(format!(
            "expected the payload of point {} to be without {key:?}, which says where a passage is from, got {got}",
            document.id
        )),
    }
}

/// A passage of a document, without its text.
fn passage(document: &Point, number: u64, place: &Range<usize>) -> Point {
    let mut point = Point { id: id(document.id, number), ..document.clone() };
    point.payload.insert(DOCUMENT.into(), document.id.to_string().into());
    point.payload.insert(PASSAGE.into(), number.into());
    point.payload.insert(BYTES.into(), json!([place.start, place.end]));
    point
}

/// The first passage has its document's id, so that it takes the place of a document that was whole before.
fn id(document: PointId, number: u64) -> PointId {
    if number == 0 {
        return document;
    }
    let namespace = match document {
        PointId::Number(number) => Uuid::from_u128(number.into()),
        PointId::Uuid(uuid) => uuid,
    };
    PointId::Uuid(Uuid::new_v5(&namespace, number.to_string().as_bytes()))
}
