//! `html js urlquery`: text made safe for other languages.

use crate::{
    call::{Args, Function},
    context::Context,
    error::Error,
    parse::rune::{decode, is_print},
    value::{Str, Type, Value},
};

pub(super) fn functions() -> Vec<Function> {
    const ANY: &[Type] = &[Type::Any];
    vec![
        Function::variadic("html", ANY, |cx, args| escaped(cx, args, html)),
        Function::variadic("js", ANY, |cx, args| escaped(cx, args, js)),
        Function::variadic("urlquery", ANY, |cx, args| escaped(cx, args, urlquery)),
    ]
}

/// The arguments joined as `print` does it, escaped.
fn escaped(cx: &Context<'_>, args: &Args, escape: fn(&[u8]) -> Vec<u8>) -> Result<Value, Error> {
    let shown: Vec<Value> = args
        .all()
        .iter()
        .map(|arg| if arg.is_nil() { Value::from("<no value>") } else { arg.clone() })
        .collect();
    let text = match shown.as_slice() {
        [one @ Value::Object(_)] => {
            let mut out = Vec::new();
            crate::fmt::display(&mut out, one, cx.session.output_left())?;
            Str::from(out)
        }
        all => cx.sprint(all)?,
    };
    let out = escape(&text);
    cx.charge(out.len())?;
    Ok(Value::String(Str::from(out)))
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' => out.extend(b"&#34;"),
            b'\'' => out.extend(b"&#39;"),
            b'&' => out.extend(b"&amp;"),
            b'<' => out.extend(b"&lt;"),
            b'>' => out.extend(b"&gt;"),
            0 => out.extend("\u{fffd}".as_bytes()),
            other => out.push(*other),
        }
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((c, width)) = decode(rest) {
        let (head, tail) = rest.split_at(width);
        match c {
            '\\' | '\'' | '"' => {
                out.push(b'\\');
                out.extend(head);
            }
            '<' | '>' | '&' | '=' => out.extend(format!("\\u{:04X}", u32::from(c)).as_bytes()),
            c if c < ' ' => out.extend(format!("\\u{:04X}", u32::from(c)).as_bytes()),
            // Go keeps what it can print, DEL and bytes that are not UTF-8 among it.
            c if c.is_ascii() || is_print(c) => out.extend(head),
            c => out.extend(format!("\\u{:04X}", u32::from(c)).as_bytes()),
        }
        rest = tail;
    }
    out
}

fn urlquery(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => out.extend(format!("%{other:02X}").as_bytes()),
        }
    }
    out
}
