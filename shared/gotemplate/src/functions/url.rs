//! URLs as Go's package `net/url` reads and writes them: laxer than the standard of browsers, and nothing is normalised.

use std::net::IpAddr;

use crate::fmt::quoted;

/// The parts of a URL. Empty parts are absent ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: Vec<u8>,
    /// What follows the scheme if it is no path: of `mailto:a@b` the address.
    pub(super) opaque: Vec<u8>,
    pub(super) user: Option<User>,
    /// With the port.
    pub(super) host: Vec<u8>,
    /// Decoded.
    pub(super) path: Vec<u8>,
    /// As written, without the `?`.
    pub(super) query: Vec<u8>,
    /// Decoded.
    pub(super) fragment: Vec<u8>,
}

/// The name and password before the host, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

/// What a text is a part of: each part has its own rules about what is written as `%41`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

impl Part {
    /// Whether a byte may stand as it is.
    fn allows(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            return true;
        }
        match self {
            Self::Host | Self::Zone => b"!$&'()*+,;=:[]<>\"".contains(&byte),
            Self::Path => b"$&+,/:;=@".contains(&byte),
            Self::User => b"$&+,;=".contains(&byte),
            Self::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
        }
    }
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// Go's text: `parse ":x": missing protocol scheme`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let (body, fragment) = cut(text, b'#');
        let failed = |text: &[u8], why: String| format!("parse {}: {why}", quoted(text));
        let mut url = Self::without_fragment(body).map_err(|why| failed(body, why))?;
        url.fragment = decode(fragment, Part::Fragment).map_err(|why| failed(text, why))?;
        Ok(url)
    }

    fn without_fragment(text: &[u8]) -> Result<Self, String> {
        if text.iter().any(|b| *b < b' ' || *b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Self::default();
        if text == b"*" {
            url.path = text.to_vec();
            return Ok(url);
        }
        let (scheme, rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (rest, query) = cut(rest, b'?');
        url.query = query.to_vec();
        if !rest.starts_with(b"/") {
            if !scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let mut path = rest;
        if (!scheme.is_empty() || !rest.starts_with(b"///"))
            && let Some(after) = rest.strip_prefix(b"//")
        {
            let end = after.iter().position(|b| *b == b'/').unwrap_or(after.len());
            let (authority, after) = after.split_at(end);
            (url.user, url.host) = split_authority(&url.scheme, authority)?;
            path = after;
        }
        url.path = decode(path, Part::Path)?;
        Ok(url)
    }

    /// The host without its port and brackets.
    pub(super) fn hostname(&self) -> &[u8] {
        let host = match self.host.iter().rposition(|b| *b == b':') {
            Some(colon) if is_port(&self.host[colon..]) => &self.host[..colon],
            _ => &self.host,
        };
        host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
    }

    /// Writes the URL.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_place(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            encode(&mut out, &self.fragment, Part::Fragment);
        }
        out
    }

    /// Writes user, host and path.
    fn write_place(&self, out: &mut Vec<u8>) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || (!self.scheme.is_empty() && !self.path.is_empty()) {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            out.extend_from_slice(&user.text());
            out.push(b'@');
        }
        encode(out, &self.host, Part::Host);
        if !self.host.is_empty() && !self.path.is_empty() && !self.path.starts_with(b"/") {
            out.push(b'/');
        }
        // Without this a colon would make a scheme of the first element.
        if out.is_empty() && cut(&self.path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        if self.path == b"*" {
            out.push(b'*');
        } else {
            encode(out, &self.path, Part::Path);
        }
    }
}

impl User {
    /// The name and password as they are written in a URL.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, &self.name, Part::User);
        if let Some(password) = &self.password {
            out.push(b':');
            encode(&mut out, password, Part::User);
        }
        out
    }
}

/// What stands before and after the first `mark`.
fn cut(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|b| *b == mark) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok((&[], text))
}

fn split_authority(scheme: &[u8], text: &[u8]) -> Result<(Option<User>, Vec<u8>), String> {
    let Some(at) = text.iter().rposition(|b| *b == b'@') else { return Ok((None, read_host(scheme, text)?)) };
    let host = read_host(scheme, &text[at + 1..])?;
    let user = &text[..at];
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
    if !user.iter().all(allowed) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(user, b':');
    let password = user.contains(&b':').then(|| decode(password, Part::User)).transpose();
    Ok((Some(User { name: decode(name, Part::User)?, password: password? }), host))
}

fn read_host(scheme: &[u8], text: &[u8]) -> Result<Vec<u8>, String> {
    let wrong_port = |port: &[u8]| Err(format!("invalid port {} after host", quoted(port)));
    match text.iter().rposition(|b| *b == b'[') {
        Some(0) => {}
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {
            let http = scheme == b"http" || scheme == b"https";
            let colon = |b: &u8| *b == b':';
            let at = if http { text.iter().position(colon) } else { text.iter().rposition(colon) };
            if let Some(at) = at.filter(|at| !is_port(&text[*at..])) {
                return wrong_port(&text[at..]);
            }
            return decode(text, Part::Host);
        }
    }
    let Some(end) = text.iter().rposition(|b| *b == b']') else {
        return Err("missing ']' in host".to_owned());
    };
    let (name, port) = (&text[1..end], &text[end + 1..]);
    if !is_port(port) {
        return wrong_port(port);
    }
    let zone_at = name.windows(3).position(|w| w == b"%25").unwrap_or(name.len());
    let address = decode(&name[..zone_at], Part::Host)?;
    let zone = decode(&name[zone_at..], Part::Zone)?;
    match std::str::from_utf8(&address).ok().and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(IpAddr::V6(_)) => {}
        Some(IpAddr::V4(_)) => return Err("invalid IP-literal".to_owned()),
        None => return Err(format!("invalid host: ParseAddr({}): unable to parse IP", quoted(&address))),
    }
    Ok([b"[", &*address, &*zone, b"]", port].concat())
}

fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn encode(out: &mut Vec<u8>, text: &[u8], part: Part) {
    for byte in text {
        if part.allows(*byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// Resolves `%41`.
fn decode(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            let is_host = matches!(part, Part::Host | Part::Zone);
            if is_host && byte.is_ascii() && !part.allows(*byte) {
                return Err(format!("invalid character {} in host name", quoted(&[*byte])));
            }
            out.push(*byte);
            rest = after;
            continue;
        }
        let form = &rest[..rest.len().min(3)];
        let wrong = || format!("invalid URL escape {}", quoted(form));
        let digit = |at: usize| form.get(at).and_then(|b| char::from(*b).to_digit(16));
        let Some((high, low)) = digit(1).zip(digit(2)) else { return Err(wrong()) };
        let value = u8::try_from(high * 16 + low).unwrap_or(0);
        // Hosts escape only what is not ASCII, zones only what could also stand as it is.
        let refused = match part {
            Part::Host => high < 8 && form != b"%25",
            Part::Zone => form != b"%25" && value != b' ' && !Part::Host.allows(value),
            _ => false,
        };
        if refused {
            return Err(wrong());
        }
        out.push(value);
        rest = &rest[3..];
    }
    Ok(out)
}
