//! Passages: a long text is cut where a reader would cut it, a model reads each piece whole, and nothing is lost.

use std::ops::Range;
use std::path::Path;

use maxfold::encoder::{Checkpoint, Encoder, Encoding, Passages};
use maxfold::{ErrorKind, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

fn checkpoint(model: &str) -> Checkpoint {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encoder");
    Checkpoint::open(fixtures.join(model)).unwrap()
}

/// Counts alone: its tokens are words, or characters.
struct Counter {
    length: Option<usize>,
    of_words: bool,
}

impl Encoder for Counter {
    fn dim(&self) -> usize {
        1
    }

    fn queries(&self, _: &[&str]) -> Result<Vec<Encoding>> {
        panic!("nothing is encoded")
    }

    fn documents(&self, _: &[&str]) -> Result<Vec<Encoding>> {
        panic!("nothing is encoded")
    }

    fn document_length(&self) -> Option<usize> {
        self.length
    }

    fn document_spans(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let range = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            start..start + part.len()
        };
        Ok(match self.of_words {
            true => text.split_whitespace().map(range).collect(),
            false => text.char_indices().map(|(at, it)| at..at + it.len_utf8()).collect(),
        })
    }
}

fn words(length: usize) -> Counter {
    Counter { length: Some(length), of_words: true }
}

fn characters(length: usize) -> Counter {
    Counter { length: Some(length), of_words: false }
}

#[track_caller]
fn assert_cut(encoder: &Counter, passages: Passages, text: &str, expected: &[&str]) {
    let places = passages.cut(encoder, text).unwrap();
    let got: Vec<&str> = places.into_iter().map(|it| &text[it]).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_text_is_cut_before_paragraphs_then_sentences_lines_and_words() {
    let cut = |text, expected: &[&str]| assert_cut(&words(8), Passages::new(), text, expected);
    cut(
        "  one two three four five six seven eight\n",
        &["one two three four five six seven eight"],
    );
    // A paragraph begins after five words, a sentence after seven.
    cut(
        "One two three four five.\r\n\r\nSix seven. Eight nine ten eleven twelve thirteen.",
        &["One two three four five.", "Six seven. Eight nine ten eleven twelve thirteen."],
    );
    // The first paragraph is less than half a passage: a sentence decides, which goes on in the next line.
    cut(
        "Title\n\nOne two three\nfour five. Six seven eight nine ten. A b c d e f g. End.",
        &["Title\n\nOne two three\nfour five.", "Six seven eight nine ten.", "A b c d e f g. End."],
    );
    cut("let a = b;\nlet c = d;\nlet e = f;\n", &["let a = b;\nlet c = d;", "let e = f;"]);
    // Two halves, not eight words and one.
    cut("a (b c) d e f, g h i", &["a (b c) d", "e f, g h i"]);
    cut("", &[]);
    cut(" \r\n \u{2003}", &[]);
}

#[test]
fn an_overlap_begins_with_a_sentence_if_there_is_one() {
    let passages = Passages::new().overlap(4);
    let text = "A b c d e f. G h i j k l. M n o p q r. S t u v w x.";
    // Sentences of six words: none begins among the last four, so words are repeated.
    assert_cut(
        &words(12),
        passages,
        text,
        &["A b c d e f. G h i j k l.", "i j k l. M n o p q r.", "o p q r. S t u v w x."],
    );
    let text = "A b c d. E f g. H i j k. L m n. O p q r. S t u.";
    assert_cut(
        &words(8),
        passages,
        text,
        &[
            "A b c d. E f g.",
            "E f g. H i j k.",
            "H i j k. L m n.",
            "L m n. O p q r.",
            "O p q r. S t u.",
        ],
    );
}

#[test]
fn a_word_without_end_is_cut_between_letters() {
    let word = "abcdefghij".repeat(3);
    assert_cut(
        &characters(12),
        Passages::new(),
        &format!("ab {word} cd"),
        &["ab", "abcdefghijab", "cdefghijabcd", "efghij cd"],
    );
    // A family is seven characters, one letter.
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}";
    assert_cut(&characters(10), Passages::new(), &family.repeat(3), &[family; 3]);
    assert_cut(&characters(14), Passages::new(), &family.repeat(3), &[&family.repeat(2), family]);
    // Longer than a passage: characters.
    let places = Passages::new().tokens(3).cut(&characters(10), family).unwrap();
    let pieces: Vec<&str> = places.into_iter().map(|it| &family[it]).collect();
    assert_eq!(pieces.concat(), family);
    assert!(pieces.iter().all(|it| it.chars().count() <= 3), "{pieces:?}");
}

/// White space alone is left out, passages go on where the last one ended or a little before, and a model has no more
/// tokens of each, alone, than it may have.
fn assert_whole(encoder: &dyn Encoder, text: &str, tokens: usize, overlap: usize) {
    let passages = Passages::new().tokens(tokens).overlap(overlap);
    let places = passages.cut(encoder, text).unwrap();
    let spans = encoder.document_spans(text).unwrap();
    let mut last = Range { start: 0, end: 0 };
    for place in &places {
        let told = || format!("{place:?} after {last:?} of {tokens} and {overlap} in {text:?}");
        assert!(place.start >= last.start && place.end > last.end, "{}", told());
        let between = text.get(last.end..place.start).unwrap_or_default();
        assert!(between.trim().is_empty(), "{}", told());
        let passage = &text[place.clone()];
        assert_eq!(passage, passage.trim());
        let count = encoder.document_spans(passage).unwrap().len();
        assert!(count <= tokens || passage.chars().count() == 1, "{count} in {}", told());
        let is_known = |it: &&Range<usize>| it.start >= place.start && it.end <= last.end;
        let known = spans.iter().filter(is_known).count();
        assert!(known <= overlap, "{known} are repeated in {}", told());
        last = place.clone();
    }
    assert!(text[last.end..].trim().is_empty());
}

#[test]
fn random_texts_are_read_whole_by_all_tokenizers() {
    const PIECES: [&str; 22] = [
        "wheel",
        "Tyre",
        "bicycle's",
        "unbelievably",
        ",",
        ". ",
        "! ",
        "\n",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        " ",
        "  ",
        "\t",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{1f1eb}\u{1f1f7}",
        "e\u{301}\u{302}",
        "\u{4e16}\u{754c}\u{3002}",
        "\u{e2a}\u{e27}\u{e31}\u{e2a}\u{e14}\u{e35}",
        "3.14",
        "\u{feff}",
        "\u{1c}",
    ];
    for model in ["bert", "modernbert", "xlm-roberta"] {
        let encoder = checkpoint(model);
        let longest = encoder.document_length().unwrap();
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..80 {
            let spaces = random.random_bool(0.8);
            let piece = |random: &mut StdRng| {
                let piece = *PIECES.choose(random).unwrap();
                if spaces { format!("{piece} ") } else { piece.to_owned() }
            };
            let pieces = random.random_range(0..120);
            let text: String = (0..pieces).map(|_| piece(&mut random)).collect();
            let tokens = random.random_range(1..=longest);
            let overlap = random.random_range(0..=tokens / 2);
            assert_whole(&encoder, &text, tokens, overlap);
        }
    }
}

/// What the model's own limit leaves: PyLate's vectors in `tests/encoder.rs` are cut there.
#[test]
fn a_passage_has_as_many_tokens_as_the_model_reads() {
    for (model, added) in [("bert", 3), ("xlm-roberta", 2), ("distilbert", 3)] {
        let encoder = checkpoint(model);
        assert_eq!(encoder.document_length(), Some(40 - added), "{model}");
    }
    // It leaves no token out of documents.
    let encoder = checkpoint("distilbert");
    let text = "Oil the chain, then the wheel. ".repeat(60);
    let places = Passages::new().cut(&encoder, &text).unwrap();
    assert!(places.len() > 10);
    for place in places {
        let encoding = encoder.document(&text[place.clone()]).unwrap();
        assert!(encoding.tokens().len() <= 40, "{}", encoding.tokens().len());
        let read = encoding.tokens().iter().filter_map(|it| Some(it.span.as_ref()?.end)).max();
        assert_eq!(read, Some(place.len()));
    }
}

/// The words of a text that rows stand for.
fn read(encoder: &dyn Encoder, text: &str) -> String {
    let encoding = encoder.document(text).unwrap();
    let ends = encoding.tokens().iter().filter_map(|it| Some(it.span.as_ref()?.end));
    text[..ends.max().unwrap_or(0)].to_owned()
}

#[test]
fn a_needle_in_ten_thousand_words_is_read_in_its_passage() {
    let encoder = checkpoint("bert");
    let hay = "The bicycle has two wheels, and each of them has a tyre. ";
    let needle = "How do birds know the way?";
    let text = format!("{}{needle} {}", hay.repeat(500), hay.repeat(500));
    assert!(text.split_whitespace().count() > 10_000);
    assert!(!read(&encoder, &text).contains("birds"));
    let places = Passages::new().cut(&encoder, &text).unwrap();
    let reads =
        |it: &&Range<usize>| read(&encoder, &text[(*it).clone()]).contains("birds know the way");
    assert_eq!(places.iter().filter(reads).count(), 1);
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let refused = |encoder: &Counter, passages: Passages, part: &str| {
        let error = passages.cut(encoder, "a text").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(
        &words(8),
        Passages::new().tokens(9),
        "from 1 to 8, which is what the model reads, got 9",
    );
    refused(&words(8), Passages::new().tokens(0), "from 1 to 8");
    refused(&words(8), Passages::new().overlap(5), "at most 4, half of a passage, got 5");
    refused(&words(0), Passages::new(), "a model that reads some of a text, got 0");
    let unlimited = Counter { length: None, of_words: true };
    refused(&unlimited, Passages::new().tokens(0), "at least 1, got 0");
    assert_cut(&unlimited, Passages::new(), "a b c", &["a b c"]);
    assert_cut(&unlimited, Passages::new().tokens(2), "a b c", &["a", "b c"]);
}
