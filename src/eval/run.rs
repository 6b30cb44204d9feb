//! Rankings of an engine.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{self, Line, word};
use crate::decimal::spelled;
use crate::{Error, Result, files};

/// A document of a ranking.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ranked {
    /// Id of the document.
    pub document: String,
    /// Its score: the higher, the better.
    pub score: f64,
}

/// Rankings of an engine for a set of queries: for each, the documents it ranked, best first.
///
/// Scores alone decide the order, whatever order the documents come in; those of equal score are
/// ordered by document id, ascending. (trec_eval orders them descending:
/// [`Run::in_trec_eval_order`] is for where both are to agree.) Queries are kept in order of their ids.
///
/// ```
/// use maxfold::eval::Run;
///
/// let mut run = Run::new();
/// run.insert_ranking("capitals", [("lyon", 0.5), ("paris", 0.75)])?;
/// assert_eq!(run.ranking("capitals")[0].document, "paris");
/// assert_eq!(run, Run::parse_trec(&run.to_trec("maxfold")?)?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    rankings: BTreeMap<String, Vec<Ranked>>,
}

/// A number that is a score: f32 or f64.
pub trait Score {
    /// The f64 that is written with the same digits.
    fn to_f64(self) -> f64;
}

impl Score for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}

impl Score for f32 {
    fn to_f64(self) -> f64 {
        spelled(self)
    }
}

/// The scores of one query's documents, before they are ranked.
type Scores = BTreeMap<String, f64>;

impl Run {
    /// No rankings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the ranking of a query, as pairs of document id and score in any order. A score
    /// in f32 is written with its own digits: 0.1, not 0.10000000149011612.
    ///
    /// ```
    /// # use maxfold::eval::Run;
    /// let mut run = Run::new();
    /// run.insert_ranking("q1", [(17, 0.25_f32), (4, 0.75)])?;
    /// assert_eq!(run.ranking("q1")[0].document, "4");
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateRanking`] if the query has a ranking, [`Error::DuplicateDocument`] for a
    /// document given twice, [`Error::InvalidParameter`] for a score that is not finite.
    pub fn insert_ranking<D: ToString, S: Score>(
        &mut self,
        query: impl ToString,
        ranking: impl IntoIterator<Item = (D, S)>,
    ) -> Result<()> {
        let query = query.to_string();
        if self.rankings.contains_key(&query) {
            return Err(Error::DuplicateRanking { query });
        }
        let scores = collect(&query, ranking)?;
        self.rankings.insert(query, rank(scores));
        Ok(())
    }

    /// The ranking of a query, best document first; empty if the run has none.
    pub fn ranking(&self, query: &str) -> &[Ranked] {
        self.rankings.get(query).map_or(&[], Vec::as_slice)
    }

    /// The queries and their rankings, in order of query id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Ranked])> {
        self.rankings.iter().map(|(query, ranking)| (query.as_str(), ranking.as_slice()))
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.rankings.len()
    }

    /// Returns `true` if there are no rankings.
    pub fn is_empty(&self) -> bool {
        self.rankings.is_empty()
    }

    /// The same rankings in trec_eval's order: scores are rounded to single precision, and those that
    /// are equal then are ordered by document id, descending.
    pub fn in_trec_eval_order(mut self) -> Self {
        for ranking in self.rankings.values_mut() {
            ranking.sort_by(|a, b| {
                let [first, second] = [a, b].map(|ranked| ranked.score as f32);
                let by_score = second.partial_cmp(&first).unwrap_or(Ordering::Equal);
                by_score.then_with(|| b.document.cmp(&a.document))
            });
        }
        self
    }

    /// Parses TREC's layout: lines of query, `Q0`, document, rank, score and tag, separated by
    /// white space.
    ///
    /// The score decides the order and the rank is not used, as in trec_eval; BEIR, which saves its
    /// runs in this layout, writes rank 0 everywhere. `Q0` and the tag are not used either. Blank
    /// lines are skipped.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedLine`] for a line that does not have these six fields, whose score is not
    /// finite, or that repeats a document.
    pub fn parse_trec(text: &str) -> Result<Self> {
        let mut builder = Builder::default();
        for line in layout::lines("TREC run", text) {
            let [query, _q0, document, _rank, score, _tag] =
                line.words("query, Q0, document, rank, score, tag")?;
            builder.insert(&line, query, document, score)?;
        }
        Ok(builder.finish())
    }

    /// Parses the layout of BEIR's tables: tab-separated, with the header `query-id`, `corpus-id`,
    /// `score`.
    ///
    /// It is that of [`Qrels::parse_beir`](super::Qrels::parse_beir) with real numbers for scores.
    /// The runs that BEIR itself saves are in [TREC's layout](Self::parse_trec).
    ///
    /// # Errors
    ///
    /// [`Error::MalformedLine`] for another header, or none, and for a line that does not have
    /// these three fields, whose score is not finite, or that repeats a document.
    pub fn parse_beir(text: &str) -> Result<Self> {
        let mut builder = Builder::default();
        for line in layout::beir_rows("BEIR run", text)? {
            let [query, document, score] =
                line.columns("query, document, score (tab-separated)")?;
            builder.insert(&line, &query, &document, &score)?;
        }
        Ok(builder.finish())
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

    /// The run in [TREC's layout](Self::parse_trec), ranks from 1, with a tag that names the
    /// engine.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidParameter`] for an id or tag that the layout cannot hold: empty, or with
    /// white space.
    pub fn to_trec(&self, tag: &str) -> Result<String> {
        let tag = word(tag)?;
        let mut lines = String::new();
        for (query, rank, Ranked { document, score }) in self.rows() {
            let (query, document) = (word(query)?, word(document)?);
            lines += &format!("{query} Q0 {document} {rank} {score} {tag}\n");
        }
        Ok(lines)
    }

    /// The run in the [layout of BEIR's tables](Self::parse_beir).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidParameter`] for an id that the layout cannot hold: empty, or with a tab or
    /// line end.
    pub fn to_beir(&self) -> Result<String> {
        layout::beir_table(
            self.rows().map(|(query, _, ranked)| (query, ranked.document.as_str(), ranked.score)),
        )
    }

    fn rows(&self) -> impl Iterator<Item = (&str, usize, &Ranked)> {
        self.iter().flat_map(|(query, ranking)| {
            (1..).zip(ranking).map(move |(rank, ranked)| (query, rank, ranked))
        })
    }

    /// Writes a file in [TREC's layout](Self::to_trec).
    ///
    /// # Errors
    ///
    /// Those of [`to_trec`](Self::to_trec), and [`Error::Io`].
    pub fn write_trec(&self, path: impl AsRef<Path>, tag: &str) -> Result<()> {
        files::write(path.as_ref(), self.to_trec(tag)?.as_bytes())
    }

    /// Writes a file in the [layout of BEIR's tables](Self::to_beir).
    ///
    /// # Errors
    ///
    /// Those of [`to_beir`](Self::to_beir), and [`Error::Io`].
    pub fn write_beir(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), self.to_beir()?.as_bytes())
    }
}

/// A run while its lines, which may come in any order, are read.
#[derive(Default)]
struct Builder {
    queries: BTreeMap<String, Scores>,
}

impl Builder {
    fn insert(&mut self, line: &Line, query: &str, document: &str, score: &str) -> Result<()> {
        let score = line.finite(score, "a finite score")?;
        let scores = self.queries.entry(query.to_owned()).or_default();
        match scores.insert(document.to_owned(), score) {
            None => Ok(()),
            Some(_) => Err(line.malformed("a document not ranked before for its query")),
        }
    }

    fn finish(self) -> Run {
        let queries = self.queries.into_iter();
        Run { rankings: queries.map(|(query, scores)| (query, rank(scores))).collect() }
    }
}

fn collect<D: ToString, S: Score>(
    query: &str,
    ranking: impl IntoIterator<Item = (D, S)>,
) -> Result<Scores> {
    let mut scores = Scores::new();
    for (document, score) in ranking {
        let (document, score) = (document.to_string(), score.to_f64());
        if !score.is_finite() {
            return Err(not_finite(&document, score));
        }
        if scores.contains_key(&document) {
            return Err(Error::DuplicateDocument { query: query.to_owned(), document });
        }
        scores.insert(document, score);
    }
    Ok(scores)
}

fn not_finite(document: &str, score: f64) -> Error {
    let got = format!("{score} for document {document:?}");
    Error::InvalidParameter { name: "score", expected: "finite".to_owned(), got }
}

fn rank(scores: Scores) -> Vec<Ranked> {
    let mut ranking: Vec<_> =
        scores.into_iter().map(|(document, score)| Ranked { document, score }).collect();
    // The documents come in order of id, and a stable sort leaves ties in it. Scores are finite, so
    // that any two compare; unlike `total_cmp`, this has 0 and -0 equal.
    ranking.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    ranking
}
