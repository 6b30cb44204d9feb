//! The arguments that choose what computes, the same for every command, and for the quickstart.

use clap::Args;
use maxfold::gpu::GpuOptions;
use maxfold::rerank::{Backend, RerankerOptions};

use crate::command_line::Usage;

#[derive(Args)]
pub struct BackendArgs {
    /// auto, cpu or gpu; gpu takes a software adapter if there is no other.
    #[arg(long, default_value_t)]
    pub backend: Backend,
    /// Part of the GPU adapter's name, in any case; software adapters are used when named. None of
    /// that name is an error.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
}

impl BackendArgs {
    /// The backend and the options of a GPU that they ask for. An adapter's name asks for a GPU.
    pub fn choice(&self) -> Result<(Backend, GpuOptions), Usage> {
        let gpu = GpuOptions::default();
        match &self.adapter {
            None => Ok((self.backend, gpu)),
            Some(name) => {
                let backend = implied(self.backend, "--adapter", Backend::Gpu)?;
                Ok((backend, gpu.adapter(name)))
            }
        }
    }

    /// The options that they ask for.
    pub fn options(&self) -> Result<RerankerOptions, Usage> {
        let (backend, gpu) = self.choice()?;
        Ok(RerankerOptions::new().backend(backend).gpu(gpu))
    }
}

/// The backend that an argument belongs to, unless another was asked for.
pub fn implied(asked: Backend, argument: &str, backend: Backend) -> Result<Backend, Usage> {
    if [Backend::Auto, backend].contains(&asked) {
        return Ok(backend);
    }
    let message = format!("expected {argument} to go with backend {backend}, got backend {asked}");
    Err(Usage::new(message))
}
