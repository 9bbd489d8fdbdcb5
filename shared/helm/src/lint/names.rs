//! What names Kubernetes allows, by kind.

/// Why a name is not allowed for an object of a kind, in the words of Kubernetes.
pub(super) fn faults(kind: &str, name: &str) -> Vec<String> {
    match kind.to_lowercase().as_str() {
        "service" => label(name, is_dns1035, DNS1035),
        // Namespaces and the like: dots are told apart from other faults.
        "namespace" if name.contains('.') => vec!["must not contain dots".into()],
        "namespace" => label(name, is_dns1123, DNS1123),
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        _ => subdomain(name),
    }
}

const DNS1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const DNS1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn label(name: &str, valid: fn(&str) -> bool, text: &str) -> Vec<String> {
    checked(name, 63, valid(name), text)
}

fn subdomain(name: &str) -> Vec<String> {
    checked(name, 253, name.split('.').all(is_dns1123), SUBDOMAIN)
}

fn checked(name: &str, longest: usize, valid: bool, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if name.len() > longest {
        faults.push(format!("must be no more than {longest} characters"));
    }
    if !valid {
        faults.push(text.to_owned());
    }
    faults
}

fn is_dns1123(label: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(label.chars().next())
        && edge(label.chars().next_back())
        && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_dns1035(label: &str) -> bool {
    is_dns1123(label) && label.starts_with(|c: char| c.is_ascii_lowercase())
}

fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%'].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_rules() {
        for (kind, name, want) in [
            ("ConfigMap", "a.b-c.9", &[][..]),
            ("ConfigMap", "A_b", &[SUBDOMAIN]),
            ("ConfigMap", "", &[SUBDOMAIN]),
            ("ConfigMap", "a..b", &[SUBDOMAIN]),
            ("SERVICE", "1a", &[DNS1035]),
            ("Service", "a.b", &[DNS1035]),
            ("Namespace", "a.b", &["must not contain dots"]),
            ("Namespace", "1a", &[]),
            ("ClusterRole", "system:a", &[]),
            ("ClusterRole", "a/b%", &["may not contain '/'", "may not contain '%'"]),
            ("Role", "..", &["may not be '..'"]),
            ("Role", "", &[]),
            ("CertificateSigningRequest", "", &[]),
        ] {
            assert_eq!(faults(kind, name), want, "{kind} {name}");
        }
        assert_eq!(faults("Service", &"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(faults("Pod", &"a".repeat(254)), ["must be no more than 253 characters"]);
    }
}
