//! A request as a tree of stages to be run: everything checked, and the vectors of examples looked up.

use std::borrow::Cow;

use super::examples::Combine;
use super::reader::Reader;
use crate::collection::{
    Collection, Modifier, Snapshot, SparseConfig, Tokens, Values, Vector, VectorKind,
};
use crate::filter::{Filter, PointId, PointNumber, PointSet};
use crate::search::query::{
    Asked, Example, Feedback, Fusion, Mmr, OrderBy, Recommend, RecommendStrategy, Scoring,
};
use crate::search::{Formula, Lookup, QueryRequest, WithVector};
use crate::{Error, Result};

/// Collections by their names, for requests that look up something in another one.
pub type Collections<'a> = dyn Fn(&str) -> Option<&'a Collection> + 'a;

/// Request that can be run.
pub(super) struct Plan<'r> {
    /// The stage that ranks the results.
    pub root: Planned<'r>,
    /// Points that are examples, and so no results.
    pub excluded: PointSet,
}

/// Stage that can be run.
pub(super) struct Planned<'r> {
    pub asked: Asked<'r>,
    pub rule: Rule<'r>,
    /// Its own filter, and those of all stages that its results are candidates of: it would find in vain
    /// what one of them forbids.
    pub filters: Vec<&'r Filter>,
    /// Stages that find its candidates.
    pub prefetch: Vec<Planned<'r>>,
    /// Number of points to find; at least 1.
    pub limit: usize,
}

impl Planned<'_> {
    /// The multivector to which points are to be near, if that is the rule.
    pub fn tokens(&self) -> Option<&Tokens> {
        match &self.rule {
            Rule::Nearest(values) => values.tokens(),
            _ => None,
        }
    }
}

/// Rule by which a stage scores, or orders, points.
pub(super) enum Rule<'r> {
    Nearest(Values),
    Mmr(Values, Mmr),
    Examples(Vec<Values>, Combine),
    Fusion(&'r Fusion),
    Formula(&'r Formula),
    OrderBy(&'r OrderBy),
    Sample,
    Ids,
}

impl Rule<'_> {
    /// Tells whether it compares vectors, so that only points that have them can be found.
    pub fn compares_vectors(&self) -> bool {
        matches!(self, Self::Nearest(_) | Self::Mmr(..) | Self::Examples(..))
    }
}

/// Checks a request, and plans it.
pub(super) fn plan<'r>(
    reader: &Reader<'_, 'r>,
    request: &'r QueryRequest,
    others: &Collections<'_>,
) -> Result<Plan<'r>> {
    if let WithVector::Named(names) = &request.with_vector {
        names.iter().try_for_each(|name| reader.distance(name).map(drop))?;
    }
    let mut planner = Planner { reader, others, excluded: PointSet::new() };
    let mut root = planner.stage(request.asked(), &[])?;
    root.limit = request.limit.saturating_add(request.offset);
    Ok(Plan { root, excluded: planner.excluded })
}

struct Planner<'a, 's, 'r, 'o> {
    reader: &'a Reader<'s, 'r>,
    others: &'a Collections<'o>,
    excluded: PointSet,
}

impl<'r> Planner<'_, '_, 'r, '_> {
    fn stage(&mut self, asked: Asked<'r>, above: &[&'r Filter]) -> Result<Planned<'r>> {
        asked.check()?;
        if let Some(Lookup { collection, .. }) = asked.lookup_from
            && (self.others)(collection).is_none()
        {
            return Err(Error::UnknownCollection { name: collection.clone() });
        }
        let filters: Vec<_> = above.iter().copied().chain(asked.filter).collect();
        let prefetch = asked.below().map(|below| self.stage(below, &filters));
        let prefetch = prefetch.collect::<Result<_>>()?;
        let rule = match asked.query {
            None => Rule::Ids,
            Some(scoring) => self.rule(&asked, scoring)?,
        };
        if rule.compares_vectors() && asked.idf_corpus.is_some() {
            self.check_counts(asked.using)?;
        }
        Ok(Planned { asked, rule, filters, prefetch, limit: asked.limit })
    }

    /// Refuses a vector for which nothing is counted: what is asked for would be passed over in silence.
    fn check_counts(&self, using: &str) -> Result<()> {
        let counts = VectorKind::Sparse(SparseConfig { modifier: Modifier::Idf });
        if self.reader.snapshot.config().get(using)?.kind == counts {
            return Ok(());
        }
        Err(Error::InvalidParameter {
            name: "params.idf.corpus",
            expected: "left out, as the vector has not the modifier idf".into(),
            got: format!("one for {using:?}"),
        })
    }

    fn rule(&mut self, asked: &Asked<'r>, scoring: &'r Scoring) -> Result<Rule<'r>> {
        match scoring {
            Scoring::Nearest(example) => self.values(asked, example).map(Rule::Nearest),
            Scoring::Mmr(example, mmr) => Ok(Rule::Mmr(self.values(asked, example)?, *mmr)),
            Scoring::Recommend(recommend) => self.recommend(asked, recommend),
            Scoring::Discover { .. } => self.examples(asked, scoring, Combine::Discover),
            Scoring::Context(_) => self.examples(asked, scoring, Combine::Context),
            Scoring::Feedback(feedback) => {
                self.examples(asked, scoring, Combine::feedback(feedback))
            }
            Scoring::Fusion(fusion) => Ok(Rule::Fusion(fusion)),
            Scoring::Formula(formula) => Ok(Rule::Formula(formula)),
            Scoring::OrderBy(order) => Ok(Rule::OrderBy(order)),
            Scoring::Sample => Ok(Rule::Sample),
        }
    }

    /// Compares with all examples of a rule, and puts the similarities together.
    fn examples(
        &mut self,
        asked: &Asked<'r>,
        scoring: &'r Scoring,
        combine: Combine,
    ) -> Result<Rule<'r>> {
        let examples = scoring.examples().into_iter().map(|it| self.values(asked, it));
        Ok(Rule::Examples(examples.collect::<Result<_>>()?, combine))
    }

    fn recommend(&mut self, asked: &Asked<'r>, recommend: &'r Recommend) -> Result<Rule<'r>> {
        let Recommend { positive, negative, strategy } = recommend;
        let positives = positive.len();
        let mut vectors = Vec::new();
        for example in positive.iter().chain(negative) {
            vectors.push(self.vector(asked, example)?);
        }
        let prepare = |vector: &Vector| self.prepare(asked, vector);
        let combine = match strategy {
            RecommendStrategy::AverageVector => {
                vectors.iter().try_for_each(|vector| prepare(vector).map(drop))?;
                let (positive, negative) = vectors.split_at(positives);
                return prepare(&Vector::recommended(positive, negative)?).map(Rule::Nearest);
            }
            RecommendStrategy::BestScore => Combine::BestScore { positives },
            RecommendStrategy::SumScores => Combine::SumScores { positives },
        };
        let values = vectors.iter().map(|vector| prepare(vector)).collect::<Result<_>>()?;
        Ok(Rule::Examples(values, combine))
    }

    /// An example, as it is compared.
    fn values(&mut self, asked: &Asked<'r>, example: &'r Example) -> Result<Values> {
        let vector = self.vector(asked, example)?;
        self.prepare(asked, &vector)
    }

    fn prepare(&self, asked: &Asked<'r>, vector: &Vector) -> Result<Values> {
        self.reader.snapshot.config().prepare(asked.using, vector)
    }

    /// An example as it is given, or as its point has it.
    fn vector(&mut self, asked: &Asked<'r>, example: &'r Example) -> Result<Cow<'r, Vector>> {
        let id = match example {
            Example::Vector(vector) => {
                let Reader { shared, snapshot, .. } = self.reader;
                shared.query_rows.look(asked.using, vector, snapshot.config());
                return Ok(Cow::Borrowed(vector));
            }
            Example::Point(id) => *id,
        };
        let Some(lookup) = asked.lookup_from else {
            return self.own_vector(asked.using, id).map(Cow::Owned);
        };
        let name = lookup.vector.as_deref().unwrap_or(asked.using);
        let Some(collection) = (self.others)(&lookup.collection) else {
            return Err(Error::UnknownCollection { name: lookup.collection.clone() });
        };
        if std::ptr::eq(collection, &self.reader.shared.collection) {
            return self.own_vector(name, id).map(Cow::Owned);
        }
        let snapshot = collection.snapshot()?;
        vector_of(&snapshot, name, id).map(|(_, vector)| Cow::Owned(vector))
    }

    fn own_vector(&mut self, name: &str, id: PointId) -> Result<Vector> {
        let (number, vector) = vector_of(&self.reader.snapshot, name, id)?;
        self.excluded.insert(number);
        Ok(vector)
    }
}

fn vector_of(snapshot: &Snapshot<'_>, name: &str, id: PointId) -> Result<(PointNumber, Vector)> {
    let number = snapshot.number(id)?.ok_or_else(|| Error::UnknownPoint { id: id.to_string() })?;
    // Names that no vector has are refused, too.
    snapshot.having(name)?;
    let found = snapshot.vectors(number, |it| it == name)?.remove(name);
    let missing = || Error::MissingVector { id: id.to_string(), name: name.into() };
    Ok((number, found.ok_or_else(missing)?))
}

impl Combine {
    /// Weights of pairs of examples, of which the first is the target.
    fn feedback(feedback: &Feedback) -> Self {
        let mut pairs = Vec::new();
        for (better, (_, high)) in feedback.judged.iter().enumerate() {
            for (worse, (_, low)) in feedback.judged.iter().enumerate() {
                if high > low {
                    let weight = (high - low).powf(feedback.b) * feedback.c;
                    pairs.push((better + 1, worse + 1, weight));
                }
            }
        }
        Self::Feedback { target: feedback.a, pairs }
    }
}
