//! [`Spell`]: a message of gRPC as what stands for it in JSON, so that the readers of REST's bodies read both.
//!
//! Vectors are not spelled: their values move from the message into the [`Tree`], and from there into rows.

use std::collections::HashMap;

use serde_json::{Number, Value};

use crate::decimal::spelled;
use crate::json::Tree;
use crate::server::refusal::Refusal;

pub(super) type Spelled = Result<Tree, Refusal>;

/// A message, or a field of one, that has a shape in JSON.
pub(super) trait Spell {
    /// What REST has in its place. What isn't known here stays what it is, and no reader takes it.
    fn spell(self) -> Spelled;
}

impl Spell for Tree {
    fn spell(self) -> Spelled {
        Ok(self)
    }
}

impl Spell for bool {
    fn spell(self) -> Spelled {
        Ok(Tree::Bool(self))
    }
}

impl Spell for u32 {
    fn spell(self) -> Spelled {
        Ok(Tree::Number(self.into()))
    }
}

impl Spell for i32 {
    fn spell(self) -> Spelled {
        Ok(Tree::Number(self.into()))
    }
}

impl Spell for u64 {
    fn spell(self) -> Spelled {
        Ok(Tree::Number(self.into()))
    }
}

impl Spell for i64 {
    fn spell(self) -> Spelled {
        Ok(Tree::Number(self.into()))
    }
}

/// NaN and the infinities are words, which JSON has no numbers for.
impl Spell for f64 {
    fn spell(self) -> Spelled {
        Ok(Number::from_f64(self).map_or_else(|| word(&self.to_string()), Tree::Number))
    }
}

/// The number that REST would have been sent, 0.1 and not 0.10000000149011612.
impl Spell for f32 {
    fn spell(self) -> Spelled {
        spelled(self).spell()
    }
}

impl Spell for String {
    fn spell(self) -> Spelled {
        Ok(Tree::String(self.into()))
    }
}

impl<T: Spell> Spell for Box<T> {
    fn spell(self) -> Spelled {
        (*self).spell()
    }
}

impl<T: Spell> Spell for Option<T> {
    fn spell(self) -> Spelled {
        self.map_or(Ok(Tree::Null), T::spell)
    }
}

/// Nothing is as good as an empty list: messages can't tell them apart.
impl<T: Spell> Spell for Vec<T> {
    fn spell(self) -> Spelled {
        if self.is_empty() { Ok(Tree::Null) } else { list(self) }
    }
}

impl<T: Spell> Spell for HashMap<String, T> {
    fn spell(self) -> Spelled {
        if self.is_empty() { Ok(Tree::Null) } else { map(self) }
    }
}

pub(super) fn word(text: &str) -> Tree {
    Tree::String(text.into())
}

/// An array, even if it is empty.
pub(super) fn list<T: Spell>(elements: Vec<T>) -> Spelled {
    elements.into_iter().map(T::spell).collect::<Result<_, _>>().map(Tree::Array)
}

/// An object with these keys, even if there are none.
pub(super) fn map<T: Spell>(fields: HashMap<String, T>) -> Spelled {
    let fields = fields.into_iter().map(|(key, value)| Ok((key.into(), value.spell()?)));
    fields.collect::<Result<_, _>>().map(Tree::Object)
}

/// An object of the fields that are given.
pub(super) fn object<const N: usize>(fields: [(&str, Spelled); N]) -> Spelled {
    let given = fields.into_iter().filter(|(_, value)| !matches!(value, Ok(Tree::Null)));
    let given = given.map(|(key, value)| Ok((key.into(), value?)));
    given.collect::<Result<_, _>>().map(Tree::Object)
}

/// The same, and the fields of another one.
pub(super) fn object_with<const N: usize>(fields: [(&str, Spelled); N], more: Spelled) -> Spelled {
    match (object(fields)?, more?) {
        (Tree::Object(fields), Tree::Object(more)) => {
            Ok(Tree::Object(fields.into_iter().chain(more).collect()))
        }
        (fields, _) => Ok(fields),
    }
}

/// A field of an enumeration, which messages have as a number: the word for it, or an unknown number.
pub(super) fn enumerated<E: Spell + TryFrom<i32>>(value: impl Into<Option<i32>>) -> Spelled {
    let Some(value) = value.into() else { return Ok(Tree::Null) };
    E::try_from(value).map_or_else(|_| value.spell(), E::spell)
}

/// What is read from JSON of ours, which has the shape that REST shows: what isn't there has its default.
pub(super) trait Unspell: Default {
    fn unspell(json: &Value) -> Self;
}

impl Unspell for bool {
    fn unspell(json: &Value) -> Self {
        json.as_bool().unwrap_or_default()
    }
}

impl Unspell for u32 {
    fn unspell(json: &Value) -> Self {
        json.as_u64().and_then(|it| it.try_into().ok()).unwrap_or_default()
    }
}

impl Unspell for u64 {
    fn unspell(json: &Value) -> Self {
        json.as_u64().unwrap_or_default()
    }
}

impl Unspell for f32 {
    fn unspell(json: &Value) -> Self {
        json.as_f64().unwrap_or_default() as Self
    }
}

impl Unspell for f64 {
    fn unspell(json: &Value) -> Self {
        json.as_f64().unwrap_or_default()
    }
}

impl Unspell for String {
    fn unspell(json: &Value) -> Self {
        json.as_str().unwrap_or_default().into()
    }
}

impl<T: Unspell> Unspell for Option<T> {
    fn unspell(json: &Value) -> Self {
        (!json.is_null()).then(|| T::unspell(json))
    }
}

impl<T: Unspell> Unspell for Vec<T> {
    fn unspell(json: &Value) -> Self {
        json.as_array().into_iter().flatten().map(T::unspell).collect()
    }
}

impl<T: Unspell> Unspell for HashMap<String, T> {
    fn unspell(json: &Value) -> Self {
        let fields = json.as_object().into_iter().flatten();
        fields.map(|(key, value)| (key.clone(), T::unspell(value))).collect()
    }
}

/// The number of an enumeration's word.
pub(super) fn number<E: Unspell + Into<i32>, T: From<i32> + Default>(json: &Value) -> T {
    if json.is_null() { T::default() } else { T::from(E::unspell(json).into()) }
}

/// The name of a field, which may be a word of Rust's.
pub(super) fn named(field: &'static str) -> &'static str {
    field.trim_start_matches("r#")
}

/// Messages that are objects in JSON, with the same names of fields; an enumeration stands behind its field.
macro_rules! spell_fields {
    ($($message:ident { $($field:ident $(as $enum:ident)?),* $(,)? })*) => {$(
        impl Spell for qdrant::$message {
            fn spell(self) -> Spelled {
                object([$((named(stringify!($field)), spell_fields!(@ self.$field $(, $enum)?))),*])
            }
        }
    )*};
    (@ $value:expr) => { $value.spell() };
    (@ $value:expr, $enum:ident) => { enumerated::<qdrant::$enum>($value) };
}

/// The same, of messages that are read from such JSON, too.
macro_rules! mirror_fields {
    ($($message:ident { $($field:ident $(as $enum:ident)?),* $(,)? })*) => {$(
        spell_fields! { $message { $($field $(as $enum)?),* } }

        impl Unspell for qdrant::$message {
            #[allow(clippy::needless_update, reason = "some fields of some messages have other names")]
            fn unspell(json: &Value) -> Self {
                Self {
                    $($field: mirror_fields!(@ json[named(stringify!($field))] $(, $enum)?),)*
                    ..Self::default()
                }
            }
        }
    )*};
    (@ $json:expr) => { Unspell::unspell(&$json) };
    (@ $json:expr, $enum:ident) => { number::<qdrant::$enum, _>(&$json) };
}

/// Enumerations, with their words; what says nothing is left out.
macro_rules! mirror_words {
    ($($enum:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl Spell for qdrant::$enum {
            #[allow(unreachable_patterns, reason = "not every one has a value that says nothing")]
            fn spell(self) -> Spelled {
                match self {
                    $(Self::$variant => Ok(word($word)),)*
                    _ => Ok(Tree::Null),
                }
            }
        }

        impl Unspell for qdrant::$enum {
            fn unspell(json: &Value) -> Self {
                match json.as_str() {
                    $(Some($word) => Self::$variant,)*
                    _ => Self::default(),
                }
            }
        }
    )*};
}

pub(super) use {mirror_fields, mirror_words, spell_fields};
