//! Functions that templates call: how they are declared, found and given their arguments.
//!
//! The executor checks count and types of the arguments against the [`Signature`], with Go's messages, before the body
//! runs; a body takes its arguments out of [`Args`] without checks of its own.

use std::{collections::HashMap, fmt, sync::Arc};

use smallvec::SmallVec;

use crate::{
    context::Context,
    error::Error,
    value::{List, Map, Str, Type, Value},
};

/// The parameters of a function or method.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// The types in order; of a variadic function the last one is that of each further argument.
    pub params: &'static [Type],
    /// Whether the last parameter may be given any number of times, also never.
    pub variadic: bool,
}

impl Signature {
    /// A fixed list of parameters.
    pub const fn fixed(params: &'static [Type]) -> Self {
        Self { params, variadic: false }
    }

    /// A list of parameters whose last may be given any number of times.
    pub const fn variadic(params: &'static [Type]) -> Self {
        Self { params, variadic: true }
    }
}

/// The body of a function.
pub type Body = dyn Fn(&Context<'_>, &Args) -> Result<Value, Error> + Send + Sync;

/// A function that templates can call.
#[derive(Clone)]
pub struct Function {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) body: Arc<Body>,
    pub(crate) special: Special,
}

/// What the executor does itself for a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// Nothing.
    None,
    /// `and`: stops at the first false argument.
    And,
    /// `or`: stops at the first true argument.
    Or,
    /// `call`: its error names the callee as it is written.
    Call,
}

impl Function {
    /// A function with exactly these parameters.
    ///
    /// ```
    /// use sluice_gotemplate::{Function, Type};
    /// let upper = Function::new("upper", &[Type::String], |_, args| {
    ///     Ok(args.string(0)?.to_str().to_uppercase().into())
    /// });
    /// # let _ = upper;
    /// ```
    pub fn new(
        name: &'static str,
        params: &'static [Type],
        body: impl Fn(&Context<'_>, &Args) -> Result<Value, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { name, signature: Signature::fixed(params), body: Arc::new(body), special: Special::None }
    }

    /// A function whose last parameter may be given any number of times.
    pub fn variadic(
        name: &'static str,
        params: &'static [Type],
        body: impl Fn(&Context<'_>, &Args) -> Result<Value, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { name, signature: Signature::variadic(params), body: Arc::new(body), special: Special::None }
    }

    /// The same function under another name.
    pub fn alias(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.signature.params)
    }
}

/// The functions that a template may name.
#[derive(Debug, Clone, Default)]
pub struct Functions(HashMap<&'static str, Function>);

impl Functions {
    /// Go's own: `and or not eq ne lt le gt ge index slice len call print printf println html js urlquery`.
    pub fn builtin() -> Self {
        let mut functions = Self::default();
        functions.extend(crate::builtin::functions());
        functions
    }

    /// Adds functions; one of a known name replaces it.
    pub fn extend(&mut self, functions: impl IntoIterator<Item = Function>) {
        self.0.extend(functions.into_iter().map(|function| (function.name, function)));
    }

    /// Takes a function away.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The function of this name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }

    /// All names, in byte order.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

/// The checked arguments of one call.
///
/// The typed getters fail only if a body asks for another type than its signature declares.
#[derive(Debug, Default)]
pub struct Args(pub(crate) SmallVec<[Value; 4]>);

impl Args {
    /// Arguments from values, to call a body by hand.
    pub fn new(values: impl IntoIterator<Item = Value>) -> Self {
        Args(values.into_iter().collect())
    }

    /// The number of arguments.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All arguments.
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// The arguments from `index` on: those of a variadic parameter.
    pub fn rest(&self, index: usize) -> &[Value] {
        self.0.get(index..).unwrap_or_default()
    }

    /// The argument of a parameter of type [`Type::Any`] or [`Type::Reflect`]; nil if there is none.
    pub fn any(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Nil)
    }

    /// The argument of a [`Type::String`] parameter.
    ///
    /// # Errors
    /// It is no string.
    pub fn string(&self, index: usize) -> Result<&Str, Error> {
        match self.any(index) {
            Value::String(text) => Ok(text),
            other => Err(mismatch(index, "string", other)),
        }
    }

    /// The argument of an integer parameter of any width.
    ///
    /// # Errors
    /// It is no integer, or a uint64 above int64.
    pub fn int(&self, index: usize) -> Result<i64, Error> {
        match self.any(index) {
            Value::Int(n) | Value::Int64(n) => Ok(*n),
            Value::Uint8(n) => Ok(i64::from(*n)),
            Value::Uint32(n) => Ok(i64::from(*n)),
            other => Err(mismatch(index, "integer", other)),
        }
    }

    /// The argument of a [`Type::Float64`] parameter.
    ///
    /// # Errors
    /// It is no float64.
    pub fn float(&self, index: usize) -> Result<f64, Error> {
        match self.any(index) {
            Value::Float(x) => Ok(*x),
            other => Err(mismatch(index, "float64", other)),
        }
    }

    /// The argument of a [`Type::Bool`] parameter.
    ///
    /// # Errors
    /// It is no bool.
    pub fn bool(&self, index: usize) -> Result<bool, Error> {
        match self.any(index) {
            Value::Bool(b) => Ok(*b),
            other => Err(mismatch(index, "bool", other)),
        }
    }

    /// The argument of a map parameter; a nil literal arrives as a nil map.
    ///
    /// # Errors
    /// It is no map.
    pub fn map(&self, index: usize) -> Result<&Map, Error> {
        match self.any(index) {
            Value::Map(map) => Ok(map),
            other => Err(mismatch(index, "map", other)),
        }
    }

    /// The argument of a slice parameter; a nil literal arrives as a nil slice.
    ///
    /// # Errors
    /// It is no slice.
    pub fn list(&self, index: usize) -> Result<&List, Error> {
        match self.any(index) {
            Value::List(list) => Ok(list),
            other => Err(mismatch(index, "list", other)),
        }
    }
}

fn mismatch(index: usize, want: &str, got: &Value) -> Error {
    Error::message(format!("argument {}: expected {want}, got {}", index + 1, got.type_name()))
}
