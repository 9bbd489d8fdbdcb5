//! Waits for objects: each is judged by what the server last said of it, and a watch of that one object tells more.
//!
//! What a request brought back is judged first, so objects that need nothing cost nothing. Where a watch is not
//! allowed, or too many objects are open, they are read again and again instead.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use http::Method;
use kube::core::WatchEvent;
use parking_lot::Mutex;
use serde_json::Value;
use sluice_apply::object::metadata_text;
use sluice_apply::rest::{self, encode};
use sluice_apply::status::{Kind, Status};
use sluice_apply::{Health, ObjectId, WaitError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::ActionError;
use crate::judge::Judge;
use crate::object::Object;

/// An object to wait for, with what is known of it.
pub(crate) struct Waited {
    pub(crate) object: Object,
    pub(crate) live: Option<Value>,
}

/// Watches that are open at the same time; further objects are polled.
const WATCHES: usize = 32;
/// Between two reads at first, and at last.
const FIRST_POLL: Duration = Duration::from_millis(100);
const LAST_POLL: Duration = Duration::from_secs(2);
/// A watch that says nothing for so long is not relied upon.
const SILENCE: Duration = Duration::from_secs(10);

/// Waits until all objects are as they should be.
pub(crate) async fn until(
    client: &kube::Client,
    waited: Vec<Waited>,
    judge: Judge<'_>,
    timeout: Duration,
    cancel: &CancellationToken,
) -> Result<(), ActionError> {
    let open: Vec<Waited> = waited
        .into_iter()
        .filter(|it| it.live.as_ref().is_none_or(|live| judge.status(live).kind != Kind::Current))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let healths: Vec<Mutex<Health>> = open.iter().map(|it| Mutex::new(unknown(&it.object.id))).collect();
    let mut running: FuturesUnordered<_> = open
        .into_iter()
        .zip(&healths)
        .enumerate()
        .map(|(at, (waited, health))| one(client, waited, judge, at < WATCHES, health))
        .collect();
    let deadline = Instant::now() + timeout;
    loop {
        tokio::select! {
            next = running.next() => match next {
                None => return Ok(()),
                Some(Ok(())) => {}
                Some(Err(failed)) => return Err(ActionError::failed(WaitError::FailedEarly(vec![failed]))),
            },
            () = cancel.cancelled() => return Err(ActionError::Canceled),
            () = tokio::time::sleep_until(deadline) => {
                let mut left: Vec<Health> = healths.iter().map(|health| health.lock().clone()).collect();
                left.retain(|health| health.status.kind != Kind::Current);
                left.sort_by_cached_key(|health| health.id.to_string());
                return Err(ActionError::failed(WaitError::Timeout(left)));
            }
        }
    }
}

/// Waits for one object.
async fn one(
    client: &kube::Client,
    waited: Waited,
    judge: Judge<'_>,
    mut watched: bool,
    health: &Mutex<Health>,
) -> Result<(), Health> {
    let Waited { object, live } = waited;
    let mut poll = FIRST_POLL;
    let mut known = live;
    loop {
        let live = match known.take() {
            Some(live) => live,
            None => match rest::get(client, &object.path()).await {
                Ok(live) => live,
                Err(error) if error.is_not_found() => {
                    // A Job that deletes itself when it is done.
                    if object.value.pointer("/spec/ttlSecondsAfterFinished").is_some() {
                        health.lock().status = Status::new(Kind::Current, "");
                        return Ok(());
                    }
                    health.lock().status = Status::new(Kind::NotFound, "");
                    pause(&mut poll).await;
                    continue;
                }
                Err(error) => {
                    *health.lock() = Health { error: Some(error.to_string()), ..unknown(&object.id) };
                    pause(&mut poll).await;
                    continue;
                }
            },
        };
        let status = judge.status(&live);
        let now = Health { id: object.id.clone(), error: status.error.clone(), status };
        *health.lock() = now.clone();
        match now.status.kind {
            Kind::Current => return Ok(()),
            Kind::Failed => return Err(now),
            _ => {}
        }
        if watched {
            match change(client, &object, &live).await {
                Change::To(live) => {
                    known = Some(live);
                    poll = FIRST_POLL;
                }
                Change::Unsaid => pause(&mut poll).await,
                Change::Unwatchable => watched = false,
            }
        } else {
            pause(&mut poll).await;
        }
    }
}

async fn pause(poll: &mut Duration) {
    tokio::time::sleep(*poll).await;
    *poll = (*poll * 2).min(LAST_POLL);
}

/// What a watch told.
enum Change {
    /// The object as it is now.
    To(Value),
    /// Nothing that can be used: the object has to be read.
    Unsaid,
    /// Watching is not allowed or does not work.
    Unwatchable,
}

/// The next change of an object after a version of it.
async fn change(client: &kube::Client, object: &Object, since: &Value) -> Change {
    let uri = format!(
        "{}?watch=true&fieldSelector={}&resourceVersion={}&timeoutSeconds={}",
        object.collection(),
        encode(&format!("metadata.name={}", object.id.name)),
        encode(metadata_text(since, "resourceVersion")),
        2 * SILENCE.as_secs(),
    );
    let Ok(request) = rest::request(Method::GET, &uri, rest::JSON, rest::JSON, Vec::new()) else {
        return Change::Unwatchable;
    };
    let next = async {
        let Ok(events) = client.request_events::<Value>(request).await else { return Change::Unwatchable };
        let mut events = std::pin::pin!(events);
        match events.next().await {
            Some(Ok(WatchEvent::Added(live) | WatchEvent::Modified(live))) => Change::To(live),
            // A version that the server does not remember, the end of the stream, a deletion: look again.
            _ => Change::Unsaid,
        }
    };
    tokio::time::timeout(SILENCE, next).await.unwrap_or(Change::Unsaid)
}

fn unknown(id: &ObjectId) -> Health {
    Health { id: id.clone(), status: Status::new(Kind::Unknown, ""), error: None }
}

/// Waits until objects are gone; tells which are not, with Helm's words.
pub(crate) async fn until_gone(
    client: &kube::Client,
    objects: &[Object],
    timeout: Duration,
    cancel: &CancellationToken,
) -> Result<(), ActionError> {
    let deadline = Instant::now() + timeout;
    for object in objects {
        let mut poll = FIRST_POLL;
        loop {
            match rest::get_metadata(client, &object.path()).await {
                Err(error) if error.is_not_found() => break,
                // Whoever may not look, or cannot at the moment, asks again until the time is up.
                outcome if Instant::now() >= deadline => {
                    let cause =
                        outcome.err().map_or("context deadline exceeded".to_owned(), |e| e.to_string());
                    return Err(ActionError::Failed(format!("{} termination timeout: {cause}", object.id)));
                }
                _ => {}
            }
            tokio::select! {
                () = pause(&mut poll) => {}
                () = cancel.cancelled() => return Err(ActionError::Canceled),
            }
        }
    }
    Ok(())
}
