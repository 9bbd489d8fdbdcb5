//! The difference between two structs, as messages show it: a unified diff of their JSON.
//!
//! The blocks that two texts share are found as Python's difflib finds them (the longest first, then what lies before
//! and after it), because upstream's library does so too, and another choice of blocks reads otherwise.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

use super::internal;

/// Lines around a change.
const CONTEXT: usize = 3;
/// From so many lines on, lines that are frequent do not begin a block.
const MANY: usize = 200;
/// Longer texts are not compared.
const MOST: usize = 5_000;

/// A run of lines that both texts have: where it begins in each, and its length.
type Block = (usize, usize, usize);

/// The difference between two values of a struct, or nothing where they are too large to look at.
pub(super) fn difference(kind: &str, old: &Value, new: &Value) -> String {
    let (old, new) = (pretty(kind, old), pretty(kind, new));
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if a.len().max(b.len()) > MOST {
        return String::new();
    }
    unified(&a, &b)
}

/// JSON with a line for each value, in the order of Go's struct.
fn pretty(kind: &str, value: &Value) -> String {
    let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0_usize, false, false);
    let text = internal::shown(kind, value);
    let mut chars = text.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => {
                in_text = other == '"';
                out.push(other);
            }
        }
    }
    out
}

fn unified(a: &[&str], b: &[&str]) -> String {
    let mut out = String::new();
    for group in groups(&blocks(a, b), a.len(), b.len()) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let range = |from: usize, to: usize| match to - from {
            1 => (from + 1).to_string(),
            0 => format!("{from},0"),
            length => format!("{},{length}", from + 1),
        };
        let _ = writeln!(out, "@@ -{} +{} @@", range(first.0, last.1), range(first.2, last.3));
        for &(from, to, other_from, other_to, same) in &group {
            let (sign, added) = if same { (' ', &[][..]) } else { ('-', &b[other_from..other_to]) };
            let old = a[from..to].iter().map(|line| (sign, line));
            for (sign, line) in old.chain(added.iter().map(|line| ('+', line))) {
                let _ = writeln!(out, "{sign}{line}");
            }
        }
    }
    out
}

/// Parts of both texts, and whether they are the same.
type Part = (usize, usize, usize, usize, bool);

/// Changes with the lines around them; changes that lie near each other are in one group.
fn groups(blocks: &[Block], a: usize, b: usize) -> Vec<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let (mut at, mut other) = (0, 0);
    for &(from, other_from, length) in blocks.iter().chain([&(a, b, 0)]) {
        if at < from || other < other_from {
            parts.push((at, from, other, other_from, false));
        }
        if length > 0 {
            parts.push((from, from + length, other_from, other_from + length, true));
        }
        (at, other) = (from + length, other_from + length);
    }
    let (mut out, mut group) = (Vec::new(), Vec::new());
    let count = parts.len();
    for (index, (mut from, to, mut other_from, other_to, same)) in parts.into_iter().enumerate() {
        let length = to - from;
        let (is_first, is_last) = (index == 0, index + 1 == count);
        if same && !is_first && !is_last && length > 2 * CONTEXT {
            group.push((from, from + CONTEXT, other_from, other_from + CONTEXT, true));
            out.push(std::mem::take(&mut group));
            (from, other_from) = (to - CONTEXT, other_to - CONTEXT);
        } else if same && is_first && length > CONTEXT {
            (from, other_from) = (to - CONTEXT, other_to - CONTEXT);
        } else if same && is_last && length > CONTEXT {
            group.push((from, from + CONTEXT, other_from, other_from + CONTEXT, true));
            continue;
        }
        group.push((from, to, other_from, other_to, same));
    }
    if group.iter().any(|part| !part.4) {
        out.push(group);
    }
    out
}

fn blocks(a: &[&str], b: &[&str]) -> Vec<Block> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    if b.len() >= MANY {
        places.retain(|_, at| at.len() <= b.len() / 100 + 1);
    }
    let (mut out, mut todo) = (Vec::new(), vec![(0, a.len(), 0, b.len())]);
    while let Some((from, to, other_from, other_to)) = todo.pop() {
        let (at, other, length) = longest(a, b, &places, (from, to, other_from, other_to));
        if length == 0 {
            continue;
        }
        out.push((at, other, length));
        todo.push((from, at, other_from, other));
        todo.push((at + length, to, other + length, other_to));
    }
    out.sort_unstable();
    // Blocks that follow on each other are one.
    out.dedup_by(|next, block| {
        let follows = block.0 + block.2 == next.0 && block.1 + block.2 == next.1;
        if follows {
            block.2 += next.2;
        }
        follows
    });
    out
}

/// The longest run that both parts have; the first of several in the one text, then in the other.
fn longest(
    a: &[&str],
    b: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    (from, to, other_from, other_to): (usize, usize, usize, usize),
) -> Block {
    let mut best = (from, other_from, 0);
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for (at, line) in a.iter().enumerate().take(to).skip(from) {
        let mut now = HashMap::new();
        let known = places.get(line).map(Vec::as_slice).unwrap_or_default();
        for &other in known.iter().filter(|other| (other_from..other_to).contains(*other)) {
            let before = other.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or(0);
            let length = before + 1;
            now.insert(other, length);
            if length > best.2 {
                best = (at + 1 - length, other + 1 - length, length);
            }
        }
        lengths = now;
    }
    // Frequent lines begin no block, but belong to one that they lie beside.
    while best.0 > from && best.1 > other_from && a[best.0 - 1] == b[best.1 - 1] {
        best = (best.0 - 1, best.1 - 1, best.2 + 1);
    }
    while best.0 + best.2 < to && best.1 + best.2 < other_to && a[best.0 + best.2] == b[best.1 + best.2] {
        best.2 += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_read_as_upstreams() {
        let strategy = |kind: &str| json!({"type": kind});
        assert_eq!(
            difference("DeploymentStrategy", &strategy("A"), &strategy("B")),
            "@@ -1,4 +1,4 @@\n {\n- \"Type\": \"A\",\n+ \"Type\": \"B\",\n  \"RollingUpdate\": null\n }\n"
        );
    }

    #[test]
    fn changes_that_lie_apart_are_in_hunks_of_their_own() {
        let old: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let mut new = old.clone();
        new[3] = "three".to_owned();
        new.remove(25);
        let a: Vec<&str> = old.iter().map(String::as_str).collect();
        let b: Vec<&str> = new.iter().map(String::as_str).collect();
        assert_eq!(
            unified(&a, &b),
            "@@ -1,7 +1,7 @@\n 0\n 1\n 2\n-3\n+three\n 4\n 5\n 6\n@@ -23,7 +23,6 @@\n 22\n 23\n 24\n-25\n 26\n 27\n 28\n"
        );
    }
}
