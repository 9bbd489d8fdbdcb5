//! `.helmignore`: which files of a folder are no part of the chart.
//!
//! Looks like `.gitignore` but is not: the first rule that speaks decides, and a rule with `!` leaves out everything
//! that it does *not* match.

use std::io;

use crate::pattern::Pattern;

/// The rules of one chart folder.
#[derive(Debug, Default)]
pub(super) struct Ignore(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// Match the whole path rather than the last name.
    whole_path: bool,
    directories_only: bool,
    /// As it is written, where it begins with `!`.
    negated: Option<String>,
}

impl Ignore {
    /// Reads the rules and adds the built-in one, by which hidden files in `templates/` are never loaded.
    ///
    /// # Errors
    /// Helm's text for a rule that it does not take.
    pub(super) fn parse(text: &[u8]) -> Result<Self, io::Error> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut rules = Self::default();
        for line in text.split(|b| *b == b'\n') {
            rules.add(&String::from_utf8_lossy(line)).map_err(io::Error::other)?;
        }
        rules.add("templates/.?*").map_err(io::Error::other)?;
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err("double-star (**) syntax is not supported".into());
        }
        Pattern::parse(line).map_err(|error| error.to_string())?;
        let (negated, rest) = match line.strip_prefix('!') {
            Some(rest) => (Some(line.to_owned()), rest),
            None => (None, line),
        };
        let (directories_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (whole_path, rest) = match rest.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (rest.contains('/'), rest),
        };
        // What is left of a good pattern can be a bad one (`a\/`): it matches nothing.
        let Ok(pattern) = Pattern::parse(rest) else { return Ok(()) };
        self.0.push(Rule { pattern, whole_path, directories_only, negated });
        Ok(())
    }

    /// The rules that begin with `!`, as they are written.
    pub(super) fn negations(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|rule| rule.negated.as_deref())
    }

    /// Whether the file or folder `path`, relative to the chart, is left out.
    pub(super) fn ignores(&self, path: &str, is_dir: bool) -> bool {
        for rule in &self.0 {
            let name = if rule.whole_path { path } else { path.rsplit('/').next().unwrap_or(path) };
            if rule.negated.is_some() {
                if (rule.directories_only && !is_dir) || !rule.pattern.matches(name) {
                    return true;
                }
            } else if (is_dir || !rule.directories_only) && rule.pattern.matches(name) {
                return true;
            }
        }
        false
    }
}
