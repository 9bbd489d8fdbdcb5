//! Streams of documents, and the short ways in.

use serde_json::Value;

use crate::{Error, Reader, Schema};

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content; `null` documents do not appear.
    pub value: Value,
    /// The line of the stream at which the document begins, from 1.
    pub line: usize,
}

/// The text of one document of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The document, without the separator.
    pub text: &'a str,
    /// The line at which it begins, from 1.
    pub line: usize,
}

/// Cuts a stream at its separator lines.
///
/// As kustomize and Kubernetes clients do: a line that begins with `---` ends a document wherever it stands, also
/// inside a block scalar. A leading `---` belongs to the first document.
///
/// # Errors
/// `invalid document separator: --- foo` if more than a comment follows the dashes.
pub fn split_documents(text: &str) -> Result<Vec<Part<'_>>, Error> {
    let mut parts = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix("---").filter(|_| index > 0) {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                let shown = line.trim_end_matches(['\r', '\n']);
                return Err(Error::new(index + 1, format!("invalid document separator: {shown}")));
            }
            parts.push(Part { text: &text[start..offset], line: start_line });
            start = offset + line.len();
            start_line = index + 2;
        }
        offset += line.len();
    }
    parts.push(Part { text: &text[start..], line: start_line });
    Ok(parts)
}

/// Reads every document of a stream as Kubernetes clients do; empty and `null` documents are left out.
///
/// # Errors
/// The first problem; its line counts from the start of the stream. Duplicate keys are errors.
pub fn parse_documents(text: &str) -> Result<Vec<Document>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for part in split_documents(text)? {
        let above = part.line - 1;
        let shift = |error: Error| error.below(above);
        let Some(node) = Reader::yaml11().first(part.text).map_err(shift)? else { continue };
        let value = node.into_value_by(Schema::Yaml11).map_err(|message| Error::new(part.line, message))?;
        if !value.is_null() {
            documents.push(Document { value, line: part.line });
        }
    }
    Ok(documents)
}

/// Reads the first document as Kubernetes clients do; an empty text is `null`.
///
/// # Errors
/// Anything that is not YAML, duplicate keys, numbers without a JSON form.
pub fn from_str(text: &str) -> Result<Value, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(node) = Reader::yaml11().first(text)? else { return Ok(Value::Null) };
    node.into_value_by(Schema::Yaml11).map_err(|message| Error::new(1, message))
}
