//! Making errors, and adding to them on their way: a place, a line, a file.

use std::path::Path;

use super::Error;
#[cfg(feature = "gpu")]
use super::ErrorKind;

impl Error {
    /// Error of the operating system on a file.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    /// Error of the operating system on a thread.
    pub(crate) fn thread(source: std::io::Error) -> Self {
        Self::Thread { source }
    }

    /// An error of serde_json's, its place in fields of their own.
    #[cfg(feature = "collection")]
    pub(crate) fn malformed_json(what: &'static str, fault: &serde_json::Error) -> Self {
        let (line, column) = (fault.line(), fault.column());
        let (told, place) = (fault.to_string(), format!(" at line {line} column {column}"));
        let fault = told.strip_suffix(&place).unwrap_or(&told).into();
        Self::MalformedJson { what, fault, line, column }
    }

    /// The same error, with the id of the point that it is about.
    #[cfg(feature = "recall")]
    pub(crate) fn in_point(self, id: impl ToString) -> Self {
        Self::InPoint { id: id.to_string(), source: Box::new(self) }
    }

    /// Tells whether another backend may still answer.
    #[cfg(feature = "gpu")]
    pub(crate) fn is_of_the_gpu(&self) -> bool {
        self.kind() == ErrorKind::Device
    }

    /// The same error, with the name of the file that it is about, if it doesn't say.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Io { .. } => self,
            _ => Self::InFile { path: path.into(), source: Box::new(self) },
        }
    }

    /// An error in a row of many items, as one in a row of one of them; they begin at `offsets`.
    pub(crate) fn in_item(mut self, offsets: &[u64]) -> Self {
        let (Self::NotFinite { row, .. } | Self::OutOfHalfRange { row, .. }) = &mut self else {
            return self;
        };
        let item = offsets.partition_point(|offset| *offset <= *row as u64).saturating_sub(1);
        let Some(first) = offsets.get(item) else { return self };
        *row = row.saturating_sub(*first as usize);
        Self::InItem { item, source: Box::new(self) }
    }

    /// The same error, with the line of a file that it is about; a place in a text of one line is one
    /// in that line.
    #[cfg(feature = "collection")]
    pub(crate) fn in_line(mut self, number: usize) -> Self {
        match &mut self {
            Self::MalformedJson { line, .. } | Self::DuplicateField { line, .. } => {
                *line = number;
                self
            }
            _ => Self::InLine { line: number, source: Box::new(self) },
        }
    }

    /// The same error, with the request of several that it is about.
    #[cfg(feature = "collection")]
    pub(crate) fn in_request(self, index: usize) -> Self {
        Self::InRequest { index, source: Box::new(self) }
    }
}

/// The names of vectors that may be given, for an error message. One without a name has the name "".
#[cfg(feature = "collection")]
pub(super) fn vectors_named(known: &[String]) -> String {
    match known {
        [only] if only.is_empty() => "no name, as the collection's one vector has none".into(),
        _ => format!("the name of a vector ({})", listed(known)),
    }
}

#[cfg(feature = "collection")]
pub(super) fn vector_named(name: &str) -> String {
    if name.is_empty() { "no name".into() } else { format!("{name:?}") }
}

/// A list for an error message.
#[cfg(any(feature = "gpu", feature = "collection"))]
pub(super) fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".into();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
