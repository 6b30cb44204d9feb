//! Bytes: valid ones that were changed, and noise.

use rand::prelude::*;

/// What JSON's readers stumble over, and what else may stand in a text.
const PIECES: &[&str] = &[
    "1e400",
    "-1e400",
    "1e-400",
    "18446744073709551616",
    "-9223372036854775809",
    "00",
    "-",
    "1.",
    "NaN",
    "\"a\":1,",
    "\"id\":1,",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\ud800",
    "\\",
    "\n",
    "\r",
    "\t",
    " ",
    "\u{feff}",
    "\u{0}",
    "\u{a0}",
    "null",
    "[[[[[[[[[[[[[[[[[[[[[[[[",
    "Q0 ",
    "\"\"",
];

/// Up to three changes of bytes.
pub fn bytes(rng: &mut StdRng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..30)).min(bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => bytes[at..end].fill(*[0, 0xff].choose(rng).unwrap()),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                drop(bytes.splice(to..to, piece));
            }
            _ => {
                let piece = PIECES.choose(rng).unwrap().bytes();
                drop(bytes.splice(at..at, piece));
            }
        }
    }
    bytes
}

/// Nothing but noise.
pub fn noise(rng: &mut StdRng) -> Vec<u8> {
    (0..rng.random_range(0..100)).map(|_| rng.random()).collect()
}
