//! Documents without faults, read faster than serde_json reads them: nearly all of a body are numbers of vectors.
//!
//! Whatever is wrong, or rare, is left to `parse.rs`, which reads the document again and knows what to say of it.

use serde_json::Number;

use super::Tree;
use super::fields::{DEEPEST, Fields, NUMBER};
use super::tree::Packed;

/// The tree of a document, the same that serde_json gives; `None` if that is to read it.
pub(super) fn parse(text: &str) -> Option<Tree> {
    let mut reader = Reader { text, at: 0, row: 0 };
    // serde_json refuses its own last level.
    let tree = reader.value(DEEPEST - 1)?;
    reader.next().is_none().then_some(tree)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Numbers in the last array of them: rows are mostly of one length.
    row: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// The next byte that is no white space, which is not taken.
    fn next(&mut self) -> Option<u8> {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.peek()? {
            self.at += 1;
        }
        self.peek()
    }

    /// Takes what stands next, if it is this.
    fn take(&mut self, text: &str) -> bool {
        let stands = self.rest().starts_with(text.as_bytes());
        self.at += if stands { text.len() } else { 0 };
        stands
    }

    fn value(&mut self, levels: usize) -> Option<Tree> {
        match self.next()? {
            b'{' => self.object(levels.checked_sub(1)?),
            b'[' => self.array(levels.checked_sub(1)?),
            b'"' => self.string().map(Tree::String),
            b'n' => self.take("null").then_some(Tree::Null),
            b't' => self.take("true").then_some(Tree::Bool(true)),
            b'f' => self.take("false").then_some(Tree::Bool(false)),
            _ => self.number().map(Tree::Number),
        }
    }

    fn array(&mut self, levels: usize) -> Option<Tree> {
        let mut elements = Packed::new(self.row);
        self.list(b']', |reader| {
            match reader.next()? {
                b'-' | b'0'..=b'9' => elements.push_number(reader.number()?),
                _ => elements.push(reader.value(levels)?),
            }
            Some(())
        })?;
        if let Packed::Numbers { list, .. } = &elements {
            self.row = list.len();
        }
        Some(elements.into())
    }

    fn object(&mut self, levels: usize) -> Option<Tree> {
        let mut fields = Fields::default();
        self.list(b'}', |reader| {
            let key = Some(reader.next()?).filter(|it| *it == b'"').and(reader.string())?;
            if fields.have(&key) || *key == *NUMBER || reader.next()? != b':' {
                return None;
            }
            reader.at += 1;
            fields.push(key, reader.value(levels)?);
            Some(())
        })?;
        Some(Tree::Object(fields.list.into()))
    }

    /// Elements between commas, from the bracket that stands next to the one that ends them.
    #[inline(always)]
    fn list(&mut self, end: u8, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        if self.next()? == end {
            self.at += 1;
            return Some(());
        }
        loop {
            element(self)?;
            let byte = self.next()?;
            self.at += 1;
            match byte {
                b',' => {}
                byte if byte == end => return Some(()),
                _ => return None,
            }
        }
    }

    /// The string that begins here.
    fn string(&mut self) -> Option<Box<str>> {
        let mut escaped = false;
        let end = self.rest().iter().skip(1).position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        let quoted = self.text.get(self.at..self.at + end + 2)?;
        self.at += quoted.len();
        serde_json::from_str(quoted).ok()
    }

    // Inlined, as a number that is returned goes through memory twice.
    #[inline(always)]
    fn number(&mut self) -> Option<Number> {
        let (start, is_negative) = (self.at, self.take("-"));
        let (whole, starts_with_0) = (self.at, self.peek() == Some(b'0'));
        let mut digits = self.digits(0);
        let length = self.at - whole;
        if length == 0 || starts_with_0 && length > 1 {
            return None;
        }
        let mut fraction = 0;
        if self.take(".") {
            let start = self.at;
            digits = self.digits(digits);
            fraction = self.at - start;
            if fraction == 0 {
                return None;
            }
        }
        let is_exponential = self.exponent()?;
        let spelled = &self.text[start..self.at];
        let value = match (fraction, is_exponential) {
            (0, false) => return integer(spelled),
            // Both are exact, so their quotient is rounded once, as it has to be.
            (1.., false) if length + fraction <= EXACT => {
                let value = digits as f64 / POWERS[fraction];
                if is_negative { -value } else { value }
            }
            _ => spelled.parse().ok()?,
        };
        Number::from_f64(value).filter(|_| value.abs() < LEAST_HUGE)
    }

    /// Takes digits, and puts them behind those of a number.
    #[inline]
    fn digits(&mut self, mut number: u64) -> u64 {
        let mut taken = 0;
        for byte in self.rest() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(digit.into());
            taken += 1;
        }
        self.at += taken;
        number
    }

    /// Takes an exponent: whether there is one.
    fn exponent(&mut self) -> Option<bool> {
        if !self.take("e") && !self.take("E") {
            return Some(false);
        }
        let _signed = self.take("-") || self.take("+");
        let start = self.at;
        self.digits(0);
        (self.at > start).then_some(true)
    }
}

/// Digits of which every number is an f64.
const EXACT: usize = 15;
/// Powers of ten, which are all f64s.
const POWERS: [f64; EXACT + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// The least number that may stand for an integer beyond 64 bits.
const LEAST_HUGE: f64 = (1_u64 << 63) as f64;

fn integer(spelled: &str) -> Option<Number> {
    match spelled.as_bytes() {
        // An f64 to serde_json.
        b"-0" => None,
        [b'-', ..] => spelled.parse::<i64>().ok().map(Number::from),
        _ => spelled.parse::<u64>().ok().map(Number::from),
    }
}

#[cfg(test)]
mod tests {
    use rand::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Numbers of every length and kind, by `str::parse`.
    #[test]
    fn numbers_are_rounded_as_by_str_parse() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..200_000 {
            let value = match rng.random_range(0..4) {
                0 => f64::from(rng.random_range(-1.0_f32..1.0)),
                1 => f64::from(f32::from_bits(rng.random())),
                2 => rng.random_range(-1e5..1e5),
                _ => f64::from_bits(rng.random()),
            };
            if !value.is_finite() {
                continue;
            }
            let digits = rng.random_range(0..20);
            let narrow = value as f32;
            let spelled = match rng.random_range(0..4) {
                0 if narrow.is_finite() => format!("{narrow:?}"),
                1 => format!("{value:.digits$}"),
                2 => format!("{value:.digits$e}"),
                _ => format!("{value:?}"),
            };
            let expected: f64 = spelled.parse().unwrap();
            match parse(&spelled) {
                Some(Tree::Number(number)) => {
                    let read = number.as_f64().unwrap();
                    assert_eq!(read.to_bits(), expected.to_bits(), "{spelled}");
                    assert_eq!(read as f32, expected as f32);
                }
                Some(_) => panic!("{spelled} is a number"),
                None => assert!(expected.abs() >= 9e18 || spelled == "-0", "{spelled}"),
            }
        }
    }

    /// Beginnings of documents, with bytes changed: what is read is what serde_json reads.
    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        let text = r#" {"id": 7, "vector": {"a": [[0.25,-1.5e-3, 1E+2],[0, -0.0, 12345678901234567890]],
            "b": []}, "payload": {"é\n\"": ["\u00e9", true, false, null, -12, {}], "": 0.1}} "#;
        let mut rng = StdRng::seed_from_u64(2);
        let (mut read, mut refused) = (0, 0);
        for round in 0..200_000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..round % 4 {
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..3) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, *br#"{}[]",:0123.e-+\ nt"#.choose(&mut rng).unwrap()),
                    _ => bytes[at] = *br#"{}[]",:0123.e-+\ nt"#.choose(&mut rng).unwrap(),
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            match (parse(&text), serde_json::from_str::<Value>(&text)) {
                (Some(tree), Ok(expected)) => {
                    read += 1;
                    // Fields in their order, and -0 as such.
                    assert_eq!(tree.json().to_value(), expected, "{text}");
                    assert_eq!(tree.json().to_value().to_string(), expected.to_string(), "{text}");
                }
                (Some(_), Err(fault)) => panic!("{fault}: {text}"),
                (None, _) => refused += 1,
            }
        }
        assert!(read > 60_000 && refused > 60_000, "{read} and {refused}");
    }

    #[test]
    fn no_deeper_than_serde_json() {
        for levels in 120..140 {
            let text = "[".repeat(levels) + &"]".repeat(levels);
            let expected = serde_json::from_str::<Value>(&text).is_ok();
            assert_eq!(parse(&text).is_some(), expected, "{levels} levels");
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_left_to_who_knows_its_place() {
        assert!(parse(r#"{"a": 1, "b": {"a": 2}}"#).is_some());
        assert!(parse(r#"{"a": 1, "b": 3, "a": 2}"#).is_none());
        assert!(parse(r#"{"$serde_json::private::Number": "1"}"#).is_none());
    }
}
