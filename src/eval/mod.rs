//! Evaluation of rankings: judgements, runs, and the measures that compare them.
//!
//! [`Qrels`] hold what assessors said of documents, a [`Run`] what an engine ranked, and
//! [`evaluate`] gives a [`Metric`] per query and its mean; [`compare`] says whether two runs differ
//! by more than chance. Both are read and written in the layouts of TREC and of BEIR, so that a run
//! made here can be checked by trec_eval, and one made elsewhere can be measured here.
//!
//! ```
//! use maxfold::eval::{Gain, Metric, Qrels, Run, evaluate};
//!
//! // Query, iteration (not used), document, grade.
//! let qrels = Qrels::parse_trec(
//!     "capitals 0 paris 2\n\
//!      capitals 0 lyon 0\n\
//!      capitals 0 rome 1\n",
//! )?;
//!
//! let mut run = Run::new();
//! run.insert_ranking("capitals", [("lyon", 0.9), ("paris", 0.8), ("rome", 0.5)])?;
//!
//! let ndcg = evaluate(&qrels, &run, Metric::Ndcg { k: 10, gain: Gain::Linear })?;
//! let (paris, rome) = (2.0 / 3f64.log2(), 1.0 / 4f64.log2());
//! let ideal = 2.0 / 2f64.log2() + 1.0 / 3f64.log2();
//! assert!((ndcg.mean - (paris + rome) / ideal).abs() < 1e-12);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! # The same numbers as other tools
//!
//! The measures agree with trec_eval but for rounding: nDCG@10 is its `ndcg_cut_10`, nDCG its `ndcg`,
//! MRR its `recip_rank`, recall@100 its `recall_100`, MAP its `map`, MAP@100 its `map_cut_100`,
//! success@5 its `success_5`. Where numbers differ all the same, one of
//! these is likely why.
//!
//! - **Ties.** Documents of equal score are ordered by id, ascending. trec_eval orders them
//!   descending.
//! - **Precision.** Scores are compared in double precision. trec_eval rounds them to single
//!   precision first, which can make ties. [`Run::in_trec_eval_order`] does both as it does.
//! - **Means.** The mean is over the queries that have a relevant document in the qrels; one that
//!   the run leaves out counts 0, as with trec_eval's option `-c`. Queries with nothing relevant
//!   have no part in it, where some tools count 0 for them too.
//! - **Documents that are their own query.** BEIR's evaluation leaves out a retrieved document
//!   whose id is that of the query. Here it counts like any other; leave it out of the run to get
//!   BEIR's numbers.

mod layout;
mod metrics;
mod names;
mod qrels;
mod run;
mod significance;

pub use metrics::{Evaluation, Gain, Metric, evaluate};
pub use qrels::{Judgements, Qrels};
pub use run::{Ranked, Run, Score};
pub use significance::{Comparison, compare};
