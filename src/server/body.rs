//! [`Received`]: a request's body, bounded by itself and together with those of others; [`Text`]: what it says.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::app::App;
use super::documents::{self, Models, Texts};
use super::options::UNIT;
use super::refusal::Refusal;
use crate::json::{self, Node, Tree};

/// The bytes of a body, which count against what all may take until they are dropped.
pub(super) struct Received {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// What is asked for.
pub(super) struct Text {
    given: Given,
    /// For texts in it.
    models: Arc<Models>,
    _turn: Option<OwnedSemaphorePermit>,
}

enum Given {
    /// In JSON.
    Json(Received),
    /// In a message of gRPC, by what stands for it in JSON.
    #[cfg_attr(not(feature = "grpc"), expect(dead_code))]
    Tree(Tree),
}

/// Bytes that are read in less time than another thread takes to begin.
const SHORT: usize = 16 << 10;
/// Bytes of a body for whose values there is room whatever they are.
const SMALL: usize = 256 << 10;

impl Text {
    /// What a message of gRPC says.
    #[cfg(feature = "grpc")]
    pub fn of(tree: Tree, app: &App) -> Self {
        Self { given: Given::Tree(tree), models: Arc::clone(&app.options.models), _turn: None }
    }

    /// Tells whether it is read in no time.
    pub fn is_short(&self) -> bool {
        match &self.given {
            Given::Json(Received { bytes, .. }) => bytes.len() <= SHORT,
            Given::Tree(tree) => tree.json().is_within(SHORT),
        }
    }

    /// Tells whether models may have to encode texts in it, which takes long.
    pub fn needs_models(&self) -> bool {
        !self.models.is_empty() && self.may_have_texts()
    }

    fn may_have_texts(&self) -> bool {
        match &self.given {
            Given::Json(Received { bytes, .. }) => documents::may_be_in(bytes),
            Given::Tree(tree) => documents::are_in(tree),
        }
    }

    /// Waits until it may be read: values take many times the bytes of their text.
    pub async fn in_turn(mut self, app: &App) -> Self {
        if let Given::Json(Received { bytes, .. }) = &self.given
            && bytes.len() > SMALL
        {
            let units = u32::try_from(bytes.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
            // Never closed, and never more than there are.
            self._turn = Arc::clone(&app.parsing).acquire_many_owned(units).await.ok();
        }
        self
    }

    /// Reads it as JSON: `what` it is, and the name that paths in it begin with. Texts in it are queries.
    pub fn read<T>(
        self,
        what: &'static str,
        name: &'static str,
        read: impl FnOnce(&Node<'_>) -> crate::Result<T>,
    ) -> Result<T, Refusal> {
        self.read_with(Texts::Queries, what, name, read)
    }

    /// [`Text::read`], where texts in it may be documents.
    pub fn read_with<T>(
        self,
        texts: Texts,
        what: &'static str,
        name: &'static str,
        read: impl FnOnce(&Node<'_>) -> crate::Result<T>,
    ) -> Result<T, Refusal> {
        let may_have_texts = self.may_have_texts();
        let mut tree = match self.given {
            Given::Json(body) => parse(&body.bytes, what, name)?,
            Given::Tree(tree) => tree,
        };
        if may_have_texts {
            documents::encode(&mut tree, name, texts, &self.models)?;
        }
        Ok(read(&Node::root(&tree, name))?)
    }
}

fn parse(bytes: &[u8], what: &'static str, name: &'static str) -> Result<Tree, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|fault| Refusal::malformed(format!("expected text in UTF-8: {fault}")))?;
    let empty = text.trim().is_empty();
    Ok(json::parse(if empty { "{}" } else { text }, what, name)?)
}

impl FromRequest<App> for Text {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let (given, models) = (Received::all_of(request, app).await?, &app.options.models);
        Ok(Self { given: Given::Json(given), models: Arc::clone(models), _turn: None })
    }
}

impl Received {
    /// Waits for a body, as long as one may take.
    pub async fn all_of(request: Request, app: &App) -> Result<Self, Refusal> {
        let limit = app.options.body_bytes;
        let declared =
            request.headers().get("content-length").and_then(|it| it.to_str().ok()?.parse().ok());
        if let Some(bytes) = declared.filter(|bytes| *bytes > limit as u64) {
            return Err(Refusal::too_large(bytes, limit));
        }
        // As long as it will be: a vector that grows has up to three times that for a moment.
        let length = declared.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let body = Self { bytes: Vec::with_capacity(length), room: None };
        let read = body.read(request.into_body(), limit, &app.bodies);
        timeout(app.options.body_time, read).await.unwrap_or_else(|_| Err(Refusal::slow()))
    }

    async fn read(
        mut self,
        mut body: Body,
        limit: usize,
        budget: &Arc<Semaphore>,
    ) -> Result<Self, Refusal> {
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|fault| Refusal::malformed(format!("cannot read the body: {fault}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let bytes = self.bytes.len() + data.len();
            if bytes > limit {
                return Err(Refusal::too_large(bytes as u64, limit));
            }
            self.make_room(&data, budget)?;
            self.bytes.extend_from_slice(&data);
        }
        Ok(self)
    }

    /// Takes permits for as many units as a body begins with this part.
    fn make_room(&mut self, data: &Bytes, budget: &Arc<Semaphore>) -> Result<(), Refusal> {
        let units = |bytes: usize| bytes.div_ceil(UNIT);
        let more = units(self.bytes.len() + data.len()) - units(self.bytes.len());
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let room = Arc::clone(budget).try_acquire_many_owned(more).map_err(|_| Refusal::busy())?;
        match &mut self.room {
            Some(all) => all.merge(room),
            none => *none = Some(room),
        }
        Ok(())
    }

    /// The bytes, and the room that they take.
    #[cfg(feature = "grpc")]
    pub fn into_parts(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.room)
    }
}
