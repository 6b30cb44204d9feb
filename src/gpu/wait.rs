//! Waiting for the GPU, on the thread that asks.
//!
//! wgpu calls back only while somebody polls the device, so whoever waits polls. It looks again and
//! again for a moment, because being woken takes as long as a small request, and sleeps then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wgpu::{Buffer, BufferAsyncError, Device, MapMode, PollError, PollType, SubmissionIndex};

use crate::{Error, Result};

/// Time for which the device is looked at before the thread sleeps.
const AWAKE: Duration = Duration::from_micros(200);

/// A buffer that is being mapped, once a submission has finished.
pub(super) struct Mapping {
    after: SubmissionIndex,
    mapped: Arc<OnceLock<Result<(), BufferAsyncError>>>,
}

impl Mapping {
    /// Asks for a whole buffer to be mapped once the submission `after` has finished.
    pub(super) fn request(buffer: &Buffer, mode: MapMode, after: SubmissionIndex) -> Self {
        let mapped = Arc::new(OnceLock::new());
        let result = Arc::clone(&mapped);
        // wgpu calls back once.
        buffer.map_async(mode, .., move |mapped| drop(result.set(mapped)));
        Self { after, mapped }
    }

    /// Waits until the buffer is mapped: awake for a moment, then asleep.
    pub(super) fn finish(self, device: &Device) -> Result<()> {
        guarded(|| {
            let begin = Instant::now();
            while begin.elapsed() < AWAKE {
                device.poll(PollType::Poll)?;
                if self.mapped.get().is_some() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            sleep(device, self.after)
        })?;
        match self.mapped.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(BufferAsyncError)) | None => {
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
