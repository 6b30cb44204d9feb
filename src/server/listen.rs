//! Connections: bounded, cut off when slow, and finished at the end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::options::ServerOptions;

/// Time after a failed `accept`, which mostly has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);
/// Time in which connections may finish what they have begun.
const FAREWELL: Duration = Duration::from_secs(30);

/// Answers connections until `stop` is ready.
pub(super) async fn serve(
    router: Router,
    listener: TcpListener,
    options: &ServerOptions,
    stop: impl Future<Output = ()>,
) {
    let (room, ending) = (Arc::new(Semaphore::new(options.connections)), GracefulShutdown::new());
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            // Never closed.
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(fault) => {
                log::warn!("cannot accept a connection: {fault}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let answered = ending.watch(connection(router.clone(), stream, options.idle_time));
        tokio::spawn(async move {
            // A client that goes away in the middle is its own affair.
            if let Err(fault) = answered.await {
                log::debug!("a connection ended: {fault}");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, ending.shutdown()).await.is_err() {
        log::warn!("connections were cut off that did not end in {} s", FAREWELL.as_secs());
    }
}

type Served = http1::Connection<
    TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>,
    TowerToHyperService<Router>,
>;

fn connection(router: Router, stream: TcpStream, idle: Duration) -> Served {
    // Answers are written whole: waiting for more would only delay them.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(idle));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router))
}
