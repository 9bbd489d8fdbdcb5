//! Counts the requests that the controllers sent to the API server, by verb and resource.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::cluster::MANAGER;

/// Clients that are part of Kubernetes, by the beginning of their `User-Agent`.
const KUBERNETES: [&str; 4] = ["kube-apiserver/", "kube-controller-manager/", "kube-scheduler/", "kwok/"];

/// How often each kind of request was sent.
pub(crate) type Counts = BTreeMap<String, usize>;

/// Counts one request, unless it came from Kubernetes itself or from this benchmark.
pub(crate) fn count(counts: &mut Counts, method: &str, uri: &str, user_agent: &str) {
    let foreign = KUBERNETES.iter().any(|name| user_agent.starts_with(name));
    if !foreign && let Some(class) = classify(method, uri) {
        *counts.entry(class).or_default() += 1;
    }
}

/// `apply deployments`, `patch kustomizations/status`, …; `None` for what this benchmark sent, and for discovery.
fn classify(method: &str, uri: &str) -> Option<String> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let has = |pair: &str| query.split('&').any(|found| found == pair);
    if has(&format!("fieldManager={MANAGER}")) {
        return None;
    }
    let mut segments = path.trim_matches('/').split('/');
    // Behind `api/v1` or `apis/group/version`.
    let skip = if segments.next()? == "apis" { 2 } else { 1 };
    let mut rest: Vec<&str> = segments.skip(skip).collect();
    if rest.len() > 2 && rest[0] == "namespaces" && rest[2] != "status" {
        rest.drain(..2);
    }
    let resource = match rest.as_slice() {
        [] => return None,
        [plural] | [plural, _] => (*plural).to_owned(),
        [plural, _, subresource, ..] => format!("{plural}/{subresource}"),
    };
    let verb = match method.to_ascii_lowercase().as_str() {
        "get" | "list" | "watch" if has("watch=true") || has("watch=1") => "watch",
        "get" | "list" if rest.len() == 1 => "list",
        "post" | "create" => "create",
        "put" => "update",
        "patch" if has("force=true") && has("dryRun=All") => "dry-run",
        "patch" if has("force=true") => "apply",
        other => return Some(format!("{other} {resource}")),
    };
    Some(format!("{verb} {resource}"))
}

/// The requests that the embedded server, a process of its own, wrote into a file: `method uri user-agent` per line.
pub(crate) struct RequestLog {
    path: PathBuf,
    read: u64,
}

impl RequestLog {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: 0 }
    }

    /// What was written since the last call.
    pub(crate) fn take(&mut self) -> anyhow::Result<Counts> {
        let context = || format!("cannot read {}", self.path.display());
        let mut file = fs::File::open(&self.path).with_context(context)?;
        file.seek(SeekFrom::Start(self.read)).with_context(context)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(context)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        let mut counts = Counts::new();
        for line in text[..whole].lines() {
            let mut fields = line.splitn(3, ' ');
            let mut field = || fields.next().unwrap_or_default();
            count(&mut counts, field(), field(), field());
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_what_they_cost() {
        for (method, uri, class) in [
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/b?force=true&fieldManager=x",
                Some("apply deployments"),
            ),
            ("PATCH", "/api/v1/namespaces/a/services/b?force=true&dryRun=All", Some("dry-run services")),
            (
                "patch",
                "/apis/g/v1/namespaces/a/kustomizations/b/status?",
                Some("patch kustomizations/status"),
            ),
            ("GET", "/api/v1/namespaces/a/pods?limit=500", Some("list pods")),
            ("watch", "/api/v1/pods?watch=true", Some("watch pods")),
            ("get", "/api/v1/namespaces/a/pods/b", Some("get pods")),
            ("POST", "/api/v1/namespaces/a/events", Some("create events")),
            ("get", "/api/v1/namespaces/a", Some("get namespaces")),
            ("GET", "/api/v1", None),
            ("PATCH", "/api/v1/namespaces/a/services/b?force=true&fieldManager=sluice-bench", None),
        ] {
            assert_eq!(classify(method, uri).as_deref(), class, "{method} {uri}");
        }
        let mut counts = Counts::new();
        count(&mut counts, "get", "/api/v1/pods", "kube-scheduler/v1.36");
        assert!(counts.is_empty());
    }

    #[test]
    fn a_log_is_read_on_from_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "GET /api/v1/pods \nGET /api/v1/po").unwrap();
        let mut log = RequestLog::new(&path);
        assert_eq!(log.take().unwrap(), Counts::from([("list pods".to_owned(), 1)]));
        fs::write(&path, "GET /api/v1/pods \nGET /api/v1/pods/x a b\n").unwrap();
        assert_eq!(log.take().unwrap(), Counts::from([("get pods".to_owned(), 1)]), "the whole of that line");
    }
}
