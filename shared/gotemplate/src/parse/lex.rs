//! Text to tokens, by the rules of Go's template lexer.

use super::rune::{decode, describe, is_alphanumeric};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The lexer gave up; the token's text is in [`Token::error`].
    Error,
    /// `true` or `false`.
    Bool,
    /// Any other printable character.
    Char,
    /// `'x'`
    CharConstant,
    /// `1+2i`
    Complex,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    Eof,
    /// `.name`
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    /// Blanks within an action.
    Space,
    /// `"…"`
    String,
    /// Text outside of actions.
    Text,
    /// `$` or `$name`
    Variable,
    // Keywords; `.` is printed like one.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        use Kind::{Block, Break, Continue, Define, Dot, Else, End, If, Nil, Range, Template, With};
        matches!(
            self,
            Block | Break | Continue | Dot | Define | Else | End | If | Nil | Range | Template | With
        )
    }
}

/// A piece of the text.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// The line of its beginning, from 1.
    pub(super) line: usize,
    /// The message of an [`Kind::Error`].
    pub(super) error: Option<Box<str>>,
}

impl Token {
    /// The token as messages show it: `<if>`, `"text"`, `EOF`.
    pub(super) fn show(&self, text: &[u8]) -> String {
        let value = text.get(self.start..self.end).unwrap_or_default();
        match self.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.error.as_deref().unwrap_or_default().to_owned(),
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(value)),
            _ if value.len() > 10 => format!("{}...", crate::fmt::quoted(first_runes(value, 10))),
            _ => crate::fmt::quoted(value),
        }
    }
}

fn first_runes(text: &[u8], count: usize) -> &[u8] {
    let mut end = 0;
    for _ in 0..count {
        match text.get(end..).and_then(decode) {
            Some((_, width)) => end += width,
            None => break,
        }
    }
    text.get(..end).unwrap_or(text)
}

/// Cuts a text into tokens, one at a time.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    pos: usize,
    start: usize,
    /// The line at `start`.
    line: usize,
    inside: bool,
    parens: usize,
    failed: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, pos: 0, start: 0, line: 1, inside: false, parens: 0, failed: false }
    }

    /// The next token. After an error or the end there are only ends.
    pub(super) fn next(&mut self) -> Token {
        if self.failed {
            return self.emit(Kind::Eof);
        }
        if self.inside { self.action() } else { self.outside() }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        decode(self.rest()).map(|(c, _)| c)
    }

    fn advance(&mut self) -> Option<char> {
        let (c, width) = decode(self.rest())?;
        self.pos += width;
        Some(c)
    }

    fn emit(&mut self, kind: Kind) -> Token {
        let token = Token { kind, start: self.start, end: self.pos, line: self.line, error: None };
        self.ignore();
        token
    }

    /// Leaves out what was scanned since the last token.
    fn ignore(&mut self) {
        let skipped = self.text.get(self.start..self.pos).unwrap_or_default();
        self.line += skipped.iter().filter(|b| **b == b'\n').count();
        self.start = self.pos;
    }

    fn error(&mut self, message: impl Into<Box<str>>) -> Token {
        self.failed = true;
        let token = Token {
            kind: Kind::Error,
            start: self.start,
            end: self.pos,
            line: self.line,
            error: Some(message.into()),
        };
        self.pos = self.text.len();
        self.start = self.pos;
        token
    }

    fn outside(&mut self) -> Token {
        loop {
            let Some(delim) = find(self.rest(), b"{{") else {
                self.pos = self.text.len();
                return if self.pos > self.start { self.emit(Kind::Text) } else { self.emit(Kind::Eof) };
            };
            if delim > 0 {
                let text = self.rest().get(..delim).unwrap_or_default();
                let after = self.rest().get(delim + 2..).unwrap_or_default();
                let kept = if left_trim(after) { trim_end(text) } else { text.len() };
                self.pos += kept;
                let token = (kept > 0).then(|| self.emit(Kind::Text));
                self.pos += delim - kept;
                self.ignore();
                if let Some(token) = token {
                    return token;
                }
            }
            if let Some(token) = self.left_delim() {
                return token;
            }
        }
    }

    /// The delimiter at the position, or None after a comment.
    fn left_delim(&mut self) -> Option<Token> {
        self.pos += 2;
        let marker = if left_trim(self.rest()) { 2 } else { 0 };
        if self.rest().get(marker..).is_some_and(|rest| rest.starts_with(b"/*")) {
            self.pos += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.inside = true;
        self.parens = 0;
        self.pos += marker;
        self.ignore();
        Some(token)
    }

    fn comment(&mut self) -> Option<Token> {
        self.pos += 2;
        let Some(end) = find(self.rest(), b"*/") else { return Some(self.error("unclosed comment")) };
        self.pos += end + 2;
        match self.right_delim_here() {
            None => Some(self.error("comment ends before closing delimiter")),
            Some(trim) => {
                self.skip_right_delim(trim);
                None
            }
        }
    }

    /// Whether the position is at a right delimiter, and if so whether it trims.
    fn right_delim_here(&self) -> Option<bool> {
        let rest = self.rest();
        if right_trim(rest) && rest.get(2..).is_some_and(|rest| rest.starts_with(b"}}")) {
            Some(true)
        } else {
            rest.starts_with(b"}}").then_some(false)
        }
    }

    fn skip_right_delim(&mut self, trim: bool) {
        self.pos += if trim { 4 } else { 2 };
        if trim {
            self.pos += self.rest().iter().take_while(|b| is_space_byte(**b)).count();
        }
        self.ignore();
    }

    fn right_delim(&mut self, trim: bool) -> Token {
        if trim {
            self.pos += 2;
            self.ignore();
        }
        self.pos += 2;
        let token = self.emit(Kind::RightDelim);
        if trim {
            self.pos += self.rest().iter().take_while(|b| is_space_byte(**b)).count();
            self.ignore();
        }
        self.inside = false;
        token
    }

    fn action(&mut self) -> Token {
        if let Some(trim) = self.right_delim_here() {
            return if self.parens == 0 { self.right_delim(trim) } else { self.error("unclosed left paren") };
        }
        let Some(c) = self.advance() else { return self.error("unclosed action") };
        match c {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' => match self.advance() {
                Some('=') => self.emit(Kind::Declare),
                _ => self.error("expected :="),
            },
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw(),
            '$' => self.name(Kind::Variable, Kind::Variable),
            '.' if !self.rest().first().is_some_and(u8::is_ascii_digit) => {
                // At the very end of the text Go takes the dot for a number, and fails on it.
                if self.rest().is_empty() { self.number_from(1) } else { self.name(Kind::Dot, Kind::Field) }
            }
            '.' | '+' | '-' | '0'..='9' => self.number_from(1),
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => match self.parens.checked_sub(1) {
                Some(parens) => {
                    self.parens = parens;
                    self.emit(Kind::RightParen)
                }
                None => self.error("unexpected right paren"),
            },
            c if is_alphanumeric(c) => self.identifier(),
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => self.error(format!("unrecognized character in action: {}", describe(c))),
        }
    }

    /// Blanks; the last of them may belong to a trim marker.
    fn space(&mut self) -> Token {
        self.pos += self.rest().iter().take_while(|b| is_space_byte(**b)).count();
        let last = self.text.get(self.pos - 1..).unwrap_or_default();
        if right_trim(last) && last.get(2..).is_some_and(|rest| rest.starts_with(b"}}")) {
            self.pos -= 1;
            if self.pos == self.start {
                return self.right_delim(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn skip_name(&mut self) {
        while let Some((c, width)) = decode(self.rest()) {
            if !is_alphanumeric(c) {
                break;
            }
            self.pos += width;
        }
    }

    fn identifier(&mut self) -> Token {
        self.skip_name();
        if let Some(error) = self.bad_terminator() {
            return error;
        }
        let kind = match self.text.get(self.start..self.pos).unwrap_or_default() {
            b"true" | b"false" => Kind::Bool,
            b"block" => Kind::Block,
            b"break" => Kind::Break,
            b"continue" => Kind::Continue,
            b"define" => Kind::Define,
            b"else" => Kind::Else,
            b"end" => Kind::End,
            b"if" => Kind::If,
            b"nil" => Kind::Nil,
            b"range" => Kind::Range,
            b"template" => Kind::Template,
            b"with" => Kind::With,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    /// What follows a `.` or `$`: nothing, or a name.
    fn name(&mut self, alone: Kind, named: Kind) -> Token {
        if self.at_terminator() {
            return self.emit(alone);
        }
        self.skip_name();
        match self.bad_terminator() {
            Some(error) => error,
            None => self.emit(named),
        }
    }

    fn at_terminator(&self) -> bool {
        matches!(self.peek(), None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '('))
            || self.rest().starts_with(b"}}")
    }

    fn bad_terminator(&mut self) -> Option<Token> {
        if self.at_terminator() {
            return None;
        }
        let c = self.peek().unwrap_or_default();
        Some(self.error(format!("bad character {}", describe(c))))
    }

    /// A string or character in quotes; what its escapes mean is the parser's affair.
    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Token {
        loop {
            match self.advance() {
                Some('\\') if !matches!(self.advance(), None | Some('\n')) => {}
                Some('\\' | '\n') | None => return self.error(unterminated),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw(&mut self) -> Token {
        match self.rest().iter().position(|b| *b == b'`') {
            Some(end) => {
                self.pos += end + 1;
                self.emit(Kind::RawString)
            }
            None => self.error("unterminated raw quoted string"),
        }
    }

    /// A number whose first `back` bytes are already taken.
    fn number_from(&mut self, back: usize) -> Token {
        self.pos -= back;
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            let ends_in_i = self.scan_number() && self.text.get(self.pos - 1) == Some(&b'i');
            return if ends_in_i { self.emit(Kind::Complex) } else { self.bad_number() };
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Token {
        let text = self.text.get(self.start..self.pos).unwrap_or_default();
        self.error(format!("bad number syntax: {}", crate::fmt::quoted(text)))
    }

    /// Takes what looks like a number; whether it is one, its value will show.
    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        let exponent: &[u8] = match digits.len() {
            11 => b"eE",
            23 => b"pP",
            _ => b"",
        };
        if self.accept(exponent) {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        match decode(self.rest()) {
            Some((c, width)) if is_alphanumeric(c) => {
                self.pos += width;
                false
            }
            _ => true,
        }
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.rest().first().is_some_and(|b| set.contains(b));
        self.pos += usize::from(found);
        found
    }

    fn accept_run(&mut self, set: &[u8]) {
        self.pos += self.rest().iter().take_while(|b| set.contains(b)).count();
    }
}

fn find(text: &[u8], what: &[u8; 2]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

fn is_space_byte(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// The length of the text without its final blanks.
fn trim_end(text: &[u8]) -> usize {
    text.iter().rposition(|b| !is_space_byte(*b)).map_or(0, |last| last + 1)
}

fn left_trim(after: &[u8]) -> bool {
    matches!(after, [b'-', blank, ..] if is_space_byte(*blank))
}

fn right_trim(at: &[u8]) -> bool {
    matches!(at, [blank, b'-', ..] if is_space_byte(*blank))
}
