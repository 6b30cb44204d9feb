//! Changes of several callers in one transaction.

use super::change::Change;
use crate::{Error, Result};

/// Writes the changes of callers together, by `write`, which says whose failed; each caller gets an answer of its own.
///
/// One whose changes fail is left out, and the others' are made anew: a failure leaves a transaction with half of
/// what that caller wanted. Where it is nobody's, like that of a full disk, each caller has a transaction alone.
pub(super) fn write_each(
    callers: Vec<Result<Vec<Change>>>,
    mut write: impl FnMut(&[&[Change]]) -> Result<Vec<Vec<u64>>, (Option<usize>, Error)>,
) -> Vec<Result<Vec<u64>>> {
    let mut answers: Vec<Option<Result<Vec<u64>>>> = callers.iter().map(|_| None).collect();
    let mut left: Vec<(usize, Vec<Change>)> = Vec::new();
    for (at, changes) in callers.into_iter().enumerate() {
        match changes {
            Ok(changes) => left.push((at, changes)),
            Err(error) => answers[at] = Some(Err(error)),
        }
    }
    while !left.is_empty() {
        let lists: Vec<&[Change]> = left.iter().map(|(_, changes)| changes.as_slice()).collect();
        match write(&lists) {
            Ok(made) => {
                left.drain(..).zip(made).for_each(|((at, _), made)| answers[at] = Some(Ok(made)));
            }
            Err((Some(failed), error)) => answers[left.remove(failed).0] = Some(Err(error)),
            Err((None, error)) if left.len() == 1 => answers[left.remove(0).0] = Some(Err(error)),
            Err((None, _)) => {
                for (at, changes) in left.drain(..) {
                    let made = write(&[&changes]).map(|mut made| made.swap_remove(0));
                    answers[at] = Some(made.map_err(|(_, error)| error));
                }
            }
        }
    }
    answers.into_iter().map(|it| it.unwrap_or(Err(Error::Cancelled))).collect()
}
