//! [`Formula`] and its expressions, as they are built in Rust.

use std::collections::BTreeMap;
use std::fmt;
use std::ops;
use std::str::FromStr;

use serde_json::Value;

use crate::filter::{Condition, Datetime, FieldPath, Filter, GeoPoint};
use crate::{Error, Result};

/// Formula that scores points by what prefetches and payloads say of them.
///
/// ```
/// use maxfold::filter::{Condition, Match};
/// use maxfold::search::{Decay, Expression, Formula};
///
/// let title = Condition::field("tag", Match::any(["h1", "h2"]))?;
/// let age = Decay::exp(Expression::key("age")?).scale(7.0);
/// let formula = Formula::new(Expression::score() + Expression::from(title) * 0.5 + age)
///     .with_default("age", 365)?;
/// let json = r#"{"formula": {"sum": [
///     "$score",
///     {"mult": [{"key": "tag", "match": {"any": ["h1", "h2"]}}, 0.5]},
///     {"exp_decay": {"x": "age", "scale": 7}}
/// ]}, "defaults": {"age": 365}}"#;
/// assert_eq!(formula, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// Expression whose value is the score.
    pub expression: Expression,
    /// Values of variables, where a point has none.
    pub defaults: BTreeMap<Variable, Value>,
}

/// Number that differs from point to point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// The score that the prefetch of this position gave; where it gave none, the default, or 0. In JSON
    /// `$score[1]`; `$score` is that of the first.
    Score(usize),
    /// The one number that stands at a payload key; where nothing does, the default, which there has to be.
    Field(FieldPath),
}

/// Expression of a [`Formula`]. It is computed in f64.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Expression {
    /// A number.
    Constant(f64),
    /// A number that differs from point to point.
    Variable(Variable),
    /// 1 where the condition holds, 0 elsewhere.
    Condition(Box<Condition>),
    /// Many numbers in one.
    Fold(Fold, Vec<Expression>),
    /// A function of one number.
    Apply(Function, Box<Expression>),
    /// A quotient; 0 by anything is 0.
    Div {
        /// Dividend.
        left: Box<Expression>,
        /// Divisor.
        right: Box<Expression>,
        /// Value where the divisor is 0; without one that is an error.
        by_zero_default: Option<f64>,
    },
    /// A power.
    Pow {
        /// The number.
        base: Box<Expression>,
        /// Its exponent.
        exponent: Box<Expression>,
    },
    /// Metres between a place and the one at a payload key.
    GeoDistance {
        /// The place.
        origin: GeoPoint,
        /// Key of the other.
        to: FieldPath,
    },
    /// Seconds since 1970 of a time.
    Datetime(Datetime),
    /// Seconds since 1970 of the time at a payload key.
    DatetimeKey(FieldPath),
    /// A number that is the smaller the farther another is from its target.
    Decay(Decay),
}

/// Operation that makes one number of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fold {
    /// The sum; of none 0.
    Sum,
    /// The product; of none 1. What follows a 0 is not computed.
    Mult,
    /// The largest of at least one.
    Max,
    /// The smallest of at least one.
    Min,
}

/// Function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// −x
    Neg,
    /// |x|
    Abs,
    /// √x
    Sqrt,
    /// e to the power of x
    Exp,
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 10.
    Log10,
    /// Inverse of the hyperbolic cosine.
    Acosh,
}

/// A number that is 1 where `x` is at its target, and `midpoint` where it is `scale` away.
#[derive(Clone, Debug, PartialEq)]
pub struct Decay {
    /// Course of the decay.
    pub shape: DecayShape,
    /// The number that it depends on.
    pub x: Box<Expression>,
    /// Target of `x`; without one 0.
    pub target: Option<Box<Expression>>,
    /// Distance at which the decay has come to `midpoint`; above 0.
    pub scale: f64,
    /// Between 0 and 1.
    pub midpoint: f64,
}

/// Course of a [`Decay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecayShape {
    /// A line, down to 0.
    Lin,
    /// An exponential curve.
    Exp,
    /// A bell curve.
    Gauss,
}

impl Formula {
    /// Levels of expressions that may stand one inside the other.
    pub const DEEPEST: usize = 40;

    /// A formula without defaults.
    pub fn new(expression: impl Into<Expression>) -> Self {
        Self { expression: expression.into(), defaults: BTreeMap::new() }
    }

    /// Sets the value of a variable for points that have none: of `$score[1]` or of a payload key.
    ///
    /// # Errors
    /// `variable` is neither.
    pub fn with_default(mut self, variable: &str, value: impl Into<Value>) -> Result<Self> {
        self.defaults.insert(variable.parse()?, value.into());
        Ok(self)
    }

    /// Refuses a formula that has no value for any point, or is too deep.
    pub(crate) fn check(&self) -> Result<()> {
        self.expression.check(Self::DEEPEST)
    }
}

impl Expression {
    /// The score that the first prefetch gave.
    pub fn score() -> Self {
        Self::score_of(0)
    }

    /// The score that the prefetch of this position gave.
    pub fn score_of(prefetch: usize) -> Self {
        Self::Variable(Variable::Score(prefetch))
    }

    /// The number at a payload key.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn key(key: &str) -> Result<Self> {
        Ok(Self::Variable(Variable::Field(key.parse()?)))
    }

    /// Metres from a place to the one at a payload key.
    ///
    /// # Errors
    /// `to` is not a [`FieldPath`].
    pub fn geo_distance(origin: GeoPoint, to: &str) -> Result<Self> {
        Ok(Self::GeoDistance { origin, to: to.parse()? })
    }

    /// Seconds since 1970 of the time at a payload key.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn datetime_key(key: &str) -> Result<Self> {
        Ok(Self::DatetimeKey(key.parse()?))
    }

    /// The larger of two numbers.
    pub fn max(self, other: impl Into<Self>) -> Self {
        self.folded(Fold::Max, other.into())
    }

    /// The smaller of two numbers.
    pub fn min(self, other: impl Into<Self>) -> Self {
        self.folded(Fold::Min, other.into())
    }

    /// A quotient with a value for where the divisor is 0.
    pub fn div_or(self, right: impl Into<Self>, by_zero_default: f64) -> Self {
        let (left, right) = (Box::new(self), Box::new(right.into()));
        Self::Div { left, right, by_zero_default: Some(by_zero_default) }
    }

    /// A power.
    pub fn pow(self, exponent: impl Into<Self>) -> Self {
        Self::Pow { base: Box::new(self), exponent: Box::new(exponent.into()) }
    }

    /// A function of it.
    pub fn apply(self, function: Function) -> Self {
        Self::Apply(function, Box::new(self))
    }

    fn folded(self, fold: Fold, other: Self) -> Self {
        match self {
            Self::Fold(same, mut operands) if same == fold => {
                operands.push(other);
                Self::Fold(fold, operands)
            }
            first => Self::Fold(fold, vec![first, other]),
        }
    }

    fn check(&self, levels: usize) -> Result<()> {
        let Some(levels) = levels.checked_sub(1) else {
            let expected = format!("at most {}", Formula::DEEPEST);
            return Err(refused("the depth of a formula", expected, "more"));
        };
        self.check_itself()?;
        self.operands().try_for_each(|operand| operand.check(levels))
    }

    /// Checks all but what its operands say.
    pub(super) fn check_itself(&self) -> Result<()> {
        match self {
            Self::Fold(fold @ (Fold::Max | Fold::Min), operands) if operands.is_empty() => {
                let expected = format!("of at least one number ({})", fold.name());
                Err(refused("a formula's operation", expected, "none"))
            }
            Self::Condition(condition) => condition.check_depth(Filter::DEEPEST),
            Self::Decay(decay) => decay.check(),
            _ => Ok(()),
        }
    }

    /// The expressions that stand in it itself.
    fn operands(&self) -> impl Iterator<Item = &Self> {
        let (some, many): ([Option<&Self>; 2], &[Self]) = match self {
            Self::Fold(_, operands) => ([None, None], operands),
            Self::Apply(_, it) => ([Some(it), None], &[]),
            Self::Div { left: a, right: b, .. } | Self::Pow { base: a, exponent: b } => {
                ([Some(a), Some(b)], &[])
            }
            Self::Decay(Decay { x, target, .. }) => ([Some(x), target.as_deref()], &[]),
            _ => ([None, None], &[]),
        };
        some.into_iter().flatten().chain(many)
    }
}

impl Decay {
    /// Decay along a line, down to 0.
    pub fn lin(x: impl Into<Expression>) -> Self {
        Self::new(DecayShape::Lin, x)
    }

    /// Exponential decay.
    pub fn exp(x: impl Into<Expression>) -> Self {
        Self::new(DecayShape::Exp, x)
    }

    /// Decay along a bell curve.
    pub fn gauss(x: impl Into<Expression>) -> Self {
        Self::new(DecayShape::Gauss, x)
    }

    /// Decay of `x` from 0, with a scale of 1 and a midpoint of 0.5.
    pub fn new(shape: DecayShape, x: impl Into<Expression>) -> Self {
        Self { shape, x: Box::new(x.into()), target: None, scale: 1.0, midpoint: 0.5 }
    }

    /// Sets the target of `x`.
    pub fn target(self, target: impl Into<Expression>) -> Self {
        Self { target: Some(Box::new(target.into())), ..self }
    }

    /// Sets the distance at which the decay has come to its midpoint.
    pub fn scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// Sets the value at that distance.
    pub fn midpoint(self, midpoint: f64) -> Self {
        Self { midpoint, ..self }
    }

    fn check(&self) -> Result<()> {
        let Self { shape, scale, midpoint, .. } = *self;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(refused("the scale of a decay", "finite and above 0", scale));
        }
        match shape {
            DecayShape::Lin if !(0.0..=1.0).contains(&midpoint) => {
                Err(refused("the midpoint of a linear decay", "from 0 to 1", midpoint))
            }
            DecayShape::Exp | DecayShape::Gauss if !(midpoint > 0.0 && midpoint < 1.0) => {
                Err(refused("the midpoint of a decay", "between 0 and 1", midpoint))
            }
            _ => Ok(()),
        }
    }
}

fn refused(name: &'static str, expected: impl Into<String>, got: impl ToString) -> Error {
    Error::InvalidParameter { name, expected: expected.into(), got: got.to_string() }
}

impl FromStr for Variable {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let position = |it: &str| {
            let digits = it.strip_prefix('[')?.strip_suffix(']')?;
            digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        match text.strip_prefix("$score") {
            None => text.parse().map(Self::Field),
            Some("") => Ok(Self::Score(0)),
            Some(rest) => position(rest)
                .map(Self::Score)
                .ok_or_else(|| refused("the variable", "$score, $score[1] or a payload key", text)),
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score(0) => f.write_str("$score"),
            Self::Score(position) => write!(f, "$score[{position}]"),
            Self::Field(path) => path.fmt(f),
        }
    }
}

impl From<f64> for Expression {
    fn from(number: f64) -> Self {
        Self::Constant(number)
    }
}

impl From<Condition> for Expression {
    fn from(condition: Condition) -> Self {
        Self::Condition(Box::new(condition))
    }
}

impl From<Datetime> for Expression {
    fn from(time: Datetime) -> Self {
        Self::Datetime(time)
    }
}

impl From<Decay> for Expression {
    fn from(decay: Decay) -> Self {
        Self::Decay(decay)
    }
}

impl<E: Into<Self>> ops::Add<E> for Expression {
    type Output = Self;

    fn add(self, other: E) -> Self {
        self.folded(Fold::Sum, other.into())
    }
}

impl<E: Into<Self>> ops::Sub<E> for Expression {
    type Output = Self;

    fn sub(self, other: E) -> Self {
        self + -other.into()
    }
}

impl<E: Into<Self>> ops::Mul<E> for Expression {
    type Output = Self;

    fn mul(self, other: E) -> Self {
        self.folded(Fold::Mult, other.into())
    }
}

impl<E: Into<Self>> ops::Div<E> for Expression {
    type Output = Self;

    fn div(self, other: E) -> Self {
        let (left, right) = (Box::new(self), Box::new(other.into()));
        Self::Div { left, right, by_zero_default: None }
    }
}

impl ops::Neg for Expression {
    type Output = Self;

    fn neg(self) -> Self {
        self.apply(Function::Neg)
    }
}
