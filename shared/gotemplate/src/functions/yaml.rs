//! YAML to and from values, as Helm does it.

use std::borrow::Cow;

use sluice_yaml::{Layout, Limits, Lines, Reader, Schema, Shape, to_string_with};

use super::{
    dates::time_of,
    durations::Duration,
    encode::base64,
    fail,
    json::{Parsed, as_list, as_map},
};
use crate::{Args, Context, Error, Function, Stop, Type, Value, fmt::float, stack, value::Numbers};

const ANY: &[Type] = &[Type::Any];
const STRING: &[Type] = &[Type::String];
/// What stands before a complaint about the shape of a document.
const SHAPE: &str = "error unmarshaling JSON: while decoding JSON: ";

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("toYaml", ANY, |cx, args| lenient(through_json(cx, args.any(0)))),
        Function::new("mustToYaml", ANY, |cx, args| through_json(cx, args.any(0))),
        Function::new("toYamlPretty", ANY, |cx, args| {
            lenient(written(cx, args.any(0), Numbering::Go, Layout::PRETTY))
        }),
        Function::new("fromYaml", STRING, |cx, args| Ok(as_map(parsed(cx, args)?, SHAPE))),
        Function::new("fromYamlArray", STRING, |cx, args| Ok(as_list(parsed(cx, args)?, SHAPE))),
    ]
}

/// A value that has no YAML gives an empty text.
fn lenient(result: Result<Value, Error>) -> Result<Value, Error> {
    match result {
        Err(error) if error.stopped().is_none() => Ok(Value::from("")),
        other => other,
    }
}

/// The way of Kubernetes' YAML package, by way of JSON: floats without a fraction become integers, bytes base 64.
fn through_json(cx: &Context<'_>, value: &Value) -> Result<Value, Error> {
    written(cx, value, Numbering::Json, Layout::KUBERNETES)
}

fn written(cx: &Context<'_>, value: &Value, numbering: Numbering, layout: Layout) -> Result<Value, Error> {
    let limit = cx.options().max_output;
    let tree = Builder { numbering, left: limit, limit }.tree(value, 0)?;
    let mut text = to_string_with(&tree, layout);
    cx.charge(text.len())?;
    // Writers end with a line break, which is not wanted in a template.
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(Value::from(text))
}

/// How numbers and other things without a YAML form of their own are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbering {
    /// As JSON, read again.
    Json,
    /// As Go's own YAML package does with the values themselves.
    Go,
}

/// A value made ready to be written.
enum Tree {
    Plain(Cow<'static, str>),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl sluice_yaml::Tree for Tree {
    fn shape(&self) -> Shape<'_, Self> {
        match self {
            Self::Plain(text) => Shape::Plain(Cow::Borrowed(text)),
            Self::Text(text) => Shape::Text(text),
            Self::List(items) => Shape::List(items),
            Self::Map(pairs) => Shape::Map(pairs.iter().map(|(key, value)| (key.as_str(), value)).collect()),
        }
    }
}

/// Makes trees, and counts how long their text will be: what is nested deeply is mostly indentation.
struct Builder {
    numbering: Numbering,
    left: usize,
    limit: usize,
}

impl Builder {
    /// Counts a text at a level, with the indentation of its lines.
    fn charge(&mut self, text: &[u8], level: usize) -> Result<(), Error> {
        let lines = 1 + memchr::memchr_iter(b'\n', text).count();
        let bytes = text.len().saturating_add(lines.saturating_mul(2 * level));
        self.left = self.left.checked_sub(bytes).ok_or(Stop::Output(self.limit))?;
        Ok(())
    }

    fn tree(&mut self, value: &Value, level: usize) -> Result<Tree, Error> {
        if !stack::has_room() {
            return Err(Stop::Depth.into());
        }
        self.charge(value.as_str().map_or(&[], |text| text), level)?;
        let json = self.numbering == Numbering::Json;
        Ok(match value {
            Value::Absent | Value::Nil => Tree::Plain("null".into()),
            Value::Bool(yes) => Tree::Plain(if *yes { "true" } else { "false" }.into()),
            Value::Int(n) | Value::Int64(n) => Tree::Plain(n.to_string().into()),
            Value::Uint8(n) => Tree::Plain(n.to_string().into()),
            Value::Uint32(n) => Tree::Plain(n.to_string().into()),
            Value::Uint64(n) => Tree::Plain(n.to_string().into()),
            Value::Float(x) => Tree::Plain(number(*x, self.numbering)?.into()),
            Value::Complex(..) => {
                return Err(fail("error marshaling into JSON: json: unsupported type: complex128"));
            }
            Value::String(text) => match std::str::from_utf8(text) {
                Ok(text) => Tree::Text(text.to_owned()),
                Err(_) if json => Tree::Text(text.to_str().into_owned()),
                Err(_) => Tree::Plain(format!("!!binary {}", base64(text)).into()),
            },
            Value::Bytes(bytes) if json => {
                self.charge(bytes, level)?;
                Tree::Text(base64(bytes))
            }
            Value::Bytes(bytes) => {
                let number = |byte: &u8| self.tree(&Value::Uint8(*byte), level + 1);
                Tree::List(bytes.iter().map(number).collect::<Result<_, _>>()?)
            }
            // In JSON what is nil is null; Go's own package shows it empty.
            Value::List(list) if list.is_nil() && json => Tree::Plain("null".into()),
            Value::Map(map) if map.is_nil() && json => Tree::Plain("null".into()),
            Value::List(list) => {
                Tree::List(list.iter().map(|item| self.tree(item, level + 1)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let mut pairs = Vec::with_capacity(map.len());
                for (key, value) in map.entries().iter() {
                    self.charge(key, level)?;
                    pairs.push((key.to_str().into_owned(), self.tree(value, level + 1)?));
                }
                Tree::Map(pairs)
            }
            Value::Object(object) if json => {
                let json = object.to_json();
                let json = json.map_err(|why| fail(format!("error marshaling into JSON: {why}")))?;
                self.tree(&Value::from_json(&json, Numbers::Keep), level)?
            }
            Value::Object(object) => self.object(value, object.as_ref(), level)?,
        })
    }

    /// Structs by their fields, in small letters; times and durations as such.
    fn object(&mut self, value: &Value, object: &dyn crate::Object, level: usize) -> Result<Tree, Error> {
        if let Some(time) = time_of(value) {
            return Ok(Tree::Plain(time.rfc3339().into()));
        }
        if let Some(nanos) = Duration::of(value) {
            return Ok(Tree::Plain(super::gotime::duration::format(nanos).into()));
        }
        let fields = object.fields();
        if !fields.is_empty() {
            let pair =
                |(name, field): (&str, Value)| Ok((name.to_lowercase(), self.tree(&field, level + 1)?));
            return Ok(Tree::Map(fields.into_iter().map(pair).collect::<Result<_, Error>>()?));
        }
        match (object.underlying(), object.text()) {
            (Some(value), _) => self.tree(&value, level),
            (None, Some(text)) => Ok(Tree::Text(text.to_str().into_owned())),
            (None, None) => Ok(Tree::Map(Vec::new())),
        }
    }
}

fn number(x: f64, numbering: Numbering) -> Result<String, Error> {
    if x.is_finite() {
        return Ok(match numbering {
            Numbering::Json => sluice_yaml::format_float(x),
            Numbering::Go => float(x),
        });
    }
    let (json, go) = match (x.is_nan(), x > 0.0) {
        (true, _) => ("NaN", ".nan"),
        (_, true) => ("+Inf", ".inf"),
        (_, false) => ("-Inf", "-.inf"),
    };
    match numbering {
        Numbering::Json => Err(fail(format!("error marshaling into JSON: json: unsupported value: {json}"))),
        Numbering::Go => Ok(go.to_owned()),
    }
}

/// Reads the first document of a text.
fn parsed(cx: &Context<'_>, args: &Args) -> Result<Parsed, Error> {
    let text = args.string(0)?;
    cx.charge(text.len())?;
    let text = text.to_str();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let failed = |why: String| Parsed {
        value: Value::Nil,
        error: Some(format!("error converting YAML to JSON: {why}")),
    };
    // As values files are read: Go stops at 10,000 levels, which nobody comes near.
    let limits = Limits { depth: 500, ..Limits::default() };
    let reader = Reader { lines: Lines::Problem, limits, ..Reader::yaml11().last_wins() };
    let node = match reader.first(text) {
        Ok(Some(node)) => node,
        Ok(None) => return Ok(Parsed { value: Value::Nil, error: None }),
        Err(error) => return Ok(failed(error.to_string())),
    };
    Ok(match node.into_value_by(Schema::Yaml11) {
        Ok(json) => Parsed { value: Value::from_json(&json, Numbers::Float), error: None },
        Err(why) => failed(why),
    })
}
