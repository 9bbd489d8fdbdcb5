//! What one object costs: nothing when it is as we left it, else a dry run and an apply.
//!
//! A dry run answers two questions: what is there now, and whether the stage as a whole would be accepted. Where the
//! watch knows the first, of drift too, and the object is the only one of its stage that changed, the apply itself
//! answers the second.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    applier::Applier,
    change::{Action, Change},
    cluster::Pending,
    discovery::{DiscoveryError, Resource},
    error::ObjectError,
    fingerprint::Sum,
    force::{self, Immutable},
    ignore, managed, mask,
    memory::Left,
    object::{ObjectId, metadata_text, resource_version, text},
    rest::{self, RequestError},
    status,
};

/// An object to be applied.
pub(crate) struct Item {
    pub(crate) id: ObjectId,
    pub(crate) version: String,
    pub(crate) object: Value,
    pub(crate) wanted: Sum,
}

/// What has to be done for an object.
pub(crate) enum Plan {
    /// Nothing.
    Done(Change),
    /// An apply.
    Apply(Box<Apply>),
}

pub(crate) struct Apply {
    change: Change,
    resource: Arc<Resource>,
    payload: Value,
    wanted: Sum,
    how: How,
    pending: Pending,
    /// The object again, if no dry run has been made: for the case that the apply is refused.
    untested: Option<Box<Item>>,
}

enum How {
    Create,
    /// Deleted first: a field of it must not change.
    Recreate,
    /// `version` is the live one; `takeover` says that other managers' fields are taken over first.
    Update {
        version: u64,
        takeover: bool,
    },
}

impl Plan {
    pub(crate) fn id(&self) -> &ObjectId {
        match self {
            Self::Done(change) => &change.id,
            Self::Apply(apply) => &apply.change.id,
        }
    }
}

/// Path of a new kind may be unknown for a moment after its CRD is established.
const NEW_KIND: Duration = Duration::from_secs(5);
const NEW_KIND_STEP: Duration = Duration::from_millis(100);

impl Applier {
    /// Finds out what has to be done for an object, without changing anything. `alone` says that no other object of the
    /// stage changed.
    pub(crate) async fn plan(&self, mut item: Item, alone: bool) -> Result<Plan, ObjectError> {
        let inner = &self.cluster.inner;
        let resource = self.locate(&mut item).await?;
        let id = item.id.clone();
        let change = |action| Change {
            id: id.clone(),
            version: item.version.clone(),
            action,
            vanishes: vanishes(&item.object),
        };
        if inner.keys.left_alone(&item.object) {
            return Ok(Plan::Done(change(Action::Skipped)));
        }
        if resource.namespaced && id.namespace.is_empty() {
            return Err(ObjectError::NamespaceMissing { id });
        }
        let path = resource.path(&id.namespace, &id.name);
        if let Some((known, watched)) = inner.known(&id, &self.owner, &item.wanted) {
            let same = watched || self.still(&path, known.version, known.print).await;
            if same {
                return Ok(Plan::Done(change(if known.skipped {
                    Action::Skipped
                } else {
                    Action::Unchanged
                })));
            }
        }

        let current = inner.current(&id, &self.owner);
        let pending = inner.begin(&id, &resource, &self.owner);
        let is_plain = self.options.ignore.is_empty()
            && !self.options.migrate_versions
            && !inner.keys.only_if_absent(&item.object);
        if let Some(version) = current.filter(|_| alone && is_plain) {
            return Ok(Plan::Apply(Box::new(Apply {
                change: change(Action::Configured),
                resource,
                payload: item.object.clone(),
                wanted: item.wanted,
                how: How::Update { version, takeover: false },
                pending,
                untested: Some(Box::new(item)),
            })));
        }
        let skip = |live: &Value, pending: Pending| {
            if self.carries_labels(live) {
                let left = Left {
                    wanted: item.wanted,
                    version: resource_version(live),
                    print: inner.print(live),
                    ready: false,
                    skipped: true,
                };
                pending.finish(left);
            } else {
                drop(pending);
            }
            Plan::Done(change(Action::Skipped))
        };
        if inner.keys.only_if_absent(&item.object) {
            match rest::get_metadata(&self.client, &path).await {
                Ok(live) => return Ok(skip(&live, pending)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(ObjectError::Query { id: id.clone(), cause: error.to_string() }),
            }
        }
        if self.options.migrate_versions {
            self.migrate(&id, &path, &item.object).await?;
        }
        let answer = match self.dry_run(&resource, &path, &item.object).await {
            Ok(answer) => answer,
            Err(error) => {
                return match self.judge(&resource, &path, &item.object, &error).await {
                    Verdict::Skip(live) => Ok(skip(&live, pending)),
                    Verdict::Recreate => Ok(Plan::Apply(Box::new(Apply {
                        change: change(Action::Created),
                        resource,
                        payload: item.object,
                        wanted: item.wanted,
                        how: How::Recreate,
                        pending,
                        untested: None,
                    }))),
                    Verdict::Fail => Err(refused(&id, &item.object, &error)),
                };
            }
        };
        let version = resource_version(&answer);
        if metadata_text(&answer, "resourceVersion").is_empty() {
            return Ok(Plan::Apply(Box::new(Apply {
                change: change(Action::Created),
                resource,
                payload: item.object,
                wanted: item.wanted,
                how: How::Create,
                pending,
                untested: None,
            })));
        }
        if inner.keys.left_alone(&answer) {
            return Ok(skip(&answer, pending));
        }
        let merge = inner.keys.merges(&answer) || inner.keys.merges(&item.object);
        let takeover = !merge && inner.takeover.applies_to(&answer);
        let ignored = self.options.ignore.paths(&id, &item.version, &answer);
        let mut payload = item.object.clone();
        if !ignored.is_empty() {
            let live = rest::get(&self.client, &path).await.map_err(|error| ObjectError::Query {
                id: id.clone(),
                cause: mask::mask(&item.object, &error.to_string()).into_owned(),
            })?;
            if !takeover && !ignore::drifted(&live, &answer, &ignored) {
                pending.finish(self.left(&live, item.wanted));
                return Ok(Plan::Done(change(Action::Unchanged)));
            }
            ignore::adjust(&mut payload, &live, &answer, &ignored, &inner.field_manager);
        }
        Ok(Plan::Apply(Box::new(Apply {
            change: change(Action::Configured),
            resource,
            payload,
            wanted: item.wanted,
            how: How::Update { version, takeover },
            pending,
            untested: None,
        })))
    }

    /// Does what a plan says.
    pub(crate) async fn carry_out(&self, plan: Plan) -> Result<Change, ObjectError> {
        let Apply { mut change, resource, payload, wanted, how, pending, untested } = match plan {
            Plan::Done(change) => return Ok(change),
            Plan::Apply(apply) => *apply,
        };
        let inner = &self.cluster.inner;
        let path = resource.path(&change.id.namespace, &change.id.name);
        match how {
            How::Recreate => self.delete_and_wait(&change.id, &path).await?,
            How::Update { takeover: true, .. } => self.take_over(&change.id, &path, &payload).await?,
            How::Create | How::Update { .. } => {}
        }
        let request = rest::Apply { field_manager: &inner.field_manager, dry_run: false };
        let answer = match (rest::apply(&self.client, &path, &request, &payload).await, untested) {
            (Ok(answer), _) => answer,
            (Err(_), Some(item)) => {
                // Nothing was changed: the dry run tells what is wrong, and what may be done about it.
                drop(pending);
                let plan = self.plan(*item, false).await?;
                return Box::pin(self.carry_out(plan)).await;
            }
            (Err(error), None) => {
                let cause = mask::mask(&payload, &error.to_string()).into_owned();
                return Err(ObjectError::Apply { id: change.id, cause });
            }
        };
        if let How::Update { version, takeover: false } = how
            && (version == resource_version(&answer) || self.written_long_ago(&answer))
        {
            change.action = Action::Unchanged;
        }
        pending.finish(self.left(&answer, wanted));
        tracing::trace!(object = %change.id, action = %change.action, "applied");
        Ok(change)
    }

    /// Finds the resource; strips the namespace of a cluster-scoped object, so that its id is the server's.
    async fn locate(&self, item: &mut Item) -> Result<Arc<Resource>, ObjectError> {
        let discovery = self.cluster.discovery();
        let resource =
            discovery.resource(&item.id.group, &item.version, &item.id.kind).await.map_err(|error| {
                let cause = error.to_string();
                match error {
                    DiscoveryError::NoMatch { .. }
                    | DiscoveryError::NoGroupMatch { .. }
                    | DiscoveryError::Failed(_) => {
                        ObjectError::DryRun { id: item.id.clone(), reason: String::new(), cause }
                    }
                }
            })?;
        if !resource.namespaced && !item.id.namespace.is_empty() {
            item.id.namespace.clear();
            if let Some(metadata) = item.object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("namespace");
            }
        }
        Ok(resource)
    }

    /// Whether an object that no watch vouches for is still as we left it.
    async fn still(&self, path: &str, version: u64, print: u64) -> bool {
        match rest::get_metadata(&self.client, path).await {
            Ok(live) => resource_version(&live) == version || self.cluster.inner.print(&live) == print,
            Err(_) => false,
        }
    }

    async fn dry_run(&self, resource: &Resource, path: &str, object: &Value) -> Result<Value, RequestError> {
        let how = rest::Apply { field_manager: &self.cluster.inner.field_manager, dry_run: true };
        let begin = Instant::now();
        loop {
            match rest::apply(&self.client, path, &how, object).await {
                // The kind was just found by discovery; its path may follow a moment later, or may have gone.
                Err(error) if error.kind_not_served() => {
                    let discovery = self.cluster.discovery();
                    discovery.forget(&resource.group, &resource.version);
                    let served =
                        discovery.resource(&resource.group, &resource.version, &resource.kind).await.is_ok();
                    if !served || begin.elapsed() > NEW_KIND {
                        return Err(error);
                    }
                    tokio::time::sleep(NEW_KIND_STEP).await;
                }
                other => return other,
            }
        }
    }

    /// What a refused dry run means: the live object may say that it is left alone, or that it is recreated.
    async fn judge(&self, resource: &Resource, path: &str, object: &Value, error: &RequestError) -> Verdict {
        if error.is_not_found() || error.status().is_none() {
            return Verdict::Fail;
        }
        let Ok(live) = rest::get_metadata(&self.client, path).await else { return Verdict::Fail };
        let keys = &self.cluster.inner.keys;
        if keys.left_alone(&live) {
            return Verdict::Skip(live);
        }
        if !self.options.force && !keys.forced(object) && !keys.forced(&live) {
            return Verdict::Fail;
        }
        let recreate = match force::judge(error) {
            Immutable::Yes => true,
            Immutable::Perhaps => {
                force::could_be_created(&self.client, resource, &self.cluster.inner.field_manager, object)
                    .await
            }
            Immutable::No => false,
        };
        if recreate { Verdict::Recreate } else { Verdict::Fail }
    }

    async fn delete_and_wait(&self, id: &ObjectId, path: &str) -> Result<(), ObjectError> {
        match rest::delete(&self.client, path).await {
            Err(error) if !error.is_not_found() => {
                return Err(ObjectError::ForceDelete { id: id.clone(), cause: error.to_string() });
            }
            _ => {}
        }
        let deadline = Instant::now() + self.options.stage_timeout;
        let mut pause = Duration::from_millis(20);
        loop {
            let cause = match rest::get_metadata(&self.client, path).await {
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => error.to_string(),
                Ok(live) => {
                    let held = &live["metadata"]["finalizers"];
                    let by =
                        if held.is_array() { format!(", held by finalizers {held}") } else { String::new() };
                    format!("timed out after {:?}{by}", self.options.stage_timeout)
                }
            };
            if Instant::now() >= deadline {
                return Err(ObjectError::ForceWait { id: id.clone(), cause });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Takes over other managers' fields.
    async fn take_over(&self, id: &ObjectId, path: &str, payload: &Value) -> Result<(), ObjectError> {
        let patch = |live: &Value| self.cluster.inner.takeover.patch(live);
        self.patch_live(path, patch).await.map_err(|error| ObjectError::Cleanup {
            id: id.clone(),
            cause: mask::mask(payload, &error.to_string()).into_owned(),
        })
    }

    /// Moves the managed fields of an object, if it is there, to the API version of its manifest.
    async fn migrate(&self, id: &ObjectId, path: &str, object: &Value) -> Result<(), ObjectError> {
        let patch = |live: &Value| managed::migrate(live, text(object, "apiVersion"));
        match self.patch_live(path, patch).await {
            Err(error) if !error.is_not_found() => {
                let cause = mask::mask(object, &error.to_string()).into_owned();
                Err(ObjectError::Migrate { id: id.clone(), cause })
            }
            _ => Ok(()),
        }
    }

    /// Patches the live object as its metadata call for; a race is tried again.
    async fn patch_live(
        &self,
        path: &str,
        patch: impl Fn(&Value) -> Option<Value>,
    ) -> Result<(), RequestError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let live = rest::get_metadata(&self.client, path).await?;
            let Some(patch) = patch(&live) else { return Ok(()) };
            match rest::json_patch(&self.client, path, &self.cluster.inner.field_manager, &patch).await {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == 409 && attempt < 5 => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What to remember of an object as the server answered it.
    fn left(&self, object: &Value, wanted: Sum) -> Left {
        Left {
            wanted,
            version: resource_version(object),
            print: self.cluster.inner.print(object),
            ready: status::compute(object, jiff::Timestamp::now()).kind == status::Kind::Current,
            skipped: false,
        }
    }

    fn carries_labels(&self, object: &Value) -> bool {
        let keys = &self.cluster.inner.keys;
        crate::object::metadata_map(object, "labels").is_some_and(|labels| labels.contains_key(&keys.name))
    }

    /// Whether our entry of managed fields is a minute old, so that the version moved for another reason than us.
    fn written_long_ago(&self, object: &Value) -> bool {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let ours = entries.into_iter().flatten().find(|entry| {
            entry["manager"] == self.cluster.inner.field_manager.as_str()
                && entry["operation"] == "Apply"
                && entry.get("subresource").is_none()
        });
        ours.and_then(|entry| entry["time"].as_str()?.parse::<jiff::Timestamp>().ok())
            .is_some_and(|time| jiff::Timestamp::now().duration_since(time).as_secs() > 60)
    }
}

enum Verdict {
    Skip(Value),
    Recreate,
    Fail,
}

/// A refused dry run, in Flux's words.
fn refused(id: &ObjectId, object: &Value, error: &RequestError) -> ObjectError {
    let cause = mask::mask(object, &error.to_string()).into_owned();
    if error.is_not_found() && !id.namespace.is_empty() {
        ObjectError::NotFound { id: id.clone(), cause }
    } else {
        ObjectError::DryRun { id: id.clone(), reason: error.reason(), cause }
    }
}

/// A Job that deletes itself when it is done.
fn vanishes(object: &Value) -> bool {
    object["kind"] == "Job"
        && object.pointer("/spec/ttlSecondsAfterFinished").is_some_and(|ttl| !ttl.is_null())
}
