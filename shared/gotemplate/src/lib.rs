//! Go's `text/template`, natively, with the functions that Helm charts use.

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
