//! Relevance judgements.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{self, Line, word};
use crate::{Error, Result, files};

/// The judgements of one query: document id to grade, in order of id.
pub type Judgements = BTreeMap<String, i32>;

/// Relevance judgements ("qrels"): for each query, the grades that assessors gave to documents.
///
/// A grade of 0 or below says that the document was looked at and is not relevant; a document
/// without a grade was not looked at, and counts as not relevant. Queries and documents are kept in
/// order of their ids.
///
/// ```
/// use maxfold::eval::Qrels;
///
/// let qrels = Qrels::parse_trec("capitals 0 paris 2\n")?;
/// assert_eq!(qrels.grade("capitals", "paris"), Some(2));
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qrels {
    queries: BTreeMap<String, Judgements>,
}

impl Qrels {
    /// No judgements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a judgement.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateDocument`] if the document has a grade for this query.
    pub fn insert(
        &mut self,
        query: impl ToString,
        document: impl ToString,
        grade: i32,
    ) -> Result<()> {
        let (query, document) = (query.to_string(), document.to_string());
        if self.grade(&query, &document).is_some() {
            return Err(Error::DuplicateDocument { query, document });
        }
        self.queries.entry(query).or_default().insert(document, grade);
        Ok(())
    }

    /// The grade of a document for a query.
    pub fn grade(&self, query: &str, document: &str) -> Option<i32> {
        self.judgements(query)?.get(document).copied()
    }

    /// The judgements of a query.
    pub fn judgements(&self, query: &str) -> Option<&Judgements> {
        self.queries.get(query)
    }

    /// The queries and their judgements, in order of query id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Judgements)> {
        self.queries.iter().map(|(query, judgements)| (query.as_str(), judgements))
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Returns `true` if there are no judgements.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Parses TREC's layout: lines of query, iteration, document and grade, separated by white
    /// space.
    ///
    /// The iteration is not used, as trec_eval does not use it. Blank lines are skipped.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedLine`] for a line that does not have these four fields or repeats a
    /// judgement.
    pub fn parse_trec(text: &str) -> Result<Self> {
        let mut qrels = Self::new();
        for line in layout::lines("TREC qrels", text) {
            let [query, _iteration, document, grade] =
                line.words("query, iteration, document, grade")?;
            qrels.insert_from(&line, query, document, grade)?;
        }
        Ok(qrels)
    }

    /// Parses BEIR's layout: a tab-separated table with the header `query-id`, `corpus-id`,
    /// `score`.
    ///
    /// A field in double quotes is read as Python's csv module, which BEIR uses, writes it. Blank
    /// lines are skipped.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedLine`] for another header, or none, and for a line that does not have
    /// these three fields or repeats a judgement.
    pub fn parse_beir(text: &str) -> Result<Self> {
        let mut qrels = Self::new();
        for line in layout::beir_rows("BEIR qrels", text)? {
            let [query, document, grade] =
                line.columns("query, document, grade (tab-separated)")?;
            qrels.insert_from(&line, &query, &document, &grade)?;
        }
        Ok(qrels)
    }

    fn insert_from(&mut self, line: &Line, query: &str, document: &str, grade: &str) -> Result<()> {
        let grade = line.number(grade, "an integer grade")?;
        let repeated = |_| line.malformed("a document not judged before for its query");
        self.insert(query, document, grade).map_err(repeated)
    }

    /// Parses either layout: [BEIR's](Self::parse_beir) if the text begins with its header, else
    /// [TREC's](Self::parse_trec).
    ///
    /// # Errors
    ///
    /// Those of the layout.
    pub fn parse(text: &str) -> Result<Self> {
        if layout::is_beir(text) { Self::parse_beir(text) } else { Self::parse_trec(text) }
    }

    /// Reads a file in [either layout](Self::parse).
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse) within an [`Error::InFile`], and [`Error::Io`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        layout::read(path.as_ref(), Self::parse)
    }

    /// Reads a file in [TREC's layout](Self::parse_trec).
    ///
    /// # Errors
    ///
    /// Those of [`parse_trec`](Self::parse_trec) within an [`Error::InFile`], and [`Error::Io`].
    pub fn read_trec(path: impl AsRef<Path>) -> Result<Self> {
        layout::read(path.as_ref(), Self::parse_trec)
    }

    /// Reads a file in [BEIR's layout](Self::parse_beir).
    ///
    /// # Errors
    ///
    /// Those of [`parse_beir`](Self::parse_beir) within an [`Error::InFile`], and [`Error::Io`].
    pub fn read_beir(path: impl AsRef<Path>) -> Result<Self> {
        layout::read(path.as_ref(), Self::parse_beir)
    }

    /// The judgements in [TREC's layout](Self::parse_trec), with iteration 0.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidParameter`] for an id that the layout cannot hold: empty, or with white
    /// space.
    pub fn to_trec(&self) -> Result<String> {
        let mut lines = String::new();
        for (query, document, grade) in self.rows() {
            let (query, document) = (word(query)?, word(document)?);
            lines += &format!("{query} 0 {document} {grade}\n");
        }
        Ok(lines)
    }

    /// The judgements in [BEIR's layout](Self::parse_beir).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidParameter`] for an id that the layout cannot hold: empty, or with a tab or
    /// line end.
    pub fn to_beir(&self) -> Result<String> {
        layout::beir_table(self.rows())
    }

    fn rows(&self) -> impl Iterator<Item = (&str, &str, i32)> {
        self.iter().flat_map(|(query, judgements)| {
            judgements.iter().map(move |(document, &grade)| (query, document.as_str(), grade))
        })
    }

    /// Writes a file in [TREC's layout](Self::to_trec).
    ///
    /// # Errors
    ///
    /// Those of [`to_trec`](Self::to_trec), and [`Error::Io`].
    pub fn write_trec(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), self.to_trec()?.as_bytes())
    }

    /// Writes a file in [BEIR's layout](Self::to_beir).
    ///
    /// # Errors
    ///
    /// Those of [`to_beir`](Self::to_beir), and [`Error::Io`].
    pub fn write_beir(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), self.to_beir()?.as_bytes())
    }
}
