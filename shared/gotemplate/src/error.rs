//! Errors of templates, with Go's texts and with the frames from which Helm makes its own.

use std::{fmt, sync::Arc};

/// Why a template could not be parsed or executed, or what a function reports.
#[derive(Debug, Clone)]
pub enum Error {
    /// A function's or the engine's own message.
    Message(String),
    /// The message of `required` or `fail`: Helm shows it and nothing else.
    Raised(String),
    /// A message in front of another error: `<message>: <cause>`.
    Wrapped(String, Box<Error>),
    /// An action failed.
    Exec(Box<ExecError>),
    /// A text is not a template.
    Parse(Box<ParseError>),
    /// The render was stopped by a limit. No function may take this for its own failure and go on.
    Stopped(Stop),
}

/// A failed action: where, and why.
#[derive(Debug, Clone)]
pub struct ExecError {
    /// Where the text stands.
    pub at: Location,
    /// The template (define or file) that was executed.
    pub template: Arc<str>,
    /// The failing node, printed from the tree.
    pub node: String,
    /// Why.
    pub reason: Reason,
}

/// Why an action failed.
#[derive(Debug, Clone)]
pub enum Reason {
    /// The engine says so: a nil pointer, a wrong type.
    Engine(String),
    /// The function of this name returned an error: `error calling <name>: <cause>`.
    Calling(String, Error),
}

/// A place in a template's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The name under which the text was parsed.
    pub name: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Bytes before the place in its line.
    pub column: usize,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The name under which the text was parsed.
    pub name: Arc<str>,
    /// Line of the token at hand, from 1.
    pub line: usize,
    /// The text of that line, at most 200 bytes of it: to show, not part of the message.
    pub source: String,
    /// Go's message, without its `template: <name>:<line>: `.
    pub message: String,
}

/// Which limit stopped a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// More output (or text built by functions) than [`crate::Options::max_output`].
    Output(usize),
    /// More steps than [`crate::Options::max_steps`].
    Steps(u64),
    /// The deadline has passed.
    Deadline,
    /// The caller gave up.
    Canceled,
    /// A list, range or repetition of this many items is over [`crate::Options::max_items`].
    Items(usize),
    /// Nested too deeply for the stack.
    Depth,
}

impl Error {
    /// A plain message.
    pub fn message(text: impl Into<String>) -> Self {
        Error::Message(text.into())
    }

    /// This error with a message in front.
    pub fn wrap(self, message: impl Into<String>) -> Self {
        match self {
            stopped @ Error::Stopped(_) => stopped,
            cause => Error::Wrapped(message.into(), Box::new(cause)),
        }
    }

    /// The next error of the chain.
    pub fn cause(&self) -> Option<&Error> {
        match self {
            Error::Wrapped(_, cause) => Some(cause),
            Error::Exec(exec) => match &exec.reason {
                Reason::Calling(_, cause) => Some(cause),
                Reason::Engine(_) => None,
            },
            Error::Message(_) | Error::Raised(_) | Error::Parse(_) | Error::Stopped(_) => None,
        }
    }

    /// The message of the `required` or `fail` at the end of the chain.
    pub fn raised(&self) -> Option<&str> {
        match std::iter::successors(Some(self), |error| error.cause()).last() {
            Some(Error::Raised(message)) => Some(message),
            _ => None,
        }
    }

    /// The limit that stopped the render, wherever in the chain it is.
    pub fn stopped(&self) -> Option<Stop> {
        match std::iter::successors(Some(self), |error| error.cause()).last() {
            Some(Error::Stopped(stop)) => Some(*stop),
            _ => None,
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Error::Parse(Box::new(error))
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Error::Stopped(stop)
    }
}

impl fmt::Display for Error {
    /// Go's text of the whole chain, on one line. A loop, because a chain of includes is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = self;
        loop {
            match error {
                Error::Message(text) | Error::Raised(text) => return f.write_str(text),
                Error::Parse(parse) => return parse.fmt(f),
                Error::Stopped(stop) => return stop.fmt(f),
                Error::Wrapped(text, cause) => {
                    write!(f, "{text}: ")?;
                    error = cause;
                }
                Error::Exec(exec) => {
                    exec.write_head(f)?;
                    match &exec.reason {
                        Reason::Engine(text) => return f.write_str(text),
                        Reason::Calling(name, cause) => {
                            write!(f, "error calling {name}: ")?;
                            error = cause;
                        }
                    }
                }
            }
        }
    }
}

impl std::error::Error for Error {}

impl ExecError {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, template, node, .. } = self;
        write!(f, "template: {at}: executing {} at <{node}>: ", crate::fmt::quoted(template.as_bytes()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.line, self.column)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}:{}: {}", self.name, self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Output(max) => write!(f, "the templates produce more than {max} bytes of text"),
            Stop::Steps(max) => write!(f, "the templates take more than {max} steps"),
            Stop::Deadline => f.write_str("the templates take longer than they may"),
            Stop::Canceled => f.write_str("rendering was canceled"),
            Stop::Items(max) => write!(f, "a list, map or repetition has more than {max} items"),
            Stop::Depth => f.write_str("templates or values are nested too deeply"),
        }
    }
}

impl std::error::Error for Stop {}
