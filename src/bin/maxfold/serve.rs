//! `maxfold serve`: Qdrant's REST API over the collections of a directory.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maxfold::Reranker;
use maxfold::server::{Server, ServerOptions};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::backend::BackendArgs;
use crate::command_line::Usage;
use crate::model;

/// Serves the collections of a directory by Qdrant's REST API: its clients need only another address.
///
/// Options are also taken from the variables that Qdrant's images know, as far as each says. SIGTERM or Ctrl-C
/// ends it, after what has begun is finished.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  maxfold serve --data collections --listen 127.0.0.1:6333")]
pub struct Args {
    /// Directory of the collections; made if it isn't there
    #[arg(
        long,
        value_name = "DIR",
        env = "QDRANT__STORAGE__STORAGE_PATH",
        default_value = "storage"
    )]
    data: PathBuf,
    /// Address and port; by default 127.0.0.1:6333. Port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[arg(long, hide = true, env = "QDRANT__SERVICE__HOST")]
    host: Option<IpAddr>,
    #[arg(long, hide = true, env = "QDRANT__SERVICE__HTTP_PORT")]
    port: Option<u16>,
    /// Key with which everything is allowed
    #[arg(long, value_name = "KEY", env = "QDRANT__SERVICE__API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Another such key, while one is replaced by the other
    #[arg(long, value_name = "KEY", env = "QDRANT__SERVICE__ALT_API_KEY", hide_env_values = true)]
    alt_api_key: Option<String>,
    /// Key with which nothing may be changed
    #[arg(
        long,
        value_name = "KEY",
        env = "QDRANT__SERVICE__READ_ONLY_API_KEY",
        hide_env_values = true
    )]
    read_only_api_key: Option<String>,
    /// File whose first line is the key with which everything is allowed
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    api_key_file: Option<PathBuf>,
    /// Listens to other machines although there is no key
    #[arg(long)]
    without_key: bool,
    /// Largest body of a request, in MiB
    #[arg(
        long,
        value_name = "MIB",
        env = "QDRANT__SERVICE__MAX_REQUEST_SIZE_MB",
        default_value_t = 64
    )]
    max_request_size: usize,
    /// Folder with folders of models, NAME or OWNER/NAME, for texts that stand where vectors belong
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Lets no page of another origin ask
    #[arg(long)]
    no_cors: bool,
    #[arg(long, hide = true, env = "QDRANT__SERVICE__ENABLE_TLS")]
    tls: Option<bool>,
    /// Level of the log on stderr: error, warn, info, debug, or a filter as of RUST_LOG
    #[arg(long, value_name = "LEVEL", env = "QDRANT__LOG_LEVEL", default_value = "info")]
    log: String,
    /// Writes the log as JSON, a line an event
    #[arg(long)]
    log_json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Qdrant's.
const PORT: u16 = 6333;

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let address = args.address()?;
    let options = args.options()?;
    args.start_log()?;
    let server = Server::open(&args.data, options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|fault| format!("cannot listen to {address}: {fault}"))?;
        let address = listener.local_addr()?;
        let mut stdout = io::stdout();
        writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush())?;
        server.serve(listener, stop()).await;
        Ok(())
    })
}

impl Args {
    /// The address; to other machines only with a key, or if it was asked for by name.
    fn address(&self) -> Result<SocketAddr, Usage> {
        let (host, port) = (self.host.unwrap_or(LOOPBACK), self.port.unwrap_or(PORT));
        let address = self.listen.unwrap_or(SocketAddr::new(host, port));
        if self.tls == Some(true) {
            return Err(Usage::new(
                "TLS is not supported: let a proxy in front of this server speak it",
            ));
        }
        if address.ip().is_loopback() || self.without_key || self.has_key() {
            return Ok(address);
        }
        let message = format!(
            "expected --api-key, or --without-key, to listen to {address}, which other machines reach"
        );
        Err(Usage::new(message))
    }

    fn has_key(&self) -> bool {
        self.api_key.is_some() || self.api_key_file.is_some()
    }

    fn options(&self) -> Result<ServerOptions, Box<dyn Error>> {
        let mut options = ServerOptions::new()
            .reranker(Arc::new(Reranker::with_options(&self.backend.options()?)?))
            .body_bytes(self.max_request_size << 20)
            .cors(!self.no_cors);
        let file = self.api_key_file.as_deref().map(key_in).transpose()?;
        for key in [&self.api_key, &self.alt_api_key, &file].into_iter().flatten() {
            options = options.api_key(given(key)?);
        }
        if let Some(key) = &self.read_only_api_key {
            options = options.read_only_api_key(given(key)?);
        }
        for (name, folder) in
            self.models.as_deref().map(model::all_in).transpose()?.into_iter().flatten()
        {
            options = options.model(name, Arc::from(model::open(&folder)?));
        }
        Ok(options)
    }

    fn start_log(&self) -> Result<(), Box<dyn Error>> {
        let filter = EnvFilter::try_new(format!("hnsw_rs=warn,{}", self.log)).map_err(|fault| {
            Usage::new(format!("expected --log to be a level, got {:?}: {fault}", self.log))
        })?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        if self.log_json { log.json().try_init() } else { log.try_init() }
            .map_err(|fault| fault.to_string().into())
    }
}

/// The key in the first line of a file.
fn key_in(path: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|fault| format!("cannot read {}: {fault}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// A key, which has to be one: an empty variable would let everybody in.
fn given(key: &str) -> Result<&str, Usage> {
    if key.is_empty() {
        Err(Usage::new("expected a key of at least one character, got none"))
    } else {
        Ok(key)
    }
}

/// Ready at the first signal to stop.
async fn stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    drop(interrupted.await);
}
