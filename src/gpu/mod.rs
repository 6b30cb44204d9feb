//! MaxSim on the GPU: WGSL compute shaders through wgpu, on Vulkan, Metal or DirectX 12.
//!
//! ```no_run
//! use maxfold::{gpu::GpuContext, Reranker, TokenMatrix};
//!
//! let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
//! let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
//! let gpu = GpuContext::new()?;
//! println!("{} with {}", gpu.adapter().name, gpu.variant());
//! let reranker = Reranker::on_gpu(gpu);
//! assert_eq!(reranker.score(query.view(), &[document.view()])?.scores, [0.5 + -1.0]);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! A request goes one way: `request.rs` → `plan.rs` → `layout.rs` → `record.rs` → the GPU → `results.rs`.
//!
//! | file | holds |
//! |---|---|
//! | `answer.rs` | an answer, from queries and ids to hits |
//! | `request.rs` | a request for scores, for the best, or for matches |
//! | `certified.rs`, `bounds.rs` | the best, of which bounds from int8 leave few to be scored |
//! | `run.rs` | its batches and their units, one after the other |
//! | `plan.rs` | how it is split so that every limit is kept; no GPU in it |
//! | `layout.rs` | the tables that kernels read, and where results are; no GPU in it |
//! | `top_k.rs` | how the best are found on the device; no GPU in it |
//! | `batch.rs` | what is read back together, and what it needs |
//! | `record.rs` | one unit: what goes up, what is dispatched |
//! | `results.rs`, `statistics.rs` | what came back, and what it cost |
//! | `source.rs` | where candidates are found |
//! | `store/` | [`ResidentStore`]: documents that stay in the GPU's memory; [`QuantizedStore`]: the same in int8 |
//! | `quantized/` | upper bounds of scores from int8, and why they hold |
//! | `buffers.rs` | the buffers of a request, reused by the next |
//! | `wait.rs` | waiting for the GPU, blocking or async |
//! | `warm_up.rs` | paying for everything before the first request |
//! | `shader.rs` | shader variants as data, their source, and the structs they share with WGSL |
//! | `tuning.rs` | sizes of kernels, and shapes that they are compiled for; no GPU in it |
//! | `spirv.rs` | kernels as SPIR-V, where naga's or WGSL won't do; no GPU in it |
//! | `kernels.rs` | a variant's kernels, compiled |
//! | `adapter.rs`, `device.rs` | which adapters there are; a device, and what is kept with it |
//! | `probe.rs` | known batches that a device has to score correctly before it is trusted |
//! | `calibration.rs` | which variant and which sizes an adapter is fastest with |
//! | `options.rs`, `context.rs` | [`GpuContext`], and what it is made with |
//!
//! | word | |
//! |---|---|
//! | pair | a query and one of its candidates |
//! | group | queries with the same candidates; rows are read once for all of them |
//! | slice | some candidates of a group |
//! | batch | slices whose results are read back together: nearly always all |
//! | unit | what goes up together: what is resident, then page after page of streamed rows |
//! | page | a buffer of rows; a *piece* of a document lies in one, and its *slot* says where |
//! | run | documents of a page, for the same query tokens, that are divided into as many parts |
//! | block | query tokens that a kernel takes at once |
//! | task | a block, and the rows of a document, or of a part of one |
//! | chunk | tasks that one subgroup, or workgroup, takes one after the other |
//! | cell | the maximum, or match, of one query token over the rows of a task |

mod adapter;
mod answer;
mod batch;
mod bounds;
mod buffers;
mod calibration;
mod certified;
mod context;
mod device;
mod kernels;
mod layout;
mod options;
mod plan;
mod probe;
mod quantized;
mod record;
mod request;
mod results;
mod run;
mod shader;
mod source;
mod spirv;
mod statistics;
mod store;
mod top_k;
mod tuning;
mod wait;
mod warm_up;

pub use adapter::{AdapterDescription, adapters};
pub use calibration::Calibration;
#[cfg(feature = "collection")]
pub(crate) use certified::{Certification, Scorer};
pub use context::GpuContext;
pub use options::GpuOptions;
pub use shader::ShaderVariant;
pub use statistics::Statistics;
pub(crate) use store::Stores;
#[cfg(feature = "collection")]
pub(crate) use store::budget_of;
pub use store::{LoadProgress, QuantizedStore, ResidentStore, StoreStatistics};
pub use warm_up::Shape;
