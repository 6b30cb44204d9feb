//! Connections: bounded, cut off when slow, and finished at the end.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
#[cfg(any(feature = "grpc", feature = "tls"))]
use hyper::server::conn::http2;
#[cfg(any(feature = "grpc", feature = "tls"))]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

use super::options::ServerOptions;

/// Time after a failed `accept`, which mostly has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);
/// Time in which connections may finish what they have begun.
const FAREWELL: Duration = Duration::from_secs(30);

/// What is spoken on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    #[cfg(any(feature = "grpc", feature = "tls"))]
    Http2,
}

#[cfg(feature = "tls")]
impl Protocol {
    /// What clients may agree on where this is spoken: by REST on either.
    pub fn choice(self) -> &'static [&'static [u8]] {
        match self {
            Self::Http1 => &[b"h2", b"http/1.1"],
            Self::Http2 => &[b"h2"],
        }
    }
}

/// A listener, and how its connections are answered.
pub(super) struct Port {
    pub listener: TcpListener,
    pub answering: Answering,
}

/// How a connection is answered.
#[derive(Clone)]
pub(super) struct Answering {
    pub router: Router,
    /// What is spoken, unless the two ends agree on something else.
    pub protocol: Protocol,
    /// Time without a request, or without a sign of life.
    pub idle: Duration,
    #[cfg(feature = "tls")]
    pub tls: Option<TlsAcceptor>,
}

/// Answers connections, of REST and of gRPC, until `stop` is ready.
pub(super) async fn serve(
    rest: Port,
    grpc: Option<Port>,
    options: &ServerOptions,
    stop: impl Future<Output = ()>,
) {
    let (room, ending) = (Arc::new(Semaphore::new(options.connections)), GracefulShutdown::new());
    let calls = async {
        match &grpc {
            Some(port) => port.accept(&room, &ending).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = rest.accept(&room, &ending) => {}
        () = calls => {}
        () = pin!(stop) => {}
    }
    drop((rest, grpc));
    if tokio::time::timeout(FAREWELL, ending.shutdown()).await.is_err() {
        log::warn!("connections were cut off that did not end in {} s", FAREWELL.as_secs());
    }
}

impl Port {
    /// Accepts connections for ever.
    async fn accept(&self, room: &Arc<Semaphore>, ending: &GracefulShutdown) {
        loop {
            // Never closed.
            let permit = Arc::clone(room).acquire_owned().await;
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(fault) => {
                    log::warn!("cannot accept a connection: {fault}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let answered = self.answering.clone().answer(stream, ending.watcher());
            tokio::spawn(async move {
                // A client that goes away in the middle is its own affair.
                if let Err(fault) = answered.await {
                    log::debug!("a connection ended: {fault}");
                }
                drop(permit);
            });
        }
    }
}

type Timed = Pin<Box<TimeoutStream<TcpStream>>>;
type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl Answering {
    async fn answer(self, stream: TcpStream, watcher: Watcher) -> Ended {
        // Answers are written whole: waiting for more would only delay them.
        drop(stream.set_nodelay(true));
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.idle));
        let mut stream = Box::pin(stream);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let mut stream = tokio::time::timeout(self.idle, tls.accept(stream)).await??;
            let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if agreed { Protocol::Http2 } else { self.protocol };
            self.limit(stream.get_mut().0, protocol);
            return self.speak(protocol, stream, watcher).await;
        }
        let protocol = self.protocol;
        self.limit(&mut stream, protocol);
        self.speak(protocol, stream, watcher).await
    }

    /// A living client answers pings. In HTTP/1 there are none, and it may wait long for an answer.
    fn limit(&self, stream: &mut Timed, protocol: Protocol) {
        if protocol != Protocol::Http1 {
            stream.as_mut().set_read_timeout_pinned(Some(self.idle));
        }
    }

    async fn speak<S>(self, protocol: Protocol, stream: S, watcher: Watcher) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, service) = (TokioIo::new(stream), TowerToHyperService::new(self.router));
        match protocol {
            Protocol::Http1 => {
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(self.idle);
                watcher.watch(http.serve_connection(stream, service)).await?;
            }
            #[cfg(any(feature = "grpc", feature = "tls"))]
            Protocol::Http2 => {
                let mut http = http2::Builder::new(TokioExecutor::new());
                http.timer(TokioTimer::new()).keep_alive_interval(self.idle / 3);
                watcher.watch(http.serve_connection(stream, service)).await?;
            }
        }
        Ok(())
    }
}
