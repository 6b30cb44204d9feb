//! Waiting for the GPU, blocking or async.
//!
//! wgpu calls back only while somebody polls the device. A blocking call polls for itself. An async
//! call leaves that to a thread, which is started with the first async call and sleeps until the
//! submission it was told of has finished; so the caller's executor is never blocked, whichever it
//! is.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;
use wgpu::{Buffer, BufferAsyncError, Device, MapMode, PollType, SubmissionIndex};

use crate::{Error, Result};

/// Who polls the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polling {
    /// The calling thread, which sleeps meanwhile.
    Caller,
    /// The thread of a [`Poller`].
    Thread,
}

/// A buffer that is being mapped.
pub(super) struct Mapping {
    done: oneshot::Receiver<Result<(), BufferAsyncError>>,
    after: SubmissionIndex,
}

impl Mapping {
    /// Asks for a whole buffer to be mapped once the submission `after` has finished.
    pub(super) fn request(buffer: &Buffer, mode: MapMode, after: SubmissionIndex) -> Self {
        let (sender, done) = oneshot::channel();
        // Nobody listens any more if the request was given up: nothing to tell then.
        buffer.map_async(mode, .., move |result| drop(sender.send(result)));
        Self { done, after }
    }

    /// Waits until the buffer is mapped.
    pub(super) async fn finish(self, poller: &Poller, polling: Polling) -> Result<()> {
        match polling {
            Polling::Caller => poll(&poller.device, self.after)?,
            Polling::Thread => poller.watch(self.after)?,
        }
        match self.done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(BufferAsyncError)) | Err(_) => {
                Err(Error::DeviceLost { reason: "a buffer could not be mapped".into() })
            }
        }
    }
}

/// The thread that polls for async calls.
pub(super) struct Poller {
    device: Device,
    watched: Mutex<Option<mpsc::Sender<SubmissionIndex>>>,
}

impl Poller {
    pub(super) fn new(device: Device) -> Self {
        Self { device, watched: Mutex::new(None) }
    }

    /// Has the thread wait for a submission; starts it if need be.
    fn watch(&self, submission: SubmissionIndex) -> Result<()> {
        let lost = || Error::DeviceLost { reason: "the polling thread has ended".into() };
        let mut watched = self.watched.lock().map_err(|_| lost())?;
        let sender = match watched.as_ref() {
            Some(sender) => sender,
            None => watched.insert(start(self.device.clone()).map_err(Error::thread)?),
        };
        sender.send(submission).map_err(|_| lost())
    }
}

/// Ends when its sender is dropped, that is, with the [`Poller`].
fn start(device: Device) -> std::io::Result<mpsc::Sender<SubmissionIndex>> {
    let (sender, submissions) = mpsc::channel();
    thread::Builder::new().name("maxfold-gpu-poll".into()).spawn(move || {
        for submission in submissions {
            if let Err(error) = poll(&device, submission) {
                // Whoever waits learns it too: a mapping that can't finish is called back as failed.
                log::debug!("polling the GPU: {error}");
            }
        }
    })?;
    Ok(sender)
}

fn poll(device: &Device, submission: SubmissionIndex) -> Result<()> {
    let wait = PollType::Wait { submission_index: Some(submission), timeout: None };
    match device.poll(wait) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::DeviceLost { reason: error.to_string() }),
    }
}
