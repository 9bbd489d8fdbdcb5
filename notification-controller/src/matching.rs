//! Which Alerts an event concerns.

use crate::event::Event;
use crate::objects::has_labels;
use crate::pattern;
use regex::Regex;
use sluice_api::notification::{Alert, EventSeverity};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An Alert with its expressions compiled.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    pub(crate) alert: Arc<Alert>,
    include: Vec<Option<Regex>>,
    exclude: Vec<Option<Regex>>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.alert == other.alert
    }
}

/// Labels of the object that an event is about, fetched when an Alert asks for them, once.
#[derive(Clone, Debug)]
pub(crate) enum Labels {
    /// What the API server says.
    Known(BTreeMap<String, String>),
    /// The object could not be read.
    Unknown,
}

/// What an Alert makes of an event's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// It is none of its sources.
    No,
    /// It is one of them.
    Yes,
    /// That depends on labels.
    ByLabels,
}

impl Matcher {
    pub(crate) fn new(alert: Arc<Alert>) -> Self {
        let compile = |list: &[String]| list.iter().map(|expression| pattern::compile(expression)).collect();
        Self {
            include: compile(&alert.spec.inclusion_list),
            exclude: compile(&alert.spec.exclusion_list),
            alert,
        }
    }

    /// Compares sources, severity and, as far as that needs no look at the object, labels.
    pub(crate) fn selects(&self, event: &Event) -> Selected {
        if self.alert.spec.suspend {
            return Selected::No;
        }
        let mut selected = Selected::No;
        for i in self.candidates(event) {
            if self.alert.spec.event_sources[i].match_labels.is_empty() {
                return Selected::Yes;
            }
            selected = Selected::ByLabels;
        }
        selected
    }

    /// Whether one of the sources that matches otherwise has the object's labels.
    pub(crate) fn selects_labels(&self, event: &Event, labels: &BTreeMap<String, String>) -> bool {
        self.candidates(event)
            .any(|i| has_labels(labels, self.alert.spec.event_sources[i].match_labels.iter()))
    }

    /// Indices of the sources that the event matches but for labels.
    fn candidates<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = usize> + 'a {
        let object = &event.involved_object;
        let own = self.alert.metadata.namespace.as_deref().unwrap_or_default();
        let severity = self.alert.spec.event_severity.unwrap_or_default();
        let severe = severity == EventSeverity::Info || event.severity == severity.as_str();
        let sources = self.alert.spec.event_sources.iter().enumerate();
        sources
            .filter(move |(_, source)| {
                let namespace = source.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(own);
                severe
                    && namespace == object.namespace
                    && source.kind.as_str() == object.kind
                    && (source.name == "*" || source.name == object.name)
            })
            .map(|(i, _)| i)
    }

    /// Whether the lists let the message pass. An inclusion that is no expression matches nothing, an exclusion likewise.
    pub(crate) fn passes(&self, message: &str) -> bool {
        let any = |list: &[Option<Regex>]| list.iter().flatten().any(|regex| regex.is_match(message));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// What is wrong with the lists, in Flux's words.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> + '_ {
        let spec = &self.alert.spec;
        let bad = |what: &'static str, list: &'_ [Option<Regex>], texts: &'_ [String]| -> Vec<String> {
            let pairs = list.iter().zip(texts).filter(|(regex, _)| regex.is_none());
            pairs.map(|(_, text)| format!("failed to compile {what} regex: {text}")).collect()
        };
        let include = bad("inclusion", &self.include, &spec.inclusion_list);
        include.into_iter().chain(bad("exclusion", &self.exclude, &spec.exclusion_list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::{example, failure};
    use serde_json::{Value, json};

    pub(crate) fn matcher(spec: Value) -> Matcher {
        let mut spec = spec;
        spec["providerRef"] = json!({"name": "p"});
        let alert = json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
            "metadata": {"name": "a", "namespace": "flux-system"}, "spec": spec,
        });
        Matcher::new(Arc::new(serde_json::from_value(alert).unwrap()))
    }

    #[test]
    fn sources_select_by_kind_name_namespace_and_severity() {
        let source = |more: Value| {
            let mut source = json!({"kind": "Kustomization", "name": "apps"});
            source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            source
        };
        for (sources, severity, suspend, want) in [
            (vec![source(json!({}))], "info", false, Selected::Yes),
            (vec![source(json!({"name": "*"}))], "info", false, Selected::Yes),
            (vec![source(json!({"name": "app*"}))], "info", false, Selected::No),
            (vec![source(json!({"kind": "HelmRelease"}))], "info", false, Selected::No),
            (vec![source(json!({"namespace": "*"}))], "info", false, Selected::No),
            (vec![source(json!({"namespace": "flux-system"}))], "info", false, Selected::Yes),
            (vec![source(json!({"matchLabels": {"a": "b"}}))], "info", false, Selected::ByLabels),
            (
                vec![source(json!({"matchLabels": {"a": "b"}})), source(json!({}))],
                "info",
                false,
                Selected::Yes,
            ),
            (vec![source(json!({}))], "error", false, Selected::No),
            (vec![source(json!({}))], "info", true, Selected::No),
            (vec![], "info", false, Selected::No),
        ] {
            let matcher =
                matcher(json!({"eventSources": sources, "eventSeverity": severity, "suspend": suspend}));
            assert_eq!(matcher.selects(&example()), want, "{sources:?} {severity} {suspend}");
        }
        let all = matcher(json!({"eventSources": [source(json!({}))]}));
        assert_eq!(all.selects(&failure()), Selected::Yes, "info means everything");
    }

    #[test]
    fn labels_must_all_be_there() {
        let labels = |pairs: Value| serde_json::from_value::<BTreeMap<String, String>>(pairs).unwrap();
        let matcher = matcher(json!({"eventSources": [
            {"kind": "Kustomization", "name": "*", "matchLabels": {"a": "1", "b": "2"}},
        ]}));
        assert!(matcher.selects_labels(&example(), &labels(json!({"a": "1", "b": "2", "c": "3"}))));
        assert!(!matcher.selects_labels(&example(), &labels(json!({"a": "1"}))));
    }

    #[test]
    fn exclusion_beats_inclusion_and_bad_expressions_match_nothing() {
        for (include, exclude, want, problems) in [
            (json!([]), json!([]), true, 0),
            (json!(["Applied"]), json!([]), true, 0),
            (json!(["Applied"]), json!(["revision"]), false, 0),
            (json!(["nothing"]), json!([]), false, 0),
            (json!(["["]), json!([]), false, 1),
            (json!([]), json!(["["]), true, 1),
            (json!(["[", "Applied"]), json!(["("]), true, 2),
        ] {
            let matcher =
                matcher(json!({"eventSources": [], "inclusionList": include, "exclusionList": exclude}));
            assert_eq!(matcher.passes(&example().message), want, "{include} {exclude}");
            assert_eq!(matcher.problems().count(), problems);
        }
    }
}
