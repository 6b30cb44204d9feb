//! Two lists of hits, beside scores in f64.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::engines::Hit;
use super::reference::Score;

/// How close two scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// The same point, or the same score before any rounding.
    Equal,
    /// Rounding decides which is better.
    Close,
}

/// How two scores tie, if they do.
pub fn tie(a: Score, b: Score) -> Option<Tie> {
    let difference = (a.value - b.value).abs();
    match difference <= a.bound + b.bound {
        true if difference <= 1e-12 * (1.0 + a.value.abs()) => Some(Tie::Equal),
        true => Some(Tie::Close),
        false => None,
    }
}

/// What is equal of two lists.
pub struct Likeness {
    /// Nothing, if all ids are the same in the same order.
    pub tie: Option<Tie>,
    /// The largest difference of two scores of a point, as a part of the bound.
    pub error: f64,
}

/// Where a list ends.
#[derive(Clone, Copy)]
pub struct Ends {
    pub limit: usize,
    pub offset: usize,
    pub threshold: Option<f64>,
}

/// Our list, theirs, and what the scores are.
pub struct Lists<'a> {
    pub ours: &'a [Hit],
    pub theirs: &'a [Hit],
    pub ends: Ends,
    pub scores: HashMap<&'a str, Score>,
}

impl Lists<'_> {
    /// # Errors
    /// What rounding doesn't explain.
    pub fn compare(&self) -> Result<Likeness> {
        self.check("Maxfold's", self.ours)?;
        self.check("Edge's", self.theirs)?;
        let places = self.places()?;
        let (ours, theirs) = (ids(self.ours), ids(self.theirs));
        let only_ours = self.strangers("Maxfold", self.ours, self.theirs, &theirs)?;
        let only_theirs = self.strangers("Edge", self.theirs, self.ours, &ours)?;
        Ok(Likeness { tie: places.max(only_ours).max(only_theirs), error: self.error(&theirs)? })
    }

    fn score(&self, id: &str) -> Result<Score> {
        self.scores.get(id).copied().with_context(|| format!("{id} has no score"))
    }

    /// Scores are right, and in order.
    fn check(&self, whose: &str, hits: &[Hit]) -> Result<()> {
        for (id, got) in hits {
            let Score { value, bound } = self.score(id)?;
            let right = (got - value).abs() <= bound;
            ensure!(right, "{whose} score of {id}: {got}, expected {value} ± {bound}");
        }
        Ok(())
    }

    /// Place by place, the same points or ties.
    fn places(&self) -> Result<Option<Tie>> {
        let mut worst = None;
        for ((our_id, ours), (their_id, theirs)) in self.ours.iter().zip(self.theirs) {
            if our_id != their_id {
                let tie = tie(self.score(our_id)?, self.score(their_id)?);
                let tie = tie.with_context(|| {
                    format!("{our_id} ({ours}) in the place of {their_id} ({theirs})")
                })?;
                worst = worst.max(Some(tie));
            }
        }
        Ok(worst)
    }

    /// Points that only one list has tie with the other's last or first, or with the threshold.
    fn strangers(
        &self,
        whose: &str,
        hits: &[Hit],
        others: &[Hit],
        known: &HashMap<&str, f64>,
    ) -> Result<Option<Tie>> {
        let mut worst = None;
        for (id, got) in hits.iter().filter(|(id, _)| !known.contains_key(id.as_str())) {
            let tie = self.at_an_end(self.score(id)?, others)?;
            let tie = tie.with_context(|| format!("only {whose} has {id} ({got})"))?;
            worst = worst.max(Some(tie));
        }
        Ok(worst)
    }

    fn at_an_end(&self, score: Score, hits: &[Hit]) -> Result<Option<Tie>> {
        let Ends { limit, offset, threshold } = self.ends;
        let last = hits.last().filter(|_| hits.len() >= limit);
        let first = hits.first().filter(|_| offset > 0);
        for (id, _) in last.into_iter().chain(first) {
            if let Some(tie) = tie(score, self.score(id)?) {
                return Ok(Some(tie));
            }
        }
        let at_threshold = threshold.is_some_and(|it| (it - score.value).abs() <= score.bound);
        Ok(at_threshold.then_some(Tie::Close))
    }

    fn error(&self, theirs: &HashMap<&str, f64>) -> Result<f64> {
        let mut largest = 0.0_f64;
        for (id, ours) in self.ours {
            if let Some(theirs) = theirs.get(id.as_str()) {
                largest = largest.max((ours - theirs).abs() / self.score(id)?.bound);
            }
        }
        ensure!(largest <= 1.0, "scores of one point differ by {largest} times the bound");
        Ok(largest)
    }
}

fn ids(hits: &[Hit]) -> HashMap<&str, f64> {
    hits.iter().map(|(id, score)| (id.as_str(), *score)).collect()
}
