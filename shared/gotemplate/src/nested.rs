//! `include` and `tpl`: how a function executes templates of the set that is being executed.

use std::sync::Arc;

use crate::{
    context::Context,
    error::Error,
    parse::Parsed,
    set::{Overlay, Scope},
    value::{Str, Value},
};

pub(crate) fn include(cx: &Context<'_>, name: &Str, data: &Value) -> Result<Str, Error> {
    let session = cx.session;
    {
        let mut includes = session.includes.borrow_mut();
        let depth = includes.entry(name.clone()).or_insert(0);
        if *depth > cx.options().max_include_depth {
            return Err(Error::message("unable to execute template")
                .wrap(format!("rendering template has a nested reference name: {name}")));
        }
        *depth += 1;
    }
    let result = cx.scope.execute(session, &name.to_str(), &data_of(data));
    if let Some(depth) = session.includes.borrow_mut().get_mut(name.as_bytes()) {
        *depth -= 1;
    }
    result.map(Str::from)
}

pub(crate) fn tpl(cx: &Context<'_>, text: &Str, data: &Value) -> Result<Str, Error> {
    if memchr::memmem::find(text, b"{{").is_none() {
        return Ok(without_no_value(text.to_vec()).into());
    }
    let session = cx.session;
    let depth = session.tpl_depth.get();
    let name = cx.scope.name();
    if depth > cx.options().max_include_depth {
        return Err(Error::message("unable to execute template")
            .wrap(format!("rendering template has a nested reference name: {name}")));
    }
    let parsed = parse(cx, text)
        .map_err(|error| Error::from(error).wrap(format!("cannot parse template {}", shown(text))))?;
    session.tpl_depth.set(depth + 1);
    let scope = Scope { set: cx.scope.set, over: Some(Overlay { parsed: &parsed, below: cx.scope }) };
    let result = match parsed.get(name) {
        Some(template) => crate::exec::run(session, &scope, template, &data_of(data)),
        None => scope.execute(session, name, &data_of(data)),
    };
    session.tpl_depth.set(depth);
    result
        .map(|text| without_no_value(text).into())
        .map_err(|error| error.wrap(format!("error during tpl function execution for {}", shown(text))))
}

/// The text in quotes. Of a long one the middle is left out: a thousand nested calls would repeat it a thousand times.
fn shown(text: &Str) -> String {
    const MAX: usize = 8 * 1024;
    if text.len() <= MAX {
        return crate::fmt::quoted(text);
    }
    let (head, tail) = (&text[..MAX / 2], &text[text.len() - MAX / 2..]);
    crate::fmt::quoted(&[head, b" ... ", tail].concat())
}

/// Nil as the dot of a template is no value: field access on it gives nothing.
fn data_of(data: &Value) -> Value {
    if data.is_nil() { Value::Absent } else { data.clone() }
}

/// The compiled text. Charts call `tpl` with the same few texts again and again.
fn parse(cx: &Context<'_>, text: &Str) -> Result<Arc<Parsed>, crate::ParseError> {
    if let Some(parsed) = cx.session.texts.borrow().get(text.as_bytes()) {
        return Ok(parsed.clone());
    }
    let parsed = Arc::new(Parsed::parse(cx.scope.name(), text, cx.scope.set.functions())?);
    let mut texts = cx.session.texts.borrow_mut();
    if texts.len() < MAX_TEXTS && text.len() <= MAX_TEXT {
        texts.insert(text.clone(), parsed.clone());
    }
    Ok(parsed)
}

/// How many texts a session keeps compiled, and the bytes of the longest.
const MAX_TEXTS: usize = 1024;
const MAX_TEXT: usize = 64 * 1024;

/// Removes every `<no value>`, as Helm's `tpl` does.
fn without_no_value(text: Vec<u8>) -> Vec<u8> {
    const NO_VALUE: &[u8] = b"<no value>";
    let finder = memchr::memmem::Finder::new(NO_VALUE);
    let Some(mut found) = finder.find(&text) else { return text };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    loop {
        let (head, tail) = rest.split_at(found);
        out.extend(head);
        rest = tail.get(NO_VALUE.len()..).unwrap_or_default();
        match finder.find(rest) {
            Some(next) => found = next,
            None => break,
        }
    }
    out.extend(rest);
    out
}
