//! PEM: binary data as lines of text between `-----BEGIN X-----` and `-----END X-----`.

use crate::functions::encode::{base64, from_base64};

/// A block of a PEM text.
pub(super) struct Block {
    /// What it holds: `CERTIFICATE`, `RSA PRIVATE KEY`.
    pub(super) label: String,
    pub(super) data: Vec<u8>,
}

/// The first complete block of a text, wherever it is; none if there is none.
pub(super) fn first_block(text: &[u8]) -> Option<Block> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let Some(label) = marker(line, "BEGIN") else { continue };
        // A block ends at the next marker of any kind, so that each line is looked at once or twice.
        let body: Vec<&str> = lines.clone().take_while(|line| !line.starts_with("-----")).collect();
        let end = lines.clone().nth(body.len()).and_then(|line| marker(line, "END"));
        if end != Some(label) {
            continue;
        }
        // Headers, if any, have colons and end with an empty line.
        let headers = body.iter().take_while(|line| line.contains(':')).count();
        let encoded: String = body[headers..].concat();
        if let Ok(data) = from_base64(encoded.as_bytes()) {
            return Some(Block { label: label.to_owned(), data });
        }
    }
    None
}

fn marker<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?.strip_prefix(word)?.strip_prefix(' ')?.strip_suffix("-----")
}

/// Writes a block: lines of 64 characters, with a line break at the end.
pub(super) fn write(label: &str, data: &[u8]) -> String {
    let encoded = base64(data);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_complete_block_is_read() {
        let broken = "-----BEGIN A-----\n!!\n-----END A-----\n";
        let text = format!("hello\n{broken}{}{}", write("B", &[7; 100]), write("C", b"c"));
        let block = first_block(text.as_bytes()).expect("a block");
        assert_eq!((block.label.as_str(), block.data), ("B", vec![7; 100]));
        assert!(first_block(b"-----BEGIN A-----\nYQ==\n").is_none());
        assert!(first_block(broken.as_bytes()).is_none());
    }
}
