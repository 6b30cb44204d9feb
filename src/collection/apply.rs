//! [`Collection::apply`]: changes of one caller, or of several, in one transaction.

use super::batch::Batch;
use super::change::Change;
use super::collection::Collection;
use super::operation::Operation;
use super::schema::Schema;
#[cfg(feature = "service")]
use crate::Error;
use crate::Result;
use crate::multivector::RowCounts;
use crate::trace::span;

impl Collection {
    /// Makes changes, one after the other, in one transaction: all of them, or, if one fails, none. Gives the number
    /// of points that each was about. Filters match what is there after the changes before.
    ///
    /// # Errors
    /// As the calls for one change.
    pub fn apply(&self, operations: Vec<Operation>) -> Result<Vec<u64>> {
        let _span = span!("apply", operations = operations.len());
        let schema = self.schema();
        let unusual = self.unusual_rows(&operations, &schema);
        let changes = check(operations, &schema)?;
        let made = self.write(|batch| make_all(&changes, &schema, batch))?;
        self.rows.warn(&unusual, &schema.config);
        Ok(made)
    }

    pub(super) fn apply_one(&self, operation: Operation) -> Result<u64> {
        Ok(self.apply(vec![operation])?.into_iter().sum())
    }

    fn unusual_rows<'c>(
        &self,
        operations: &[Operation],
        schema: &'c Schema,
    ) -> Vec<(&'c str, RowCounts)> {
        let counts = operations.iter().map(|operation| match operation {
            Operation::Upsert { points, .. } => self.rows.count(points, &schema.config),
            _ => Vec::new(),
        });
        counts.flatten().collect()
    }
}

/// Operations, checked.
fn check(operations: Vec<Operation>, schema: &Schema) -> Result<Vec<Change>> {
    // Each is taken apart, also after one that is refused: what it holds may be too deep to be dropped.
    let changes = operations.into_iter().map(|it| Change::new(it, schema));
    let changes: Vec<Result<Change>> = changes.collect();
    changes.into_iter().collect()
}

/// Makes changes that were checked by a configuration, unless the transaction has another that they don't fit.
fn make_all(changes: &[Change], checked: &Schema, batch: &mut Batch<'_>) -> Result<Vec<u64>> {
    let now = batch.state.schema.clone();
    changes.iter().try_for_each(|change| change.check(checked, &now))?;
    changes.iter().map(|change| change.make(batch)).collect()
}

#[cfg(feature = "service")]
impl Collection {
    /// Makes the changes of several callers in one transaction, one caller's after the other's. Those of a caller
    /// are made all or, if one of them fails, not at all, which is nothing to the others.
    pub(crate) fn apply_each(&self, callers: Vec<Vec<Operation>>) -> Vec<Result<Vec<u64>>> {
        let _span = span!("apply", operations = callers.iter().map(Vec::len).sum::<usize>());
        let schema = self.schema();
        let unusual = callers.iter().map(|operations| self.unusual_rows(operations, &schema));
        let unusual: Vec<_> = unusual.collect();
        let callers = callers.into_iter().map(|it| check(it, &schema)).collect();
        let made = write_each(callers, |lists| self.write_all(lists, &schema));
        for (unusual, _) in unusual.iter().zip(&made).filter(|(_, made)| made.is_ok()) {
            self.rows.warn(unusual, &schema.config);
        }
        made
    }

    /// Makes the changes of some callers in one transaction. A failure is told with the caller's place, if it is
    /// one's alone.
    fn write_all(
        &self,
        lists: &[&[Change]],
        schema: &Schema,
    ) -> std::result::Result<Vec<Vec<u64>>, (Option<usize>, Error)> {
        let mut place = None;
        let made = self.write(|batch| {
            let made = lists.iter().enumerate().map(|(at, changes)| {
                place = Some(at);
                make_all(changes, schema, batch)
            });
            let made = made.collect::<Result<Vec<_>>>();
            place = place.filter(|_| made.is_err());
            made
        });
        made.map_err(|error| (place, error))
    }
}

/// Writes the changes of callers together, by `write`, which says whose failed; each caller gets an answer of its own.
///
/// One whose changes fail is left out, and the others' are made anew: a failure leaves a transaction with half of
/// what that caller wanted. Where it is nobody's, like that of a full disk, each caller has a transaction alone.
#[cfg(feature = "service")]
fn write_each(
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
