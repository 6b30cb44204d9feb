//! Tests that need something which a machine may lack: they are reported as ignored there, with the reason,
//! and not as passed. The standard harness can't say that when it runs.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

/// A test and its name.
pub type Test = (&'static str, fn());

/// The functions of these names, as tests.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { [$((stringify!($test), $test as fn())),*].to_vec() };
}

/// Runs tests that need something, which is `missing` for this reason if it is, and others.
pub fn run(needing: Vec<Test>, missing: Option<String>, others: Vec<Test>) -> ExitCode {
    let mut trials: Vec<Trial> = needing
        .into_iter()
        .map(|(name, test)| {
            let missing = missing.clone();
            Trial::ignorable_test(name, move || {
                Ok(match missing {
                    Some(reason) => Completion::ignored_with(reason),
                    None => {
                        test();
                        Completion::Completed
                    }
                })
            })
        })
        .collect();
    let other = |(name, test): Test| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    trials.extend(others.into_iter().map(other));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
