//! The requests on one object, with the faults of busy servers waited out.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use sluice_apply::object::metadata_text;
use sluice_apply::rest::{self, RequestError, encode};

use crate::error::ActionError;
use crate::object::Object;
use crate::options::Propagation;

/// An object as the server has it after a request.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) object: Object,
    /// What came back.
    pub(crate) live: Value,
    /// Whether it was not there before.
    pub(crate) created: bool,
}

impl Sent {
    /// Takes the answer to a request; a name that the server made is the object's from now on.
    fn new(mut object: Object, (live, created): (Value, bool)) -> Self {
        if object.id.name.is_empty() {
            metadata_text(&live, "name").clone_into(&mut object.id.name);
        }
        Self { object, live, created }
    }
}

/// Sends requests on objects in the name of a field manager.
#[derive(Clone)]
pub(crate) struct Sender {
    client: kube::Client,
    manager: String,
}

/// How often a request is sent again that a quota or the store could not take at the moment.
const RETRIES: u32 = 5;

impl Sender {
    pub(crate) fn new(client: kube::Client, manager: &str) -> Self {
        Self { client, manager: manager.to_owned() }
    }

    pub(crate) fn manager(&self) -> &str {
        &self.manager
    }

    /// Applies an object on the server's side; unknown fields are refused.
    pub(crate) async fn apply(&self, object: Object, force: bool) -> Result<Sent, ActionError> {
        match self.try_apply(&object, force).await {
            Ok(answer) => Ok(Sent::new(object, answer)),
            Err(error) => Err(apply_failed(&object, &error)),
        }
    }

    /// Applies an object that may be there already: fields of other managers are taken over then.
    pub(crate) async fn apply_or_adopt(&self, object: Object) -> Result<Sent, ActionError> {
        match self.try_apply(&object, false).await {
            Ok(answer) => Ok(Sent::new(object, answer)),
            Err(error) if error.code() == 409 => self.apply(object, true).await,
            Err(error) => Err(apply_failed(&object, &error)),
        }
    }

    async fn try_apply(&self, object: &Object, force: bool) -> Result<(Value, bool), RequestError> {
        if object.id.name.is_empty() {
            return self.post(object, "&fieldValidation=Strict").await;
        }
        let force = if force { "&force=true" } else { "" };
        let uri =
            format!("{}?fieldManager={}&fieldValidation=Strict{force}", object.path(), encode(&self.manager));
        self.send(Method::PATCH, &uri, "application/apply-patch+yaml", body(&object.value)?).await
    }

    /// Applies without storing anything.
    pub(crate) async fn dry_run(&self, object: &Object) -> Result<Value, RequestError> {
        let how = rest::Apply { field_manager: &self.manager, dry_run: true };
        rest::apply(&self.client, &object.path(), &how, &object.value).await
    }

    /// Creates an object, the way of clients before server-side apply.
    pub(crate) async fn create(&self, object: Object) -> Result<Sent, ActionError> {
        match self.post(&object, "").await {
            Ok(answer) => Ok(Sent::new(object, answer)),
            Err(error) => Err(ActionError::Failed(masked(&object, &error))),
        }
    }

    async fn post(&self, object: &Object, more: &str) -> Result<(Value, bool), RequestError> {
        let uri = format!("{}?fieldManager={}{more}", object.collection(), encode(&self.manager));
        self.send(Method::POST, &uri, rest::JSON, body(&object.value)?).await
    }

    /// Sends a patch of any kind.
    pub(crate) async fn patch(
        &self,
        object: &Object,
        content_type: &str,
        patch: &Value,
    ) -> Result<Value, RequestError> {
        let uri = format!("{}?fieldManager={}", object.path(), encode(&self.manager));
        self.send(Method::PATCH, &uri, content_type, body(patch)?).await.map(|(live, _)| live)
    }

    /// Replaces an object.
    pub(crate) async fn replace(&self, object: &Object) -> Result<Value, RequestError> {
        let uri = format!("{}?fieldManager={}", object.path(), encode(&self.manager));
        self.send(Method::PUT, &uri, rest::JSON, body(&object.value)?).await.map(|(live, _)| live)
    }

    /// The object as it is, if it is there.
    pub(crate) async fn get(&self, object: &Object) -> Result<Option<Value>, RequestError> {
        found(rest::get(&self.client, &object.path()).await)
    }

    /// The metadata of the object as it is, if it is there.
    pub(crate) async fn metadata(&self, object: &Object) -> Result<Option<Value>, RequestError> {
        found(rest::get_metadata(&self.client, &object.path()).await)
    }

    /// Deletes an object, if it is there. Tells whether it may not be gone yet.
    pub(crate) async fn delete(&self, object: &Object, how: Propagation) -> Result<bool, RequestError> {
        let body = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": how.as_str(),
        });
        let body = body.to_string().into_bytes();
        match found(self.send(Method::DELETE, &object.path(), rest::JSON, body).await)? {
            None => Ok(false),
            // The server answers with a Status once the object is gone, with the object while it is held back.
            Some((answer, _)) => Ok(answer["kind"] != "Status"),
        }
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<(Value, bool), RequestError> {
        let mut left = RETRIES;
        let mut pause = Duration::from_millis(50);
        loop {
            let request = rest::request(method.clone(), uri, content_type, rest::JSON, body.clone())?;
            match rest::send_creating(&self.client, request).await {
                Err(error) if left > 0 && passes(&error) => {
                    tokio::time::sleep(pause).await;
                    left -= 1;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether a failure is of a moment: a quota that somebody else was counting, a store that changed its leader.
fn passes(error: &RequestError) -> bool {
    let Some(status) = error.status() else { return false };
    let quota = status.code == 409
        && status.details.as_ref().is_some_and(|details| details.kind == "resourcequotas")
        && status.message.contains("the object has been modified");
    let store = ["etcdserver: leader changed", "raft proposal dropped"];
    quota || store.iter().any(|text| status.message.contains(text))
}

fn found<T>(outcome: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() && !error.kind_not_served() => Ok(None),
        Err(error) => Err(error),
    }
}

fn body(value: &Value) -> Result<Vec<u8>, RequestError> {
    serde_json::to_vec(value)
        .map_err(|error| RequestError::Transport(format!("cannot write the object as JSON: {error}")))
}

/// The text of a failure without what a Secret holds.
pub(crate) fn masked(object: &Object, error: &RequestError) -> String {
    sluice_apply::mask::mask(&object.value, &error.to_string()).into_owned()
}

fn apply_failed(object: &Object, error: &RequestError) -> ActionError {
    let (id, what) = (&object.id, object.group_version_kind());
    let cause = masked(object, error);
    ActionError::Failed(if error.code() == 409 {
        format!("conflict occurred while applying object {}/{} {what}: {cause}", id.namespace, id.name)
    } else {
        format!("server-side apply failed for object {}/{} {what}: {cause}", id.namespace, id.name)
    })
}
