//! Waiting for the GPU, blocking or async.
//!
//! wgpu calls back only while somebody polls the device. A blocking call polls for itself. An async
//! call leaves that to a thread, which is started with the first async call and waits until the
//! submission it was told of has finished; so the caller's executor is never blocked, whichever it
//! is. Either looks again and again for a moment, because being woken takes as long as a small request,
//! and sleeps then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wgpu::{Buffer, BufferAsyncError, Device, MapMode, PollError, PollType, SubmissionIndex};

use crate::{Error, Result};

/// How long the device is looked at before the thread sleeps.
const AWAKE: Duration = Duration::from_micros(200);

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
    result: oneshot::Receiver<Result<(), BufferAsyncError>>,
    pending: Pending,
}

/// A submission, and whether what waits for it has been called back.
struct Pending {
    after: SubmissionIndex,
    done: Arc<AtomicBool>,
}

impl Mapping {
    /// Asks for a whole buffer to be mapped once the submission `after` has finished.
    pub(super) fn request(buffer: &Buffer, mode: MapMode, after: SubmissionIndex) -> Self {
        let (sender, result) = oneshot::channel();
        let pending = Pending { after, done: Arc::default() };
        let done = Arc::clone(&pending.done);
        buffer.map_async(mode, .., move |mapped| {
            // Nobody listens any more if the request was given up: nothing to tell then.
            drop(sender.send(mapped));
            done.store(true, Ordering::Release);
        });
        Self { result, pending }
    }

    /// Waits until the buffer is mapped.
    pub(super) async fn finish(self, poller: &Poller, polling: Polling) -> Result<()> {
        match polling {
            Polling::Caller => guarded(|| wait(&poller.device, self.pending))?,
            Polling::Thread => poller.watch(self.pending)?.await.map_err(|_| ended())??,
        }
        match self.result.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(BufferAsyncError)) | Err(_) => {
                Err(Error::DeviceLost { reason: "a buffer could not be mapped".into() })
            }
        }
    }
}

/// Waits for submissions, on the thread that asks or on one of its own.
pub(super) struct Poller {
    device: Device,
    watched: Mutex<Option<mpsc::Sender<Watched>>>,
}

/// A submission, and who wants to know when it has finished.
type Watched = (Pending, oneshot::Sender<Result<()>>);

impl Poller {
    pub(super) fn new(device: Device) -> Self {
        Self { device, watched: Mutex::new(None) }
    }

    /// Waits until a submission has finished, on the calling thread, asleep.
    pub(super) fn wait(&self, submission: SubmissionIndex) -> Result<()> {
        guarded(|| sleep(&self.device, submission))
    }

    /// Looks at the device, which calls back that it was lost only then.
    pub(super) fn look(&self) -> Result<()> {
        guarded(|| self.device.poll(PollType::Poll).map(drop))
    }

    /// Has the thread wait for a submission; starts it if need be.
    fn watch(&self, pending: Pending) -> Result<oneshot::Receiver<Result<()>>> {
        let (reply, finished) = oneshot::channel();
        let mut watched = self.watched.lock().map_err(|_| ended())?;
        let sender = match watched.as_ref() {
            Some(sender) => sender,
            None => watched.insert(self.start().map_err(Error::thread)?),
        };
        sender.send((pending, reply)).map_err(|_| ended())?;
        Ok(finished)
    }

    /// The thread ends when its sender is dropped, that is, with the [`Poller`].
    fn start(&self) -> std::io::Result<mpsc::Sender<Watched>> {
        let (sender, submissions) = mpsc::channel::<Watched>();
        let device = self.device.clone();
        thread::Builder::new().name("maxfold-gpu-poll".into()).spawn(move || {
            for (pending, reply) in submissions {
                // Nobody listens any more if the request was given up.
                drop(reply.send(guarded(|| wait(&device, pending))));
            }
        })?;
        Ok(sender)
    }
}

fn ended() -> Error {
    Error::DeviceLost { reason: "the polling thread has ended".into() }
}

/// wgpu panics where a device is lost while it is waited for: no error scope covers that.
fn guarded(wait: impl FnOnce() -> Result<(), PollError>) -> Result<()> {
    let reason = match catch_unwind(AssertUnwindSafe(wait)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(_) => "wgpu panicked while waiting".into(),
        },
    };
    Err(Error::DeviceLost { reason })
}

/// Waits until a submission has finished: awake for a moment, then asleep.
fn wait(device: &Device, pending: Pending) -> Result<(), PollError> {
    let begin = Instant::now();
    while begin.elapsed() < AWAKE {
        device.poll(PollType::Poll)?;
        if pending.done.load(Ordering::Acquire) {
            return Ok(());
        }
        std::hint::spin_loop();
    }
    sleep(device, pending.after)
}

fn sleep(device: &Device, submission: SubmissionIndex) -> Result<(), PollError> {
    device.poll(PollType::Wait { submission_index: Some(submission), timeout: None }).map(drop)
}
