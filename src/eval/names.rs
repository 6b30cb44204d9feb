//! Metrics by name.

use std::fmt;
use std::str::FromStr;

use super::{Gain, Metric};
use crate::{Error, Result};

const EXPECTED: &str = "nDCG@K, nDCG@K (exponential), MRR@K, recall@K, MAP@K or success@K, each also without @K, with K at least 1";

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear",
            Self::Exponential => "exponential",
        })
    }
}

impl Metric {
    /// Number of documents that count.
    pub(super) fn cutoff(self) -> usize {
        let (Self::Ndcg { k, .. }
        | Self::Mrr { k }
        | Self::Recall { k }
        | Self::Map { k }
        | Self::Success { k }) = self;
        k
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ndcg { .. } => "nDCG",
            Self::Mrr { .. } => "MRR",
            Self::Recall { .. } => "recall",
            Self::Map { .. } => "MAP",
            Self::Success { .. } => "success",
        })?;
        match self.cutoff() {
            usize::MAX => {}
            k => write!(f, "@{k}")?,
        }
        match self {
            Self::Ndcg { gain, .. } => write!(f, " ({gain})"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(&text.to_ascii_lowercase()).ok_or_else(|| Error::InvalidParameter {
            name: "a metric",
            expected: EXPECTED.into(),
            got: text.into(),
        })
    }
}

/// The metric of a name in lower case. Without a gain it is the linear one, as in trec_eval.
fn read(text: &str) -> Option<Metric> {
    let (measure, gain) = match text.split_once('(') {
        None => (text, None),
        Some((measure, rest)) => (measure, Some(rest.strip_suffix(')')?)),
    };
    let (name, k) = match measure.trim().split_once('@') {
        None => (measure.trim(), usize::MAX),
        Some((name, k)) => (name, k.parse().ok().filter(|&k| k > 0)?),
    };
    match (name, gain) {
        ("ndcg", None | Some("linear")) => Some(Metric::Ndcg { k, gain: Gain::Linear }),
        ("ndcg", Some("exponential")) => Some(Metric::Ndcg { k, gain: Gain::Exponential }),
        ("mrr", None) => Some(Metric::Mrr { k }),
        ("recall", None) => Some(Metric::Recall { k }),
        ("map", None) => Some(Metric::Map { k }),
        ("success", None) => Some(Metric::Success { k }),
        _ => None,
    }
}
