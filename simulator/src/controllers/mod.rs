//! The part of kube-controller-manager and the nodes: workloads become ready, owners take what they own with them,
//! namespaces empty themselves.
//!
//! One task hears of every change and works on one object after the other: the outcome does not depend on timing, and
//! two hundred Deployments cost little more than the writes that they need.

mod cron_job;
mod deployment;
mod endpoints;
mod garbage;
mod job;
mod namespace;
mod pod;
mod recorder;
mod sets;
mod workload;

use std::sync::Arc;

use indexmap::IndexSet;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::storage::{Change, CollectionId, Key, Owner, Stored};

/// Something to look at.
#[derive(Debug)]
enum Work {
    Changed(CollectionId, Key),
    Deleted(Arc<Stored>),
}

/// Runs the controllers until told to end.
pub(crate) async fn run(api: Arc<Api>, end: CancellationToken) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Work>();
    let observer = sender.clone();
    api.store.observe(move |event| {
        // The receiver is gone only when the server ends.
        let object = &event.object;
        if event.change == Change::Deleted {
            let _ = observer.send(Work::Deleted(object.clone()));
        } else if is_watched(&object.collection)
            || object.deleting
            || (event.change == Change::Added && !object.owners.is_empty())
        {
            let _ = observer.send(Work::Changed(object.collection.clone(), object.key.clone()));
        }
        // An owner counts what it has.
        if let Some((collection, key)) = object.controller().and_then(|owner| owner_of(object, owner)) {
            let _ = observer.send(Work::Changed(collection, key));
        }
    });
    // What was there before the observer.
    for collection in watched() {
        let listing = api.store.list(&collection, &crate::storage::Query::default());
        for object in listing.into_iter().flat_map(|listing| listing.objects) {
            let _ = sender.send(Work::Changed(collection.clone(), object.key.clone()));
        }
    }
    // A key that changed many times is looked at once: controllers read the present state.
    let mut changed = IndexSet::new();
    let services = CollectionId::new("", "services");
    let mut selectors = endpoints::Selectors::default();
    loop {
        let received = match (receiver.try_recv(), changed.is_empty()) {
            (Ok(work), _) => Some(work),
            (Err(_), false) => None,
            (Err(_), true) => tokio::select! {
                () = end.cancelled() => return,
                work = receiver.recv() => match work {
                    None => return,
                    some => some,
                },
            },
        };
        let work = match received {
            Some(Work::Changed(collection, key)) => {
                changed.insert((collection, key));
                continue;
            }
            Some(deleted) => Some(deleted),
            None => changed.shift_remove_index(0).map(|(collection, key)| Work::Changed(collection, key)),
        };
        if end.is_cancelled() {
            return;
        }
        match work {
            None => {}
            Some(Work::Deleted(object)) => {
                garbage::deleted(&api, &object);
                if object.collection.is("", "pods") {
                    changed.extend(selectors.of(&object).into_iter().map(|key| (services.clone(), key)));
                } else if object.collection == services {
                    selectors.forget(&object.key);
                    endpoints::deleted(&api, &object);
                }
                let namespace = Key::new("", &object.key.namespace);
                if let Some(namespace) = api.store.get(&CollectionId::new("", "namespaces"), &namespace) {
                    namespace::changed(&api, &namespace);
                }
            }
            Some(Work::Changed(collection, key)) => {
                let Some(object) = api.store.get(&collection, &key) else { continue };
                if object.deleting {
                    garbage::deleting(&api, &object);
                } else if !object.owners.is_empty() {
                    garbage::without_owner(&api, &object);
                }
                if collection.is("", "pods") {
                    changed.extend(selectors.of(&object).into_iter().map(|key| (services.clone(), key)));
                }
                if collection.is("", "namespaces") {
                    namespace::changed(&api, &object);
                } else if collection == services {
                    selectors.changed(&api, &object);
                } else if let Some(delay) = workload::changed(&api, &object) {
                    let (sender, end) = (sender.clone(), end.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = end.cancelled() => {}
                            () = tokio::time::sleep(delay) => {
                                let _ = sender.send(Work::Changed(collection, key));
                            }
                        }
                    });
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

const WATCHED: &[(&str, &str)] = &[
    ("", "namespaces"),
    ("", "nodes"),
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "services"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
];

fn watched() -> impl Iterator<Item = CollectionId> {
    WATCHED.iter().map(|(group, resource)| CollectionId::new(group, resource))
}

/// Where the owner of an object lies, if it has a controller here.
fn owner_of(object: &Stored, owner: &Owner) -> Option<(CollectionId, Key)> {
    let (group, plural) = match owner.kind.as_str() {
        "CronJob" => ("batch", "cronjobs"),
        "DaemonSet" => ("apps", "daemonsets"),
        "Deployment" => ("apps", "deployments"),
        "Job" => ("batch", "jobs"),
        "ReplicaSet" => ("apps", "replicasets"),
        "StatefulSet" => ("apps", "statefulsets"),
        _ => return None,
    };
    Some((CollectionId::new(group, plural), Key::new(&object.key.namespace, &owner.name)))
}

fn is_watched(collection: &CollectionId) -> bool {
    WATCHED.iter().any(|(group, resource)| collection.is(group, resource))
}
