//! Everything that is neither a scalar nor a list nor a map: structs, pointers, named numbers.

use std::{any::Any, fmt};

use super::{Map, NamedType, Str, Value};
use crate::{
    call::{Args, Signature},
    context::Context,
    error::Error,
};

/// A struct, a pointer or a named type, as templates see it: fields, methods, text, truth.
///
/// The provided methods are those of a plain struct without fields, methods or `String()`.
pub trait Object: fmt::Debug {
    /// Its type. A constant: `static TIME: NamedType = …`.
    fn go_type(&self) -> &'static NamedType;

    /// The value itself, to get the Rust type back.
    fn as_any(&self) -> &dyn Any;

    /// The parameters of the method `name`, if there is one.
    fn method(&self, _name: &str) -> Option<&'static Signature> {
        None
    }

    /// Calls the method `name` with arguments that satisfy its signature.
    ///
    /// # Errors
    /// What the method reports; the executor puts `error calling <name>: ` before it.
    fn call(&self, name: &str, _cx: &Context<'_>, _args: &Args) -> Result<Value, Error> {
        Err(Error::message(format!("{name} is not a method of {}", self.go_type().name)))
    }

    /// The field `name` of a struct (or of the struct that a pointer leads to).
    fn field(&self, _name: &str) -> Field {
        Field::None
    }

    /// All fields in the order of their declaration, for `%v`, `%+v` and `%#v`.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// The text of its `String()` or `Error()` method, if the value (not only a pointer to it) has one.
    fn text(&self) -> Option<Str> {
        None
    }

    /// The text of a `String()` that only a pointer to the value has, where the value can be pointed to: it is a field of
    /// something that is. Only the end of a pipeline sees it, `toString` and `printf` do not.
    fn pointer_text(&self) -> Option<Str> {
        None
    }

    /// The value below a named type: the int64 of a duration, the `[]string` of a version set. Verbs like `%d`,
    /// `range`, `len`, `index` and comparisons look at it.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// Whether `==` in Go finds them equal: the same pointer, or structs with equal fields. None if the type has no `==`.
    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(std::ptr::addr_eq(std::ptr::from_ref(self.as_any()), std::ptr::from_ref(other.as_any())))
    }

    /// What `toJson` and `toYaml` make of it, by its JSON tags or its `MarshalJSON`.
    ///
    /// # Errors
    /// The text of the encoder's error.
    fn to_json(&self) -> Result<serde_json::Value, String> {
        Ok(serde_json::Value::Object(serde_json::Map::new()))
    }
}

/// The answer to the question for a field.
pub enum Field {
    /// Its value.
    Value(Value),
    /// There is one, but its name begins with a lower-case letter.
    Unexported,
    /// There is none.
    None,
}

/// A method of a named map type.
#[derive(Debug)]
pub struct MapMethod {
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub signature: Signature,
    /// Its body.
    pub call: fn(&Map, &Context<'_>, &Args) -> Result<Value, Error>,
}
