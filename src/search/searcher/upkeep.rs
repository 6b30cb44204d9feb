//! The thread that brings what is derived from a collection up to date.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::shared::Shared;
use crate::{Error, Result};

/// A thread that works when it is told to. Dropped, it is waited for.
pub(super) struct Upkeep {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub fn start(shared: Arc<Shared>) -> Result<Self> {
        // One message waits: whoever comes then is served with it.
        let (wake, woken) = sync_channel(1);
        let builder = thread::Builder::new().name("maxfold upkeep".into());
        let thread = builder.spawn(move || run(&shared, &woken)).map_err(Error::thread)?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// There is something to do.
    pub fn wake(&self) {
        if let Some(wake) = &self.wake {
            // Full: it will look anyway.
            let _ = wake.try_send(());
        }
    }
}

fn run(shared: &Shared, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = shared.follow() {
            log::warn!("graphs lag behind: {error}");
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        drop(self.wake.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the upkeep of a collection panicked");
        }
    }
}
