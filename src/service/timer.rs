//! [`Timer`]: deadlines, whatever executor the callers have.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Error, Result};

/// Thread that waits for deadlines, until this is dropped.
pub(super) struct Timer {
    runtime: Handle,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

impl Timer {
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build().map_err(Error::thread)?;
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel());
        let run = move || drop(runtime.block_on(ended));
        let thread = thread::Builder::new().name("maxfold deadlines".into());
        thread.spawn(run).map_err(Error::thread)?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// A future that is ready at a deadline.
    pub fn expiry(&self, deadline: Instant) -> Expiry {
        Expiry(self.runtime.spawn(async move { tokio::time::sleep_until(deadline.into()).await }))
    }
}

/// Ready when a deadline has passed.
pub(super) struct Expiry(JoinHandle<()>);

impl Expiry {
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.0.abort();
    }
}
