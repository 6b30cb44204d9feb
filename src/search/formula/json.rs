//! [`Formula`] from JSON and to it.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Number, Value, json};

use super::expression::{Decay, DecayShape, Expression, Fold, Formula, Function, Variable};
use crate::filter::{Condition, Datetime, FieldPath, GeoPoint};
use crate::json::{self, Json, Node};
use crate::{Error, Result};

const EXPECTED: &str = "a number, a variable, a condition, or an object with one operation: sum, \
    mult, max, min, neg, abs, sqrt, exp, ln, log10, acosh, div, pow, geo_distance, datetime, \
    datetime_key, lin_decay, exp_decay or gauss_decay";

/// Operations with operands of their own kind, and the fields of their objects.
const OPERATIONS: [&[&str; 1]; 5] =
    [&["div"], &["pow"], &["geo_distance"], &["datetime"], &["datetime_key"]];

impl Fold {
    const NAMED: [(&[&str; 1], Self); 4] = [
        (&["sum"], Self::Sum),
        (&["mult"], Self::Mult),
        (&["max"], Self::Max),
        (&["min"], Self::Min),
    ];

    /// `sum`, `mult`, `max` or `min`.
    pub fn name(self) -> &'static str {
        name(&Self::NAMED, self)
    }
}

impl Function {
    const NAMED: [(&[&str; 1], Self); 7] = [
        (&["neg"], Self::Neg),
        (&["abs"], Self::Abs),
        (&["sqrt"], Self::Sqrt),
        (&["exp"], Self::Exp),
        (&["ln"], Self::Ln),
        (&["log10"], Self::Log10),
        (&["acosh"], Self::Acosh),
    ];

    /// `neg`, `abs`, `sqrt`, `exp`, `ln`, `log10` or `acosh`.
    pub fn name(self) -> &'static str {
        name(&Self::NAMED, self)
    }
}

impl DecayShape {
    const NAMED: [(&[&str; 1], Self); 3] =
        [(&["lin_decay"], Self::Lin), (&["exp_decay"], Self::Exp), (&["gauss_decay"], Self::Gauss)];

    /// `lin_decay`, `exp_decay` or `gauss_decay`.
    pub fn name(self) -> &'static str {
        name(&Self::NAMED, self)
    }
}

fn name<T: PartialEq>(named: &[(&[&'static str; 1], T)], wanted: T) -> &'static str {
    named.iter().find(|(_, it)| *it == wanted).map_or("", |([name], _)| name)
}

impl std::str::FromStr for Formula {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a formula", "formula", Self::read)
    }
}

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "formula", Self::read)
    }
}

impl Serialize for Formula {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl Formula {
    /// Reads `{"formula": expression, "defaults": {…}}`.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["formula", "defaults"])?;
        let root = object.required("formula")?;
        let mut formula = Self::new(read_expression(&root)?);
        formula.check().map_err(|error| root.wrong(error))?;
        if let Some(defaults) = object.get("defaults") {
            for (name, value) in defaults.any_object()?.entries() {
                let variable: Variable = name.parse().map_err(|error| defaults.wrong(error))?;
                if formula.defaults.insert(variable, value.json().to_value()).is_some() {
                    return Err(value.expected("the one default of its variable"));
                }
            }
        }
        Ok(formula)
    }

    /// In JSON, if JSON has its numbers.
    pub(crate) fn to_json(&self) -> Result<Value> {
        self.check()?;
        let formula = write_expression(&self.expression)?;
        if self.defaults.is_empty() {
            return Ok(json!({"formula": formula}));
        }
        let defaults = self.defaults.iter().map(|(name, value)| (name.to_string(), value.clone()));
        Ok(json!({"formula": formula, "defaults": defaults.collect::<Map<_, _>>()}))
    }
}

fn read_expression(node: &Node<'_>) -> Result<Expression> {
    match node.json() {
        Json::Number(_) => node.number().map(Expression::Constant),
        Json::String(text) => {
            text.parse().map(Expression::Variable).map_err(|error| node.wrong(error))
        }
        Json::Object(_) => read_operation(node),
        _ => Err(node.expected(EXPECTED)),
    }
}

fn read_operation(node: &Node<'_>) -> Result<Expression> {
    let expression = if let Some((fold, operands)) = only(node, &Fold::NAMED)? {
        let operands = operands.array()?;
        Expression::Fold(fold, operands.iter().map(read_expression).collect::<Result<_>>()?)
    } else if let Some((function, operand)) = only(node, &Function::NAMED)? {
        read_expression(&operand)?.apply(function)
    } else if let Some((shape, params)) = only(node, &DecayShape::NAMED)? {
        read_decay(shape, &params)?.into()
    } else if let Some((kind, params)) = only(node, &OPERATIONS.map(|it| (it, it[0])))? {
        read_other(kind, &params)?
    } else if Condition::is_one(node) {
        Condition::read(node)?.into()
    } else {
        return Err(node.expected(EXPECTED));
    };
    expression.check_itself().map_err(|error| node.wrong(error))?;
    Ok(expression)
}

/// The operation whose name is the one field of an object, and what stands there.
fn only<'a, T: Copy>(
    node: &Node<'a>,
    named: &[(&'static [&'static str; 1], T)],
) -> Result<Option<(T, Node<'a>)>> {
    let object = node.any_object()?;
    let Some((field, operation)) = named.iter().find(|(field, _)| object.get(field[0]).is_some())
    else {
        return Ok(None);
    };
    Ok(Some((*operation, node.object(*field)?.required(field[0])?)))
}

fn read_other(kind: &str, node: &Node<'_>) -> Result<Expression> {
    Ok(match kind {
        "div" => {
            let object = node.object(&["left", "right", "by_zero_default"])?;
            Expression::Div {
                left: Box::new(read_expression(&object.required("left")?)?),
                right: Box::new(read_expression(&object.required("right")?)?),
                by_zero_default: object.map("by_zero_default", Node::number)?,
            }
        }
        "pow" => {
            let object = node.object(&["base", "exponent"])?;
            let base = read_expression(&object.required("base")?)?;
            base.pow(read_expression(&object.required("exponent")?)?)
        }
        "geo_distance" => {
            let object = node.object(&["origin", "to"])?;
            let origin = GeoPoint::read(&object.required("origin")?)?;
            Expression::GeoDistance { origin, to: FieldPath::read(&object.required("to")?)? }
        }
        "datetime" => Expression::Datetime(node.parse(Datetime::EXPECTED)?),
        _ => Expression::DatetimeKey(FieldPath::read(node)?),
    })
}

fn read_decay(shape: DecayShape, node: &Node<'_>) -> Result<Decay> {
    let object = node.object(&["x", "target", "scale", "midpoint"])?;
    let mut decay = Decay::new(shape, read_expression(&object.required("x")?)?);
    decay.target = object.map("target", read_expression)?.map(Box::new);
    decay.scale = object.map("scale", Node::number)?.unwrap_or(decay.scale);
    decay.midpoint = object.map("midpoint", Node::number)?.unwrap_or(decay.midpoint);
    Ok(decay)
}

fn write_expression(expression: &Expression) -> Result<Value> {
    Ok(match expression {
        Expression::Constant(value) => number(*value)?,
        Expression::Variable(variable) => variable.to_string().into(),
        Expression::Condition(condition) => condition.to_json()?,
        Expression::Fold(fold, operands) => {
            let operands = operands.iter().map(write_expression).collect::<Result<Value>>()?;
            json!({fold.name(): operands})
        }
        Expression::Apply(function, x) => json!({function.name(): write_expression(x)?}),
        Expression::Div { left, right, by_zero_default } => {
            let by_zero_default = by_zero_default.map(number).transpose()?.unwrap_or_default();
            let (left, right) = (write_expression(left)?, write_expression(right)?);
            let fields = [("left", left), ("right", right), ("by_zero_default", by_zero_default)];
            json!({"div": json::object(fields)})
        }
        Expression::Pow { base, exponent } => {
            let (base, exponent) = (write_expression(base)?, write_expression(exponent)?);
            json!({"pow": {"base": base, "exponent": exponent}})
        }
        Expression::GeoDistance { origin, to } => {
            json!({"geo_distance": {"origin": origin.to_json(), "to": to}})
        }
        Expression::Datetime(time) => json!({"datetime": time.to_json()?}),
        Expression::DatetimeKey(key) => json!({"datetime_key": key}),
        Expression::Decay(decay) => write_decay(decay)?,
    })
}

fn write_decay(decay: &Decay) -> Result<Value> {
    let Decay { shape, x, target, scale, midpoint } = decay;
    let target = target.as_deref().map(write_expression).transpose()?.unwrap_or_default();
    let (scale, midpoint) = (number(*scale)?, number(*midpoint)?);
    let fields =
        [("x", write_expression(x)?), ("target", target), ("scale", scale), ("midpoint", midpoint)];
    Ok(json!({shape.name(): json::object(fields)}))
}

/// JSON has no infinity and no NaN.
fn number(value: f64) -> Result<Value> {
    Number::from_f64(value).map(Value::Number).ok_or_else(|| Error::InvalidParameter {
        name: "a formula in JSON",
        expected: "of finite numbers".into(),
        got: value.to_string(),
    })
}
