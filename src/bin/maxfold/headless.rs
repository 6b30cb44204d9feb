//! Keeps drivers quiet on machines without a display.

/// Mesa looks for a display to choose its default device by, and complains on stderr where there is
/// none. Maxfold chooses for itself and needs no display.
///
/// Call it first in `main`, before any thread is started.
pub fn no_display_wanted() {
    // SAFETY: no other thread runs yet that could read the environment meanwhile.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
}
