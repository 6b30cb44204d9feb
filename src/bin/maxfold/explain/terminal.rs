//! Explanation as text: in colours on a terminal, with brackets elsewhere.

use std::error::Error;
use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::hits::{Explained, Hit};
use super::marks::{elsewhere, marks, pieces};
use crate::output;

/// Colours of query tokens, one after the other.
const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Yellow,
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Red,
];

fn style(token: usize) -> Style {
    AnsiColor::Black.on(COLOURS[token % COLOURS.len()])
}

/// Prints an explanation. `NO_COLOR` and its kin are respected.
pub fn print(explained: &Explained) -> Result<(), Box<dyn Error>> {
    let coloured = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let hits = explained.hits.iter().map(|hit| written(explained, hit, coloured));
    let mut text = hits.collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        text += "no hits\n";
    }
    let written = anstream::stdout().lock().write_all(text.as_bytes());
    Ok(written.map_err(|error| format!("cannot write stdout: {error}"))?)
}

fn written(explained: &Explained, hit: &Hit, coloured: bool) -> String {
    let paint = |text: &str, token: usize| {
        let style = style(token);
        if coloured { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    // Without colours, brackets say what is marked.
    let mark = |text: &str, token: usize| {
        if coloured { paint(text, token) } else { format!("[{text}]") }
    };
    let mut text = format!("point {}, score {}\n\n", hit.id, hit.score);
    if let Some(passage) = &hit.passage {
        let marks = marks(explained, hit);
        for piece in pieces(passage, &marks) {
            let harmless = harmless(piece.text, &['\n', '\t']);
            text += &piece.mark.map_or(harmless.clone(), |it| mark(&harmless, it.token));
        }
        let outside = elsewhere(passage, &marks);
        let outside = outside.iter().map(|(token, it)| mark(&harmless(token, &[]), it.token));
        let outside = outside.collect::<Vec<_>>().join(" ");
        text += if outside.is_empty() { "" } else { "\n\nnot in the text: " };
        text += &outside;
        text += "\n\n";
    }
    text + &table(explained, hit, paint)
}

/// Table of the query tokens, and what each matched.
fn table(explained: &Explained, hit: &Hit, paint: impl Fn(&str, usize) -> String) -> String {
    let rows = explained.matches(hit).map(|(token, it)| {
        let (name, matched) = (explained.name(token), hit.row_name(it.token as usize));
        let similarity = format!("{:.4}", it.similarity);
        [token.to_string(), harmless(name, &[]), harmless(&matched, &[]), similarity]
    });
    let rows: Vec<_> = rows.collect();
    let mut lines = output::aligned(["token", "query", "matched", "similarity"], &rows).into_iter();
    let mut text = lines.next().map_or(String::new(), |head| head.join("  ") + "\n");
    for ((token, _), [at, query, matched, similarity]) in explained.matches(hit).zip(lines) {
        let query = paint(&query, token);
        text += [at, query, matched, similarity].join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Text that does nothing to a terminal.
fn harmless(text: &str, allowed: &[char]) -> String {
    let harmless = |letter: char| {
        if letter.is_control() && !allowed.contains(&letter) { '\u{fffd}' } else { letter }
    };
    text.chars().map(harmless).collect()
}
