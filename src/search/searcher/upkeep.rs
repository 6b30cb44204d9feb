//! The thread that brings what is derived from a collection up to date.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Error, Result};

/// How long it waits before it looks by itself: who only writes asks for nothing.
const NAP: Duration = Duration::from_millis(250);

/// A thread that works when it is told to, and now and then. Dropped, it is waited for.
pub(super) struct Upkeep {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts a thread that does some work, which is told whether somebody asked for it.
    pub fn start(work: impl Fn(bool) -> Result<()> + Send + 'static) -> Result<Self> {
        // One message waits: whoever comes then is served with it.
        let (wake, woken) = sync_channel(1);
        let builder = thread::Builder::new().name("maxfold upkeep".into());
        let thread = builder.spawn(move || run(work, &woken)).map_err(Error::thread)?;
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

/// A panic is a bug, but no reason to fall behind for ever.
fn run(work: impl Fn(bool) -> Result<()>, woken: &Receiver<()>) {
    loop {
        let asked = woken.recv_timeout(NAP);
        if asked == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| work(asked.is_ok()))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("graphs lag behind: {error}"),
            Err(_) => log::error!("graphs lag behind: the upkeep of a collection panicked"),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use log::{LevelFilter, Log, Metadata, Record};

    use super::*;

    /// What is logged as an error.
    static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Logger;

    impl Log for Logger {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            LOGGED.lock().unwrap().push(record.args().to_string());
        }

        fn flush(&self) {}
    }

    #[test]
    fn it_goes_on_after_a_panic_and_unasked() {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Error);
        let (did, done) = channel();
        let upkeep = Upkeep::start(move |asked| {
            did.send(asked).unwrap();
            assert!(!asked, "a panic that is meant");
            Ok(())
        });
        let upkeep = upkeep.unwrap();
        upkeep.wake();
        let after: Vec<bool> = done.iter().skip_while(|asked| !asked).take(2).collect();
        assert_eq!(after, [true, false]);
        let logged = LOGGED.lock().unwrap();
        assert!(logged.iter().any(|line| line.ends_with("the upkeep of a collection panicked")));
    }
}
