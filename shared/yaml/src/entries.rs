//! Reading a document whose bulk is one map, such as the index of a Helm repository, an entry at a time.

use std::collections::HashSet;

use libyaml_safer::EventData;

use crate::events::Input;
use crate::parse::Builder;
use crate::{Error, Node, Reader};

/// A part of a document that [`Reader::entries`] hands out.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'k> {
    /// A key of the document and its value.
    Top(&'k str, Node),
    /// A key of the map that is read piece by piece, and its value, which is no list.
    Inner(&'k str, Node),
    /// A key of that map whose value is a list. Its items follow.
    List(&'k str),
    /// An item of the list.
    Item(Node),
}

/// Where the next event belongs.
enum Place {
    Start,
    Top,
    Inner,
    Items,
}

impl Reader {
    /// Reads the map at the top of the first document, and calls `each` for every key of it; for the key `bulk`, for
    /// every key of its map instead, and for every item of the lists there. Never more than one of these is in memory.
    /// Aliases reach no further than one value of a key.
    ///
    /// # Errors
    /// Anything that is not YAML, a top that is no map, keys that stand twice (where the reader refuses them), and what
    /// `each` returns.
    pub fn entries<E: From<Error>>(
        &self,
        text: &str,
        bulk: &str,
        mut each: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let mut place = Place::Start;
        let mut key: Option<String> = None;
        let mut seen = [HashSet::new(), HashSet::new()];
        let mut builder: Option<Builder<'_>> = None;
        let read = Input::new(text).events(self.lines, |event| {
            let line = usize::try_from(event.start_mark.line).unwrap_or(usize::MAX - 1) + 1;
            if let EventData::StreamEnd | EventData::DocumentEnd { .. } = event.data {
                return Ok(false);
            }
            if let EventData::StreamStart { .. } | EventData::DocumentStart { .. } = event.data {
                return Ok(true);
            }
            let level = match place {
                Place::Start => {
                    place = Place::Top;
                    return match event.data {
                        EventData::MappingStart { .. } => Ok(true),
                        _ => Err(Error::new(line, "the document is not a map")),
                    };
                }
                Place::Top => 0,
                Place::Inner | Place::Items => 1,
            };
            let Some(name) = &key else {
                match event.data {
                    EventData::Scalar { value, .. } => {
                        if !seen[level].insert(value.clone()) && self.refuses_duplicates() {
                            return Err(Error::decoding(
                                line,
                                format!("mapping key \"{value}\" already defined"),
                            ));
                        }
                        key = Some(value);
                        return Ok(true);
                    }
                    EventData::MappingEnd if level == 1 => {
                        place = Place::Top;
                        return Ok(true);
                    }
                    EventData::MappingEnd => return Ok(false),
                    _ => return Err(Error::new(line, "invalid map key: a map or list cannot be a key")),
                }
            };
            if builder.is_none()
                && level == 0
                && name == bulk
                && matches!(event.data, EventData::MappingStart { .. })
            {
                (place, key) = (Place::Inner, None);
                return Ok(true);
            }
            let is_new = builder.is_none();
            let building = builder.get_or_insert_with(|| Builder::new(self));
            let entry = match (&place, &event.data) {
                (Place::Inner, EventData::SequenceStart { anchor: None, .. }) if is_new => {
                    place = Place::Items;
                    Entry::List(name)
                }
                (Place::Items, EventData::SequenceEnd) if building.is_idle() => {
                    (place, builder, key) = (Place::Inner, None, None);
                    return Ok(true);
                }
                _ => {
                    building.event(event)?;
                    match (building.take_root()?, &place) {
                        (None, _) => return Ok(true),
                        (Some(node), Place::Items) => Entry::Item(node),
                        (Some(node), Place::Inner) => Entry::Inner(name, node),
                        (Some(node), _) => Entry::Top(name, node),
                    }
                }
            };
            let is_whole = matches!(entry, Entry::Top(..) | Entry::Inner(..));
            if let Err(error) = each(entry) {
                failed = Some(error);
                return Ok(false);
            }
            if is_whole {
                (builder, key) = (None, None);
            }
            Ok(true)
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(read?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Result<Vec<String>, Error> {
        let mut out = Vec::new();
        Reader::yaml11().entries(text, "entries", |entry| {
            let value = |node: Node| node.to_value().map_err(|error| Error::new(1, error));
            out.push(match entry {
                Entry::Top(name, node) => format!("top {name} {}", value(node)?),
                Entry::Inner(name, node) => format!("inner {name} {}", value(node)?),
                Entry::List(name) => format!("list {name}"),
                Entry::Item(node) => format!("item {}", value(node)?),
            });
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }

    #[test]
    fn one_map_comes_piece_by_piece() {
        let text = "apiVersion: v1\nentries:\n  a:\n  - {x: 1, y: [2]}\n  b: &b\n  - &c {z: *d}\n";
        assert_eq!(entries(text).unwrap_err().to_string(), "yaml: unknown anchor 'd' referenced");
        let text = "apiVersion: v1\nentries:\n  a:\n  - &m {x: 1}\n  - *m\n  b: []\ngenerated: now\n";
        assert_eq!(
            entries(text).unwrap(),
            [
                r#"top apiVersion "v1""#,
                "list a",
                r#"item {"x":1}"#,
                r#"item {"x":1}"#,
                "list b",
                r#"top generated "now""#
            ]
        );
        assert_eq!(
            entries("entries: {a: [[1, [2]], {b: [3]}], c: {d: [4]}, e: &e [5], f: null}\n").unwrap(),
            [
                "list a",
                "item [1,[2]]",
                r#"item {"b":[3]}"#,
                r#"inner c {"d":[4]}"#,
                "inner e [5]",
                "inner f null"
            ]
        );
        assert_eq!(entries("entries: null\n").unwrap(), ["top entries null"]);
        assert_eq!(entries("entries:\nx: {a: b}\n").unwrap(), ["top entries null", r#"top x {"a":"b"}"#]);
        assert!(entries("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        for (text, want) in [
            ("- a\n", "the document is not a map"),
            ("a: 1\na: 2\n", "mapping key \"a\" already defined"),
            ("entries:\n  a: 1\n  a: 2\n", "mapping key \"a\" already defined"),
            ("entries:\n  [a]: 1\n", "a map or list cannot be a key"),
            ("entries: {a: [\n", "did not find"),
        ] {
            let error = entries(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
