//! Routes: snapshots, made, listed, sent, received, recovered.

use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Multipart, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tower_http::services::ServeFile;

use super::app::{App, Shared};
use super::body::Text;
use super::parameters::Path;
use super::refusal::Refusal;
use super::shelf::{Shelf, SnapshotFile};
use super::{archive, refusal};
use crate::json::Node;
use crate::{Error, ErrorKind, Result};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/snapshots", get(list_full).post(create_full))
        .route("/snapshots/{snapshot}", get(send_full).delete(remove_full))
        .route("/collections/{collection_name}/snapshots", get(list).post(create))
        .route("/collections/{collection_name}/snapshots/{snapshot}", get(send).delete(remove))
        .route("/collections/{collection_name}/snapshots/recover", put(recover))
        .route(
            "/collections/{collection_name}/snapshots/upload",
            post(upload).layer(DefaultBodyLimit::disable()),
        )
}

/// Time in which a machine that has a snapshot has to answer, and to send it.
const SILENCE: Duration = Duration::from_secs(20);
const TRANSFER: Duration = Duration::from_secs(3600);

/// Parameters that the URL has besides its path.
#[derive(Deserialize)]
struct Params {
    #[serde(default = "yes")]
    wait: bool,
    checksum: Option<String>,
}

fn yes() -> bool {
    true
}

/// Does work, and answers when it is done; or at once, if nobody waits for it.
async fn work<T: Serialize + 'static>(
    app: App,
    params: &Params,
    work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
) -> Response {
    if params.wait {
        return app.call_apart(work).await;
    }
    let start = Instant::now();
    tokio::spawn(async move { drop(app.call_apart(work).await) });
    let text = json!({"status": "accepted", "time": start.elapsed().as_secs_f64()}).to_string();
    refusal::json(StatusCode::ACCEPTED, text.into_bytes())
}

async fn list(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| Ok(shelf(app, &name)?.list()?)).await
}

async fn create(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    work(app, &params, move |app| make(app, &name)).await
}

/// Makes a snapshot of a collection.
pub(super) fn make(app: &Shared, name: &str) -> Result<SnapshotFile, Refusal> {
    let (hosted, shelf) = (app.registry.get(name)?, shelf(app, name)?);
    let path = shelf.new_path()?;
    archive::write_one(hosted.collection()?, shelf.directory(), &path)?;
    Ok(SnapshotFile::read(&path)?)
}

async fn remove(
    State(app): State<App>,
    Path((name, snapshot)): Path<(String, String)>,
    Query(params): Query<Params>,
) -> Response {
    work(app, &params, move |app| shelf(app, &name)?.remove(&snapshot).map(|()| true)).await
}

async fn send(
    State(app): State<App>,
    Path((name, snapshot)): Path<(String, String)>,
    request: Request,
) -> Response {
    send_file(shelf(&app, &name).and_then(|it| it.path(&snapshot)), request).await
}

async fn list_full(State(app): State<App>) -> Response {
    app.call(|app| Ok(Shelf::of_all(app.registry.path()).list()?)).await
}

async fn create_full(State(app): State<App>, Query(params): Query<Params>) -> Response {
    work(app, &params, make_full).await
}

/// Makes a snapshot of all collections.
pub(super) fn make_full(app: &Shared) -> Result<SnapshotFile, Refusal> {
    let shelf = Shelf::of_all(app.registry.path());
    let path = shelf.new_path()?;
    let (hosted, names) = app.registry.named();
    archive::write_all(&hosted, &names, shelf.directory(), &path)?;
    Ok(SnapshotFile::read(&path)?)
}

async fn remove_full(
    State(app): State<App>,
    Path(snapshot): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    work(app, &params, move |app| {
        Shelf::of_all(app.registry.path()).remove(&snapshot).map(|()| true)
    })
    .await
}

async fn send_full(
    State(app): State<App>,
    Path(snapshot): Path<String>,
    request: Request,
) -> Response {
    send_file(Shelf::of_all(app.registry.path()).path(&snapshot), request).await
}

async fn send_file(path: Result<PathBuf, Refusal>, request: Request) -> Response {
    match path {
        Ok(path) => match ServeFile::new(path).try_call(request).await {
            Ok(response) => response.into_response(),
            Err(fault) => Refusal::internal(fault).into_response(),
        },
        Err(refusal) => refusal.into_response(),
    }
}

/// Snapshots of a collection that is there.
pub(super) fn shelf(app: &Shared, name: &str) -> Result<Shelf, Refusal> {
    let hosted = app.registry.get(name)?;
    Ok(Shelf::of(app.registry.path(), hosted.name()))
}

/// Location of a snapshot that is to be recovered, and the checksum that it should have.
struct Source {
    location: String,
    checksum: Option<String>,
    api_key: Option<String>,
}

impl Source {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["location", "checksum", "api_key", "priority", "wait"])?;
        Ok(Self {
            location: object.required("location")?.text()?,
            checksum: object.map("checksum", Node::text)?,
            api_key: object.map("api_key", Node::text)?,
        })
    }

    /// The file, which is received first if it is on another machine.
    fn file(&self, server: &FilePath) -> Result<Recovered, Refusal> {
        if let Some(path) = self.location.strip_prefix("file://") {
            return local(path.strip_prefix("localhost").unwrap_or(path), server);
        }
        if !self.location.starts_with("http://") {
            let text = "expected a location that begins with file:// or http://";
            return Err(Refusal::bad_request(format!("{text}, got {}", self.location)));
        }
        let mut request = ureq::get(&self.location)
            .config()
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_recv_body(Some(TRANSFER))
            .build();
        if let Some(key) = &self.api_key {
            request = request.header("api-key", key);
        }
        let failed = |fault| Refusal::bad_request(format!("cannot get {}: {fault}", self.location));
        let answer = request.call().map_err(failed)?;
        let file = temporary(server)?;
        archive::receive(answer.into_body().into_reader(), file.path())?;
        Ok(Recovered::Received(file))
    }
}

/// A snapshot that is there now.
enum Recovered {
    Kept(PathBuf),
    /// Removed when it is dropped.
    Received(NamedTempFile),
}

impl Recovered {
    fn path(&self) -> &FilePath {
        match self {
            Self::Kept(path) => path,
            Self::Received(file) => file.path(),
        }
    }
}

/// A file of this machine. Others than those in the server's directory are not read for a client.
fn local(path: &str, server: &FilePath) -> Result<Recovered, Refusal> {
    if !path.starts_with('/') {
        let text = "Invalid snapshot URI, file path must be absolute or on localhost";
        return Err(Refusal::bad_request(text));
    }
    let missing = |_| Refusal::bad_request(format!("Snapshot file {path:?} does not exist"));
    let found = FilePath::new(path).canonicalize().map_err(missing)?;
    if !found.starts_with(server.canonicalize().map_err(missing)?) {
        return Err(Refusal::forbidden(format!(
            "Forbidden: Snapshot file path must be inside the snapshots directory, or else of the server; got {path}"
        )));
    }
    Ok(Recovered::Kept(found))
}

fn temporary(scratch: &FilePath) -> Result<NamedTempFile> {
    NamedTempFile::with_prefix_in(".maxfold-snapshot-", scratch)
        .map_err(|fault| Error::io("create", scratch, fault))
}

async fn recover(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.call_apart(move |app| {
        let source = text.read("a place of a snapshot", "request", Source::read)?;
        let file = source.file(app.registry.path())?;
        take(app, &name, file.path(), source.checksum.as_deref())
    })
    .await
}

/// Puts what a snapshot holds in the place of a collection, if the file is the one that was meant.
fn take(
    app: &Shared,
    name: &str,
    file: &FilePath,
    expected: Option<&str>,
) -> Result<bool, Refusal> {
    if let Some(expected) = expected {
        let got = archive::checksum(file)?;
        if !got.eq_ignore_ascii_case(expected) {
            let text = format!("expected a snapshot with the checksum {expected}, got {got}");
            return Err(Refusal::bad_request(text));
        }
    }
    let recover = |path: &FilePath| {
        let wrong = |error: Error| match error.kind() {
            ErrorKind::OutOfSpace => error.into(),
            _ => Refusal::bad_request(format!("expected a snapshot of a collection: {error}")),
        };
        archive::recover(file, path).map_err(wrong)
    };
    app.registry.replace(name, recover).map(|()| true)
}

async fn upload(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
    parts: Multipart,
) -> Response {
    let file = match receive(&app, parts).await {
        Ok(file) => file,
        Err(refusal) => return refusal.into_response(),
    };
    let checksum = params.checksum.clone();
    work(app, &params, move |app| take(app, &name, file.path(), checksum.as_deref())).await
}

/// Writes the part named `snapshot` to a file, as it arrives.
async fn receive(app: &App, mut parts: Multipart) -> Result<NamedTempFile, Refusal> {
    let broken = |fault| Refusal::bad_request(format!("cannot read the upload: {fault}"));
    let wait = app.options.idle_time;
    let late = |_| Refusal::slow();
    while let Some(mut part) =
        timeout(wait, parts.next_field()).await.map_err(late)?.map_err(broken)?
    {
        if part.name() != Some("snapshot") {
            continue;
        }
        let file = temporary(app.registry.path())?;
        let failed = |fault| Refusal::from(Error::io("write", file.path(), fault));
        let mut writer = tokio::fs::File::from_std(file.reopen().map_err(failed)?);
        while let Some(bytes) = timeout(wait, part.chunk()).await.map_err(late)?.map_err(broken)? {
            writer.write_all(&bytes).await.map_err(failed)?;
        }
        writer.flush().await.map_err(failed)?;
        return Ok(file);
    }
    Err(Refusal::bad_request("expected a part named snapshot in the upload, got none"))
}
