//! `events`: the Kubernetes events of Flux's kinds, oldest first.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::Value;

use crate::arguments::EventsOptions;
use crate::failure::from_api;
use crate::kinds::{self, Kind};
use crate::objects;
use crate::session::Session;
use crate::table;
use crate::talk;

/// Kinds of Flux that this program has no types for.
const OTHER_KINDS: [&str; 4] =
    ["ImagePolicy", "ImageRepository", "ImageUpdateAutomation", "ArtifactGenerator"];

/// Prints the table of events.
///
/// # Errors
/// Where a flag has no meaning, or the API server refuses. No events is no error.
pub(crate) async fn run(session: &Session, options: &EventsOptions) -> Result<()> {
    if let Some(wrong) = options.types.iter().find(|kind| !is_type(kind)) {
        bail!("type '{wrong}' not supported. Supported types are Normal, Warning");
    }
    let selector = options.selector.as_deref().map(Selector::parse).transpose()?;
    let wanted = match &selector {
        Some(selector) => selector.objects(session, options.all_namespaces).await?,
        None => BTreeSet::new(),
    };
    let namespaces: BTreeSet<Option<&str>> = if options.all_namespaces {
        [None].into()
    } else {
        wanted
            .iter()
            .map(|object| Some(object.namespace.as_str()))
            .chain([Some(session.namespace.as_str())])
            .collect()
    };
    let shows_namespace = options.all_namespaces || namespaces.len() > 1;

    let mut events = Vec::new();
    for namespace in namespaces {
        let page = list(session, namespace).await?;
        events.extend(page.into_iter().filter(|event| {
            let is_wanted = match &selector {
                Some(selector) => selector.matches(event, &wanted, options.all_namespaces),
                None => is_flux_kind(event.involved_object.kind.as_deref().unwrap_or_default()),
            };
            let type_ = event.type_.as_deref().unwrap_or_default();
            is_wanted
                && (options.types.is_empty()
                    || options.types.iter().any(|kind| kind.eq_ignore_ascii_case(type_)))
        }));
    }
    if events.is_empty() {
        if options.all_namespaces {
            talk::failure("No events found.");
        } else {
            talk::failure(&format!("No events found in {} namespace.", session.namespace));
        }
        return Ok(());
    }
    events.sort_by_key(last_seen);
    let now = Timestamp::now();
    let rows: Vec<_> = events.iter().map(|event| row(event, now, shows_namespace)).collect();
    let mut header = vec!["last_seen", "type", "reason", "object", "message"];
    if shows_namespace {
        header.insert(0, "namespace");
    }
    Ok(talk::data(&table::render(&header, &rows))?)
}

fn is_type(text: &str) -> bool {
    ["Normal", "Warning"].iter().any(|known| known.eq_ignore_ascii_case(text))
}

fn is_flux_kind(kind: &str) -> bool {
    kinds::ALL.iter().any(|known| known.kind == kind) || OTHER_KINDS.contains(&kind)
}

async fn list(session: &Session, namespace: Option<&str>) -> Result<Vec<Event>> {
    let api: Api<Event> = match namespace {
        Some(namespace) => Api::namespaced(session.client.clone(), namespace),
        None => Api::all(session.client.clone()),
    };
    let mut parameters = ListParams::default().limit(500);
    let mut events = Vec::new();
    loop {
        let page = api.list(&parameters).await.map_err(from_api)?;
        events.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(events),
        }
    }
}

/// An object whose events are asked for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    kind: String,
    namespace: String,
    name: String,
}

/// `--for Kind[/name]`.
#[derive(Debug)]
struct Selector {
    kind: String,
    name: Option<String>,
}

impl Selector {
    fn parse(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let (kind, name) = match parts[..] {
            [kind] if !kind.is_empty() => (kind, None),
            [kind, name] if !kind.is_empty() && !name.is_empty() => (kind, Some(name.to_owned())),
            _ => bail!("--for selector must be of format <kind>[/<name>]"),
        };
        let known = kinds::ALL.iter().map(|kind| kind.kind).chain(OTHER_KINDS);
        let kind = known
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(kind))
            .ok_or_else(|| anyhow!("'{kind}' is not a recognized Flux kind"))?;
        Ok(Self { kind: kind.to_owned(), name })
    }

    /// The named object and what it refers to; nothing where no name was given.
    async fn objects(&self, session: &Session, all_namespaces: bool) -> Result<BTreeSet<Wanted>> {
        let Some(name) = &self.name else { return Ok(BTreeSet::new()) };
        let own =
            Wanted { kind: self.kind.clone(), namespace: session.namespace.clone(), name: name.clone() };
        let mut wanted = BTreeSet::from([own]);
        // With -A the name may be in any namespace, so its references are not looked up.
        if let Some(kind) = Kind::named(&self.kind).filter(|_| !all_namespaces) {
            let object = session.get(kind, &session.namespace, name).await?;
            wanted.extend(references(kind, &object));
        }
        Ok(wanted)
    }

    fn matches(&self, event: &Event, wanted: &BTreeSet<Wanted>, all_namespaces: bool) -> bool {
        let involved = &event.involved_object;
        let kind = involved.kind.as_deref().unwrap_or_default();
        let name = involved.name.as_deref().unwrap_or_default();
        let is_named = match &self.name {
            None => true,
            Some(wanted) => all_namespaces && wanted == name,
        };
        if kind == self.kind && is_named {
            return true;
        }
        wanted.iter().any(|object| {
            object.kind == kind
                && object.name == name
                && involved.namespace.as_deref() == Some(object.namespace.as_str())
        })
    }
}

/// What an object refers to and whose events explain its own.
fn references(kind: &Kind, object: &Value) -> Vec<Wanted> {
    let mut found = Vec::new();
    if let Some((kind, namespace, name)) = objects::source_of(kind, object) {
        found.push(Wanted { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() });
    }
    if kind == &kinds::HELM_RELEASE && object.pointer("/spec/chart").is_some() {
        let namespace =
            found.first().map_or(objects::namespace(object), |source| &source.namespace).to_owned();
        let name = format!("{}-{}", objects::namespace(object), objects::name(object));
        found.push(Wanted { kind: kinds::HELM_CHART.kind.to_owned(), namespace, name });
    }
    let provider = objects::text(object, "/spec/providerRef/name");
    if kind == &kinds::ALERT && !provider.is_empty() {
        let namespace = objects::namespace(object).to_owned();
        found.push(Wanted { kind: kinds::PROVIDER.kind.to_owned(), namespace, name: provider.to_owned() });
    }
    found
}

fn row(event: &Event, now: Timestamp, shows_namespace: bool) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let involved = &event.involved_object;
    let mut row = Vec::new();
    if shows_namespace {
        row.push(text(&event.metadata.namespace));
    }
    row.extend([
        seen(event, now),
        text(&event.type_),
        text(&event.reason),
        format!("{}/{}", text(&involved.kind), text(&involved.name)),
        text(&event.message).trim().to_owned(),
    ]);
    row
}

/// When the event last happened.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let of_series =
        event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    of_series
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
}

/// How long ago the event happened, as kubectl tells it: `5m (x3 over 20m)`.
fn seen(event: &Event, now: Timestamp) -> String {
    let ago = |time: Option<Timestamp>| {
        time.map_or_else(|| "<unknown>".to_owned(), |time| age(now.as_second() - time.as_second()))
    };
    let first =
        event.first_timestamp.as_ref().map(|time| time.0).or(event.event_time.as_ref().map(|time| time.0));
    let last = last_seen(event);
    let count = match &event.series {
        Some(series) => series.count.unwrap_or_default(),
        None => event.count.unwrap_or_default(),
    };
    if event.series.is_some() || count > 1 {
        return format!("{} (x{count} over {})", ago(last), ago(first));
    }
    ago(last.or(first))
}

/// A duration of seconds as kubectl shortens it.
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_are_shortened_as_kubectl_does() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (130, "2m10s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_400, "3h10m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (400_000_000, "12y"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn rows_count_repetitions() {
        let event: Event = serde_json::from_value(json!({
            "metadata": {"name": "x", "namespace": "apps"},
            "involvedObject": {"kind": "Kustomization", "name": "podinfo", "namespace": "apps"},
            "type": "Warning", "reason": "BuildFailed", "message": "no such file\n", "count": 3,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:15:00Z",
        }))
        .unwrap();
        let now = "2026-01-01T00:20:00Z".parse().unwrap();
        assert_eq!(
            row(&event, now, true),
            ["apps", "5m (x3 over 20m)", "Warning", "BuildFailed", "Kustomization/podinfo", "no such file"]
        );
    }

    #[test]
    fn selectors_name_a_kind_and_perhaps_an_object() {
        assert_eq!(Selector::parse("kustomization/podinfo").unwrap().kind, "Kustomization");
        assert_eq!(Selector::parse("GitRepository").unwrap().name, None);
        for (text, error) in [
            ("Pod/x", "'Pod' is not a recognized Flux kind"),
            ("Kustomization/", "--for selector must be of format <kind>[/<name>]"),
            ("a/b/c", "--for selector must be of format <kind>[/<name>]"),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn an_objects_source_belongs_to_it() {
        let kustomization = json!({
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": "sources"}},
        });
        let expected = Wanted {
            kind: "GitRepository".to_owned(),
            namespace: "sources".to_owned(),
            name: "repo".to_owned(),
        };
        assert_eq!(references(&kinds::KUSTOMIZATION, &kustomization), [expected]);
        let release = json!({
            "metadata": {"name": "podinfo", "namespace": "apps"},
            "spec": {"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "charts", "namespace": "sources"}}}},
        });
        let names: Vec<_> =
            references(&kinds::HELM_RELEASE, &release).into_iter().map(|w| (w.namespace, w.name)).collect();
        assert_eq!(
            names,
            [("sources".to_owned(), "charts".to_owned()), ("sources".to_owned(), "apps-podinfo".to_owned())]
        );
    }
}
