//! [`Language`]: stop words and stemmers, by the names of Qdrant's text index.

use std::fmt;
use std::str::FromStr;

use rust_stemmers::{Algorithm, Stemmer};

use crate::{Error, Result};

/// Language of a text: its stop words, those of NLTK, and its Snowball stemmer, where it has one.
///
/// ```
/// use maxfold::filter::Language;
///
/// let language: Language = "english".parse()?;
/// assert_eq!(language, "en".parse()?);
/// assert!(language.stop_words().contains(&"the"));
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language {
    name: &'static str,
}

/// Names, Qdrant's short names, those of the lists of stop words, and stemmers.
type Known = (&'static str, &'static str, &'static str, Option<Algorithm>);

const LANGUAGES: &[Known] = &[
    ("arabic", "ar", "ar", Some(Algorithm::Arabic)),
    ("azerbaijani", "az", "az", None),
    ("basque", "eu", "eu", None),
    ("bengali", "bn", "bn", None),
    ("catalan", "ca", "ca", None),
    ("chinese", "zh", "zh", None),
    ("danish", "da", "da", Some(Algorithm::Danish)),
    ("dutch", "nl", "nl", Some(Algorithm::Dutch)),
    ("english", "en", "en", Some(Algorithm::English)),
    ("finnish", "fi", "fi", Some(Algorithm::Finnish)),
    ("french", "fr", "fr", Some(Algorithm::French)),
    ("german", "de", "de", Some(Algorithm::German)),
    ("greek", "el", "el", Some(Algorithm::Greek)),
    ("hebrew", "he", "he", None),
    ("hinglish", "hi-en", "hinglish", None),
    ("hungarian", "hu", "hu", Some(Algorithm::Hungarian)),
    ("indonesian", "id", "id", None),
    ("italian", "it", "it", Some(Algorithm::Italian)),
    ("kazakh", "kk", "kk", None),
    ("norwegian", "no", "no", Some(Algorithm::Norwegian)),
    ("portuguese", "pt", "pt", Some(Algorithm::Portuguese)),
    ("romanian", "ro", "ro", Some(Algorithm::Romanian)),
    ("russian", "ru", "ru", Some(Algorithm::Russian)),
    ("slovene", "sl", "sl", None),
    ("spanish", "es", "es", Some(Algorithm::Spanish)),
    ("swedish", "sv", "sv", Some(Algorithm::Swedish)),
    ("tajik", "tg", "tg", None),
    ("tamil", "ta", "ta", Some(Algorithm::Tamil)),
    ("turkish", "tr", "tr", Some(Algorithm::Turkish)),
];

impl Language {
    /// English.
    pub const ENGLISH: Self = Self { name: "english" };

    /// Its name in English, in lower case.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Its stop words, in lower case.
    pub fn stop_words(self) -> &'static [&'static str] {
        self.known().and_then(|(_, _, code, _)| stop_words::lookup(code)).unwrap_or_default()
    }

    /// Tells whether it has a stemmer.
    pub fn has_stemmer(self) -> bool {
        self.known().is_some_and(|(_, _, _, algorithm)| algorithm.is_some())
    }

    pub(super) fn stemmer(self) -> Option<Stemmer> {
        self.known()?.3.map(Stemmer::create)
    }

    fn known(self) -> Option<Known> {
        LANGUAGES.iter().copied().find(|(name, ..)| *name == self.name)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let is_it = |(name, short, ..): &&Known| *name == given || *short == given;
        match LANGUAGES.iter().find(is_it) {
            Some((name, ..)) => Ok(Self { name }),
            None => {
                let names: Vec<_> = LANGUAGES.iter().map(|(name, ..)| *name).collect();
                let expected = format!("one of {}", names.join(", "));
                Err(Error::InvalidParameter { name: "the language", expected, got: given.into() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_stop_words() {
        for (name, short, ..) in LANGUAGES {
            let language: Language = name.parse().unwrap();
            assert!(!language.stop_words().is_empty(), "{name}");
            assert_eq!(short.parse::<Language>().unwrap(), language);
        }
    }
}
