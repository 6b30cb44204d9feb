//! [`Scoring`]: by which rule a stage scores and orders points.

use super::within;
use crate::Result;
use crate::collection::Vector;
use crate::filter::{Datetime, FieldPath, PointId};
use crate::search::formula::Formula;

/// Rule by which a stage scores points; in JSON the `query` of Qdrant's query call.
///
/// ```
/// use maxfold::search::{Example, Fusion, Prefetch, QueryRequest, Recommend, Scoring};
///
/// // A vector, or the vector of a point: what is nearest to it.
/// let near = QueryRequest::new(vec![0.5, 0.25]).using("dense");
/// let near_point = QueryRequest::new(Example::point(7)).using("dense");
///
/// // Two prefetches, fused by the ranks that points have in them.
/// let fused = QueryRequest::new(Fusion::rrf())
///     .prefetch(Prefetch::new(vec![0.5, 0.25]).using("dense").limit(100))
///     .prefetch(Prefetch::new(Example::point(7)).using("dense").limit(100));
/// let json = r#"{
///     "prefetch": [
///         {"query": [0.5, 0.25], "using": "dense", "limit": 100},
///         {"query": 7, "using": "dense", "limit": 100}
///     ],
///     "query": {"fusion": "rrf"}
/// }"#;
/// assert_eq!(fused, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scoring {
    /// By the similarity to an example, the nearest first.
    Nearest(Example),
    /// By the similarity to an example, and by how little a point is like those before it (maximal
    /// marginal relevance).
    Mmr(Example, Mmr),
    /// By the similarity to positive examples, and the lack of it to negative ones.
    Recommend(Recommend),
    /// By the similarity to a target, within the part of the space that pairs of examples point to.
    Discover {
        /// Example that the results shall be near to.
        target: Example,
        /// Pairs; a point shall be nearer to the positive example of each.
        context: Vec<ContextPair>,
    },
    /// By the distance that a point is on the wrong side of pairs of examples; 0 is best.
    Context(Vec<ContextPair>),
    /// By the similarity to a target, corrected by what is known of other results.
    Feedback(Feedback),
    /// By the rankings of the prefetches, put together.
    Fusion(Fusion),
    /// By a formula, from the scores of the prefetches and from payloads.
    Formula(Formula),
    /// By the order of a payload field.
    OrderBy(OrderBy),
    /// At random.
    Sample,
}

/// Vector, or the point whose vector is meant. That point is then not a result itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Example {
    /// This one.
    Vector(Vector),
    /// Vector of a point.
    Point(PointId),
}

impl Example {
    /// The vector of a point.
    pub fn point(id: impl Into<PointId>) -> Self {
        Self::Point(id.into())
    }
}

/// Diversity of results, by maximal marginal relevance ([Carbonell and Goldstein, 1998][mmr]): each
/// is the one with the highest `(1 − diversity) · similarity to the query − diversity · similarity to
/// the most similar one before it`.
///
/// [mmr]: https://doi.org/10.1145/290941.291025
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mmr {
    /// Weight of diversity: 0 to 1.
    pub diversity: f32,
    /// Number of nearest points among which is chosen; by default the limit.
    pub candidates_limit: Option<usize>,
}

impl Mmr {
    /// Largest `candidates_limit`, as in Qdrant: each candidate is compared with each.
    pub const MOST_CANDIDATES: usize = 16_384;

    fn check(&self) -> Result<()> {
        within("diversity", "0 to 1", self.diversity, (0.0..=1.0).contains(&self.diversity))?;
        let count = self.candidates_limit.unwrap_or(0);
        within("candidates_limit", "at most 16384", count, count <= Self::MOST_CANDIDATES)
    }
}

impl Default for Mmr {
    fn default() -> Self {
        Self { diversity: 0.5, candidates_limit: None }
    }
}

/// Examples of what is wanted and of what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommend {
    /// Examples of what is wanted.
    pub positive: Vec<Example>,
    /// Examples of what is not.
    pub negative: Vec<Example>,
    /// Way of putting them together.
    pub strategy: RecommendStrategy,
}

/// Way of putting examples together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecommendStrategy {
    /// One vector: twice the mean of the positive ones, less that of the negative ones. Of multivectors,
    /// all rows, those of negative ones negated.
    #[default]
    AverageVector,
    /// The nearest example decides: `f(similarity)` if it is positive, `−f(similarity)` if not, with
    /// `f(x) = (x / (1 + |x|) + 1) / 2`.
    BestScore,
    /// The sum of similarities to positive examples, less those to negative ones.
    SumScores,
}

impl Recommend {
    /// More like these examples.
    pub fn like<E: Into<Example>>(examples: impl IntoIterator<Item = E>) -> Self {
        let positive = examples.into_iter().map(E::into).collect();
        Self { positive, ..Self::default() }
    }

    /// And less like these.
    pub fn unlike<E: Into<Example>>(self, examples: impl IntoIterator<Item = E>) -> Self {
        Self { negative: examples.into_iter().map(E::into).collect(), ..self }
    }

    /// Put together in this way.
    pub fn strategy(self, strategy: RecommendStrategy) -> Self {
        Self { strategy, ..self }
    }
}

/// Two examples: a point shall be nearer to the one than to the other.
#[derive(Clone, Debug, PartialEq)]
pub struct ContextPair {
    /// Example to be near to.
    pub positive: Example,
    /// Example to be far from.
    pub negative: Example,
}

impl ContextPair {
    fn both(&self) -> [&Example; 2] {
        [&self.positive, &self.negative]
    }
}

/// Target, with results that somebody judged: a point's score is `a · similarity to the target`, and for
/// each two results of which the first was judged better, by `d`, `dᵇ · c · (similarity to the first −
/// similarity to the second)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    /// Example that the results shall be near to.
    pub target: Example,
    /// Results, with the scores that they were given.
    pub judged: Vec<(Example, f32)>,
    /// Weight of the target.
    pub a: f32,
    /// Exponent of the difference of two scores.
    pub b: f32,
    /// Weight of the pairs.
    pub c: f32,
}

/// Way of putting the rankings of prefetches together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fusion {
    /// By ranks ([reciprocal rank fusion][rrf], with Qdrant's weights): a point's score is the sum of
    /// `1 / ((rank + 1) / weight + k − 1)` over the prefetches that have it, ranks counted from 0.
    ///
    /// [rrf]: https://doi.org/10.1145/1571941.1572114
    Rrf {
        /// Constant that makes high ranks count less; at least 1.
        k: usize,
        /// Weight of each prefetch, 1 if there are none. One of 0 or less adds nothing.
        weights: Vec<f32>,
    },
    /// By the distribution of scores: each prefetch's are moved and scaled so that its mean less three
    /// standard deviations is 0, its mean and three more 1; then summed.
    Dbsf,
}

impl Fusion {
    /// Constant of reciprocal rank fusion, as in Qdrant.
    pub const DEFAULT_K: usize = 2;

    /// By ranks, all prefetches alike.
    pub fn rrf() -> Self {
        Self::Rrf { k: Self::DEFAULT_K, weights: Vec::new() }
    }

    /// By ranks, with a weight for each prefetch.
    pub fn weighted_rrf(weights: impl Into<Vec<f32>>) -> Self {
        Self::Rrf { k: Self::DEFAULT_K, weights: weights.into() }
    }
}

/// Order by the values of a payload field: numbers, or datetimes. A point without one is no result; one
/// with several stands at each.
///
/// ```
/// use maxfold::search::{OrderBy, QueryRequest, Scoring};
///
/// let newest = Scoring::OrderBy(OrderBy::key("year")?.descending());
/// let request = QueryRequest::new(newest).limit(3);
/// let json = r#"{"query": {"order_by": {"key": "year", "direction": "desc"}}, "limit": 3}"#;
/// assert_eq!(request, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// The field.
    pub key: FieldPath,
    /// From the smallest or from the largest.
    pub direction: Direction,
    /// Value that results begin with.
    pub start_from: Option<OrderValue>,
}

/// Direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest.
    #[default]
    Asc,
    /// From the largest.
    Desc,
}

/// Value that points are ordered by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OrderValue {
    /// An integer, or a datetime in microseconds since 1970.
    Integer(i64),
    /// Another number.
    Float(f64),
}

impl OrderValue {
    /// The value of a datetime.
    pub fn datetime(time: Datetime) -> Self {
        Self::Integer(time.micros())
    }

    /// Compares numbers exactly; of zeros, the negative one is smaller.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        // Rounding keeps an order, so it is only to be looked at again where it makes equal.
        let by_float = self.float().total_cmp(&other.float());
        by_float.then_with(|| self.integer().cmp(&other.integer()))
    }

    fn integer(self) -> i128 {
        match self {
            Self::Integer(value) => value.into(),
            Self::Float(value) => value as i128,
        }
    }

    /// The value in f64: integers are rounded.
    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl OrderBy {
    /// By this field, from the smallest.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn key(key: &str) -> Result<Self> {
        Ok(Self { key: key.parse()?, direction: Direction::Asc, start_from: None })
    }

    /// From the largest.
    pub fn descending(self) -> Self {
        Self { direction: Direction::Desc, ..self }
    }

    /// Beginning with this value.
    pub fn start_from(self, value: OrderValue) -> Self {
        Self { start_from: Some(value), ..self }
    }
}

impl Scoring {
    /// Examples in it, whose vectors are compared.
    pub(crate) fn examples(&self) -> Vec<&Example> {
        match self {
            Self::Nearest(example) | Self::Mmr(example, _) => vec![example],
            Self::Recommend(it) => it.positive.iter().chain(&it.negative).collect(),
            Self::Discover { target, context } => {
                std::iter::once(target).chain(context.iter().flat_map(ContextPair::both)).collect()
            }
            Self::Context(context) => context.iter().flat_map(ContextPair::both).collect(),
            Self::Feedback(it) => {
                std::iter::once(&it.target).chain(it.judged.iter().map(|(it, _)| it)).collect()
            }
            Self::Fusion(_) | Self::Formula(_) | Self::OrderBy(_) | Self::Sample => Vec::new(),
        }
    }

    /// Tells whether it puts prefetches together, and so compares no vector.
    pub(crate) fn needs_prefetch(&self) -> bool {
        matches!(self, Self::Fusion(_) | Self::Formula(_))
    }

    /// Tells whether its scores say nothing.
    pub(crate) fn is_unscored(&self) -> bool {
        matches!(self, Self::OrderBy(_) | Self::Sample)
    }

    /// Refuses numbers out of their range, and what has no meaning without examples.
    pub(crate) fn check(&self, prefetches: usize) -> Result<()> {
        match self {
            Self::Mmr(_, mmr) => mmr.check(),
            Self::Recommend(it) => it.check(),
            Self::Context(pairs) => {
                within("the number of pairs", "at least 1", pairs.len(), !pairs.is_empty())
            }
            Self::Feedback(it) => it.check(),
            Self::Fusion(it) => it.check(prefetches),
            Self::Formula(it) => it.check(),
            _ => Ok(()),
        }
    }
}

impl Recommend {
    fn check(&self) -> Result<()> {
        let (positive, negative) = (self.positive.len(), self.negative.len());
        match self.strategy {
            RecommendStrategy::AverageVector => {
                within("the number of positive examples", "at least 1", positive, positive > 0)
            }
            _ => within("the number of examples", "at least 1", 0, positive + negative > 0),
        }
    }
}

impl Feedback {
    fn check(&self) -> Result<()> {
        let count = self.judged.len();
        within("the number of judged examples", "at least 1", count, count > 0)?;
        let judged = self.judged.iter().map(|(_, score)| *score);
        let mut numbers = [self.a, self.b, self.c].into_iter().chain(judged);
        let bad = numbers.find(|it| !it.is_finite());
        bad.map_or(Ok(()), |bad| within("a number of the feedback", "finite", bad, false))
    }
}

impl Fusion {
    fn check(&self, prefetches: usize) -> Result<()> {
        let Self::Rrf { k, weights } = self else { return Ok(()) };
        within("k", "at least 1", k, *k > 0)?;
        if let Some(bad) = weights.iter().find(|it| !it.is_finite()) {
            return within("weights", "finite", bad, false);
        }
        let fits = weights.is_empty() || weights.len() == prefetches;
        let expected = format!("{prefetches}, one for each prefetch");
        within("the number of weights", &expected, weights.len(), fits)
    }
}

macro_rules! from {
    ($($from:ty => $to:ident($make:expr)),* $(,)?) => {$(
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                $make(value)
            }
        }
    )*};
}

from! {
    Vector => Example(Self::Vector),
    Vec<f32> => Example(|it| Self::Vector(Vector::Dense(it))),
    PointId => Example(Self::Point),
    Vector => Scoring(|it| Self::Nearest(Example::Vector(it))),
    Vec<f32> => Scoring(|it| Self::Nearest(Example::from(it))),
    Example => Scoring(Self::Nearest),
    Recommend => Scoring(Self::Recommend),
    Feedback => Scoring(Self::Feedback),
    Fusion => Scoring(Self::Fusion),
    Formula => Scoring(Self::Formula),
    OrderBy => Scoring(Self::OrderBy),
}
