//! A server in this process, and a client of it that does no more than it has to.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use maxfold::collection::Point;
use maxfold::server::{Server, ServerOptions};
use maxfold::{Error, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// Connections that stay open. They are of one executor.
pub struct Client {
    address: SocketAddr,
    idle: Mutex<Vec<TcpStream>>,
}

/// Starts a server that has these points, and ends with the process.
pub fn serve(config: &str, batches: impl Iterator<Item = Vec<Point>>) -> Client {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let directory = tempfile::tempdir().unwrap();
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::open(directory.path(), ServerOptions::new()).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            server.serve(listener, std::future::pending()).await;
        });
    });
    let client = Client { address: told.recv().unwrap(), idle: Mutex::default() };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (status, answer) = client.send("PUT", "", config).await;
        assert_eq!(status, 200, "{answer}");
        for points in batches {
            let points = json!({"points": points}).to_string();
            let (status, answer) = client.send("PUT", "/points?wait=true", &points).await;
            assert_eq!(status, 200, "{answer}");
        }
    });
    client.idle.lock().unwrap().clear();
    client
}

impl Client {
    /// The number of points that a query finds.
    pub async fn query(&self, request: &str) -> Result<usize> {
        match self.send("POST", "/points/query", request).await {
            (200, answer) => Ok(answer.matches("\"id\":").count()),
            (429 | 503, _) => Err(Error::QueueFull { retry_after: Duration::ZERO }),
            (status, answer) => panic!("{status}: {answer}"),
        }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head = format!(
            "{method} /collections/c{path} HTTP/1.1\r\nhost: localhost\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let request = head + body;
        // A server ends connections on which nothing comes.
        while let Some(mut stream) = { self.idle.lock().unwrap().pop() } {
            if let Some(answer) = exchange(&mut stream, &request).await {
                self.idle.lock().unwrap().push(stream);
                return answer;
            }
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answer = exchange(&mut stream, &request).await.expect("a new connection lasts");
        self.idle.lock().unwrap().push(stream);
        answer
    }
}

/// Sends a request, and reads the status and the body of the answer; `None` if the server hung up.
async fn exchange(stream: &mut TcpStream, request: &str) -> Option<(u16, String)> {
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse::<usize>().unwrap() {
            return Some((head[9..12].parse().unwrap(), body.into()));
        }
    }
}
