//! Explanation as a web page that needs no other file. Whatever a payload holds is text there.

use std::collections::BTreeMap;
use std::error::Error;

use base64::prelude::*;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::hits::{Explained, Hit};
use super::marks::{Mark, elsewhere, marks, pieces};
use super::page::PageArgs;
use super::passage::Passage;

const STYLE: &str = include_str!("page.css");

/// Nothing is run, and nothing fetched.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

pub fn page(args: &PageArgs, explained: &Explained) -> Result<String, Box<dyn Error>> {
    let hits = explained.hits.iter().map(|hit| section(args, explained, hit));
    let hits = hits.collect::<Result<Vec<_>, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "What the query matched" }
                style { (PreEscaped(STYLE)) }
            }
            body { main { @for hit in hits { (hit) } } }
        }
    };
    Ok(page.into_string())
}

fn section(args: &PageArgs, explained: &Explained, hit: &Hit) -> Result<Markup, Box<dyn Error>> {
    let picture = hit.patches.as_ref().map(|_| figure(args, explained, hit)).transpose()?;
    let marks = marks(explained, hit);
    Ok(html! {
        section {
            h1 { "Point " (hit.id) }
            p.quiet { "score " (hit.score) }
            @if let Some(passage) = &hit.passage { (text(explained, passage, &marks)) }
            @if let Some(picture) = picture { (picture) }
            (table(explained, hit))
        }
    })
}

fn figure(args: &PageArgs, explained: &Explained, hit: &Hit) -> Result<Markup, Box<dyn Error>> {
    let heat = args.heat(explained, hit)?;
    let picture = BASE64_STANDARD.encode(args.picture(&heat, hit)?);
    let hottest = heat.hottest();
    let (column, row) = (hottest.column + 1, hottest.row + 1);
    let similarity = hottest.similarity;
    Ok(html! {
        figure {
            img alt="Heat map of the page" src={ "data:image/png;base64," (picture) };
            figcaption.quiet {
                "Hottest patch: column " (column) ", row " (row)
                ", similarity " (format!("{similarity:.4}"))
            }
        }
    })
}

fn text(explained: &Explained, passage: &Passage, marks: &BTreeMap<usize, Mark>) -> Markup {
    let elsewhere = elsewhere(passage, marks);
    html! {
        div.text {
            @for piece in pieces(passage, marks) {
                @match piece.mark {
                    Some(mark) => (marked(explained, piece.text, mark)),
                    None => (piece.text),
                }
            }
        }
        @if !elsewhere.is_empty() {
            p.quiet {
                "Not in the text:"
                @for (token, mark) in elsewhere { " " (marked(explained, token, mark)) }
            }
        }
    }
}

fn marked(explained: &Explained, text: &str, mark: &Mark) -> Markup {
    let matched = mark.tokens.iter();
    let why = matched.map(|(token, it)| format!("{}: {it:.4}", explained.name(*token)));
    let why = why.collect::<Vec<_>>().join("\n");
    let style = format!("--hue: {}; --strength: {:.3}", hue(mark.token), mark.strength);
    html! { mark style=(style) title=(why) { (text) } }
}

fn table(explained: &Explained, hit: &Hit) -> Markup {
    html! {
        table {
            thead { tr { th { "Token" } th { "Query" } th { "Matched" } th { "Similarity" } } }
            tbody {
                @for (token, matched) in explained.matches(hit) {
                    tr {
                        td { (token) }
                        td {
                            mark style={ "--hue: " (hue(token)) } { (explained.name(token)) }
                        }
                        td { (hit.row_name(matched.token as usize)) }
                        td { (format!("{:.4}", matched.similarity)) }
                    }
                }
            }
        }
    }
}

/// Hues far apart for neighbours, as on the dashboard.
fn hue(token: usize) -> u32 {
    ((30.0 + token as f64 * 137.5) % 360.0).round() as u32
}
