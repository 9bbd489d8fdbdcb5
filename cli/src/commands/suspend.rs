//! `suspend`: stops the reconciliation of objects.

use anyhow::{Result, bail};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::arguments::{SuspendOptions, Target};
use crate::failure::{from_api, is_not_found};
use crate::kinds::Kind;
use crate::objects;
use crate::session::Session;
use crate::talk;

/// Suspends the named objects, or all of the namespace.
///
/// # Errors
/// Where no name was given, or the API server refuses. An object that is not there is told and passed over, as Flux does.
pub(crate) async fn run(session: &Session, target: Target<SuspendOptions>) -> Result<()> {
    let (kind, options) = target.split();
    for name in names(session, kind, options.names, options.all).await? {
        let namespace = &session.namespace;
        talk::action(&format!("suspending {} {name} in {namespace} namespace", kind.human));
        if set(session, kind, &name, true).await? {
            talk::success(&format!("{} suspended", kind.human));
        } else {
            talk::failure(&format!("{} {name} not found in {namespace} namespace", kind.kind));
        }
    }
    Ok(())
}

/// The names to work on, each once, in the order given.
///
/// # Errors
/// Where none was given, or `all` finds none.
pub(super) async fn names(
    session: &Session,
    kind: &Kind,
    given: Vec<String>,
    all: bool,
) -> Result<Vec<String>> {
    if all {
        let objects =
            session.list(kind, Some(&session.namespace), ListParams::default()).await.map_err(from_api)?;
        if objects.is_empty() {
            bail!("no {} objects found in {} namespace", kind.kind, session.namespace);
        }
        return Ok(objects.iter().map(|object| objects::name(object).to_owned()).collect());
    }
    if given.is_empty() {
        bail!("{} name is required", kind.human);
    }
    let mut names = Vec::with_capacity(given.len());
    for name in given {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Sets `spec.suspend`. Returns whether the object is there.
///
/// # Errors
/// Where the API server refuses.
pub(super) async fn set(session: &Session, kind: &Kind, name: &str, suspend: bool) -> Result<bool> {
    let patch = json!({"spec": {"suspend": suspend}});
    let api = session.api(kind, Some(&session.namespace));
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(from_api(error)),
    }
}
