//! `get`: tables of objects and their state.

use anyhow::{Result, bail};
use futures::{StreamExt, TryStreamExt};
use kube::api::ListParams;
use kube::runtime::watcher;
use serde_json::Value;

use crate::arguments::{GetCommand, GetOptions, GetSource, GetTarget};
use crate::failure::{chain, from_api, is_not_found};
use crate::kinds::{self, Kind};
use crate::objects::{self, text};
use crate::session::Session;
use crate::table::{self, shorten_hashes, title_case};
use crate::talk;

/// Lists what was asked for.
///
/// # Errors
/// Where nothing is found, or the API server refuses. Lists of several kinds report problems and go on.
pub(crate) async fn run(session: &Session, command: &GetCommand) -> Result<()> {
    let filter = command.options.status_selector.as_deref().map(StatusFilter::parse).transpose()?;
    let mut request = Request {
        kind: &kinds::KUSTOMIZATION,
        name: None,
        show_source: false,
        options: &command.options,
        filter,
    };
    match &command.target {
        GetTarget::All => return several(session, &kinds::ALL, &mut request).await,
        GetTarget::Sources(GetSource::All) => return several(session, &kinds::SOURCES, &mut request).await,
        GetTarget::Sources(source) => {
            let (kind, name) = match source {
                GetSource::Git(options) => (&kinds::GIT_REPOSITORY, options),
                GetSource::Oci(options) => (&kinds::OCI_REPOSITORY, options),
                GetSource::Bucket(options) => (&kinds::BUCKET, options),
                GetSource::Helm(options) => (&kinds::HELM_REPOSITORY, options),
                GetSource::Chart(options) => (&kinds::HELM_CHART, options),
                GetSource::External(options) => (&kinds::EXTERNAL_ARTIFACT, options),
                GetSource::All => return several(session, &kinds::SOURCES, &mut request).await,
            };
            (request.kind, request.name) = (kind, name.name.as_deref());
        }
        GetTarget::Kustomizations(options) => {
            (request.kind, request.name) = (&kinds::KUSTOMIZATION, options.name.as_deref());
            request.show_source = options.show_source;
        }
        GetTarget::Helmreleases(options) => {
            (request.kind, request.name) = (&kinds::HELM_RELEASE, options.name.as_deref());
            request.show_source = options.show_source;
        }
        GetTarget::Receivers(options) => {
            (request.kind, request.name) = (&kinds::RECEIVER, options.name.as_deref())
        }
        GetTarget::Alerts(options) => (request.kind, request.name) = (&kinds::ALERT, options.name.as_deref()),
        GetTarget::AlertProviders(options) => {
            (request.kind, request.name) = (&kinds::PROVIDER, options.name.as_deref())
        }
    }
    if command.options.watch { watch(session, &request).await } else { one(session, &request).await }
}

/// What to list, and how.
struct Request<'a> {
    kind: &'static Kind,
    name: Option<&'a str>,
    show_source: bool,
    options: &'a GetOptions,
    filter: Option<StatusFilter>,
}

impl Request<'_> {
    fn parameters(&self) -> ListParams {
        let mut parameters = ListParams::default();
        if let Some(name) = self.name {
            parameters = parameters.fields(&format!("metadata.name={name}"));
        }
        if let Some(labels) = &self.options.label_selector {
            parameters = parameters.labels(labels);
        }
        parameters
    }

    fn namespace<'s>(&self, session: &'s Session) -> Option<&'s str> {
        (!self.options.all_namespaces).then_some(session.namespace.as_str())
    }

    fn header(&self) -> Vec<&'static str> {
        if self.options.no_header {
            return Vec::new();
        }
        let namespace = self.options.all_namespaces.then_some("namespace");
        let source = self.show_source.then_some("source");
        namespace
            .into_iter()
            .chain(["name"])
            .chain(source)
            .chain(columns(self.kind).iter().copied())
            .collect()
    }

    fn row(&self, object: &Value, with_kind: bool) -> Vec<String> {
        let mut row = Vec::new();
        if self.options.all_namespaces {
            row.push(objects::namespace(object).to_owned());
        }
        let name = objects::name(object);
        row.push(if with_kind {
            format!("{}/{name}", self.kind.kind.to_lowercase())
        } else {
            name.to_owned()
        });
        if self.show_source {
            row.push(source_cell(self.kind, object));
        }
        row.extend(columns(self.kind).iter().map(|column| cell(self.kind, object, column)));
        row
    }

    fn matches(&self, object: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(self.kind, object))
    }
}

/// The columns after the name.
fn columns(kind: &Kind) -> &'static [&'static str] {
    match kind.kind {
        "ExternalArtifact" => &["revision", "source", "ready", "message"],
        "Receiver" | "Alert" => &["suspended", "ready", "message"],
        "Provider" => &["ready", "message"],
        _ => &["revision", "suspended", "ready", "message"],
    }
}

fn cell(kind: &Kind, object: &Value, column: &str) -> String {
    // A chart's revision is a version, and a release's message is Helm's.
    let shortens = match kind.kind {
        "HelmRelease" | "Receiver" | "Alert" | "Provider" => false,
        "HelmChart" => column == "message",
        _ => true,
    };
    let text = match column {
        "revision" => objects::revision(kind, object).to_owned(),
        "source" => source_cell(kind, object),
        "suspended" => title_case(objects::suspended(object)),
        "ready" => state(kind, object).0,
        _ => state(kind, object).1,
    };
    if shortens && (column == "revision" || column == "message") { shorten_hashes(&text) } else { text }
}

fn source_cell(kind: &Kind, object: &Value) -> String {
    objects::source_of(kind, object)
        .map_or_else(String::new, |(kind, namespace, name)| format!("{kind}/{namespace}/{name}"))
}

/// Status and message of the condition Ready, or what stands for them.
fn state(kind: &Kind, object: &Value) -> (String, String) {
    if objects::is_static(kind, object) {
        let kind = if kind == &kinds::HELM_REPOSITORY { "Helm repository" } else { kind.kind };
        return ("True".to_owned(), format!("{kind} is Ready"));
    }
    match objects::ready(object) {
        Some(ready) => (text(ready, "/status").to_owned(), text(ready, "/message").to_owned()),
        None => ("False".to_owned(), "waiting to be reconciled".to_owned()),
    }
}

/// `type=status` or `type!=status`.
#[derive(Debug)]
struct StatusFilter {
    condition: String,
    status: String,
    equal: bool,
}

impl StatusFilter {
    fn parse(selector: &str) -> Result<Self> {
        let parts = match selector.split_once("!=") {
            Some(parts) => Some((parts, false)),
            None => selector.split_once('=').map(|parts| (parts, true)),
        };
        let Some(((condition, status), equal)) = parts else {
            bail!("expected status selector in type=status or type!=status format, but found: {selector}");
        };
        Ok(Self { condition: condition.trim().to_owned(), status: status.trim().to_owned(), equal })
    }

    fn matches(&self, kind: &Kind, object: &Value) -> bool {
        let is_met = if kind == &kinds::ALERT || kind == &kinds::PROVIDER {
            self.condition.eq_ignore_ascii_case("ready") && self.status.eq_ignore_ascii_case("true")
        } else {
            objects::conditions(object).iter().any(|condition| {
                text(condition, "/type").eq_ignore_ascii_case(&self.condition)
                    && text(condition, "/status").eq_ignore_ascii_case(&self.status)
            })
        };
        is_met == self.equal
    }
}

async fn one(session: &Session, request: &Request<'_>) -> Result<()> {
    let kind = request.kind.kind;
    let objects = session
        .list(request.kind, request.namespace(session), request.parameters())
        .await
        .map_err(from_api)?;
    if objects.is_empty() {
        let place = if request.options.all_namespaces {
            "any".to_owned()
        } else {
            format!("{:?}", session.namespace)
        };
        match request.name {
            Some(name) => bail!("{kind} object '{name}' not found in {place} namespace"),
            None => bail!("no {kind} objects found in {place} namespace"),
        }
    }
    let rows: Vec<_> = objects
        .iter()
        .filter(|object| request.matches(object))
        .map(|object| request.row(object, false))
        .collect();
    Ok(talk::data(&table::render(&request.header(), &rows))?)
}

async fn several(session: &Session, kinds: &[&'static Kind], request: &mut Request<'_>) -> Result<()> {
    if request.options.watch {
        bail!("expected a single resource type, but found all");
    }
    for kind in kinds {
        request.kind = kind;
        let objects = match session.list(kind, request.namespace(session), request.parameters()).await {
            Ok(objects) => objects,
            Err(error) if is_not_found(&error) => continue, // the CRD is not installed
            Err(error) => {
                talk::failure(&chain(from_api(error).as_ref()));
                continue;
            }
        };
        let rows: Vec<_> = objects
            .iter()
            .filter(|object| request.matches(object))
            .map(|object| request.row(object, true))
            .collect();
        if !rows.is_empty() {
            talk::data(&format!("{}\n", table::render(&request.header(), &rows)))?;
        }
    }
    Ok(())
}

/// Prints a row per change, until interrupted. Connections that break are made again.
async fn watch(session: &Session, request: &Request<'_>) -> Result<()> {
    let api = session.api(request.kind, request.namespace(session));
    let parameters = request.parameters();
    let config = watcher::Config {
        label_selector: parameters.label_selector,
        field_selector: parameters.field_selector,
        ..watcher::Config::default()
    };
    let mut events = watcher::watcher(api, config).boxed();
    let mut header = request.header();
    loop {
        let object = match events.try_next().await {
            Ok(Some(
                watcher::Event::Apply(object)
                | watcher::Event::InitApply(object)
                | watcher::Event::Delete(object),
            )) => object,
            Ok(Some(watcher::Event::Init | watcher::Event::InitDone)) => continue,
            Ok(None) => return Ok(()),
            Err(watcher::Error::InitialListFailed(error)) => return Err(from_api(error)),
            Err(error) => {
                talk::warning(&format!("the watch broke and is made again: {}", chain(&error)));
                tokio::time::sleep(crate::session::POLL_INTERVAL).await;
                continue;
            }
        };
        let object = serde_json::to_value(object)?;
        if request.matches(&object) {
            talk::data(&table::render(&std::mem::take(&mut header), &[request.row(&object, false)]))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(kind: &'static Kind, options: &GetOptions, show_source: bool, objects: &[Value]) -> String {
        let request = Request { kind, name: None, show_source, options, filter: None };
        let rows: Vec<_> = objects.iter().map(|object| request.row(object, false)).collect();
        table::render(&request.header(), &rows).replace('\t', "→")
    }

    fn object(spec: Value, status: Value) -> Value {
        json!({"metadata": {"name": "podinfo", "namespace": "apps"}, "spec": spec, "status": status})
    }

    const SHA1: &str = "696f056df216eea4f9401adbee0ff744d4df390f";

    #[test]
    fn tables_have_the_columns_and_cells_of_flux() {
        let fetched = json!({
            "artifact": {"revision": format!("main@sha1:{SHA1}")},
            "conditions": [{"type": "Ready", "status": "True", "message": format!("stored artifact for revision 'main@sha1:{SHA1}'")}],
        });
        let plain = GetOptions::default();
        assert_eq!(
            render(&kinds::GIT_REPOSITORY, &plain, false, &[object(json!({}), fetched.clone())]),
            "NAME   →REVISION          →SUSPENDED→READY→MESSAGE                                          →\n\
             podinfo→main@sha1:696f056d→False    →True →stored artifact for revision 'main@sha1:696f056d'→\n"
        );
        let everywhere = GetOptions { all_namespaces: true, no_header: true, ..GetOptions::default() };
        let spec = json!({"suspend": true, "sourceRef": {"kind": "GitRepository", "name": "podinfo"}});
        assert_eq!(
            render(&kinds::KUSTOMIZATION, &everywhere, true, &[object(spec, json!({}))]),
            "apps→podinfo→GitRepository/apps/podinfo→→True→False→waiting to be reconciled→\n"
        );
        assert_eq!(
            render(&kinds::HELM_REPOSITORY, &everywhere, false, &[object(json!({"type": "oci"}), json!({}))]),
            "apps→podinfo→→False→True→Helm repository is Ready→\n"
        );
        assert_eq!(
            render(&kinds::PROVIDER, &everywhere, false, &[object(json!({}), json!({}))]),
            "apps→podinfo→True→Provider is Ready→\n"
        );
        let external =
            json!({"sourceRef": {"kind": "ArtifactGenerator", "namespace": "infra", "name": "parts"}});
        assert_eq!(
            render(&kinds::EXTERNAL_ARTIFACT, &everywhere, false, &[object(external, json!({}))]),
            "apps→podinfo→→ArtifactGenerator/infra/parts→False→waiting to be reconciled→\n"
        );
        let released = json!({"history": [{"chartVersion": "6.1.0"}], "lastAttemptedRevision": "6.2.0"});
        assert!(
            render(&kinds::HELM_RELEASE, &plain, false, &[object(json!({}), released)]).contains("→6.1.0")
        );
    }

    #[test]
    fn status_selectors_select_and_exclude() {
        let ready = object(json!({}), json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        let unknown = object(json!({}), json!({}));
        for (selector, of_ready, of_unknown) in [
            ("ready=true", true, false),
            ("Ready=False", false, false),
            ("ready!=True", false, true),
            ("Stalled!=True", true, true),
        ] {
            let filter = StatusFilter::parse(selector).unwrap();
            assert_eq!(filter.matches(&kinds::GIT_REPOSITORY, &ready), of_ready, "{selector}");
            assert_eq!(filter.matches(&kinds::GIT_REPOSITORY, &unknown), of_unknown, "{selector}");
        }
        assert!(StatusFilter::parse("ready=true").unwrap().matches(&kinds::ALERT, &unknown));
        assert!(!StatusFilter::parse("ready=false").unwrap().matches(&kinds::ALERT, &unknown));
        let error = StatusFilter::parse("ready").unwrap_err().to_string();
        assert_eq!(error, "expected status selector in type=status or type!=status format, but found: ready");
    }
}
