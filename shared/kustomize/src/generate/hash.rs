//! The hash that a generated object's name ends with: a function of its content only.

use sha2::{Digest as _, Sha256};
use sluice_yaml::json::{self, Html};
use sluice_yaml::{Map, Node, Value};

use crate::error::{BuildError, Result};
use crate::resource::Resource;

/// The ten characters.
pub(crate) fn suffix(resource: &Resource) -> Result<String> {
    let value =
        |node: &Node| node.to_value().map_err(|why| BuildError::invalid(format!("{}: {why}", resource.id())));
    let field = |name: &str| resource.map.get(name).map(&value).transpose();
    let text = |text: &str| Value::String(text.to_owned());
    let mut hashed = Map::new();
    match (resource.group_version(), resource.kind()) {
        (("", "v1"), kind @ ("ConfigMap" | "Secret")) => {
            hashed.insert("kind".into(), text(kind));
            // Not the name: kustomize hashes an empty text here.
            hashed.insert("name".into(), text(""));
            hashed.insert("data".into(), field("data")?.unwrap_or_else(|| text("")));
            let (extra, needed) = if kind == "Secret" { ("stringData", "type") } else { ("binaryData", "") };
            if let Some(map @ Value::Object(_)) = field(extra)? {
                hashed.insert(extra.into(), map);
            }
            if !needed.is_empty() {
                hashed.insert(needed.into(), field(needed)?.unwrap_or_else(|| text("")));
            }
        }
        // kustomize hashes a dump of its parser's state for other kinds; the content is all that can be meant.
        _ => {
            for (key, node) in resource.map.iter() {
                hashed.insert(key.to_owned(), value(node)?);
            }
        }
    }
    let digest = Sha256::digest(json::to_string(&Value::Object(hashed), Html::Escape).as_bytes());
    let readable = |c: char| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        c => c,
    };
    Ok(hex::encode(digest).chars().take(10).map(readable).collect())
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    #[test]
    fn suffixes_are_kustomizes() {
        for (pairs, want) in [
            (&[][..], "6ct58987ht"),
            (&[("x", "1")], "hmg6f82fh6"),
            (&[("x", "2")], "d5gm26dhhd"),
            (&[("a", "b")], "4h2mbtbbt6"),
            (&[("x", "<&>")], "77fg4g5dd2"),
            (&[("x", "é")], "cfbtmgmtht"),
            (&[("B", "2"), ("A", "1")], "66h9cbh964"),
        ] {
            let args = ConfigMapArgs { name: "any".into(), ..ConfigMapArgs::default() };
            let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect();
            let generated = config_map(&args, pairs, None).unwrap();
            assert_eq!(suffix(&generated.resource).unwrap(), want);
        }
        let binary =
            vec![("b.bin".to_owned(), b"\xff\xfe\x00abc".to_vec()), ("c.bin".to_owned(), vec![0xff; 100])];
        let args = ConfigMapArgs { name: "any".into(), ..ConfigMapArgs::default() };
        assert_eq!(suffix(&config_map(&args, binary, None).unwrap().resource).unwrap(), "td2d9hmfh6");
        for (kind, pairs, want) in [
            ("", &[][..], "46f8b28mk5"),
            ("t1", &[("x", "1")], "6cbbgf8tk8"),
            ("foo", &[("a", "b")], "6h4tbm8hb7"),
        ] {
            let args = SecretArgs { name: "any".into(), kind: kind.into(), ..SecretArgs::default() };
            let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect();
            assert_eq!(suffix(&secret(&args, pairs, None).unwrap().resource).unwrap(), want);
        }
    }
}
