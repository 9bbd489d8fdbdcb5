//! JSON pointers and the addresses that schemas refer to each other by.

use serde_json::Value;

/// `~` and `/` inside of one step.
pub(super) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// The steps of a pointer as text: `/a/b~1c`.
pub(super) fn join<'a>(steps: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for step in steps {
        out.push('/');
        out.push_str(&escape(step));
    }
    out
}

/// Why a pointer leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// A `~` that is neither `~0` nor `~1`.
    Malformed,
    /// There is nothing.
    Absent,
}

/// What a pointer leads to.
pub(super) fn lookup<'a>(document: &'a Value, pointer: &str) -> Result<&'a Value, Lost> {
    let mut value = document;
    for step in pointer.split('/').skip(1) {
        let step = unescape(step).ok_or(Lost::Malformed)?;
        let next = match value {
            Value::Object(map) => map.get(step.as_str()),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        value = next.ok_or(Lost::Absent)?;
    }
    Ok(value)
}

fn unescape(step: &str) -> Option<String> {
    let mut out = String::with_capacity(step.len());
    let mut chars = step.chars();
    while let Some(c) = chars.next() {
        match c {
            '~' => out.push(match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    Some(out)
}

/// The part behind `#`, with its percent signs read; nothing where they are wrong.
pub(super) fn decode_fragment(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        if *byte == b'%' {
            let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let (high, low) = (digit(index + 1)?, digit(index + 2)?);
            out.push(u8::try_from(high * 16 + low).ok()?);
            index += 3;
        } else {
            out.push(*byte);
            index += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// A pointer as the fragment of an address: what Go's `url.PathEscape` escapes, but for `/`.
pub(super) fn encode_fragment(pointer: &str) -> String {
    let mut out = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'/' | b'$' | b'&' | b'+' | b':' | b'=' | b'@' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// An address that is relative to another; nothing where either is no address.
pub(super) fn resolve(base: &str, reference: &str) -> Option<String> {
    if reference.is_empty() {
        return Some(base.to_owned());
    }
    match url::Url::parse(reference) {
        // Written as it stands: texts are compared.
        Ok(_) => Some(reference.to_owned()),
        Err(_) => Some(url::Url::parse(base).ok()?.join(reference).ok()?.to_string()),
    }
}
