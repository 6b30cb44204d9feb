//! The arguments that choose what computes, the same for every command, and for the quickstart.

use clap::Args;
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
    /// The options that they ask for. Who names an adapter means a GPU.
    pub fn options(&self) -> Result<RerankerOptions, Usage> {
        let mut options = RerankerOptions { backend: self.backend, ..Default::default() };
        if let Some(name) = &self.adapter {
            options.backend = meant(options.backend, "--adapter", Backend::Gpu)?;
            options.gpu = options.gpu.adapter(name);
        }
        Ok(options)
    }
}

/// The backend that an argument belongs to, unless another was asked for.
pub fn meant(asked: Backend, argument: &str, backend: Backend) -> Result<Backend, Usage> {
    if [Backend::Auto, backend].contains(&asked) {
        return Ok(backend);
    }
    let message = format!("expected {argument} to go with backend {backend}, got backend {asked}");
    Err(Usage::new(message))
}
