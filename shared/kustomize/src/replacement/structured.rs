//! Replacements inside a text that is YAML or JSON itself.

use sluice_yaml::json::{self, Html};
use sluice_yaml::{Node, Reader, Tag};

use super::{is_plain, path, set};
use crate::file::FieldOptions;
use crate::replacement::path::{Part, Want};

/// Writes below the first text on the path; false if there is none, or it holds no such field.
pub(super) fn write(root: &mut Node, parts: &[Part], value: &Node, options: &FieldOptions) -> bool {
    for split in 1..parts.len() {
        let (outer, inner) = parts.split_at(split);
        if !outer.iter().all(|part| is_plain(part) || matches!(part, Part::Select(..))) {
            return false;
        }
        let Ok(Some(Node::Scalar(scalar))) = path::lookup(root, outer) else { continue };
        if scalar.tag != Tag::Str {
            return false;
        }
        let Some(text) = rewritten(&scalar.text, inner, value, options) else { return false };
        let mut done = false;
        let written = path::visit(root, outer, &Want::Existing, &mut |node, _| {
            if let Node::Scalar(scalar) = node
                && !done
            {
                scalar.text.clone_from(&text);
                done = true;
            }
            Ok(())
        });
        return written.is_ok() && done;
    }
    false
}

fn rewritten(text: &str, inner: &[Part], value: &Node, options: &FieldOptions) -> Option<String> {
    let mut inside = Reader::manifest().first(text).ok()??;
    if matches!(inside, Node::Scalar(_)) {
        return None;
    }
    let want = if options.create { Want::Create(value) } else { Want::Existing };
    let mut count = 0;
    path::visit(&mut inside, inner, &want, &mut |node, made| {
        count += 1;
        set(node, made, value, options)
    })
    .ok()?;
    if count == 0 {
        return None;
    }
    let value = inside.to_value().ok()?;
    if !text.trim_start().starts_with(['{', '[']) {
        return Some(sluice_yaml::to_string(&value).trim_end_matches('\n').to_owned());
    }
    let wide = text.contains('\n') && text.contains("  ");
    Some(if wide {
        json::to_string_indented(&value, Html::Escape, "  ")
    } else {
        json::to_string(&value, Html::Escape)
    })
}
