//! Backends to choose from, and the execution that came of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(feature = "gpu")]
use crate::gpu::ShaderVariant;
use crate::maxsim::InstructionSet;
use crate::{Error, Result};

/// Backend to use.
///
/// ```
/// use maxfold::{Backend, Reranker};
///
/// let backend: Backend = "cpu".parse()?;
/// assert_eq!(Reranker::new(backend)?.execution().backend(), Backend::Cpu);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backend {
    /// A hardware GPU where there is one that scores correctly, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, hardware before software; an error if there is none.
    Gpu,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => Err(Error::InvalidParameter {
                name: "the backend",
                expected: "auto, cpu or gpu".into(),
                got: name.into(),
            }),
        }
    }
}

/// Processor that computed scores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processor {
    /// The CPU.
    Cpu {
        /// The vector instructions of its kernel.
        instruction_set: InstructionSet,
    },
    /// A GPU.
    #[cfg(feature = "gpu")]
    Gpu {
        /// The adapter, as its driver names it.
        adapter: Arc<str>,
        /// The shader variant.
        variant: ShaderVariant,
    },
}

/// Execution of a request: the processor that scored, and the reason for that choice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Execution {
    /// Processor that computed the scores, with the reason.
    pub processor: Processor,
    /// Why, in words: `asked for`, `auto: no hardware GPU here …`, `the GPU failed …`.
    pub reason: Arc<str>,
}

impl Execution {
    /// [`Backend::Cpu`] or [`Backend::Gpu`].
    pub fn backend(&self) -> Backend {
        match self.processor {
            Processor::Cpu { .. } => Backend::Cpu,
            #[cfg(feature = "gpu")]
            Processor::Gpu { .. } => Backend::Gpu,
        }
    }

    /// The name of the GPU adapter, if one scored.
    pub fn adapter(&self) -> Option<&str> {
        match &self.processor {
            Processor::Cpu { .. } => None,
            #[cfg(feature = "gpu")]
            Processor::Gpu { adapter, .. } => Some(adapter),
        }
    }

    /// The name of the instruction set or of the shader variant.
    pub fn variant(&self) -> String {
        match &self.processor {
            Processor::Cpu { instruction_set } => instruction_set.to_string(),
            #[cfg(feature = "gpu")]
            Processor::Gpu { variant, .. } => variant.to_string(),
        }
    }
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.backend())?;
        if let Some(adapter) = self.adapter() {
            write!(f, " {adapter}")?;
        }
        write!(f, " with {} ({})", self.variant(), self.reason)
    }
}
