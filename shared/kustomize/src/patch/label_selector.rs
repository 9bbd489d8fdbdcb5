//! Kubernetes' label selector syntax: `a=b,c!=d,e in (f,g),h,!i`.

/// What the labels of an object must be; all requirements hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    /// Holds also where the label is missing.
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads a selector; an empty one matches everything.
    ///
    /// # Errors
    /// Kubernetes' text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut requirements = Vec::new();
        if parser.peek().is_none() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(parser.requirement()?);
            match parser.next() {
                None => return Ok(Self(requirements)),
                Some(Token::Comma) => {
                    if !matches!(parser.peek(), Some(Token::Word(_) | Token::Not)) {
                        return Err(format!("found '{}', expected: identifier after ','", parser.shown()));
                    }
                }
                Some(other) => {
                    return Err(format!("found '{}', expected: ',' or 'end of string'", other.shown()));
                }
            }
        }
    }

    /// Whether an object with these labels is selected.
    pub(crate) fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|requirement| {
            let value = label(&requirement.key);
            let number = |value: Option<&str>| value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
                Test::Greater(bound) => number(value).is_some_and(|n| n > *bound),
                Test::Less(bound) => number(value).is_some_and(|n| n < *bound),
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Not,
    Comma,
    Open,
    Close,
    Equal,
    NotEqual,
    Greater,
    Less,
}

impl Token {
    fn shown(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Not => "!",
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut followed_by = |wanted: char| chars.next_if_eq(&wanted).is_some();
        out.push(match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Greater,
            '<' => Token::Less,
            '=' => {
                followed_by('=');
                Token::Equal
            }
            '!' if followed_by('=') => Token::NotEqual,
            '!' => Token::Not,
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !" \t\r\n,()><=!".contains(*c)) {
                    word.push(c);
                }
                Token::Word(word)
            }
        });
    }
    out
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn shown(&self) -> &str {
        self.peek().map_or("", Token::shown)
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let unparsable = |why: String| format!("unable to parse requirement: {why}");
        let missing = self.peek() == Some(&Token::Not);
        if missing {
            self.at += 1;
        }
        let key = match self.next() {
            Some(Token::Word(word)) => word,
            other => {
                let shown = other.as_ref().map_or("", Token::shown);
                return Err(unparsable(format!("found '{shown}', expected: identifier")));
            }
        };
        check_key(&key).map_err(unparsable)?;
        if missing {
            return Ok(Requirement { key, test: Test::Missing });
        }
        let test = match self.peek().cloned() {
            None | Some(Token::Comma) => Test::Exists,
            Some(Token::Equal) => Test::In(self.one_value().map_err(unparsable)?),
            Some(Token::NotEqual) => Test::NotIn(self.one_value().map_err(unparsable)?),
            Some(Token::Word(word)) if word == "in" => Test::In(self.values().map_err(unparsable)?),
            Some(Token::Word(word)) if word == "notin" => Test::NotIn(self.values().map_err(unparsable)?),
            Some(order @ (Token::Greater | Token::Less)) => {
                let value = self.one_value().map_err(unparsable)?.concat();
                let bound = value.parse().map_err(|_| {
                    unparsable(format!("values[0][{key}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"))
                })?;
                if order == Token::Greater { Test::Greater(bound) } else { Test::Less(bound) }
            }
            Some(other) => {
                let expected = "in, notin, =, ==, !=, gt, lt";
                return Err(unparsable(format!("found '{}', expected: {expected}", other.shown())));
            }
        };
        Ok(Requirement { key, test })
    }

    /// The operator and the word after it; nothing is the empty value.
    fn one_value(&mut self) -> Result<Vec<String>, String> {
        self.at += 1;
        match self.peek().cloned() {
            None | Some(Token::Comma) => Ok(vec![String::new()]),
            Some(Token::Word(word)) => {
                self.at += 1;
                check_value(&word)?;
                Ok(vec![word])
            }
            Some(other) => Err(format!("found '{}', expected: identifier", other.shown())),
        }
    }

    /// The operator and the list in parentheses after it.
    fn values(&mut self) -> Result<Vec<String>, String> {
        self.at += 1;
        match self.next() {
            Some(Token::Open) => {}
            other => {
                return Err(format!("found '{}' expected: '('", other.as_ref().map_or("", Token::shown)));
            }
        }
        let mut values = Vec::new();
        let mut word = None;
        loop {
            match self.next() {
                Some(Token::Word(next)) if word.is_none() => {
                    check_value(&next)?;
                    word = Some(next);
                }
                Some(Token::Comma) => values.push(word.take().unwrap_or_default()),
                Some(Token::Close) => {
                    values.push(word.take().unwrap_or_default());
                    return Ok(values);
                }
                other => {
                    let shown = other.as_ref().map_or("", Token::shown);
                    return Err(format!("found '{shown}', expected: ',', ')' or identifier"));
                }
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn check_key(key: &str) -> Result<(), String> {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    if is_name(name) {
        Ok(())
    } else {
        Err(format!(
            "key: Invalid value: {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || is_name(value) {
        Ok(())
    } else {
        Err(format!(
            "values[0]: Invalid value: {value:?}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_as_in_kubernetes() {
        let labels = [("a", "b"), ("n", "5"), ("e", "")];
        let label = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        for (selector, want) in [
            ("", true),
            ("a=b", true),
            ("a==b", true),
            ("a!=b", false),
            ("z!=b", true),
            ("a in (x, b)", true),
            ("a in (x)", false),
            ("a notin (x,y)", true),
            ("z notin (x)", true),
            ("a", true),
            ("!a", false),
            ("!z,a", true),
            ("a=b,n", true),
            ("n>4", true),
            ("n<4", false),
            ("e=", true),
            ("e in ()", true),
        ] {
            assert_eq!(LabelSelector::parse(selector).unwrap().matches(label), want, "{selector}");
        }
        for (selector, want) in [
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a,", "found '', expected: identifier after ','"),
        ] {
            assert_eq!(LabelSelector::parse(selector).unwrap_err(), want, "{selector}");
        }
    }
}
