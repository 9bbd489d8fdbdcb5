//! The event that controllers post (Flux's event API v1beta1): what is kept of it, and what makes two events the same.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use sluice_api::notification::Alert;
use std::collections::BTreeMap;

/// Prefix of metadata that annotations of the object bring along.
const ANNOTATIONS: &str = "event.toolkit.fluxcd.io/";
/// Metadata (of the object's group) that only matters for telling events apart.
const TOKEN: &str = "token";

/// An event. The order of the fields is that of Flux's JSON, of which receivers verify signatures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Event {
    pub(crate) involved_object: InvolvedObject,
    pub(crate) severity: String,
    pub(crate) timestamp: Option<Time>,
    pub(crate) message: String,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) reporting_controller: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reporting_instance: String,
}

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InvolvedObject {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) field_path: String,
}

fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl InvolvedObject {
    /// Group of the object, empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// `Kind/namespace/name`.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }

    /// `kind/name.namespace`, as chat messages name it.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}.{}", self.kind.to_lowercase(), self.name, self.namespace)
    }
}

impl Event {
    /// Drops metadata that is neither of the object's group nor from its annotations, and digests.
    pub(crate) fn clean(&mut self) {
        let own = format!("{}/", self.involved_object.group());
        self.metadata.retain(|key, _| match key.strip_prefix(&own) {
            Some(rest) => !["checksum", "digest"].iter().any(|drop| rest.eq_ignore_ascii_case(drop)),
            None => key.starts_with(ANNOTATIONS),
        });
    }

    /// Metadata of the object's group.
    pub(crate) fn own(&self, key: &str) -> Option<&str> {
        self.metadata.get(&format!("{}/{key}", self.involved_object.group())).map(String::as_str)
    }

    /// Metadata from the object's annotations.
    pub(crate) fn annotated(&self, key: &str) -> Option<&str> {
        self.metadata.get(&format!("{ANNOTATIONS}{key}")).map(String::as_str)
    }

    /// What two events have in common of which only the first is delivered.
    pub(crate) fn key(&self) -> [u8; 32] {
        let object = &self.involved_object;
        let mut parts = vec![
            "event".to_owned(),
            format!("name={}", object.name),
            format!("namespace={}", object.namespace),
            format!("kind={}", object.kind),
            format!("message={}", self.message),
        ];
        for key in ["originRevision", "revision", TOKEN] {
            parts.extend(self.own(key).map(|value| format!("{key}={value}")));
        }
        Sha256::digest(parts.join("/").as_bytes()).into()
    }

    /// Drops what was only needed for [`Event::key`].
    pub(crate) fn drop_token(&mut self) {
        let key = format!("{}/{TOKEN}", self.involved_object.group());
        self.metadata.remove(&key);
    }

    /// The event as an Alert delivers it: metadata without prefixes, the Alert's own added, the controller's word last. Also
    /// returns the keys that several sources set, with the names of these sources.
    pub(crate) fn for_alert(&self, alert: &Alert) -> (Event, Vec<(String, Vec<&'static str>)>) {
        let own = format!("{}/", self.involved_object.group());
        let under = |prefix: &str| -> Vec<(String, String)> {
            let strip = |(key, value): (&String, &String)| {
                Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))
            };
            self.metadata.iter().filter_map(strip).collect()
        };
        let summary = alert.spec.summary.iter().filter(|summary| !summary.is_empty());
        let sources = [
            ("involved object annotations", under(ANNOTATIONS)),
            ("Alert object .spec.eventMetadata", alert.spec.event_metadata.clone().into_iter().collect()),
            (
                "Alert object .spec.summary",
                summary.map(|summary| ("summary".to_owned(), summary.clone())).collect(),
            ),
            ("involved object controller metadata", under(&own)),
        ];
        let mut metadata = BTreeMap::new();
        let mut origins: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for (origin, pairs) in sources {
            for (key, value) in pairs {
                origins.entry(key.clone()).or_default().push(origin);
                metadata.insert(key, value);
            }
        }
        let conflicts = origins.into_iter().filter(|(_, origins)| origins.len() > 1).collect();
        (Event { metadata, ..self.clone() }, conflicts)
    }

    /// Whether something failed.
    pub(crate) fn is_error(&self) -> bool {
        self.severity == "error"
    }

    /// Time of the event in whole seconds since 1970; 0 if it has none.
    pub(crate) fn seconds(&self) -> i64 {
        self.timestamp.as_ref().map_or(0, |time| time.0.as_second())
    }

    /// Time of the event in RFC 3339; Go's zero time if it has none.
    pub(crate) fn time(&self) -> String {
        let text = |time: &Time| jiff::Timestamp::from_second(time.0.as_second()).map(|t| t.to_string());
        let time = self.timestamp.as_ref().and_then(|time| text(time).ok());
        time.unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// The revision of the contract's examples.
    pub(crate) const REVISION: &str = "main@sha1:69b59063470310ebbd88a9156325322a124e55a3";

    /// The contract's example of a delivered event.
    pub(crate) fn example() -> Event {
        let text = r#"{"involvedObject":{"kind":"Kustomization","namespace":"flux-system","name":"apps","uid":"7d0cdc51-ddcf-4743-b223-83ca5c699632","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"4711"},"severity":"info","timestamp":"2026-01-05T10:00:00Z","message":"Applied revision: main@sha1:69b59063470310ebbd88a9156325322a124e55a3","reason":"ReconciliationSucceeded","metadata":{"revision":"main@sha1:69b59063470310ebbd88a9156325322a124e55a3","summary":"prod-eu"},"reportingController":"kustomize-controller","reportingInstance":"kustomize-controller-6b7d9b8f5-x2x7k"}"#;
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text, "the order of the fields is Flux's");
        event
    }

    /// The contract's example of a failure.
    pub(crate) fn failure() -> Event {
        Event {
            severity: "error".into(),
            reason: "HealthCheckFailed".into(),
            message: "health check failed after 30s: timeout waiting for: [Deployment/apps/web status: 'InProgress']".into(),
            ..example()
        }
    }

    #[test]
    fn only_metadata_of_the_object_and_its_annotations_is_kept() {
        let mut event = Event {
            metadata: [
                "kustomize.toolkit.fluxcd.io/revision",
                "kustomize.toolkit.fluxcd.io/aa/bb",
                "kustomize.toolkit.fluxcd.io/Digest",
                "kustomize.toolkit.fluxcd.io/checksum",
                "kustomize.toolkit.fluxcd.io/token",
                "source.toolkit.fluxcd.io/revision",
                "event.toolkit.fluxcd.io/cluster",
                "plain",
            ]
            .map(|key| (key.to_owned(), "x".to_owned()))
            .into(),
            ..example()
        };
        event.clean();
        let kept: Vec<&str> = event.metadata.keys().map(String::as_str).collect();
        assert_eq!(
            kept,
            [
                "event.toolkit.fluxcd.io/cluster",
                "kustomize.toolkit.fluxcd.io/aa/bb",
                "kustomize.toolkit.fluxcd.io/revision",
                "kustomize.toolkit.fluxcd.io/token",
            ]
        );
        event.drop_token();
        assert_eq!(event.own("token"), None);
    }

    #[test]
    fn the_key_of_duplicates_is_flux_s() {
        let mut event = Event {
            metadata: [("kustomize.toolkit.fluxcd.io/revision".to_owned(), REVISION.to_owned())].into(),
            ..example()
        };
        let key = event.key();
        assert_eq!(hex::encode(key), "45f64de726793e3c529e506883e594304809a1346a3aa2eddd009f16163d1e6e");
        event.severity = "error".into();
        event.reason = "Other".into();
        assert_eq!(event.key(), key, "severity and reason do not count");
        event.metadata.insert("kustomize.toolkit.fluxcd.io/token".into(), "t".into());
        assert_ne!(event.key(), key);
    }

    #[test]
    fn the_controller_s_metadata_wins_and_conflicts_are_named() {
        let event = Event {
            metadata: [
                ("event.toolkit.fluxcd.io/env", "annotation"),
                ("event.toolkit.fluxcd.io/summary", "annotation"),
                ("kustomize.toolkit.fluxcd.io/revision", "r"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            ..example()
        };
        let alert: Alert = serde_json::from_value(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert", "metadata": {},
            "spec": {"providerRef": {"name": "p"}, "eventSources": [], "summary": "from summary",
                "eventMetadata": {"revision": "forged", "env": "alert"}},
        }))
        .unwrap();
        let (merged, conflicts) = event.for_alert(&alert);
        assert_eq!(
            json!(merged.metadata),
            json!({"env": "alert", "revision": "r", "summary": "from summary"})
        );
        let keys: Vec<&str> = conflicts.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["env", "revision", "summary"]);
        assert_eq!(
            conflicts[1].1,
            ["Alert object .spec.eventMetadata", "involved object controller metadata"]
        );
    }

    #[test]
    fn null_and_absent_members_are_accepted() {
        let event: Event = serde_json::from_str(r#"{"metadata":null,"timestamp":null}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"involvedObject":{},"severity":"","timestamp":null,"message":"","reason":"","reportingController":""}"#
        );
    }
}
