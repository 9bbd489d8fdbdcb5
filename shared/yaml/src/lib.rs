//! YAML and JSON as Kubernetes, kustomize and Helm read and write them.
//!
//! Everything that crosses a crate boundary is a [`serde_json::Value`]. Reading goes text → events → [`Node`] → `Value`;
//! the middle step keeps what JSON loses (the written form of a scalar, its quotes), because kustomize's output
//! depends on it. Writing goes straight from `Value`, keys sorted as Go's YAML writers sort them, whatever the order
//! of the map.
//!
//! The scanner is `libyaml-safer`, a port of libyaml to safe Rust: Go's YAML packages are ports of the same C code, so
//! what is accepted, the line numbers and the error texts (`mapping values are not allowed in this context`) agree.
//!
//! Input is untrusted: depth, alias expansion and size are bounded ([`Limits`]), and no input panics.
//!
//! ```
//! let value = sluice_yaml::from_str("b: [1, two]\na: yes\n")?;
//! assert_eq!(sluice_yaml::to_string(&value), "a: true\nb:\n- 1\n- two\n");
//! # Ok::<(), sluice_yaml::Error>(())
//! ```

mod document;
mod emit;
mod entries;
mod error;
mod events;
pub mod json;
mod key;
mod key_order;
mod node;
mod notice;
mod parse;
mod resolve;
mod timestamp;

pub use document::{Document, Part, from_str, parse_documents, split_documents};
pub use emit::{Keys, Layout, Shape, Tree, to_string, to_string_with};
pub use entries::Entry;
pub use error::Error;
pub use key_order::natural_order;
pub use node::{Mapping, Node, Scalar, Style, Tag};
pub use notice::{Notice, What};
pub use parse::{Duplicates, Limits, Lines, Reader, Schema};
pub use resolve::format_float;
pub use serde_json::{Map, Number, Value};
