//! TLS: REST and gRPC over it, who can't speak it, and files that are no certificate or no key.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maxfold::server::{Server, ServerOptions, Tls};
use maxfold::{Backend, Reranker};
use qdrant_client::qdrant::HealthCheckRequest;
use qdrant_client::qdrant::qdrant_client::QdrantClient;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// A certificate for `localhost`, and files that have it and its key.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    pem: String,
    der: CertificateDer<'static>,
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, pem: made.cert.pem(), der: made.cert.der().clone(), folder }
    }

    fn tls(&self) -> Tls {
        Tls::from_files(&self.certificate, &self.key).unwrap()
    }

    /// A connection of somebody who trusts the certificate.
    async fn connect(&self, port: u16, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = "localhost".try_into().unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

/// Ports of REST and of gRPC, of a server that runs as long as the test.
async fn serve(files: &Files, idle: Duration) -> (u16, u16) {
    let options = ServerOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    let options = options.idle_time(idle).tls(files.tls());
    let server = Server::open(files.folder.path().join("data"), options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let calls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = (listener.local_addr().unwrap().port(), calls.local_addr().unwrap().port());
    tokio::spawn(server.grpc(calls).serve(listener, std::future::pending()));
    ports
}

const GET: &[u8] = b"GET /collections HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const IDLE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn rest_and_grpc_speak_it() {
    let files = Files::new();
    let (rest, calls) = serve(&files, Duration::from_secs(30)).await;
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let mut stream = files.connect(rest, protocols).await;
        stream.write_all(GET).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains(r#"{"collections":[]}"#), "{answer}");
    }
    // Whoever prefers HTTP/2 gets it, by REST, too.
    let stream = files.connect(rest, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&files.pem));
    let endpoint = Endpoint::from_shared(format!("https://localhost:{calls}")).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let health = QdrantClient::new(channel).health_check(HealthCheckRequest {}).await.unwrap();
    assert_eq!(health.into_inner().version, "1.19.0");
    // Who doesn't know the certificate doesn't speak to it.
    let others = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&Files::new().pem));
    let endpoint = Endpoint::from_shared(format!("https://localhost:{calls}")).unwrap();
    assert!(endpoint.tls_config(others).unwrap().connect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_told_at_once_and_silence_cut_off() {
    let files = Files::new();
    let (rest, calls) = serve(&files, IDLE).await;
    for port in [rest, calls] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(GET).await.unwrap();
        let mut answer = Vec::new();
        // Nothing but an alert, or the end: no answer of HTTP's.
        drop(stream.read_to_end(&mut answer).await);
        assert!(answer.first().is_none_or(|kind| *kind == 21), "{answer:?}");
        let plain = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let mut client = QdrantClient::new(plain.connect_lazy());
        assert!(client.health_check(HealthCheckRequest {}).await.is_err());

        // The beginning of a hello, and then nothing; or byte after byte.
        let start = Instant::now();
        let mut stalled = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stalled.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        let (mut silent, mut writes) =
            TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
        let trickle = tokio::spawn(async move {
            writes.write_all(&[22, 3, 1, 2, 0]).await?;
            for _ in 0..200 {
                writes.write_all(&[0]).await?;
                tokio::time::sleep(IDLE / 8).await;
            }
            std::io::Result::Ok(())
        });
        drop(stalled.read_to_end(&mut Vec::new()).await);
        drop(silent.read_to_end(&mut Vec::new()).await);
        assert!((IDLE / 2..10 * IDLE).contains(&start.elapsed()), "{:?}", start.elapsed());
        assert!(trickle.await.unwrap().is_err());
    }
}

#[test]
fn files_that_are_no_certificate_or_no_key_are_told() {
    let (files, others) = (Files::new(), Files::new());
    let empty = files.folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let broken = files.folder.path().join("broken");
    fs::write(&broken, files.pem.replace("END", "AND")).unwrap();
    let missing = files.folder.path().join("missing");
    for (certificate, key, expected) in [
        (&missing, &files.key, "cannot read"),
        (&files.certificate, &missing, "cannot read"),
        (&empty, &files.key, "expected the file to be a certificate in PEM, got none"),
        (&broken, &files.key, "expected the file to be a certificate in PEM, got "),
        (&files.key, &files.key, "expected the file to be a certificate in PEM, got none"),
        (
            &files.certificate,
            &files.certificate,
            "expected the file to be a private key in PEM, got none",
        ),
        (&files.certificate, &others.key, "expected the file to be a certificate, and its key in "),
    ] {
        let error = Tls::from_files(certificate, key).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The program takes what Qdrant's images take, and says that it is encrypted.
#[cfg(feature = "cli")]
#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_the_variables_of_qdrant() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let files = Files::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_maxfold"));
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--backend",
        "cpu",
        "--log",
        "warn",
        "--data",
    ]);
    command.arg(files.folder.path().join("data")).stdout(Stdio::piped());
    command.env("QDRANT__SERVICE__ENABLE_TLS", "true").env("QDRANT__SERVICE__GRPC_PORT", "0");
    command.env("QDRANT__TLS__CERT", &files.certificate).env("QDRANT__TLS__KEY", &files.key);
    let mut program = command.spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    for beginning in ["listening on https://127.0.0.1:", "gRPC listening on https://127.0.0.1:"] {
        let line = lines.next().unwrap();
        let port = line.strip_prefix(beginning).unwrap_or_else(|| panic!("{line}"));
        let stream = files.connect(port.parse().unwrap(), &[b"h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
    program.kill().unwrap();
    program.wait().unwrap();
}
