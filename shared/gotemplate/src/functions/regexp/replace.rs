//! Replacement, and the texts that stand for groups in it: `$1`, `${name}`, `$$`.

use regex::bytes::Captures;

use super::{Regexp, char_width};

/// A replacement text, cut into its parts.
enum Part<'t> {
    Text(&'t [u8]),
    Group(usize),
    Named(&'t str),
}

impl Regexp {
    /// Replaces all matches; `budget` is the number of bytes that the result may have. None if it would have more.
    #[must_use]
    pub fn replace_all(&self, text: &[u8], replacement: &[u8], budget: usize) -> Option<Vec<u8>> {
        let parts = parts(replacement);
        self.replace_with(text, budget, |captures, out| {
            for part in &parts {
                let piece = match part {
                    Part::Text(piece) => Some(*piece),
                    Part::Group(index) => captures.get(*index).map(|m| m.as_bytes()),
                    Part::Named(name) => self.group(captures, name),
                };
                out.extend_from_slice(piece.unwrap_or_default());
            }
        })
    }

    /// Replaces all matches by a text as it is; `budget` as for [`Regexp::replace_all`].
    #[must_use]
    pub fn replace_all_literal(&self, text: &[u8], replacement: &[u8], budget: usize) -> Option<Vec<u8>> {
        self.replace_with(text, budget, |_, out| out.extend_from_slice(replacement))
    }

    /// What the first group of a name that took part has matched.
    fn group<'t>(&self, captures: &Captures<'t>, name: &str) -> Option<&'t [u8]> {
        let named = self.names.iter().enumerate().filter(|(_, own)| *own == name);
        named.filter_map(|(index, _)| captures.get(index)).map(|m| m.as_bytes()).next()
    }

    fn replace_with(
        &self,
        text: &[u8],
        budget: usize,
        mut write: impl FnMut(&Captures<'_>, &mut Vec<u8>),
    ) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (mut copied, mut at) = (0, 0);
        while at <= text.len() {
            let Some(captures) = self.regex.captures_at(text, at) else { break };
            let Some((start, end)) = captures.get(0).map(|m| (m.start(), m.end())) else { break };
            out.extend_from_slice(&text[copied..start]);
            // An empty match right after another one is not replaced.
            if end > copied || start == 0 {
                write(&captures, &mut out);
            }
            copied = end;
            at = end.max(at + char_width(&text[at..]).max(1));
            if out.len() > budget {
                return None;
            }
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        (out.len() <= budget).then_some(out)
    }
}

fn parts(mut text: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some(at) = text.iter().position(|b| *b == b'$') {
        let (before, rest) = text.split_at(at);
        parts.push(Part::Text(before));
        let (part, rest) = match rest {
            [b'$', b'$', after @ ..] => (Part::Text(b"$"), after),
            _ => reference(&rest[1..]).unwrap_or((Part::Text(b"$"), &rest[1..])),
        };
        parts.push(part);
        text = rest;
    }
    parts.push(Part::Text(text));
    parts
}

/// What stands after a `$`: the longest name, or a name in braces.
fn reference(text: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let braced = text.strip_prefix(b"{");
    let body = braced.unwrap_or(text);
    // Bytes that are no text end a name.
    let valid = match std::str::from_utf8(body) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(),
    };
    let end = valid.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(valid.len());
    let name = &valid[..end];
    if name.is_empty() {
        return None;
    }
    let rest = &body[end..];
    let rest = if braced.is_some() { rest.strip_prefix(b"}")? } else { rest };
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    match name.parse().ok().filter(|_| is_number) {
        Some(index) => Some((Part::Group(index), rest)),
        None => Some((Part::Named(name), rest)),
    }
}
