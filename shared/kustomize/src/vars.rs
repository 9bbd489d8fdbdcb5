//! The deprecated `vars` field: `$(NAME)` in some fields becomes the value of a field of another object.

use std::collections::BTreeMap;

use sluice_yaml::{Mapping, Node, Scalar, Style, Tag};

use crate::error::{BuildError, Result, Within as _};
use crate::field_spec::{Create, FieldSpec};
use crate::file::{Var, VarTarget};
use crate::id::{Gvk, ResId, is_cluster_scoped_kind, split_api_version};
use crate::objects::Objects;
use crate::replacement::path;
use crate::resource::Resource;

/// The variables of a layer and everything below it.
#[derive(Debug, Default)]
pub(crate) struct Vars(BTreeMap<String, Var>);

impl Vars {
    /// Adds the variables of a kustomization and marks the objects that they refer to.
    pub(crate) fn bind(&mut self, vars: &[Var], objects: &mut Objects) -> Result<()> {
        for var in vars {
            self.add(var)?;
            let gvk = gvk_of(&var.objref);
            let found: Vec<usize> = objects
                .named(&var.objref.name)
                .to_vec()
                .into_iter()
                .filter(|at| is_meant(&objects.as_slice()[*at], &gvk, &var.objref))
                .collect();
            match found.as_slice() {
                [] => {}
                [at] => objects.items_mut()[*at].vars.push(var.name.clone()),
                several => {
                    return Err(BuildError::invalid(format!(
                        "found {} resId matches for var {} (unable to disambiguate)",
                        several.len(),
                        shown(var)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Takes over the variables of a base.
    pub(crate) fn merge(&mut self, other: Self) -> Result<()> {
        other.0.values().try_for_each(|var| self.add(var))
    }

    fn add(&mut self, var: &Var) -> Result<()> {
        if self.0.insert(var.name.clone(), var.clone()).is_some() {
            return Err(BuildError::invalid(format!("var '{}' already encountered", var.name)));
        }
        Ok(())
    }

    /// Replaces the variables in every object.
    pub(crate) fn resolve(&self, objects: &mut Objects, specs: &[FieldSpec], limit: usize) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut values = BTreeMap::new();
        for (name, var) in &self.0 {
            let bound = objects.as_slice().iter().find(|resource| resource.vars.contains(name));
            let Some(resource) = bound else {
                return Err(BuildError::invalid(format!(
                    "var '{}' cannot be mapped to a field in the set of known resources",
                    shown(var)
                )));
            };
            if let Some(scalar) = value(resource, var)? {
                values.insert(name.as_str(), scalar);
            }
        }
        let longest = values.values().map(|scalar| scalar.text.len()).max().unwrap_or(0);
        for at in 0..objects.as_slice().len() {
            for spec in specs {
                let resource = &mut objects.items_mut()[at];
                if !spec.matches(resource) {
                    continue;
                }
                let mut used = 0;
                spec.apply(resource, Create::Nothing, &mut |node| replace(node, &values, &mut used))?;
                if longest > 0 {
                    objects.charge(longest, used, limit)?;
                }
            }
        }
        Ok(())
    }
}

/// `merging vars [{A Service.[noVer].[noGrp] {}}]`: as kustomize prints the entries before it looks at apiVersion.
pub(crate) fn listed(vars: &[Var]) -> String {
    let entries: Vec<_> = vars
        .iter()
        .map(|var| {
            let (group, version) = (var.objref.group.clone(), var.objref.version.clone());
            let gvk = Gvk { group, version, kind: var.objref.kind.clone() };
            format!("{{{} {gvk} {{{}}}}}", var.name, var.fieldref.field_path)
        })
        .collect();
    format!("merging vars [{}]", entries.join(" "))
}

fn gvk_of(target: &VarTarget) -> Gvk {
    let (group, version) = if target.api_version.is_empty() {
        (target.group.as_str(), target.version.as_str())
    } else {
        split_api_version(&target.api_version)
    };
    Gvk { group: group.to_owned(), version: version.to_owned(), kind: target.kind.clone() }
}

fn is_meant(resource: &Resource, gvk: &Gvk, target: &VarTarget) -> bool {
    let id = ResId { gvk: gvk.clone(), name: target.name.clone(), namespace: target.namespace.clone() };
    if !target.namespace.is_empty() || is_cluster_scoped_kind(resource) {
        return resource.is_or_was(&id);
    }
    let (group, version) = resource.group_version();
    group == gvk.group
        && version == gvk.version
        && resource.identities().any(|(kind, name, _)| kind == gvk.kind && name == target.name)
}

fn shown(var: &Var) -> String {
    format!("{{{} {} {{{}}}}}", var.name, gvk_of(&var.objref), field_path(var))
}

fn field_path(var: &Var) -> &str {
    if var.fieldref.field_path.is_empty() { "metadata.name" } else { &var.fieldref.field_path }
}

/// The value; nothing for maps and lists, which are not substituted.
fn value(resource: &Resource, var: &Var) -> Result<Option<Scalar>> {
    let missing = || {
        BuildError::invalid(format!(
            "field specified in var '{}' not found in corresponding resource",
            shown(var)
        ))
    };
    // `a.b[0].c` and `a[k=v]` are written without dots.
    let dotted = field_path(var).replace('[', ".[").replace("..[", ".[");
    let mut parts = path::parse(&dotted);
    for part in &mut parts {
        if let path::Part::Name(name) = part
            && let Ok(index) = name.parse()
        {
            *part = path::Part::Index(index);
        }
    }
    let root = Node::Map(resource.map.clone());
    match path::lookup(&root, &parts) {
        Ok(Some(Node::Scalar(scalar))) => Ok(Some(scalar.clone())),
        Ok(Some(_)) => Ok(None),
        Ok(None) | Err(_) => Err(missing()),
    }
}

type Values<'v> = BTreeMap<&'v str, Scalar>;

fn replace(node: &mut Node, values: &Values<'_>, used: &mut usize) -> Result<()> {
    match node {
        Node::Scalar(scalar) => replace_text(scalar, values, used),
        Node::Map(map) => replace_map(map, values, used),
        Node::Seq(items) => items.iter_mut().try_for_each(|item| match item {
            Node::Scalar(scalar) if scalar.tag == Tag::Str => replace_text(scalar, values, used),
            _ => Err(BuildError::invalid("invalid value type expect a string")),
        }),
    }
}

fn replace_map(map: &mut Mapping, values: &Values<'_>, used: &mut usize) -> Result<()> {
    for (key, node) in map.iter_mut() {
        if let Node::Scalar(scalar) = node {
            replace_text(scalar, values, used).within(|| format!("key {key}"))?;
        }
    }
    Ok(())
}

fn replace_text(scalar: &mut Scalar, values: &Values<'_>, used: &mut usize) -> Result<()> {
    if scalar.tag != Tag::Str || !scalar.text.contains('$') {
        return Ok(());
    }
    // A field that is nothing but a variable takes its type, too.
    let only = scalar
        .text
        .strip_prefix("$(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|name| values.get(name));
    if let Some(value) = only {
        *used += 1;
        *scalar = Scalar { style: Style::Plain, ..value.clone() };
        return Ok(());
    }
    scalar.text = expand(&scalar.text, values, used);
    Ok(())
}

/// Replaces `$(NAME)`; `$$` is `$`, unknown names stay.
fn expand(text: &str, values: &Values<'_>, used: &mut usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        match after.strip_prefix('(').and_then(|inside| inside.split_once(')')) {
            Some((name, tail)) => {
                match values.get(name) {
                    Some(value) => {
                        *used += 1;
                        out.push_str(&value.text);
                    }
                    None => {
                        out.push_str("$(");
                        out.push_str(name);
                        out.push(')');
                    }
                }
                rest = tail;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand_as_in_containers() {
        let values = Values::from([("A", Scalar::text("x")), ("B", Scalar::plain("5"))]);
        for (text, want) in [
            ("$(A)-$(B)", "x-5"),
            ("$$(A)", "$(A)"),
            ("$(C)$(", "$(C)$("),
            ("$A $", "$A $"),
            ("a$(A)b$$", "axb$"),
        ] {
            assert_eq!(expand(text, &values, &mut 0), want, "{text}");
        }
    }
}
