//! [`ErrorKind`]: whose fault an error is.

use std::io::ErrorKind as Io;

use super::Error;

/// Kind of an [`Error`], for what a host does about it: a status code, another try, an alarm.
///
/// ```
/// use maxfold::ErrorKind;
///
/// let status = |kind| match kind {
///     ErrorKind::InvalidInput => 400,
///     ErrorKind::NotFound => 404,
///     ErrorKind::Busy | ErrorKind::Device => 503,
///     ErrorKind::Timeout => 504,
///     _ => 500,
/// };
/// let error = "fast".parse::<maxfold::Backend>().unwrap_err();
/// assert_eq!(status(error.kind()), 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong, and will be (HTTP 400).
    InvalidInput,
    /// Something that was named does not exist (HTTP 404).
    NotFound,
    /// Something exists already, or is of another make or state than the call needs (HTTP 409).
    Conflict,
    /// Something is in use, or a queue is full; later it may not be (HTTP 503).
    Busy,
    /// A deadline has passed (HTTP 504).
    Timeout,
    /// A file is not as it was written (HTTP 500).
    Damaged,
    /// The disk, or a map of one, is full (HTTP 507).
    OutOfSpace,
    /// A GPU is missing, failed, or is asked for more than it can do (HTTP 503).
    Device,
    /// Nobody waits for the answer.
    Cancelled,
    /// The operating system refuses something, or this crate has a fault (HTTP 500).
    Internal,
}

impl Error {
    /// Kind of the error; of an error with a place, the kind of what is wrong there.
    ///
    /// ```
    /// use maxfold::{ErrorKind, TokenMatrix};
    ///
    /// let refused = TokenMatrix::new(&[1.0_f32, 0.0, 0.5], 2).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InItem { source, .. } | Self::InFile { source, .. } => source.kind(),
            #[cfg(feature = "recall")]
            Self::InPoint { source, .. } => source.kind(),
            #[cfg(feature = "collection")]
            Self::InJson { source, .. }
            | Self::InVector { source, .. }
            | Self::InLine { source, .. }
            | Self::InRequest { source, .. } => source.kind(),
            Self::Io { source, .. } => of_io(source.kind()),
            Self::Thread { .. } => ErrorKind::Internal,
            Self::Cancelled => ErrorKind::Cancelled,
            #[cfg(feature = "service")]
            Self::QueueFull { .. } | Self::ServiceStopped => ErrorKind::Busy,
            #[cfg(feature = "service")]
            Self::DeadlinePassed => ErrorKind::Timeout,
            #[cfg(feature = "service")]
            Self::Panicked { .. } => ErrorKind::Internal,
            #[cfg(feature = "recall")]
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::NotResident { .. } => ErrorKind::NotFound,
            #[cfg(feature = "encoder")]
            Self::NoModel { .. } => ErrorKind::NotFound,
            #[cfg(feature = "encoder")]
            Self::Unencodable { .. } => ErrorKind::Internal,
            #[cfg(feature = "gpu")]
            error if error.is_of_a_device() => ErrorKind::Device,
            #[cfg(feature = "collection")]
            error => error.of_a_collection(),
            #[cfg(not(feature = "collection"))]
            _ => ErrorKind::InvalidInput,
        }
    }

    /// Time after which a request may be made again that a service refused, as its queue was full.
    #[cfg(feature = "service")]
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::QueueFull { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    #[cfg(feature = "gpu")]
    fn is_of_a_device(&self) -> bool {
        matches!(
            self,
            Self::NoAdapter { .. }
                | Self::NoDevice { .. }
                | Self::ProbeFailed { .. }
                | Self::KernelRefused { .. }
                | Self::Gpu { .. }
                | Self::GpuOutOfMemory { .. }
                | Self::DeviceLimit { .. }
                | Self::DeviceLost { .. }
        )
    }

    #[cfg(feature = "collection")]
    fn of_a_collection(&self) -> ErrorKind {
        match self {
            Self::NoCollection { .. }
            | Self::UnknownCollection { .. }
            | Self::UnknownPoint { .. }
            | Self::UnknownVector { .. } => ErrorKind::NotFound,
            Self::CollectionExists { .. }
            | Self::VectorExists { .. }
            | Self::ReadOnly { .. }
            | Self::FormatVersion { .. }
            | Self::PayloadIndex { .. } => ErrorKind::Conflict,
            Self::CollectionInUse { .. }
            | Self::TooManySnapshots { .. }
            | Self::TooManyFiles { .. } => ErrorKind::Busy,
            Self::MapFull { .. } => ErrorKind::OutOfSpace,
            Self::Storage { .. } => ErrorKind::Internal,
            _ => ErrorKind::InvalidInput,
        }
    }
}

fn of_io(kind: Io) -> ErrorKind {
    match kind {
        Io::NotFound => ErrorKind::NotFound,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::OutOfSpace,
        Io::ResourceBusy | Io::ExecutableFileBusy | Io::WouldBlock => ErrorKind::Busy,
        _ => ErrorKind::Internal,
    }
}
