//! Names of releases that fit into labels.

use sha2::{Digest, Sha256};

/// Bytes that Helm allows.
const LONGEST: usize = 53;
/// Bytes of the name that stay in front of the hash.
const KEPT: usize = 40;
/// Hexadecimal digits of the hash.
const HASH: usize = 12;

/// A name that is too long for Helm, cut and made unique by a hash of the whole, as Flux does it; others as they are.
#[must_use]
pub fn shorten(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let hash = hex::encode(Sha256::digest(name));
    let kept = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= KEPT).last();
    let kept = name.get(..kept.unwrap_or_default()).unwrap_or_default();
    format!("{kept}-{}", hash.get(..HASH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_end_in_a_hash() {
        for (name, want) in [
            ("short", "short"),
            (
                "release-name-with-very-long-name-which-is-longer-than-53-characters",
                "release-name-with-very-long-name-which-i-788ca0d0d7b0",
            ),
            (
                "a-very-lengthy-target-namespace-with-a-nice-object-name",
                "a-very-lengthy-target-namespace-with-a-n-97af5d7f41f3",
            ),
        ] {
            assert_eq!(shorten(name), want);
        }
        let longest = "x".repeat(LONGEST);
        assert_eq!(shorten(&longest), longest);
        assert_eq!(shorten(&"é".repeat(40)).chars().count(), 20 + 1 + HASH);
    }
}
