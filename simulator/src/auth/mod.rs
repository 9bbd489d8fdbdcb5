//! Who asks (bearer tokens, impersonation), and whether they may (RBAC).

mod escalation;
mod rbac;

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::RwLock;
use serde_json::Value;

pub(crate) use escalation::check as check_escalation;
pub(crate) use rbac::{authorize, review, rules};

use crate::api::ApiError;

/// Whoever is in it may do everything.
const MASTERS: &str = "system:masters";

/// A name with its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// Who sent a request, and in whose name.
#[derive(Debug)]
pub(crate) struct Identity {
    sender: User,
    /// The user whose rights count.
    pub(crate) acting: User,
    /// The groups that the sender asked for by name: it must be allowed to.
    impersonated_groups: Vec<String>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// `pods`, `pods/status`; empty for paths that are no resource.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) path: String,
}

/// A token that was given out.
pub(crate) struct Issued {
    pub(crate) token: String,
    /// RFC 3339.
    pub(crate) expires: String,
}

/// Knows the tokens of this server. They are random and live in memory.
pub(crate) struct Authenticator {
    admin_token: String,
    tokens: RwLock<HashMap<String, (User, jiff::Timestamp)>>,
}

/// A token that nobody can guess.
pub(crate) fn random_token() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

impl Authenticator {
    pub(crate) fn new(admin_token: &str) -> Self {
        Self { admin_token: admin_token.to_owned(), tokens: RwLock::default() }
    }

    /// Gives out a token for a service account. Audiences are not checked: this server is the only one that reads it.
    pub(crate) fn issue(
        &self,
        namespace: &str,
        name: &str,
        _uid: &str,
        valid: Duration,
        _audiences: &[String],
    ) -> Issued {
        let token = random_token();
        let now = jiff::Timestamp::now();
        let seconds = i64::try_from(valid.as_secs()).unwrap_or(i64::MAX / 2).min(365 * 86400);
        let expires = now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now);
        let mut tokens = self.tokens.write();
        tokens.retain(|_, (_, expires)| *expires > now);
        tokens.insert(token.clone(), (User::service_account(namespace, name), expires));
        Issued { token, expires: expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() }
    }

    /// Whose token this is.
    pub(crate) fn by_token(&self, token: &str) -> Option<User> {
        if token == self.admin_token {
            let groups = vec![MASTERS.into(), "system:authenticated".into()];
            return Some(User { name: "kubernetes-admin".into(), groups });
        }
        let tokens = self.tokens.read();
        let (user, expires) = tokens.get(token)?;
        (*expires > jiff::Timestamp::now()).then(|| user.clone())
    }

    /// Finds out who sent a request.
    ///
    /// # Errors
    /// 401 for an unknown token; without any token the sender is `system:anonymous`.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sender = match header.and_then(|value| value.strip_prefix("Bearer ")) {
            None => User { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] },
            Some(token) => self.by_token(token).ok_or_else(ApiError::unauthorized)?,
        };
        let groups = headers.get_all("Impersonate-Group").iter().filter_map(|value| value.to_str().ok());
        let impersonated_groups: Vec<String> = groups.map(str::to_owned).collect();
        let acting = match headers.get("Impersonate-User").and_then(|value| value.to_str().ok()) {
            None if !impersonated_groups.is_empty() => {
                let message = format!(
                    "requested &user.DefaultInfo{{Name:\"\", UID:\"\", Groups:{}, \
                     Extra:map[string][]string(nil)}} without impersonating a user name",
                    crate::validate::go_strings(&impersonated_groups)
                );
                return Err(ApiError::bad_request(message));
            }
            None => sender.clone(),
            Some(name) => User::named(name, impersonated_groups.clone()),
        };
        Ok(Identity { sender, acting, impersonated_groups })
    }
}

impl Identity {
    /// Every question that has to be answered with yes before the request is served.
    pub(crate) fn to_authorize(&self, request: &Attributes) -> Vec<(User, Attributes)> {
        let mut questions = Vec::new();
        if self.sender != self.acting {
            let mut attributes = Attributes { verb: "impersonate".into(), ..Attributes::default() };
            match self
                .acting
                .name
                .strip_prefix("system:serviceaccount:")
                .and_then(|rest| rest.split_once(':'))
            {
                Some((namespace, name)) => {
                    attributes.resource = "serviceaccounts".into();
                    attributes.namespace = namespace.into();
                    attributes.name = name.into();
                }
                None => {
                    attributes.resource = "users".into();
                    attributes.name.clone_from(&self.acting.name);
                }
            }
            questions.push((self.sender.clone(), attributes));
            for group in &self.impersonated_groups {
                let attributes = Attributes {
                    verb: "impersonate".into(),
                    resource: "groups".into(),
                    name: group.clone(),
                    ..Attributes::default()
                };
                questions.push((self.sender.clone(), attributes));
            }
        }
        questions.push((self.acting.clone(), request.clone()));
        questions
    }
}

impl User {
    fn service_account(namespace: &str, name: &str) -> Self {
        Self::named(&format!("system:serviceaccount:{namespace}:{name}"), Vec::new())
    }

    /// A user with the groups that the name brings with it.
    fn named(name: &str, mut groups: Vec<String>) -> Self {
        if let Some((namespace, _)) =
            name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
            && groups.is_empty()
        {
            groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
        }
        groups.push("system:authenticated".into());
        Self { name: name.to_owned(), groups }
    }

    /// The user as reviews show it.
    pub(crate) fn to_value(&self) -> Value {
        serde_json::json!({"username": self.name, "groups": self.groups})
    }

    /// The user of a `SubjectAccessReview`'s spec.
    pub(crate) fn from_review(spec: &Value) -> Self {
        let groups = spec["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|group| group.as_str().map(str::to_owned));
        Self::named(spec["user"].as_str().unwrap_or_default(), groups.collect())
    }
}
