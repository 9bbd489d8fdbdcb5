//! Addresses in `Chart.yaml`: of people, of pages.

use url::Url;

/// Whether a text is an address of a page that a client could ask for: absolute, with a scheme.
pub(super) fn is_request_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // An authority must be one; anything else only has to be written in characters of addresses.
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host_fits =
        host.is_none_or(|host| !host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}']));
    scheme_fits && host_fits && !text.chars().any(|c| c.is_ascii_control())
}

/// Whether a text looks like the address of a page, also without a scheme: `example.com/a`.
pub(super) fn is_url(text: &str) -> bool {
    if !(4..2083).contains(&text.len())
        || text.starts_with(['.', '/', '?', '#'])
        || text.chars().any(char::is_whitespace)
    {
        return false;
    }
    let schemes = ["ftp", "tcp", "udp", "ws", "wss", "http", "https"];
    let full = match text.split_once("://") {
        Some((scheme, _)) if schemes.contains(&scheme) => text.to_owned(),
        Some(_) => return false,
        None => format!("http://{text}"),
    };
    let Some(url) = Url::parse(&full.replacen("tcp://", "http://", 1).replacen("udp://", "http://", 1)).ok()
    else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(domain)) => is_domain(domain),
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        None => false,
    }
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain == "localhost" || (domain.contains('.') && domain.trim_end_matches('.').split('.').all(label))
}

/// Whether a text is the address of a mailbox: `name@host.tld`.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let word = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let local_fits = quoted || local.split('.').all(|part| !part.is_empty() && part.chars().all(word));
    let labels: Vec<_> = domain.trim_end_matches('.').split('.').collect();
    let label = |label: &&str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || "-_~".contains(c))
            && label.starts_with(char::is_alphanumeric)
            && label.ends_with(char::is_alphanumeric)
    };
    let top_fits = labels.last().is_some_and(|top| top.chars().next().is_some_and(char::is_alphabetic));
    local_fits && labels.len() > 1 && labels.iter().all(label) && top_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for (text, email, url, request) in [
            ("a@example.com", true, true, false),
            ("a.b+c@sub.example.com", true, true, false),
            ("bad", false, false, false),
            ("a@b", false, false, false),
            ("a b@example.com", false, false, false),
            ("a@1.2", false, false, false),
            ("https://example.com/x?y#z", false, true, true),
            ("http://localhost:8080", false, true, true),
            ("example.com", false, true, false),
            ("::", false, false, false),
            ("x y", false, false, false),
            ("foo", false, false, false),
            ("/icon.png", false, false, false),
            ("data:image/png;base64,AAAA", false, false, true),
            ("oci://example.com/x", false, false, true),
            ("", false, false, false),
        ] {
            assert_eq!(is_email(text), email, "mailbox {text:?}");
            assert_eq!(is_request_url(text), request, "request {text:?}");
            if !text.contains('@') {
                assert_eq!(is_url(text), url, "page {text:?}");
            }
        }
    }
}
