//! [`Slice`]: a part of all ids.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::PointId;
use crate::json::Node;
use crate::{Error, Result};

/// One of several parts of all ids that are about equally large: to read a collection in parallel, or a sample
/// of it that is always the same.
///
/// An id is in the part that its hash modulo their number says; as in Qdrant, SipHash-2-4 with a key of zeros,
/// over the 8 bytes of an integer, little-endian, or the 16 bytes of a UUID.
///
/// ```
/// use maxfold::filter::{Condition, Filter, Slice};
///
/// let filter = Filter::new().must(Condition::Slice(Slice::new(4, 1)?));
/// assert_eq!(filter, r#"{"must": {"slice": {"total": 4, "index": 1}}}"#.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    total: u32,
    index: u32,
}

impl Slice {
    /// Part `index`, counted from 0, of `total`.
    ///
    /// # Errors
    /// There is no such part.
    pub fn new(total: u32, index: u32) -> Result<Self> {
        if index < total {
            return Ok(Self { total, index });
        }
        let expected = format!("less than their number, {total}");
        Err(Error::InvalidParameter {
            name: "the index of a slice",
            expected,
            got: index.to_string(),
        })
    }

    /// Number of parts.
    pub fn total(self) -> u32 {
        self.total
    }

    /// Index of the part, counted from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Returns `true` if an id is in it.
    pub fn contains(self, id: PointId) -> bool {
        let mut hasher = SipHasher24::new();
        match id {
            PointId::Number(number) => hasher.write(&number.to_le_bytes()),
            PointId::Uuid(uuid) => hasher.write(uuid.as_bytes()),
        }
        hasher.finish() % u64::from(self.total) == u64::from(self.index)
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["total", "index"])?;
        let count = |key| {
            let node = object.required(key)?;
            u32::try_from(node.count()?).map_err(|_| node.expected("an integer of 32 bits"))
        };
        Self::new(count("total")?, count("index")?).map_err(|error| node.wrong(error))
    }
}
