//! Errors of templates in Helm 4's form, and what may be wrong.
//!
//! Helm takes Go's one-line chain apart again, by its text, and prints it frame by frame; where a link of the chain is
//! not in the engine's own form it gives up and prints the line. The same is done here, text for text, because scripts
//! match on it. A long chain, which is a recursion, is cut in its middle.

use sluice_gotemplate::{Error, ParseError, Reason};

/// Helm's message, and a hint of ours.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Bytes of a message that are kept at either end.
const KEPT: usize = 4096;

/// A file that is no template.
pub(crate) fn parse_failure(file: &str, error: &ParseError) -> Failure {
    let text = error.to_string();
    let message = match (text.split(": ").nth(1), text.rsplit(": ").next()) {
        (Some(location), Some(last)) => format!("parse error at ({location}): {last}"),
        _ => format!("parse error in ({file}): {text}"),
    };
    let source = error.source.trim();
    let hint = (!source.is_empty()).then(|| format!("{file}:{}: {source}", error.line));
    Failure { message, hint }
}

/// A template that failed.
pub(crate) fn failure(error: &Error) -> Failure {
    Failure { message: cut(&message(error)), hint: hint(error) }
}

fn message(error: &Error) -> String {
    let Error::Exec(outer) = error else { return error.to_string() };
    if let Some(raised) = error.raised() {
        return format!("execution error at ({}): {raised}", outer.at);
    }
    pretty(error).unwrap_or_else(|| error.to_string())
}

/// The chain frame by frame; `None` if a link has another form.
fn pretty(error: &Error) -> Option<String> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut link = Some(error);
    while let Some(error) = link {
        let frame = Frame::parse(&head(error))?;
        if frames.last() != Some(&frame) {
            frames.push(frame);
        }
        link = error.cause();
    }
    let text: String = frames.iter().map(Frame::to_string).collect();
    Some(text.trim().to_owned())
}

/// The text of a link up to where the next template's text begins, which is as far as it is looked at.
fn head(error: &Error) -> String {
    let Error::Exec(exec) = error else { return error.to_string() };
    let start = format!(
        "template: {}: executing {} at <{}>: ",
        exec.at,
        crate::text::quoted(&exec.template),
        exec.node
    );
    match &exec.reason {
        Reason::Engine(text) => start + text,
        Reason::Calling(name, Error::Exec(_)) => format!("{start}error calling {name}: template:"),
        Reason::Calling(name, cause) => format!("{start}error calling {name}: {cause}"),
    }
}

/// One paragraph of Helm's message.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    location: String,
    executed: String,
    message: String,
}

impl Frame {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Self { message: text.to_owned(), ..Self::default() });
        }
        Self::executing(rest).or_else(|| Self::simple(rest))
    }

    fn executing(rest: &str) -> Option<Self> {
        let (location, after) = rest.split_once(": executing ")?;
        let (function, after) = after.strip_prefix('"')?.split_once('"')?;
        let (node, message) = after.strip_prefix(" at <")?.split_once(">: ")?;
        Some(Self {
            location: location.to_owned(),
            executed: format!("executing \"{function}\" at <{node}>:"),
            message: without_next(message).to_owned(),
        })
    }

    fn simple(rest: &str) -> Option<Self> {
        let (location, message) = rest.rsplit_once(": ")?;
        Some(Self {
            location: location.to_owned(),
            message: without_next(message).to_owned(),
            ..Self::default()
        })
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { location, executed, message } = self;
        if !location.is_empty() {
            write!(f, "{location}\n  ")?;
        }
        if !executed.is_empty() {
            write!(f, "{executed}\n    ")?;
        }
        if message.is_empty() { Ok(()) } else { writeln!(f, "{message}") }
    }
}

fn without_next(message: &str) -> &str {
    message.split(" template:").next().unwrap_or(message)
}

/// Takes the middle out of a message that is too long to read.
fn cut(message: &str) -> String {
    if message.len() <= 2 * KEPT {
        return message.to_owned();
    }
    let boundary = |at: &usize| message.is_char_boundary(*at);
    let start = (0..=KEPT).rev().find(boundary).unwrap_or(0);
    let end = (message.len() - KEPT..message.len()).find(boundary).unwrap_or(message.len());
    let left_out = end - start;
    let (head, tail) = (&message[..start], &message[end..]);
    format!("{head}\n… {left_out} bytes left out …\n{tail}")
}

/// What may be wrong, for the mistakes that people make most.
fn hint(error: &Error) -> Option<String> {
    let mut innermost = error;
    while let Some(cause) = innermost.cause() {
        innermost = cause;
    }
    let Error::Exec(exec) = innermost else { return None };
    let Reason::Engine(text) = &exec.reason else { return None };
    let node = &exec.node;
    if text.starts_with("nil pointer evaluating") {
        let field = text.rsplit('.').next().unwrap_or_default();
        return Some(format!(
            "in `{node}`, what stands before `.{field}` is not set: set it in the values, or guard it with `with` or \
             `default`"
        ));
    }
    if text.starts_with("wrong type for value; expected") && text.ends_with("got float64") {
        return Some(format!(
            "numbers in values are floats: convert `{node}` with `int`, `int64` or `toString`, whichever is expected"
        ));
    }
    if text.contains("got interface {}") || text.contains("invalid value; expected string") {
        return Some(format!("`{node}` is not set: set it in the values, or give it a `default`"));
    }
    if text.starts_with("range can't iterate over") {
        return Some(format!("`{node}` must be a list or a map; a number needs `until (int …)`"));
    }
    None
}
