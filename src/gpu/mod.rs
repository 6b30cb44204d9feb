//! MaxSim on the GPU: WGSL compute shaders through wgpu, on Vulkan, Metal or DirectX 12.
//!
//! ```no_run
//! use maxfold::{gpu::GpuContext, multivector::TokenMatrix};
//!
//! let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
//! let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
//! let gpu = GpuContext::new()?;
//! println!("{} with {}", gpu.adapter().name, gpu.variant());
//! assert_eq!(gpu.score(query.view(), &[document.view()])?, [0.5 + -1.0]);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! What to dispatch is decided apart from how:
//!
//! | file | holds |
//! |---|---|
//! | `adapter.rs` | which adapters there are, and which is taken |
//! | `options.rs` | what a context is made with |
//! | `shader.rs` | shader variants as data, their source, and the structs they share with WGSL |
//! | `tuning.rs` | sizes of a variant's tiles, and how a dispatch is spread over workgroups; no GPU in it |
//! | `calibration.rs` | which variant and which sizes an adapter is fastest with |
//! | `pipelines.rs` | a variant, compiled |
//! | `device.rs` | a device, what is compiled for it, and what is kept between requests |
//! | `plan.rs` | how a request is split so that every limit is kept; no GPU in it |
//! | `unit.rs` | what one submission computes; no GPU in it |
//! | `top_k.rs` | how the best are found on the device; no GPU in it |
//! | `source.rs` | where candidates are found: in the store, in the caller's memory |
//! | `workspace.rs`, `slot.rs` | the buffers of a request, and of a unit of it, reused by the next |
//! | `engine.rs` | a request: rounds, batches, units, and reading back |
//! | `progress.rs` | how far a batch has come: what is resident, then what is streamed |
//! | `submit.rs`, `record.rs` | one unit: what goes up, what is dispatched |
//! | `results.rs`, `statistics.rs` | what came back, and what it cost |
//! | `warm_up.rs` | paying for everything before the first request |
//! | `wait.rs` | waiting for the GPU, blocking or async |
//! | `known.rs`, `probe.rs` | the known batches that a device has to score correctly before it is trusted |
//! | `store/` | [`ResidentStore`]: documents that stay in the GPU's memory |
//! | `rank.rs` | many queries, each with candidates of its own |
//! | `context.rs` | [`GpuContext`], which ties them together |

mod adapter;
mod calibration;
mod context;
mod device;
mod engine;
mod known;
mod options;
mod pipelines;
mod plan;
mod probe;
mod progress;
mod rank;
mod record;
mod results;
mod shader;
mod slot;
mod source;
mod statistics;
mod store;
mod submit;
mod top_k;
mod tuning;
mod unit;
mod wait;
mod warm_up;
mod workspace;

pub use adapter::{AdapterDescription, adapters};
pub use calibration::Calibration;
pub use context::GpuContext;
pub use options::GpuOptions;
pub use rank::Answer;
pub use shader::{Element, Multiply, ShaderVariant};
pub use statistics::Statistics;
pub use store::{Loaded, ResidentStore, StoreStatistics};
pub use warm_up::Shape;
