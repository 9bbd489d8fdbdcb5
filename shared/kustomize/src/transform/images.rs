//! The `images` field.

use regex::Regex;
use sluice_yaml::{Mapping, Node};

use crate::error::Result;
use crate::field_spec::{Create, FieldSpec, set_text, wrong_kind};
use crate::file::Image;
use crate::objects::Objects;

/// Replaces names, tags and digests of the images that match the entry.
///
/// First in all lists under `containers` and `initContainers`, at any depth of any kind, then at the given fields.
pub(crate) fn images(objects: &mut Objects, entry: &Image, specs: &[FieldSpec]) -> Result<()> {
    // The name is a regular expression; one that is invalid matches nothing.
    let pattern = format!(
        "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{{}}-]*)?$",
        entry.name
    );
    let pattern = Regex::new(&pattern).ok();
    let change = |node: &mut Node| -> Result<()> {
        let Some(text) = node.as_text() else {
            return if node.is_null() { Ok(()) } else { Err(wrong_kind("ScalarNode", node)) };
        };
        if pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)) {
            let new = replaced(text, entry);
            set_text(node, &new)?;
        }
        Ok(())
    };
    for resource in objects.items_mut() {
        if resource.kind() == "CustomResourceDefinition" {
            continue;
        }
        containers(&mut resource.map, &change)?;
        for spec in specs {
            if !spec.matches(resource) {
                continue;
            }
            if spec.ends_in_containers() {
                // Done already. kustomize does it again, which shows only in a doubled `tagSuffix`; what remains of the
                // second pass is that a null list becomes an empty one.
                spec.apply(resource, Create::Nothing, &mut |_| Ok(()))?;
            } else {
                spec.apply(resource, Create::Nothing, &mut |node| change(node))?;
            }
        }
    }
    Ok(())
}

fn containers(map: &mut Mapping, change: &dyn Fn(&mut Node) -> Result<()>) -> Result<()> {
    for (key, node) in map.iter_mut() {
        if matches!(key, "containers" | "initContainers")
            && let Node::Seq(items) = node
        {
            for item in items {
                if item.is_null() {
                    continue;
                }
                let Some(container) = item.as_map_mut() else { return Err(wrong_kind("MappingNode", item)) };
                if let Some(image) = container.get_mut("image") {
                    change(image)?;
                }
            }
        } else {
            nested(node, change)?;
        }
    }
    Ok(())
}

fn nested(node: &mut Node, change: &dyn Fn(&mut Node) -> Result<()>) -> Result<()> {
    match node {
        Node::Map(map) => containers(map, change),
        Node::Seq(items) => items.iter_mut().try_for_each(|item| nested(item, change)),
        Node::Scalar(_) => Ok(()),
    }
}

/// Name, tag and digest of an image.
fn split(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').unwrap_or(0);
    let at = image[start..].find('@').map(|i| i + start);
    let colon = image[start..].find(':').map(|i| i + start);
    match (colon, at) {
        (None, None) => (image, "", ""),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
        (Some(colon), Some(at)) if colon < at => (&image[..colon], &image[colon + 1..at], &image[at + 1..]),
        (_, Some(at)) => (&image[..at], "", &image[at + 1..]),
    }
}

fn replaced(image: &str, entry: &Image) -> String {
    let (name, tag, digest) = split(image);
    let name = if entry.new_name.is_empty() { name } else { &entry.new_name };
    let suffixed = format!("{tag}{}", entry.tag_suffix);
    let (tag, digest) = match (entry.new_tag.as_str(), entry.digest.as_str()) {
        ("", "") if !entry.tag_suffix.is_empty() => (suffixed.as_str(), ""),
        ("", "") => (tag, digest),
        (new_tag, new_digest) => (new_tag, new_digest),
    };
    let mut out = name.to_owned();
    if !tag.is_empty() {
        out.push(':');
        out.push_str(tag);
    }
    if !digest.is_empty() {
        out.push('@');
        out.push_str(digest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_split_as_in_kustomize() {
        for (image, want) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1", ("nginx", "1", "")),
            ("nginx@sha256:a", ("nginx", "", "sha256:a")),
            ("nginx:1@sha256:a", ("nginx", "1", "sha256:a")),
            ("h:5000/nginx:1", ("h:5000/nginx", "1", "")),
            ("h:5000/nginx", ("h:5000/nginx", "", "")),
        ] {
            assert_eq!(split(image), want);
        }
    }

    #[test]
    fn new_parts_replace_old_ones() {
        let entry = |new_name: &str, new_tag: &str, digest: &str, tag_suffix: &str| Image {
            name: "nginx".into(),
            new_name: new_name.into(),
            new_tag: new_tag.into(),
            digest: digest.into(),
            tag_suffix: tag_suffix.into(),
        };
        for (image, entry, want) in [
            ("nginx", entry("", "2", "", ""), "nginx:2"),
            ("nginx:1@sha256:a", entry("", "2", "", ""), "nginx:2"),
            ("nginx:", entry("", "2", "", ""), "nginx:2"),
            ("nginx:1", entry("my/img", "", "", ""), "my/img:1"),
            ("nginx@sha256:a", entry("my/img", "", "", ""), "my/img@sha256:a"),
            ("nginx:1@sha256:a", entry("", "", "sha256:zz", ""), "nginx@sha256:zz"),
            ("nginx:1", entry("", "3", "sha256:zz", ""), "nginx:3@sha256:zz"),
            ("nginx:1@sha256:a", entry("", "", "", "-x"), "nginx:1-x"),
        ] {
            assert_eq!(replaced(image, &entry), want, "{image}");
        }
    }
}
