//! [`Text`]: a request's body, bounded by itself and together with those of others.

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
use crate::json::{self, Node};

/// A body, which counts against what all may take until it is dropped.
pub(super) struct Text {
    bytes: Vec<u8>,
    /// For texts in it.
    models: Arc<Models>,
    _room: Option<OwnedSemaphorePermit>,
    _turn: Option<OwnedSemaphorePermit>,
}

/// Bytes that are read in less time than another thread takes to begin.
const SHORT: usize = 16 << 10;
/// Bytes of a body for whose values there is room whatever they are.
const SMALL: usize = 256 << 10;

impl Text {
    /// Tells whether it is read in no time.
    pub fn is_short(&self) -> bool {
        self.bytes.len() <= SHORT
    }

    /// Tells whether models may have to encode texts in it, which takes long.
    pub fn needs_models(&self) -> bool {
        !self.models.is_empty() && documents::may_be_in(&self.bytes)
    }

    /// Waits until it may be read: values take many times the bytes of their text.
    pub async fn in_turn(mut self, app: &App) -> Self {
        if self.bytes.len() > SMALL {
            let units = u32::try_from(self.bytes.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
            // Never closed, and never more than there are.
            self._turn = Arc::clone(&app.parsing).acquire_many_owned(units).await.ok();
        }
        self
    }

    /// Reads it as JSON: `what` it is, and the name that paths in it begin with. Texts in it are queries.
    pub fn read<T>(
        &self,
        what: &'static str,
        name: &'static str,
        read: impl FnOnce(&Node<'_>) -> crate::Result<T>,
    ) -> Result<T, Refusal> {
        self.read_with(Texts::Queries, what, name, read)
    }

    /// [`Text::read`], where texts in it may be documents.
    pub fn read_with<T>(
        &self,
        texts: Texts,
        what: &'static str,
        name: &'static str,
        read: impl FnOnce(&Node<'_>) -> crate::Result<T>,
    ) -> Result<T, Refusal> {
        let text = std::str::from_utf8(&self.bytes)
            .map_err(|fault| Refusal::malformed(format!("expected text in UTF-8: {fault}")))?;
        let empty = text.trim().is_empty();
        let text = if empty { "{}" } else { text };
        let mut tree = json::parse(text, what, name)?;
        if documents::may_be_in(text.as_bytes()) {
            documents::encode(&mut tree, name, texts, &self.models)?;
        }
        Ok(read(&Node::root(&tree, name))?)
    }
}

impl FromRequest<App> for Text {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let limit = app.options.body_bytes;
        let declared =
            request.headers().get("content-length").and_then(|it| it.to_str().ok()?.parse().ok());
        if let Some(bytes) = declared.filter(|bytes| *bytes > limit as u64) {
            return Err(Refusal::too_large(bytes, limit));
        }
        // As long as it will be: a vector that grows has up to three times that for a moment.
        let length = declared.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let (bytes, models) = (Vec::with_capacity(length), Arc::clone(&app.options.models));
        let text = Text { bytes, models, _room: None, _turn: None };
        let read = read(text, request.into_body(), limit, &app.bodies);
        timeout(app.options.body_time, read).await.unwrap_or_else(|_| Err(Refusal::slow()))
    }
}

async fn read(
    mut text: Text,
    mut body: Body,
    limit: usize,
    budget: &Arc<Semaphore>,
) -> Result<Text, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|fault| Refusal::malformed(format!("cannot read the body: {fault}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let bytes = text.bytes.len() + data.len();
        if bytes > limit {
            return Err(Refusal::too_large(bytes as u64, limit));
        }
        make_room(&mut text, &data, budget)?;
        text.bytes.extend_from_slice(&data);
    }
    Ok(text)
}

/// Takes permits for as many units as a body begins with this part.
fn make_room(text: &mut Text, data: &Bytes, budget: &Arc<Semaphore>) -> Result<(), Refusal> {
    let units = |bytes: usize| bytes.div_ceil(UNIT);
    let more = units(text.bytes.len() + data.len()) - units(text.bytes.len());
    let more = u32::try_from(more).unwrap_or(u32::MAX);
    let room = Arc::clone(budget).try_acquire_many_owned(more).map_err(|_| Refusal::busy())?;
    match &mut text._room {
        Some(all) => all.merge(room),
        none => *none = Some(room),
    }
    Ok(())
}
