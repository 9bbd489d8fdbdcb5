//! The part of kube-controller-manager and the nodes: workloads become ready, owners take what they own with them,
//! namespaces empty themselves.
//!
//! One task hears of every change and works on one object after the other: the outcome does not depend on timing, and
//! two hundred Deployments cost little more than the writes that they need.

mod garbage;
mod namespace;
mod sets;
mod workload;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::storage::{Change, CollectionId, Key, Stored};

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
        let work = match event.change {
            Change::Deleted => Work::Deleted(event.object.clone()),
            _ if is_watched(&event.object.collection) || event.object.deleting => {
                Work::Changed(event.object.collection.clone(), event.object.key.clone())
            }
            _ => return,
        };
        // The receiver is gone only when the server ends.
        let _ = observer.send(work);
    });
    // What was there before the observer.
    for collection in watched() {
        let listing = api.store.list(&collection, &crate::storage::Query::default());
        for object in listing.into_iter().flat_map(|listing| listing.objects) {
            let _ = sender.send(Work::Changed(collection.clone(), object.key.clone()));
        }
    }
    loop {
        let work = tokio::select! {
            () = end.cancelled() => return,
            work = receiver.recv() => work,
        };
        match work {
            None => return,
            Some(Work::Deleted(object)) => {
                garbage::deleted(&api, &object);
                workload::deleted(&api, &object);
                let namespace = Key::new("", &object.key.namespace);
                if let Some(namespace) = api.store.get(&CollectionId::new("", "namespaces"), &namespace) {
                    namespace::changed(&api, &namespace);
                }
            }
            Some(Work::Changed(collection, key)) => {
                let Some(object) = api.store.get(&collection, &key) else { continue };
                if object.deleting {
                    garbage::deleting(&api, &object);
                }
                if collection.is("", "namespaces") {
                    namespace::changed(&api, &object);
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
    ("", "persistentvolumeclaims"),
    ("", "pods"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "jobs"),
];

fn watched() -> impl Iterator<Item = CollectionId> {
    WATCHED.iter().map(|(group, resource)| CollectionId::new(group, resource))
}

fn is_watched(collection: &CollectionId) -> bool {
    WATCHED.iter().any(|(group, resource)| collection.is(group, resource))
}
