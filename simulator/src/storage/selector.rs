//! Label and field selectors, with the grammar of Kubernetes' query parameters.

use super::Stored;

/// Why a selector could not be read; the text is what kube-apiserver answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SelectorError(String);

/// A conjunction of requirements on labels. Empty matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { rest: text };
        let mut requirements = Vec::new();
        parser.space();
        while !parser.rest.is_empty() {
            requirements.push(parser.requirement()?);
            parser.space();
            if parser.rest.is_empty() {
                break;
            }
            if !parser.take(",") {
                return Err(parser.unexpected("',' or 'end of string'"));
            }
            parser.space();
            if parser.rest.is_empty() {
                return Err(parser.unexpected("identifier after ','"));
            }
        }
        Ok(Self(requirements))
    }

    /// Reads the `matchLabels`/`matchExpressions` form; `None` where the form is not valid.
    pub(crate) fn from_value(value: &serde_json::Value) -> Option<Self> {
        let mut requirements = Vec::new();
        for (key, v) in value["matchLabels"].as_object().into_iter().flatten() {
            requirements.push(Requirement { key: key.clone(), test: Test::In(vec![v.as_str()?.to_owned()]) });
        }
        for e in value["matchExpressions"].as_array().into_iter().flatten() {
            let values = || {
                let list = e["values"].as_array().into_iter().flatten();
                list.filter_map(|v| v.as_str()).map(str::to_owned).collect()
            };
            let test = match e["operator"].as_str()? {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                _ => return None,
            };
            requirements.push(Requirement { key: e["key"].as_str()?.to_owned(), test });
        }
        Some(Self(requirements))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Stored) -> bool {
        self.matches_with(|key| object.label(key))
    }

    /// Whether labels, looked up by `label`, satisfy every requirement.
    pub(crate) fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|r| {
            let value = label(&r.key);
            match &r.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(list) => value.is_some_and(|v| list.iter().any(|x| x == v)),
                Test::NotIn(list) => value.is_none_or(|v| !list.iter().any(|x| x == v)),
                Test::Greater(n) => value.and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v > *n),
                Test::Less(n) => value.and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v < *n),
            }
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &'a str {
        self.space();
        let end =
            self.rest.find(|c: char| c.is_whitespace() || "=!,()<>".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// The complaint about the next token: an operator, or a word.
    fn unexpected(&mut self, expected: &str) -> SelectorError {
        let found = self.token();
        SelectorError(format!("found '{found}', expected: {expected}"))
    }

    fn token(&mut self) -> &'a str {
        self.space();
        let operators = ["==", "!=", "=", "!", ",", "(", ")", "<", ">"];
        match operators.into_iter().find(|operator| self.rest.starts_with(operator)) {
            Some(operator) => operator,
            None => self.word(),
        }
    }

    fn key(&mut self) -> Result<String, SelectorError> {
        let key = self.word();
        if key.is_empty() {
            return Err(self.unexpected("!, identifier, or 'end of string'"));
        }
        let name = key.rsplit('/').next().unwrap_or(key);
        if !is_label_text(name) || name.is_empty() || key.matches('/').count() > 1 {
            return Err(SelectorError(format!(
                "unable to parse requirement: <nil>: Invalid value: \"{key}\": name part must consist of alphanumeric \
                 characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or \
                 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            )));
        }
        Ok(key.to_owned())
    }

    fn value(&mut self, key: &str) -> Result<String, SelectorError> {
        let value = self.word();
        if !is_label_text(value) {
            return Err(SelectorError(format!(
                "unable to parse requirement: values[0][{key}]: Invalid value: \"{value}\": a valid label must be an \
                 empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )));
        }
        Ok(value.to_owned())
    }

    fn set(&mut self, key: &str) -> Result<Vec<String>, SelectorError> {
        self.space();
        if !self.take("(") {
            let found = self.token();
            return Err(SelectorError(format!("unable to parse requirement: found '{found}' expected: '('")));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value(key)?);
            self.space();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                let found = self.token();
                let why = format!("unable to parse requirement: found '{found}', expected: ',', or ')'");
                return Err(SelectorError(why));
            }
        }
    }

    fn number(&mut self) -> Result<i64, SelectorError> {
        let word = self.word();
        word.parse().map_err(|_| {
            SelectorError(format!(
                "unable to parse requirement: values[0]: Invalid value: \"{word}\": for 'Gt', 'Lt' operators, the value \
                 must be an integer"
            ))
        })
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        self.space();
        if self.take("!") {
            return Ok(Requirement { key: self.key()?, test: Test::Absent });
        }
        let key = self.key()?;
        self.space();
        let test = if self.rest.is_empty() || self.rest.starts_with(',') {
            Test::Exists
        } else if self.take("==") || self.take("=") {
            Test::In(vec![self.value(&key)?])
        } else if self.take("!=") {
            Test::NotIn(vec![self.value(&key)?])
        } else if self.take(">") {
            Test::Greater(self.number()?)
        } else if self.take("<") {
            Test::Less(self.number()?)
        } else {
            match self.word() {
                "in" => Test::In(self.set(&key)?),
                "notin" => Test::NotIn(self.set(&key)?),
                other => {
                    return Err(SelectorError(format!(
                        "unable to parse requirement: found '{other}', expected: in, notin, =, ==, !=, gt, lt"
                    )));
                }
            }
        };
        Ok(Requirement { key, test })
    }
}

fn is_label_text(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63
        && text.chars().all(inner)
        && text.chars().next().is_none_or(|c| c.is_ascii_alphanumeric())
        && text.chars().last().is_none_or(|c| c.is_ascii_alphanumeric())
}

/// A conjunction of equalities on fields. Empty matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<FieldTest>);

#[derive(Debug, Clone, PartialEq)]
struct FieldTest {
    path: String,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Reads `a.b=c,d!=e`; `\` escapes a comma, an equals sign or itself.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut tests = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let invalid = || SelectorError(format!("invalid selector: '{text}'; can't understand '{term}'"));
            let at = term.find(['=', '!']).ok_or_else(invalid)?;
            let (path, rest) = term.split_at(at);
            let (equal, value) = if let Some(v) = rest.strip_prefix("!=") {
                (false, v)
            } else if let Some(v) = rest.strip_prefix("==") {
                (true, v)
            } else if let Some(v) = rest.strip_prefix('=') {
                (true, v)
            } else {
                return Err(invalid());
            };
            tests.push(FieldTest { path: path.trim().to_owned(), equal, value: unescape(value) });
        }
        Ok(Self(tests))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths that are asked for.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|t| t.path.as_str())
    }

    pub(crate) fn matches(&self, object: &Stored) -> bool {
        self.0.iter().all(|t| (object.field(&t.path).unwrap_or_default() == t.value) == t.equal)
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_match_as_in_kubernetes() {
        let labels = [("app", "web"), ("tier", "front"), ("n", "5")];
        let lookup = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        for (text, want) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=web,tier=back", false),
            ("app!=web", false),
            ("missing!=web", true),
            ("app in (web, api)", true),
            ("app notin (web,api)", false),
            ("missing notin (web)", true),
            ("missing in (web)", false),
            ("app", true),
            ("!app", false),
            ("! missing", true),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app in (web),!missing , tier", true),
            ("app=", false),
        ] {
            let selector = LabelSelector::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(selector.matches_with(lookup), want, "{text}");
        }
    }

    #[test]
    fn malformed_label_selectors_are_refused() {
        for text in ["=a", "a in x", "a in (x", "a b", "a=b,", "a>x", "-a=b", "a=b c"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_split_and_unescape() {
        let s = FieldSelector::parse("metadata.name=a\\,b,status.phase!=Running").unwrap();
        assert_eq!(s.0[0].value, "a,b");
        assert!(!s.0[1].equal);
        assert_eq!(s.paths().collect::<Vec<_>>(), ["metadata.name", "status.phase"]);
        assert!(FieldSelector::parse("metadata.name").is_err());
    }
}
