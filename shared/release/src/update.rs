//! Brings the objects of a release from one manifest to another.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use sluice_apply::ObjectId;
use sluice_apply::managed::Takeover;
use sluice_apply::object::{metadata_text, object_entry};

use crate::error::ActionError;
use crate::log::Log;
use crate::object::{Object, RESOURCE_POLICY, runs};
use crate::options::Propagation;
use crate::send::{Sender, Sent, masked};
use crate::three_way;

/// Objects of one kind that are sent at the same time.
const CONCURRENT: usize = 16;

/// How objects are brought to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By server-side apply. `migrate` moves what clients before it owned.
    Server {
        /// Whether the revision before went another way.
        migrate: bool,
    },
    /// By create and patch, or replace.
    Client {
        /// Replace instead of patch.
        force: bool,
    },
}

/// What an update did, also if it failed on the way.
#[derive(Default)]
pub(crate) struct Updated {
    /// Objects as they are now.
    pub(crate) sent: Vec<Sent>,
}

impl Updated {
    /// Objects that were not there before.
    pub(crate) fn created(&self) -> Vec<Object> {
        self.sent.iter().filter(|sent| sent.created).map(|sent| sent.object.clone()).collect()
    }
}

/// Creates objects that are not there yet, kind by kind. Those that are, are taken over.
pub(crate) async fn create(
    sender: &Sender,
    objects: Vec<Object>,
    how: How,
    updated: &mut Updated,
) -> Result<(), ActionError> {
    bring(sender, &HashMap::new(), &objects, how, true, updated).await
}

/// Brings objects from `old` to `new`; what is only in `old` is deleted.
pub(crate) async fn update(
    sender: &Sender,
    old: &[Object],
    new: &[Object],
    how: How,
    log: &Log,
    updated: &mut Updated,
) -> Result<(), ActionError> {
    let before: HashMap<&ObjectId, &Object> = old.iter().map(|object| (&object.id, object)).collect();
    bring(sender, &before, new, how, false, updated).await?;
    let wanted: std::collections::HashSet<&ObjectId> = new.iter().map(|object| &object.id).collect();
    for object in old.iter().filter(|object| !wanted.contains(&object.id) && !object.id.name.is_empty()) {
        remove(sender, object, log).await?;
    }
    Ok(())
}

async fn bring(
    sender: &Sender,
    before: &HashMap<&ObjectId, &Object>,
    objects: &[Object],
    how: How,
    fresh: bool,
    updated: &mut Updated,
) -> Result<(), ActionError> {
    for run in runs(objects) {
        let sent = stream::iter(run.to_vec())
            .map(|object| {
                let old = before.get(&object.id).map(|object| &object.value);
                one(sender, object, old, how, fresh)
            })
            .buffered(CONCURRENT)
            .collect::<Vec<_>>();
        let mut failed = None;
        for outcome in sent.await {
            match outcome {
                Ok(sent) => updated.sent.push(sent),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}

async fn one(
    sender: &Sender,
    object: Object,
    old: Option<&Value>,
    how: How,
    fresh: bool,
) -> Result<Sent, ActionError> {
    match how {
        How::Server { .. } if fresh => sender.apply_or_adopt(object).await,
        How::Server { migrate } => {
            if migrate {
                take_over_updates(sender, &object).await?;
            }
            sender.apply(object, true).await
        }
        How::Client { force } => by_client(sender, object, old, force).await,
    }
}

/// Turns what this client owned by updates into what it applies, so that fields it drops go.
async fn take_over_updates(sender: &Sender, object: &Object) -> Result<(), ActionError> {
    let fail = |error| cannot_patch(object, &error);
    let Some(live) = sender.metadata(object).await.map_err(fail)? else { return Ok(()) };
    if let Some(patch) = Takeover::of_updates(sender.manager()).patch(&live) {
        sender.patch(object, "application/json-patch+json", &patch).await.map_err(fail)?;
    }
    Ok(())
}

async fn by_client(
    sender: &Sender,
    mut object: Object,
    old: Option<&Value>,
    force: bool,
) -> Result<Sent, ActionError> {
    let live = match object.id.name.is_empty() {
        true => None,
        false => sender.get(&object).await.map_err(|error| cannot_patch(&object, &error))?,
    };
    let Some(live) = live else {
        return sender.create(object).await.map_err(|error| error.during("failed to create resource"));
    };
    let answer = if force {
        if let Some(object) = object.value.as_object_mut() {
            let version = metadata_text(&live, "resourceVersion");
            object_entry(object, "metadata").insert("resourceVersion".into(), version.into());
        }
        sender.replace(&object).await.map_err(|error| {
            let cause = masked(&object, &error);
            ActionError::Failed(format!("failed to replace object: {cause}"))
        })?
    } else {
        match three_way::patch(old, &object.value, &live) {
            None => live,
            Some(patch) => sender
                .patch(&object, patch.content_type, &patch.body)
                .await
                .map_err(|error| cannot_patch(&object, &error))?,
        }
    };
    Ok(Sent { object, live: answer, created: false })
}

fn cannot_patch(object: &Object, error: &sluice_apply::rest::RequestError) -> ActionError {
    let cause = masked(object, error);
    ActionError::Failed(format!("cannot patch {:?} with kind {}: {cause}", object.id.name, object.id.kind))
}

/// Deletes an object that is not wanted any more, unless it asks to stay.
async fn remove(sender: &Sender, object: &Object, log: &Log) -> Result<(), ActionError> {
    let fail = |error| ActionError::Failed(format!("failed to delete {}: {error}", object.id));
    let Some(live) = sender.metadata(object).await.map_err(fail)? else { return Ok(()) };
    let (name, kind) = (object.id.name.as_str(), object.id.kind.as_str());
    if Object::annotation(&live, RESOURCE_POLICY) == "keep" {
        log.line("skipping delete due to annotation", [("name", name), ("kind", kind)]);
        return Ok(());
    }
    log.line("deleting resource", [("name", name), ("kind", kind)]);
    sender.delete(object, Propagation::Background).await.map(drop).map_err(fail)
}
