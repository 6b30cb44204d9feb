//! The value of a [`Formula`] for one point.

use serde_json::Value;

use super::expression::{Decay, DecayShape, Expression, Fold, Formula, Function, Variable};
use crate::filter::{Datetime, FieldPath, GeoPoint, Subject};
use crate::{Error, Result};

impl Formula {
    /// The score of a point, of which the prefetches gave `scores`, each in its place.
    ///
    /// # Errors
    /// The formula has no value for any point, or is deeper than [`Formula::DEEPEST`]; a variable has none
    /// for this one; a number that is not finite.
    pub fn evaluate(&self, subject: &Subject<'_>, scores: &[Option<f32>]) -> Result<f32> {
        self.check()?;
        self.score(subject, scores)
    }

    /// The score of a point, by a formula that was checked.
    pub(crate) fn score(&self, subject: &Subject<'_>, scores: &[Option<f32>]) -> Result<f32> {
        let known = Known { formula: self, subject, scores };
        let value = known.value(&self.expression).and_then(|value| {
            let score = value as f32;
            finite(score.into(), || format!("{value} in f32")).map(|_| score)
        });
        value.map_err(|error| error.in_point(subject.id))
    }
}

/// All that the variables of a formula may stand for.
struct Known<'a> {
    formula: &'a Formula,
    subject: &'a Subject<'a>,
    scores: &'a [Option<f32>],
}

impl Known<'_> {
    fn value(&self, expression: &Expression) -> Result<f64> {
        match expression {
            Expression::Constant(number) => Ok(*number),
            Expression::Variable(variable) => self.variable(variable),
            Expression::Condition(condition) => Ok(condition.holds(self.subject).into()),
            Expression::Fold(fold, operands) => self.fold(*fold, operands),
            Expression::Apply(function, x) => function.value(self.value(x)?),
            Expression::Div { left, right, by_zero_default } => {
                self.quotient(left, right, *by_zero_default)
            }
            Expression::Pow { base, exponent } => {
                let (base, exponent) = (self.value(base)?, self.value(exponent)?);
                finite(base.powf(exponent), || format!("{base} to the power of {exponent}"))
            }
            Expression::GeoDistance { origin, to } => {
                Ok(origin.distance(self.field(to, "a place", GeoPoint::of)?))
            }
            Expression::Datetime(time) => Ok(seconds(*time)),
            Expression::DatetimeKey(key) => {
                let read = |value: &Value| value.as_str()?.parse().ok();
                self.field(key, "a datetime", read).map(seconds)
            }
            Expression::Decay(decay) => self.decay(decay),
        }
    }

    fn variable(&self, variable: &Variable) -> Result<f64> {
        match variable {
            Variable::Field(key) => self.field(key, "a number", Value::as_f64),
            Variable::Score(position) => {
                let score = self.scores.get(*position).copied().flatten().map(f64::from);
                let default = || self.formula.defaults.get(variable)?.as_f64();
                Ok(score.or_else(default).unwrap_or(0.0))
            }
        }
    }

    /// The one value at a key, or its default.
    fn field<T>(
        &self,
        key: &FieldPath,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let default = || self.formula.defaults.get(&Variable::Field(key.clone()));
        let mut found = key.elements(self.subject.payload).filter(|value| !value.is_null());
        let (found, more) = (found.next().or_else(default), found.next());
        let value = found.filter(|_| more.is_none()).and_then(read);
        value.ok_or_else(|| Error::FormulaVariable {
            key: key.to_string(),
            expected,
            got: match (found, more) {
                (None, _) => "nothing".into(),
                (Some(value), None) => value.to_string(),
                (Some(_), Some(_)) => "several values".into(),
            },
        })
    }

    fn fold(&self, fold: Fold, operands: &[Expression]) -> Result<f64> {
        let mut values = operands.iter().map(|operand| self.value(operand));
        match fold {
            Fold::Sum => values.try_fold(0.0, |sum, value| Ok(sum + value?)),
            Fold::Max => values.try_fold(f64::NEG_INFINITY, |most, value| Ok(value?.max(most))),
            Fold::Min => values.try_fold(f64::INFINITY, |least, value| Ok(value?.min(least))),
            Fold::Mult => {
                let mut product = 1.0;
                for value in values {
                    match value? {
                        0.0 => return Ok(0.0),
                        value => product *= value,
                    }
                }
                Ok(product)
            }
        }
    }

    fn quotient(&self, left: &Expression, right: &Expression, default: Option<f64>) -> Result<f64> {
        let left = self.value(left)?;
        if left == 0.0 {
            return Ok(0.0);
        }
        let right = self.value(right)?;
        match default.filter(|_| right == 0.0) {
            Some(default) => Ok(default),
            None => finite(left / right, || format!("{left} / {right}")),
        }
    }

    fn decay(&self, decay: &Decay) -> Result<f64> {
        let Decay { shape, x, target, scale, midpoint } = decay;
        let target = target.as_ref().map_or(Ok(0.0), |target| self.value(target));
        let away = (self.value(x)? - target?).abs() / scale;
        Ok(match shape {
            DecayShape::Lin => (1.0 - (1.0 - midpoint) * away).max(0.0),
            DecayShape::Exp => (midpoint.ln() * away).exp(),
            DecayShape::Gauss => (midpoint.ln() * away * away).exp(),
        })
    }
}

impl Function {
    fn value(self, x: f64) -> Result<f64> {
        let value = match self {
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Sqrt => x.sqrt(),
            Self::Exp => x.exp(),
            Self::Ln => x.ln(),
            Self::Log10 => x.log10(),
            Self::Acosh => x.acosh(),
        };
        finite(value, || format!("{}({x})", self.name()))
    }
}

fn seconds(time: Datetime) -> f64 {
    time.micros() as f64 / 1e6
}

/// Refuses infinities and NaN, with what they are the value of.
fn finite(value: f64, of: impl FnOnce() -> String) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::FormulaValue { expression: of(), value }) }
}
