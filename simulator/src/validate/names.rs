//! The grammars of names, labels, keys and addresses, with the API server's messages.

use std::net::IpAddr;

pub(super) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
'[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const SEARCH: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', \
and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', \
regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Whether the text is an RFC 1123 subdomain of at most 253 bytes.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    subdomain(text).is_empty()
}

/// What is wrong with a subdomain.
pub(crate) fn subdomain(text: &str) -> Vec<String> {
    let good = text.split('.').all(|part| word(part, is_lower));
    problems(text, 253, "characters", good, SUBDOMAIN)
}

/// What is wrong with a label.
pub(crate) fn label(text: &str) -> Vec<String> {
    if text.contains('.') && text.len() <= 63 && is_dns_subdomain(text) {
        return vec!["must not contain dots".to_owned()];
    }
    problems(text, 63, "characters", word(text, is_lower), LABEL)
}

/// What is wrong with a label that begins with a letter.
pub(super) fn label_1035(text: &str) -> Vec<String> {
    let good = word(text, is_lower) && text.starts_with(|c: char| c.is_ascii_lowercase());
    problems(text, 63, "characters", good, LABEL_1035)
}

/// What is wrong with a label's value.
pub(super) fn label_value(text: &str) -> Vec<String> {
    problems(text, 63, "bytes", text.is_empty() || mixed_word(text), LABEL_VALUE)
}

/// What is wrong with a key of a label or an annotation.
pub(super) fn qualified(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                out.push("prefix part must be non-empty".to_owned());
            } else {
                out.extend(subdomain(prefix).into_iter().map(|problem| format!("prefix part {problem}")));
            }
            name
        }
        _ => {
            let rule = QUALIFIED.trim_start_matches("name part");
            return vec![format!(
                "a valid label key{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        out.push("name part must be no more than 63 bytes".to_owned());
    }
    if !mixed_word(name) {
        out.push(QUALIFIED.to_owned());
    }
    out
}

/// What is wrong with a key of a ConfigMap or Secret.
pub(crate) fn config_key(text: &str) -> Vec<String> {
    let good = !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
    let mut out = if matches!(text, "." | "..") {
        Vec::new()
    } else {
        problems(text, 253, "characters", good, CONFIG_KEY)
    };
    if text == "." || text == ".." {
        out.push(format!("must not be '{text}'"));
    } else if text.starts_with("..") {
        out.push("must not start with '..'".to_owned());
    }
    out
}

/// What is wrong with a subdomain for which `*.` may stand first.
pub(super) fn host(text: &str) -> Vec<String> {
    if !text.contains('*') {
        return subdomain(text);
    }
    let rest = text.strip_prefix("*.").unwrap_or_default();
    let good = rest.split('.').all(|part| word(part, is_lower));
    problems(text, 253, "characters", good, WILDCARD)
}

/// What is wrong with a domain that is searched, in which underscores may stand.
pub(super) fn search(text: &str) -> Vec<String> {
    let is_word = |part: &str| {
        let part = part.strip_prefix('_').unwrap_or(part);
        !part.starts_with('_') && !part.ends_with('_') && word(&part.replace('_', "-"), is_lower)
    };
    problems(text, 253, "characters", text.split('.').all(is_word), SEARCH)
}

/// What is wrong with a part of a path.
pub(super) fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        text => ["/", "%"]
            .into_iter()
            .filter(|part| text.contains(part))
            .map(|part| format!("may not contain '{part}'"))
            .collect(),
    }
}

/// What is wrong with an address.
pub(super) fn ip(text: &str) -> Vec<String> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            vec!["must not be an IPv4-mapped IPv6 address".to_owned()]
        }
        Ok(_) => Vec::new(),
        Err(_) if without_leading_zeros(text).parse::<IpAddr>().is_ok() => {
            vec!["must not have leading 0s".to_owned()]
        }
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

/// Address and length of a prefix, if it is one.
pub(super) fn prefix(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|_| length.bytes().all(|c| c.is_ascii_digit()))?;
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}

/// The bits of an address that a prefix fixes, from the left.
pub(super) fn network(address: IpAddr, length: u32) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    bits.checked_shr(width - length.min(width)).unwrap_or(0)
}

/// What is wrong with a prefix of addresses.
pub(super) fn cidr(text: &str) -> Vec<String> {
    let why = match prefix(text) {
        None => "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        Some((_, length)) if text.rsplit('/').next() != Some(&length.to_string()) => {
            "must not have leading 0s in IP or prefix length"
        }
        Some((IpAddr::V6(address), _)) if address.to_ipv4_mapped().is_some() => {
            "must not have an IPv4-mapped IPv6 address"
        }
        Some((address, length)) => {
            let width = if address.is_ipv4() { 32 } else { 128 };
            let fixed = network(address, length).checked_shl(width - length).unwrap_or(0);
            if fixed == network(address, width) {
                return Vec::new();
            }
            "must not have bits set beyond the prefix length"
        }
    };
    vec![why.to_owned()]
}

/// An IPv4 address as software reads it that does not know of octal numbers.
fn without_leading_zeros(text: &str) -> String {
    let part = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    text.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// What is wrong with the name of a port, as RFC 6335 has it.
pub(super) fn port_name(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > 15 {
        out.push("must be no more than 15 characters".to_owned());
    }
    if !text.bytes().all(|c| is_lower(c) || c == b'-') {
        out.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|c| c.is_ascii_lowercase()) {
        out.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        out.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        out.push("must not begin or end with a hyphen".to_owned());
    }
    out
}

fn problems(text: &str, max: usize, unit: &str, good: bool, message: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > max {
        out.push(format!("must be no more than {max} {unit}"));
    }
    if !good {
        out.push(message.to_owned());
    }
    out
}

fn is_lower(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn word(text: &str, end: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    end(*first) && end(*last) && bytes.iter().all(|c| end(*c) || *c == b'-')
}

fn mixed_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let end = |c: &u8| c.is_ascii_alphanumeric();
    end(first) && end(last) && bytes.iter().all(|c| end(c) || b"-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        for (check, good, bad) in [
            (
                is_dns_subdomain as fn(&str) -> bool,
                &["a", "a-b.c", "1"][..],
                &["", "A", "a_b", "-a", "a-", "a..b", "é"][..],
            ),
            (|text| label(text).is_empty(), &["a", "a-1"], &["", "a.b", "A"]),
            (|text| label_value(text).is_empty(), &["", "A_b.c-1"], &["-a", "a-", "a b"]),
            (
                |text| qualified(text).is_empty(),
                &["a", "x.io/A_b", "A"],
                &["", "/a", "a/", "a/b/c", "X.io/a", "-a"],
            ),
        ] {
            good.iter().for_each(|text| assert!(check(text), "{text:?}"));
            bad.iter().for_each(|text| assert!(!check(text), "{text:?}"));
        }
        for (text, want) in [
            ("10.0.0.1", None),
            ("2001:db8::1", None),
            ("x", Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")),
            ("010.0.0.1", Some("must not have leading 0s")),
            ("::ffff:1.2.3.4", Some("must not be an IPv4-mapped IPv6 address")),
        ] {
            assert_eq!(ip(text).first().map(String::as_str), want, "{text}");
        }
        for (text, want) in [
            ("10.0.0.0/8", None),
            ("0.0.0.0/0", None),
            ("::/0", None),
            ("10.0.0.1/32", None),
            ("10.0.0.1/8", Some("must not have bits set beyond the prefix length")),
            ("10.0.0.0/33", Some("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")),
            ("10.0.0.0/08", Some("must not have leading 0s in IP or prefix length")),
        ] {
            assert_eq!(cidr(text).first().map(String::as_str), want, "{text}");
        }
        assert_eq!(label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert!(!config_key("..a").is_empty() && config_key("a_B.c").is_empty());
    }
}
