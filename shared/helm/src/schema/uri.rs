//! Addresses as Go's `net/url` reads them: what it refuses, in its words.

/// What a check needs to know of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// Whether there is a scheme.
    pub(super) absolute: bool,
    /// The path as written.
    pub(super) path: &'a str,
}

/// Reads an address.
pub(super) fn check(text: &str) -> Result<Address<'_>, String> {
    parse(text).map_err(|error| format!("parse {text:?}: {error}")).and_then(|(address, host)| {
        // Go takes what stands in brackets for a host without looking at it.
        match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((inner, _)) if inner.contains(':') => {
                super::format::bracketed(inner.split('%').next().unwrap_or(inner)).map(|()| address)
            }
            _ => Ok(address),
        }
    })
}

fn parse(text: &str) -> Result<(Address<'_>, &str), String> {
    let (text, fragment) = text.split_once('#').map_or((text, ""), |(text, fragment)| (text, fragment));
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    escapes(fragment)?;
    let (absolute, rest) = scheme(text)?;
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    if !rest.starts_with('/') && absolute {
        return Ok((Address { absolute, path: "" }, "")); // opaque: urn:x
    }
    if !rest.starts_with('/') && rest.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err("first path segment in URL cannot contain colon".into());
    }
    let (host, path) = match rest.strip_prefix("//") {
        Some(authority) => {
            let end = authority.find('/').unwrap_or(authority.len());
            let (authority, path) = authority.split_at(end);
            let host = match authority.rsplit_once('@') {
                Some((user, host)) => {
                    userinfo(user)?;
                    host
                }
                None => authority,
            };
            self::host(host)?;
            (host, path)
        }
        None => ("", rest),
    };
    escapes(path)?;
    Ok((Address { absolute, path }, host))
}

fn scheme(text: &str) -> Result<(bool, &str), String> {
    for (index, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index == 0 => return Err("missing protocol scheme".into()),
            ':' => return Ok((true, text.get(index + 1..).unwrap_or_default())),
            _ => break,
        }
    }
    Ok((false, text))
}

fn userinfo(user: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if user.chars().all(allowed) { escapes(user) } else { Err("net/url: invalid userinfo".into()) }
}

fn host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        match host.rsplit_once(']') {
            Some((_, port)) => port,
            None => return Err("missing ']' in host".into()),
        }
    } else {
        host.rfind(':').and_then(|at| host.get(at..)).unwrap_or_default()
    };
    let valid = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    if !valid {
        return Err(format!("invalid port {port:?} after host"));
    }
    if let Some(c) = host.chars().find(|c| c.is_ascii() && (" \"\\^`{|}".contains(*c))) {
        return Err(format!("invalid character {:?} in host name", c.to_string()));
    }
    escapes(host)
}

fn escapes(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    for (index, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        if !hex(index + 1) || !hex(index + 2) {
            let end = (index + 3).min(bytes.len());
            let shown = String::from_utf8_lossy(bytes.get(index..end).unwrap_or_default()).into_owned();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}
