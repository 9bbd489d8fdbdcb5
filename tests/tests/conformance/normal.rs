//! Takes out of answers what differs between two runs, and keeps what it stands for: the second uid that a check sees is
//! `<uid 2>` wherever it appears, so that two answers about one object still show that it is one.

use std::collections::BTreeMap;

use anyhow::Result;
use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// How much of `generateName` gets into a name, in bytes.
const MAX_PREFIX: usize = 58;

/// What a check has seen so far.
pub(crate) struct Normalizer {
    uid: Regex,
    number: Regex,
    fixed: Vec<(Regex, &'static str)>,
    uids: Vec<String>,
    versions: Vec<String>,
    /// Texts that the check has saved, by their names.
    pub(crate) saved: BTreeMap<String, String>,
}

impl Normalizer {
    pub(crate) fn new() -> Result<Self> {
        let fixed = [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
            (r"\b10\.\d+\.\d+\.\d+\b", "<ip>"),
            (r"127\.0\.0\.1:\d+", "<address>"),
            (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<jwt>"),
            (r"current: \d+", "current: <version>"),
            (r#"resourceVersion\\*":\\*"\d+"#, "resourceVersion <version>"),
            (r"hash=[0-9A-F]{32,}", "hash=<hash>"),
            (r"resource version: \d+ \(\d+\)", "resource version: <version> (<version>)"),
        ];
        Ok(Self {
            uid: Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")?,
            number: Regex::new(r"\d+")?,
            fixed: fixed
                .into_iter()
                .map(|(regex, with)| Ok((Regex::new(regex)?, with)))
                .collect::<Result<_>>()?,
            uids: Vec::new(),
            versions: Vec::new(),
            saved: BTreeMap::new(),
        })
    }

    /// The value with names in the place of what differs between runs.
    pub(crate) fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(map) => self.object(map),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::String(text) => self.text(text).into(),
            other => other.clone(),
        }
    }

    fn object(&mut self, map: &Map<String, Value>) -> Value {
        // Names are given in the order of the keys, whatever the order that a server writes them in.
        let sorted: BTreeMap<&String, &Value> = map.iter().collect();
        let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
        let is_list = (kind.ends_with("List") || kind == "Table") && map.contains_key("metadata");
        let is_bookmark = map.get("type").is_some_and(|kind| kind == "BOOKMARK");
        let mut out = Map::new();
        for (key, value) in sorted {
            let shown = match (key.as_str(), value) {
                ("resourceVersion", Value::String(text)) => self.version(text).into(),
                ("continue", Value::String(text)) if !text.is_empty() => "<continue>".into(),
                ("managedFields", Value::Array(entries)) => self.managed(entries),
                ("message", Value::String(text)) if text.contains("recondition") => {
                    let text = self.text(text);
                    let versions = &self.versions;
                    let named = self.number.replace_all(&text, |found: &Captures<'_>| {
                        match versions.iter().position(|known| *known == found[0]) {
                            Some(index) => format!("<version {}>", index + 1),
                            None => found[0].to_owned(),
                        }
                    });
                    named.into_owned().into()
                }
                // Where a list or a bookmark stands depends on what else happens in the cluster.
                ("metadata", Value::Object(_)) if is_list => self.without_version(value),
                ("object", Value::Object(object)) if is_bookmark => {
                    let mut object = object.clone();
                    if let Some(metadata) = object.get_mut("metadata") {
                        *metadata = self.without_version(metadata);
                    }
                    Value::Object(object)
                }
                _ => self.value(value),
            };
            out.insert(key.clone(), shown);
        }
        // A long one is cut, so that the name keeps within a label.
        let prefix = map.get("generateName").and_then(Value::as_str).unwrap_or_default();
        let prefix = prefix.get(..MAX_PREFIX).unwrap_or(prefix);
        let name = map.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(suffix) = name.strip_prefix(prefix).filter(|_| !prefix.is_empty()) {
            out.insert("name".into(), format!("{prefix}<{} characters>", suffix.len()).into());
        }
        Value::Object(out)
    }

    fn without_version(&mut self, metadata: &Value) -> Value {
        let mut metadata = metadata.clone();
        if metadata["resourceVersion"].is_string() {
            metadata["resourceVersion"] = "<version>".into();
        }
        match &metadata["continue"] {
            Value::String(text) if !text.is_empty() => metadata["continue"] = "<continue>".into(),
            _ => {}
        }
        metadata
    }

    fn version(&mut self, text: &str) -> String {
        if text.parse::<u64>().is_ok_and(|number| number > 0) {
            format!("<version {}>", number_of(&mut self.versions, text))
        } else {
            text.to_owned()
        }
    }

    /// One line per entry. The server orders entries of one second differently from those of two, so they are sorted.
    fn managed(&mut self, entries: &[Value]) -> Value {
        let mut lines: Vec<String> = entries
            .iter()
            .map(|entry| {
                let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                let subresource = match text("subresource") {
                    name if name.is_empty() => name,
                    name => format!(" of {name}"),
                };
                let fields = self.fields(&entry["fieldsV1"]);
                format!(
                    "{} by {}{subresource} in {}: {}",
                    text("operation"),
                    text("manager"),
                    text("apiVersion"),
                    fields
                )
            })
            .collect();
        lines.sort();
        lines.into()
    }

    /// A set of fields whose keys may hold uids: named first, sorted then.
    fn fields(&mut self, fields: &Value) -> Value {
        let Some(map) = fields.as_object() else { return fields.clone() };
        let named: BTreeMap<String, Value> =
            map.iter().map(|(key, inner)| (self.text(key), self.fields(inner))).collect();
        Value::Object(named.into_iter().collect())
    }

    /// Keeps a part of an answer for later steps; uids get their numbers in the order in which they are saved.
    pub(crate) fn save(&mut self, name: &str, text: String) {
        self.text(&text);
        self.saved.insert(name.to_owned(), text);
    }

    fn text(&mut self, text: &str) -> String {
        let uids = &mut self.uids;
        let mut text = self
            .uid
            .replace_all(text, |found: &Captures<'_>| format!("<uid {}>", number_of(uids, &found[0])))
            .into_owned();
        for (regex, with) in &self.fixed {
            text = regex.replace_all(&text, *with).into_owned();
        }
        for (name, saved) in &self.saved {
            // Short texts are part of others by chance; versions and uids have names already.
            if saved.len() > 6 {
                text = text.replace(saved, &format!("<{name}>"));
            }
        }
        text
    }
}

fn number_of(known: &mut Vec<String>, text: &str) -> usize {
    let index = known.iter().position(|known| known == text).unwrap_or_else(|| {
        known.push(text.to_owned());
        known.len() - 1
    });
    index + 1
}
