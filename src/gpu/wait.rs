//! Waiting for the GPU, blocking or async.
//!
//! wgpu calls back only while somebody polls the device. A blocking call polls for itself. An async
//! call leaves that to a thread, which is started with the first async call and sleeps until the
//! submission it was told of has finished; so the caller's executor is never blocked, whichever it
//! is.

use std::panic::{AssertUnwindSafe, catch_unwind};
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
            Polling::Caller => (poller.poll)(self.after)?,
            Polling::Thread => poller.watch(self.after)?.await.map_err(|_| ended())??,
        }
        match self.done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(BufferAsyncError)) | Err(_) => {
                Err(Error::DeviceLost { reason: "a buffer could not be mapped".into() })
            }
        }
    }
}

/// Waits for submissions, on the thread that asks or on one of its own.
pub(super) struct Poller {
    poll: Poll,
    watched: Mutex<Option<mpsc::Sender<Watched>>>,
}

/// Waits until a submission has finished.
type Poll = std::sync::Arc<dyn Fn(SubmissionIndex) -> Result<()> + Send + Sync>;

/// A submission, and who wants to know when it has finished.
type Watched = (SubmissionIndex, oneshot::Sender<Result<()>>);

impl Poller {
    pub(super) fn new(device: Device) -> Self {
        Self::with(move |submission| poll(&device, submission))
    }

    fn with(poll: impl Fn(SubmissionIndex) -> Result<()> + Send + Sync + 'static) -> Self {
        Self { poll: std::sync::Arc::new(poll), watched: Mutex::new(None) }
    }

    /// Has the thread wait for a submission; starts it if need be.
    fn watch(&self, submission: SubmissionIndex) -> Result<oneshot::Receiver<Result<()>>> {
        let (reply, finished) = oneshot::channel();
        let mut watched = self.watched.lock().map_err(|_| ended())?;
        let sender = match watched.as_ref() {
            Some(sender) => sender,
            None => watched.insert(self.start().map_err(Error::thread)?),
        };
        sender.send((submission, reply)).map_err(|_| ended())?;
        Ok(finished)
    }

    /// The thread ends when its sender is dropped, that is, with the [`Poller`].
    fn start(&self) -> std::io::Result<mpsc::Sender<Watched>> {
        let (sender, submissions) = mpsc::channel::<Watched>();
        let poll = self.poll.clone();
        thread::Builder::new().name("maxfold-gpu-poll".into()).spawn(move || {
            for (submission, reply) in submissions {
                // Nobody listens any more if the request was given up.
                drop(reply.send(poll(submission)));
            }
        })?;
        Ok(sender)
    }
}

fn ended() -> Error {
    Error::DeviceLost { reason: "the polling thread has ended".into() }
}

/// wgpu panics where a device is lost while it is waited for: no error scope covers that.
fn poll(device: &Device, submission: SubmissionIndex) -> Result<()> {
    let wait = PollType::Wait { submission_index: Some(submission), timeout: None };
    let reason = match catch_unwind(AssertUnwindSafe(|| device.poll(wait))) {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(_) => "wgpu panicked while waiting".into(),
        },
    };
    Err(Error::DeviceLost { reason })
}
