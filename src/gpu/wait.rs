//! Waiting for the GPU, on the thread that asks.
//!
//! wgpu calls back only while somebody polls the device, so whoever waits polls. It looks again and
//! again for a moment, because being woken takes as long as a small request, and sleeps then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use wgpu::{Buffer, BufferAsyncError, Device, MapMode, PollError, PollType, SubmissionIndex};

use crate::{Error, Result};

/// Time for which the device is looked at before the thread sleeps.
const AWAKE: Duration = Duration::from_micros(200);

/// Time for which a call back is waited for that another thread has to make.
const CALL_BACK: Duration = Duration::from_secs(30);

/// A buffer that is being mapped, once a submission has finished.
pub(super) struct Mapping {
    after: SubmissionIndex,
    mapped: Receiver<Result<(), BufferAsyncError>>,
}

impl Mapping {
    /// Asks for a whole buffer to be mapped once the submission `after` has finished.
    pub(super) fn request(buffer: &Buffer, mode: MapMode, after: SubmissionIndex) -> Self {
        let (tell, mapped) = sync_channel(1);
        // Nobody may be waiting any more.
        buffer.map_async(mode, .., move |result| drop(tell.send(result)));
        Self { after, mapped }
    }

    /// Waits until the buffer is mapped: awake for a moment, then asleep.
    ///
    /// Whoever polls may be told of other threads' buffers, and be suspended before it calls back. So a
    /// finished submission doesn't say that the call back was made.
    pub(super) fn finish(self, device: &Device) -> Result<()> {
        let mut mapped = None;
        guarded(|| {
            let begin = Instant::now();
            while begin.elapsed() < AWAKE {
                device.poll(PollType::Poll)?;
                mapped = self.mapped.try_recv().ok();
                if mapped.is_some() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            sleep(device, self.after)
        })?;
        match mapped.map_or_else(|| self.mapped.recv_timeout(CALL_BACK), Ok) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(BufferAsyncError)) | Err(_) => {
                Err(Error::DeviceLost { reason: "a buffer could not be mapped".into() })
            }
        }
    }
}

/// Waits until a submission has finished, asleep.
pub(super) fn wait(device: &Device, submission: SubmissionIndex) -> Result<()> {
    guarded(|| sleep(device, submission))
}

/// Looks at the device, which calls back that it was lost only then.
pub(super) fn look(device: &Device) -> Result<()> {
    guarded(|| device.poll(PollType::Poll).map(drop))
}

fn sleep(device: &Device, submission: SubmissionIndex) -> Result<(), PollError> {
    device.poll(PollType::Wait { submission_index: Some(submission), timeout: None }).map(drop)
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
