//! Name references: when an object is renamed or moved, the fields that name it follow.

use std::collections::HashMap;

use sluice_yaml::Node;

use crate::config::Config;
use crate::error::{BuildError, Result};
use crate::field_spec::{Create, FieldSpec};
use crate::id::{Gvk, is_cluster_scoped_kind};
use crate::objects::Objects;
use crate::resource::Resource;

/// What a referrer needs to know about another object: taken before anything is changed.
struct Candidate {
    group: String,
    version: String,
    name: String,
    namespace: String,
    effective_namespace: String,
    original_namespace: String,
    cluster_scoped: bool,
    service_account: bool,
    /// Kinds and names from before.
    previous: Vec<(String, String)>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    shown: String,
}

/// The object that holds the reference.
struct Referrer {
    shown: String,
    cluster_scoped: bool,
    effective_namespace: String,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    /// Namespaces of the service accounts that a role binding names.
    subject_namespaces: Vec<String>,
    /// Group and kind that a role binding refers to.
    role_ref: (String, String),
}

/// Fixes every reference, once, over the whole result.
pub(crate) fn fix(objects: &mut Objects, config: &Config) -> Result<()> {
    let candidates: Vec<Candidate> = objects.as_slice().iter().map(candidate).collect();
    // Objects that never had another name cannot be what a reference must be changed to.
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        for (_, name) in &candidate.previous {
            let places = by_name.entry(name).or_default();
            if places.last() != Some(&at) {
                places.push(at);
            }
        }
    }
    if by_name.is_empty() {
        return Ok(());
    }
    for resource in objects.items_mut() {
        let referrer = referrer(resource)?;
        for reference in &config.name_reference {
            for spec in &reference.fields {
                if spec.matches_original(resource) {
                    let finder = Finder {
                        candidates: &candidates,
                        by_name: &by_name,
                        referrer: &referrer,
                        spec,
                        target: &reference.target,
                    };
                    spec.apply(resource, Create::Nothing, &mut |node| finder.update(node)).map_err(
                        |error| {
                            error.within(format_args!(
                                "updating name reference in '{}' field of '{}'",
                                spec.path, referrer.shown
                            ))
                        },
                    )?;
                }
            }
        }
    }
    Ok(())
}

fn candidate(resource: &Resource) -> Candidate {
    let (group, version) = resource.group_version();
    Candidate {
        group: group.to_owned(),
        version: version.to_owned(),
        name: resource.name().to_owned(),
        namespace: resource.namespace().to_owned(),
        effective_namespace: resource.effective_namespace().to_owned(),
        original_namespace: resource.original_namespace().to_owned(),
        cluster_scoped: is_cluster_scoped_kind(resource),
        service_account: resource.kind() == "ServiceAccount",
        previous: resource.history.iter().map(|old| (old.kind.clone(), old.name.clone())).collect(),
        prefixes: resource.prefixes.clone(),
        suffixes: resource.suffixes.clone(),
        shown: resource.id().to_string(),
    }
}

fn referrer(resource: &Resource) -> Result<Referrer> {
    let mut subject_namespaces = Vec::new();
    if resource.kind() == "RoleBinding" {
        for subject in resource.map.get("subjects").and_then(Node::as_seq).unwrap_or_default() {
            if subject.get("kind").and_then(Node::as_text) != Some("ServiceAccount") {
                continue;
            }
            match subject.get("namespace") {
                Some(namespace) if namespace.is_null() => {
                    let id = resource.id();
                    return Err(BuildError::invalid(format!(
                        "Invalid Input: namespace is blank for resource \"{id}\"\n"
                    )));
                }
                Some(namespace) => subject_namespaces.push(namespace.as_text().unwrap_or("").to_owned()),
                None => {}
            }
        }
    }
    let role_ref = |field: &str| {
        let text = resource.map.get("roleRef").and_then(|role| role.get(field)).and_then(Node::as_text);
        text.unwrap_or("").to_owned()
    };
    Ok(Referrer {
        shown: resource.id().to_string(),
        cluster_scoped: is_cluster_scoped_kind(resource),
        effective_namespace: resource.effective_namespace().to_owned(),
        prefixes: resource.prefixes.clone(),
        suffixes: resource.suffixes.clone(),
        subject_namespaces,
        role_ref: (role_ref("apiGroup"), role_ref("kind")),
    })
}

struct Finder<'a> {
    candidates: &'a [Candidate],
    by_name: &'a HashMap<&'a str, Vec<usize>>,
    referrer: &'a Referrer,
    spec: &'a FieldSpec,
    target: &'a Gvk,
}

impl Finder<'_> {
    fn update(&self, node: &mut Node) -> Result<()> {
        match node {
            node if node.is_null() => Ok(()),
            Node::Seq(items) => items.iter_mut().try_for_each(|item| self.update(item)),
            Node::Scalar(scalar) => {
                if let Some(target) = self.select(&scalar.text, None)? {
                    scalar.text.clone_from(&target.name);
                    scalar.tag = sluice_yaml::Tag::Str;
                }
                Ok(())
            }
            Node::Map(map) => {
                let Some(name) = map.get("name").and_then(Node::as_text) else {
                    return Err(BuildError::invalid("path config error; no 'name' field in node"));
                };
                // kustomize also renames users and groups that are called like a service account.
                let other_subject = self.spec.is_path("subjects")
                    && map.get("kind").and_then(Node::as_text).is_some_and(|kind| kind != "ServiceAccount");
                if other_subject {
                    return Ok(());
                }
                let namespace = map.get("namespace").map(|node| node.as_text().unwrap_or("").to_owned());
                if let Some(target) = self.select(name, namespace.as_deref())? {
                    map.insert("name", Node::text(&target.name));
                    if !target.namespace.is_empty() {
                        map.insert("namespace", Node::text(&target.namespace));
                    }
                }
                Ok(())
            }
        }
    }

    /// The one object that the name means; none if nothing is to be changed. `namespace` is the one beside the name.
    fn select(&self, name: &str, namespace: Option<&str>) -> Result<Option<&Candidate>> {
        let Some(places) = self.by_name.get(name) else { return Ok(None) };
        let reachable = places.iter().map(|at| &self.candidates[*at]).filter(|c| self.reaches(c));
        let mut found: Vec<&Candidate> = reachable.collect();
        if let Some(namespace) = namespace {
            let grouped = |of: fn(&Candidate) -> &str| {
                self.candidates.iter().any(|c| self.reaches(c) && of(c) == namespace)
            };
            if grouped(|c| &c.original_namespace) {
                found.retain(|c| c.original_namespace == namespace);
            } else {
                found.retain(|c| c.effective_namespace == namespace);
            }
        }
        found.retain(|c| c.previous.iter().any(|(kind, _)| self.target.selects(&c.group, &c.version, kind)));
        if self.spec.is_path("roleRef/name") {
            let (group, kind) = &self.referrer.role_ref;
            let wanted = Gvk { group: group.clone(), version: String::new(), kind: kind.clone() };
            found.retain(|c| c.previous.iter().any(|(kind, _)| wanted.selects(&c.group, &c.version, kind)));
        }
        if !self.referrer.cluster_scoped {
            found.retain(|c| {
                c.cluster_scoped
                    || c.service_account
                    || c.effective_namespace == self.referrer.effective_namespace
            });
        }
        if found.len() > 1 {
            let either_empty = |a: &[String], b: &[String]| a.is_empty() || b.is_empty() || same_ending(a, b);
            found.retain(|c| {
                either_empty(&c.prefixes, &self.referrer.prefixes)
                    && either_empty(&c.suffixes, &self.referrer.suffixes)
            });
        }
        if found.len() > 1 {
            found.retain(|c| {
                same_ending(&c.prefixes, &self.referrer.prefixes)
                    && same_ending(&c.suffixes, &self.referrer.suffixes)
            });
        }
        let Some(first) = found.first() else { return Ok(None) };
        let same =
            |c: &Candidate| c.name == first.name && (namespace.is_none() || c.namespace == first.namespace);
        if found.iter().all(|c| same(c)) {
            return Ok(Some(first));
        }
        let ids: Vec<_> = found.iter().map(|c| c.shown.as_str()).collect();
        Err(BuildError::invalid(format!("found multiple possible referrals: {}", ids.join(", "))))
    }

    /// Whether the referrer can name the object at all.
    fn reaches(&self, candidate: &Candidate) -> bool {
        self.referrer.cluster_scoped
            || candidate.cluster_scoped
            || candidate.effective_namespace == self.referrer.effective_namespace
            || self.referrer.subject_namespaces.contains(&candidate.namespace)
    }
}

/// Whether the shorter list is the end of the longer one; an empty list only of an empty one.
fn same_ending(a: &[String], b: &[String]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return long.is_empty();
    }
    long.ends_with(short)
}
