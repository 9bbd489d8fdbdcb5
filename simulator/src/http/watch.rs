//! Watches: a stream of lines, from the objects that are there or from a revision on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::negotiate::View;
use super::response::{self, Body};
use super::view;
use crate::api::{Api, ApiError, Resource};
use crate::storage::{Change, Event, Query, Stored};

/// How often a watch that asked for bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(50);

/// What a client watches.
pub(crate) struct Watch {
    pub(crate) api: Arc<Api>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) query: Query,
    pub(crate) view: View,
    /// Empty or `0`: begin with what is there.
    pub(crate) resource_version: String,
    pub(crate) initial_events: bool,
    pub(crate) bookmarks: bool,
    pub(crate) timeout: Duration,
}

impl Watch {
    /// Begins the stream; it ends after its time, or when the server stops.
    pub(crate) fn response(self, graceful: CancellationToken) -> Response<Body> {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(64);
        let timeout = self.timeout;
        tokio::spawn(async move {
            tokio::select! {
                () = graceful.cancelled() => {}
                () = tokio::time::sleep(timeout) => {}
                _ = self.run(sender) => {}
            }
        });
        let stream = futures::stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|line| (Ok::<_, Infallible>(Frame::data(line)), receiver))
        });
        let mut response = response::json_bytes(200, Bytes::new(), "application/json");
        *response.body_mut() = StreamBody::new(stream).boxed_unsync();
        response
    }

    async fn run(self, sender: tokio::sync::mpsc::Sender<Bytes>) -> Option<()> {
        let mut first = true;
        let mut revision = match self.resource_version.parse::<u64>() {
            Ok(revision) if revision > 0 && !self.initial_events => revision,
            _ => {
                let listing = self.api.store.list(&self.resource.collection, &self.query)?;
                for stored in &listing.objects {
                    sender.send(self.line(Change::Added, stored, &mut first)).await.ok()?;
                }
                if self.initial_events {
                    sender.send(self.bookmark(listing.revision, true)).await.ok()?;
                }
                listing.revision
            }
        };
        let mut signal = self.api.store.signal(&self.resource.collection);
        loop {
            signal.borrow_and_update();
            let Some((events, complete)) = self.api.store.changes(&self.resource.collection, revision) else {
                let error = ApiError::expired(format!("too old resource version: {revision}"));
                let line = json!({"type": "ERROR", "object": error.to_value()});
                sender.send(Bytes::from(format!("{line}\n"))).await.ok()?;
                return None;
            };
            for event in events {
                if let Some(line) = self.event(&event, &mut first) {
                    sender.send(line).await.ok()?;
                }
            }
            revision = complete;
            tokio::select! {
                changed = signal.changed() => changed.ok()?,
                () = sender.closed() => return None,
                () = tokio::time::sleep(BOOKMARKS), if self.bookmarks => {
                    sender.send(self.bookmark(revision, false)).await.ok()?;
                }
            }
        }
    }

    /// The line for a change, seen through the selectors: what leaves the view is deleted for this client.
    fn event(&self, event: &Event, first: &mut bool) -> Option<Bytes> {
        let now = event.change != Change::Deleted && self.query.matches(&event.object);
        let before = event.previous.as_ref().is_some_and(|previous| self.query.matches(previous));
        let change = match (before, now) {
            (false, true) => Change::Added,
            (true, true) => Change::Modified,
            (true, false) => Change::Deleted,
            (false, false) => return None,
        };
        let whole = self.view == View::Object && self.resource.custom.is_none() && change == event.change;
        if whole && Api::render(&self.resource, &event.object) == event.object.json {
            return Some(event.frame());
        }
        // What has left the selection is shown as it was in it, at the revision of its leaving.
        let left = change == Change::Deleted && event.change != Change::Deleted;
        let Some(previous) = event.previous.as_ref().filter(|_| left) else {
            return Some(self.line(change, &event.object, first));
        };
        let mut value = previous.value();
        value["metadata"]["resourceVersion"] = event.object.revision.to_string().into();
        let (collection, key) = (&previous.collection, previous.key.clone());
        let last = Stored::encode(collection, key, event.object.revision, value, previous.fields.to_vec());
        Some(self.line(change, &last, first))
    }

    fn line(&self, change: Change, stored: &Stored, first: &mut bool) -> Bytes {
        let json = Api::render(&self.resource, stored);
        let shown = view::watched(&self.resource, &json, self.view, std::mem::take(first));
        crate::storage::frame(change, &shown)
    }

    fn bookmark(&self, revision: u64, initial: bool) -> Bytes {
        let (api_version, kind) = match self.view {
            View::Object => (self.resource.api_version(), self.resource.kind.as_str()),
            View::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata"),
            View::Table => ("meta.k8s.io/v1".to_owned(), "Table"),
        };
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": Value::Null});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        Bytes::from(format!("{}\n", json!({"type": "BOOKMARK", "object": object})))
    }
}
