//! Integers that no type of ours holds: f64 would drop digits of them without a word.

use std::cell::RefCell;

use crate::Error;

/// The places of numbers that were read as f64 and may have been integers beyond 64 bits, in their order.
#[derive(Default)]
pub(super) struct Huge(RefCell<Vec<String>>);

impl Huge {
    /// Notes a number, if it is beyond 64 bits.
    pub fn note(&self, value: f64, place: impl std::fmt::Display) {
        if is_huge(value) {
            self.0.borrow_mut().push(place.to_string());
        }
    }

    /// Refuses the first of the noted numbers of a text that loses digits.
    pub fn check(self, text: &str) -> Result<(), Error> {
        let places = self.0.into_inner();
        if places.is_empty() {
            return Ok(());
        }
        let huge = numbers(text).filter(|it| it.parse().is_ok_and(is_huge));
        match places.into_iter().zip(huge).find(|(_, number)| loses_digits(number)) {
            None => Ok(()),
            Some((path, number)) => Err(Error::InvalidJson {
                path,
                expected: "an integer of 64 bits, or any other number that f64 holds".into(),
                got: number.into(),
            }),
        }
    }
}

fn is_huge(value: f64) -> bool {
    value.abs() >= (1_u64 << 63) as f64
}

/// Tells whether digits of an integer are neither those of its f64, nor those that programs write for it.
fn loses_digits(number: &str) -> bool {
    let digits = number.trim_start_matches('-');
    let spelled = |value: f64| [format!("{value:.0}"), format!("{value}")].contains(&digits.into());
    let fits = number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok();
    let integer = digits.bytes().all(|byte| byte.is_ascii_digit());
    integer && !fits && !digits.parse().is_ok_and(spelled)
}

/// The numbers of a document, as they are spelled.
fn numbers(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        loop {
            let start = text.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            if let Some(quoted) = text[start..].strip_prefix('"') {
                text = after_string(quoted);
                continue;
            }
            let rest = &text[start..];
            let end = rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            text = after;
            return Some(number);
        }
    })
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or("", |end| &text[end + 1..])
}
