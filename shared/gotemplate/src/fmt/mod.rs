//! Go's `fmt` over template values: what `{{ x }}`, `print` and `printf` write.
//!
//! The texts are Go's to the letter, those for wrong verbs (`%!d(string=x)`) and missing arguments included, because
//! charts put them into manifests without noticing.

mod number;
mod printer;
mod printf;
mod quote;
mod verbs;

pub use printf::printf;

use crate::{
    error::Error,
    value::{Str, Value},
};
use printer::Printer;

/// Appends the values as Go's `fmt.Print` does: a blank between two of which neither is a string.
///
/// # Errors
/// [`crate::Stop::Output`] if they take more than `max` bytes, [`crate::Stop::Depth`] if they are nested too deeply.
pub fn print(out: &mut Vec<u8>, values: &[Value], max: usize) -> Result<(), Error> {
    let mut printer = Printer::new(out, max);
    let mut after_string = true;
    for (i, value) in values.iter().enumerate() {
        let is_string = matches!(value, Value::String(_));
        if i > 0 && !is_string && !after_string {
            printer.out.push(b' ');
        }
        if !plain(printer.out, value) {
            printer.arg(value, 'v')?;
        }
        after_string = is_string;
    }
    printer.check()
}

/// Appends the values as Go's `fmt.Println` does: blanks between all, a newline at the end.
///
/// # Errors
/// As [`print`].
pub fn println(out: &mut Vec<u8>, values: &[Value], max: usize) -> Result<(), Error> {
    let mut printer = Printer::new(out, max);
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            printer.out.push(b' ');
        }
        printer.arg(value, 'v')?;
    }
    printer.out.push(b'\n');
    printer.check()
}

/// Appends a value as the end of a pipeline is printed: nil is `<no value>`, a pointer is followed.
///
/// # Errors
/// As [`print`].
pub(crate) fn display(out: &mut Vec<u8>, value: &Value, max: usize) -> Result<(), Error> {
    match value {
        Value::Absent | Value::Nil => out.extend(b"<no value>"),
        Value::String(text) => out.extend(text.as_bytes()),
        Value::Object(object) => match object.text().or_else(|| object.pointer_text()) {
            Some(text) => out.extend(text.as_bytes()),
            None => Printer::new(out, max).pointee(value)?,
        },
        value => return print(out, std::slice::from_ref(value), max),
    }
    Ok(())
}

/// Appends what needs no thought: texts, booleans and integers, also those that are floats. False if the value is
/// none of them.
fn plain(out: &mut Vec<u8>, value: &Value) -> bool {
    let integer = match value {
        Value::String(text) => {
            out.extend_from_slice(text);
            return true;
        }
        Value::Bool(b) => {
            out.extend_from_slice(if *b { b"true" } else { b"false" });
            return true;
        }
        Value::Int(n) | Value::Int64(n) => *n,
        // From 1e6 on there is an exponent; -0 has a sign.
        Value::Float(x) if x.abs() < 1e6 && x.trunc() == *x && (*x != 0.0 || x.is_sign_positive()) => {
            *x as i64
        }
        _ => return false,
    };
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = integer.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if integer < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
    true
}

/// A text as Go's `%q` and `strconv.Quote` write it.
pub fn quoted(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    quote::quote(&mut out, text, false);
    // What is not UTF-8 has been escaped.
    String::from_utf8(out).unwrap_or_default()
}

/// A float as `%v` writes it.
pub fn float(x: f64) -> String {
    number::float(x, b'g', None)
}

/// A value as a message quotes it (`range can't iterate over …`), cut at 1000 bytes.
pub(crate) fn brief(value: &Value) -> String {
    let mut out = Vec::new();
    if print(&mut out, std::slice::from_ref(value), 1000).is_err() {
        out.truncate(1000);
        out.extend(b"...");
    }
    Str::from(out).to_str().into_owned()
}
