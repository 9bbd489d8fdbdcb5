//! The functions that need more than their arguments: other templates, the cluster, the log.

use std::sync::Arc;

use serde_json::Value as Json;
use sluice_gotemplate::functions::{Settings, functions};
use sluice_gotemplate::value::Numbers;
use sluice_gotemplate::{Context, Error, Function, Functions, Type, Value};

use crate::render::{Log, LogLine, Lookup};

/// What the functions of one render reach.
pub(super) struct Host {
    pub(super) lookup: Option<Arc<dyn Lookup>>,
    pub(super) log: Option<Log>,
}

impl Host {
    fn log(cx: &Context<'_>, level: &'static str, message: String) {
        if let Some(log) = cx.host::<Self>().and_then(|host| host.log.as_ref()) {
            log(LogLine { level, message });
        }
    }
}

/// All functions that a chart may call. They hold nothing of a render: one table serves all renders of a chart.
pub(super) fn all() -> Functions {
    let mut all = Functions::builtin();
    all.extend(functions(&Settings::default()));
    all.extend([
        Function::new("include", &[Type::String, Type::Any], |cx, args| {
            cx.include(args.string(0)?, args.any(1)).map(Value::String)
        }),
        Function::new("tpl", &[Type::String, Type::Any], |cx, args| {
            cx.tpl(args.string(0)?, args.any(1)).map(Value::String)
        }),
        Function::new("required", &[Type::String, Type::Any], required),
        Function::new("fail", &[Type::String], fail),
        Function::new("lookup", &[Type::String, Type::String, Type::String, Type::String], lookup),
    ]);
    all
}

fn required(cx: &Context<'_>, args: &sluice_gotemplate::Args) -> Result<Value, Error> {
    let value = args.any(1);
    let empty = value.is_nil() || value.as_str().is_some_and(|text| text.is_empty());
    if !empty {
        return Ok(value.clone());
    }
    let message = args.string(0)?.to_str().into_owned();
    if !cx.options().lint {
        return Err(Error::Raised(message));
    }
    let what = if value.is_nil() { "missing required value" } else { "missing required values" };
    Host::log(cx, "WARN", format!("{what} message={}", logged(&message)));
    Ok("".into())
}

fn fail(cx: &Context<'_>, args: &sluice_gotemplate::Args) -> Result<Value, Error> {
    let message = args.string(0)?.to_str().into_owned();
    if !cx.options().lint {
        return Err(Error::Raised(message));
    }
    Host::log(cx, "INFO", format!("funcMap fail message={}", logged(&message)));
    Ok("".into())
}

fn lookup(cx: &Context<'_>, args: &sluice_gotemplate::Args) -> Result<Value, Error> {
    let empty = || Value::Map(sluice_gotemplate::Map::new());
    let host = cx.host::<Host>().and_then(|host| host.lookup.as_ref());
    let Some(cluster) = host.filter(|_| !cx.options().lint) else { return Ok(empty()) };
    let text = |index| args.string(index).map(|text| text.to_str().into_owned());
    let found = cluster.lookup(&text(0)?, &text(1)?, &text(2)?, &text(3)?).map_err(Error::message)?;
    // Objects of a live cluster hold int64 where YAML holds floats.
    match found {
        Json::Object(_) => Ok(Value::from_json(&found, Numbers::Keep)),
        _ => Ok(empty()),
    }
}

/// A value as it stands behind `key=` in a line of the log.
fn logged(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
    if plain { text.to_owned() } else { crate::text::quoted(text) }
}

/// `toYaml`: no newline at the end.
pub(super) fn to_yaml(value: &Json) -> String {
    let mut text = sluice_yaml::to_string_with(value, sluice_yaml::Layout::KUBERNETES);
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
