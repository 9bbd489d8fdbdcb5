//! Go's `text/template`, natively, with the functions that Helm charts use.
//!
//! The same text prints the same bytes, or fails with the same message at the same place, as in Go 1.26. A [`Set`] holds
//! compiled templates and is shared by threads; a [`Session`] is one render, with its limits; a [`Value`] is what a
//! template computes with, kept apart as finely as Go's types, because charts can tell `int` from `float64`.
//!
//! ```
//! use std::sync::Arc;
//! use sluice_gotemplate::{Functions, Map, Options, Session, Set, Value};
//!
//! let mut set = Set::new("gotpl", Arc::new(Functions::builtin()));
//! set.parse("greeting", b"Hello {{ .name | printf \"%q\" }}{{ template \"end\" }}{{ define \"end\" }}!{{ end }}")?;
//! let data = Map::new();
//! data.insert("name", Value::from("world"));
//! let out = set.execute(&Session::new(Options::default(), None), "greeting", &Value::Map(data))?;
//! assert_eq!(out, b"Hello \"world\"!");
//!
//! let error = set.parse("broken", b"{{ if }}").unwrap_err();
//! assert_eq!(error.to_string(), "template: broken:1: missing value for if");
//! # Ok::<(), sluice_gotemplate::Error>(())
//! ```
//!
//! # From text to text
//!
//! [`Parsed`] is a text cut into tokens and compiled: control structures to a flat list of operations, expressions to
//! an arena of nodes, names of functions and variables resolved. It is made once per chart version. The executor runs
//! the operations in a loop and appends to one buffer. [`mod@fmt`] is Go's `fmt`, [`functions`] Sprig and Helm's own.
//!
//! # What untrusted templates cannot do
//!
//! Nesting of control structures and of `template` takes no stack; parentheses, includes and nested values do, and end
//! in [`Stop::Depth`] before the stack does (see [`stack::with_large_stack`]). Output, steps, items, time and recursion
//! are bounded by [`Options`]. A map that ends up within itself is freed with its session.
//!
//! # Why not a crate
//!
//! Of those on crates.io, `gtmpl` 0.7 and its fork `gtmpl-ng` 1.0 know neither Go's numeric types nor its messages, and
//! their functions are plain `fn(&[Value])`: `include` and `tpl` cannot reach the executing templates. `gotmpl` 0.6
//! covers the syntax, but its functions get no more, its maps are immutable (no `set`, no `merge` in place), its
//! strings must be UTF-8, and one signed integer type stands for `int` and `int64`, so that `typeOf`, `printf "%T"` and
//! the checks of arguments differ from Helm's. None bounds what a template may use.

mod builtin;
pub mod call;
pub mod context;
pub mod error;
mod exec;
pub mod fmt;
pub mod functions;
mod nested;
mod parse;
mod set;
pub mod stack;
pub mod value;

pub use call::{Args, Function, Functions, Signature};
pub use context::{Context, Options, Session};
pub use error::{Error, ExecError, Location, ParseError, Reason, Stop};
pub use parse::{Parsed, Template};
pub use set::Set;
pub use value::{Field, Kind, List, Map, MapMethod, MapType, NamedType, Object, Str, Type, Value};
