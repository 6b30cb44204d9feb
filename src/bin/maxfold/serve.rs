//! `maxfold serve`: Qdrant's API over the collections of a directory, by REST and by gRPC.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maxfold::Reranker;
#[cfg(feature = "tls")]
use maxfold::server::Tls;
use maxfold::server::{Server, ServerOptions};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::backend::BackendArgs;
use crate::command_line::Usage;
use crate::model;

/// Serves the collections of a directory by Qdrant's API: its clients need only another address.
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
    /// Port of gRPC, on the same host, in a program built with the feature grpc. Port 0 takes a free one
    #[arg(long, value_name = "PORT", env = "QDRANT__SERVICE__GRPC_PORT")]
    grpc_port: Option<u16>,
    #[command(flatten)]
    tls: TlsArgs,
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
    /// Level of the log on stderr: error, warn, info, debug, or a filter as of RUST_LOG
    #[arg(long, value_name = "LEVEL", env = "QDRANT__LOG_LEVEL", default_value = "info")]
    log: String,
    /// Writes the log as JSON, a line an event
    #[arg(long)]
    log_json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Encryption of all connections.
#[derive(clap::Args)]
struct TlsArgs {
    /// File with the certificate, and those of its chain, in PEM: all connections are encrypted, in a program built with
    /// the feature tls
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// File with the certificate's private key, in PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    #[arg(long, hide = true, env = "QDRANT__SERVICE__ENABLE_TLS")]
    tls: Option<bool>,
    #[arg(long, hide = true, env = "QDRANT__TLS__CERT")]
    tls_cert_if_enabled: Option<PathBuf>,
    #[arg(long, hide = true, env = "QDRANT__TLS__KEY")]
    tls_key_if_enabled: Option<PathBuf>,
}

impl TlsArgs {
    /// The certificate and the key, if connections are to be encrypted.
    fn files(&self) -> Result<Option<(&Path, &Path)>, Usage> {
        let enabled = self.tls == Some(true);
        let of = |own, other| Option::or(own, Option::filter(other, |_| enabled));
        let certificate = of(self.tls_cert.as_deref(), self.tls_cert_if_enabled.as_deref());
        match (certificate, of(self.tls_key.as_deref(), self.tls_key_if_enabled.as_deref())) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) if !enabled => Ok(None),
            _ => Err(Usage::new("expected both --tls-cert and --tls-key for TLS")),
        }
    }

    fn scheme(&self) -> Result<&'static str, Usage> {
        Ok(if self.files()?.is_some() { "https" } else { "http" })
    }

    #[cfg(feature = "tls")]
    fn set(&self, options: ServerOptions) -> Result<ServerOptions, Box<dyn Error>> {
        Ok(match self.files()? {
            Some((certificate, key)) => options.tls(Tls::from_files(certificate, key)?),
            None => options,
        })
    }

    #[cfg(not(feature = "tls"))]
    fn set(&self, options: ServerOptions) -> Result<ServerOptions, Box<dyn Error>> {
        match self.files()? {
            Some(_) => Err(Usage::new("expected a program built with the feature tls").into()),
            None => Ok(options),
        }
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Qdrant's.
const PORT: u16 = 6333;

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let address = args.address()?;
    let options = args.options()?;
    args.start_log()?;
    let server = Server::open(&args.data, options)?;
    let scheme = args.tls.scheme()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = bind(address).await?;
        let (mut lines, mut server) = (listening(scheme, &listener)?, server);
        if let Some(port) = args.grpc_port {
            let calls = bind(SocketAddr::new(address.ip(), port)).await?;
            lines += &format!("gRPC {}", listening(scheme, &calls)?);
            server = with_grpc(server, calls)?;
        }
        let mut stdout = io::stdout();
        stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())?;
        server.serve(listener, stop()).await;
        Ok(())
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(address).await;
    Ok(listener.map_err(|fault| format!("cannot listen to {address}: {fault}"))?)
}

/// The line that says where it is listened.
fn listening(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    Ok(format!("listening on {scheme}://{}\n", listener.local_addr()?))
}

#[cfg(feature = "grpc")]
fn with_grpc(server: Server, listener: TcpListener) -> Result<Server, Usage> {
    Ok(server.grpc(listener))
}

#[cfg(not(feature = "grpc"))]
fn with_grpc(_: Server, _: TcpListener) -> Result<Server, Usage> {
    Err(Usage::new("expected a program built with the feature grpc for --grpc-port"))
}

impl Args {
    /// The address; to other machines only with a key, or if it was asked for by name.
    fn address(&self) -> Result<SocketAddr, Usage> {
        let (host, port) = (self.host.unwrap_or(LOOPBACK), self.port.unwrap_or(PORT));
        let address = self.listen.unwrap_or(SocketAddr::new(host, port));
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
        options = self.tls.set(options)?;
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
