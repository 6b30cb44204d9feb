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
//! | `shader.rs` | shader variants as data, their source, and the structs they share with WGSL |
//! | `pipelines.rs` | a variant, compiled |
//! | `plan.rs` | how a request is split so that every limit is kept; no GPU in it |
//! | `workspace.rs` | the buffers of a request, reused by the next |
//! | `stream.rs` | a request: copy, dispatch, read back |
//! | `wait.rs` | waiting for the GPU, blocking or async |
//! | `probe.rs` | the known batch that a device has to score correctly before it is trusted |
//! | `context.rs` | [`GpuContext`], which ties them together |

mod adapter;
mod context;
mod pipelines;
mod plan;
mod probe;
mod shader;
mod stream;
mod wait;
mod workspace;

pub use adapter::{AdapterDescription, adapters};
pub use context::{GpuContext, GpuOptions};
pub use shader::{Element, Reduction, ShaderVariant};
