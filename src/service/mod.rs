//! Searches and writes as futures, gathered, on a bounded pool of threads: for a backend that lives in tokio.
//!
//! A [`Service`] is made once a process. Each collection gets a [`CollectionHandle`] from it, each reranker a
//! [`RerankHandle`]; both are cheap to clone, and their calls never block a thread of the executor, whichever that is.
//!
//! - **Gathered.** Requests on a collection that wait while the threads are busy are answered together, from one state
//!   of it, and on a GPU in one submission; writes share a transaction. A request that comes when nothing else is
//!   going on begins at once, and all cores help with it.
//! - **Bounded.** Where as many requests wait as may, one more is refused at once, with a time after which to try
//!   again: [`Error::retry_after`](crate::Error::retry_after).
//! - **Cancelled.** Dropping a future takes its work out; so does a deadline that passes.
//! - **Kept going.** A panic is an error of the call that met it; a GPU that is lost is replaced by the CPU.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//! use maxfold::service::{CallOptions, Service, ServiceOptions};
//! use maxfold::{ErrorKind, Reranker, TokenMatrix};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> maxfold::Result<()> {
//! let service = Service::new(ServiceOptions::new())?;
//! let reranker = service.reranker(Arc::new(Reranker::new(Default::default())?));
//! let soon = CallOptions::new().deadline(Instant::now() + Duration::from_secs(1));
//!
//! let query = TokenMatrix::new(&[1.0_f32, 0.0], 2)?;
//! let page = TokenMatrix::new(&[0.5_f32, 0.5], 2)?;
//! match reranker.with_options(soon).rerank(query, vec![(7, page)], 10).await {
//!     Ok(ranking) => assert_eq!(ranking.hits[0].id, 7),
//!     Err(error) if error.kind() == ErrorKind::Busy => println!("try again after {:?}", error.retry_after()),
//!     Err(error) => return Err(error),
//! }
//! service.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! Of every call: [`Error::QueueFull`](crate::Error::QueueFull) and
//! [`Error::ServiceStopped`](crate::Error::ServiceStopped), which are
//! [`ErrorKind::Busy`](crate::ErrorKind::Busy); [`Error::DeadlinePassed`](crate::Error::DeadlinePassed), which is
//! [`ErrorKind::Timeout`](crate::ErrorKind::Timeout); [`Error::Panicked`](crate::Error::Panicked).
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | [`ServiceOptions`], [`CallOptions`] |
//! | `service.rs` | [`Service`]: calls as futures |
//! | `collection.rs`, `rerank.rs` | [`CollectionHandle`], [`RerankHandle`] |
//! | `core.rs` | the threads |
//! | `queue.rs`, `work.rs` | what waits, and who takes which of it |
//! | `search.rs`, `write.rs` | searches answered together, writes in one transaction |
//! | `timer.rs` | deadlines |
//! | `counters.rs`, `histogram.rs` | [`ServiceStatistics`] |

#[cfg(feature = "collection")]
mod collection;
mod core;
mod counters;
mod histogram;
mod options;
mod queue;
mod rerank;
#[cfg(feature = "collection")]
mod search;
#[expect(clippy::module_inception)]
mod service;
mod timer;
mod work;
#[cfg(feature = "collection")]
mod write;

#[cfg(feature = "collection")]
pub use collection::CollectionHandle;
pub use counters::ServiceStatistics;
pub use histogram::Histogram;
pub use options::{CallOptions, Priority, ServiceOptions};
pub use rerank::RerankHandle;
pub use service::Service;
