//! What the user gives: files and `--set` arguments, in Helm's order.

use serde_json::{Map, Value};
use sluice_yaml::Notice;

use super::set::{self, Kind};
use super::{merge, read_documents_noting};
use crate::yaml;

/// The arguments that values come from, each kind in the order of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `-f`, `--values`
    pub files: Vec<String>,
    /// `--set-json`
    pub set_json: Vec<String>,
    /// `--set`
    pub set: Vec<String>,
    /// `--set-string`
    pub set_string: Vec<String>,
    /// `--set-file`
    pub set_file: Vec<String>,
    /// `--set-literal`
    pub set_literal: Vec<String>,
}

/// Why values cannot be read; the text is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// A file cannot be read; the text is the reader's.
    #[error("{0}")]
    Read(String),
    /// A file is no map in YAML.
    #[error("failed to parse {file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An argument of the `--set` family.
    #[error("failed parsing {flag} data: {problem}")]
    Set {
        /// Which flag.
        flag: &'static str,
        /// What is wrong with its argument.
        problem: String,
    },
    /// An argument of `--set-json`.
    #[error("failed parsing --set-json data {0}")]
    Json(String),
    /// An argument of `--set-json` that is an object.
    #[error("failed parsing --set-json data JSON: {0}")]
    JsonObject(String),
}

impl Sources {
    /// Reads and merges them all: files, then `--set-json`, `--set`, `--set-string`, `--set-file`, `--set-literal`.
    ///
    /// `read` answers with the content of a file, or with the text of an error that names it.
    ///
    /// # Errors
    /// The first source that cannot be read.
    pub fn merge(
        &self,
        read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Map<String, Value>, ValuesError> {
        self.merge_with_advice(read, &mut |_| {})
    }

    /// As [`Sources::merge`]; `advise` gets what is accepted, and yet seldom meant, with file and line.
    ///
    /// # Errors
    /// As [`Sources::merge`].
    pub fn merge_with_advice(
        &self,
        read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
        advise: &mut dyn FnMut(String),
    ) -> Result<Map<String, Value>, ValuesError> {
        let mut values = Map::new();
        for file in &self.files {
            let text = read(file).map_err(ValuesError::Read)?;
            let mut notices = Vec::new();
            let over = read_documents_noting(&text, &mut notices)
                .map_err(|problem| ValuesError::File { file: file.clone(), problem })?;
            notices.iter().for_each(|notice| advise(advice(file, notice)));
            merge(&mut values, over);
        }
        for argument in &self.set_json {
            set_json(argument, &mut values)?;
        }
        let fault = |flag| move |problem| ValuesError::Set { flag, problem };
        for argument in &self.set {
            set::parse(argument, &mut values, Kind::Typed).map_err(fault("--set"))?;
        }
        for argument in &self.set_string {
            set::parse(argument, &mut values, Kind::Text).map_err(fault("--set-string"))?;
        }
        let mut content = |name: &str| read(name).map(|data| String::from_utf8_lossy(&data).into_owned());
        for argument in &self.set_file {
            set::parse(argument, &mut values, Kind::File(&mut content)).map_err(fault("--set-file"))?;
        }
        for argument in &self.set_literal {
            set::parse(argument, &mut values, Kind::Literal).map_err(fault("--set-literal"))?;
        }
        Ok(values)
    }
}

/// A notice with its place.
pub(crate) fn advice(file: &str, notice: &Notice) -> String {
    format!("{file}:{}: {}", notice.line, notice.what)
}

fn set_json(argument: &str, values: &mut Map<String, Value>) -> Result<(), ValuesError> {
    let trimmed = argument.trim();
    if trimmed.starts_with('{') {
        let mut value: Value =
            serde_json::from_str(trimmed).map_err(|_| ValuesError::JsonObject(argument.to_owned()))?;
        yaml::to_floats(&mut value);
        if let Value::Object(over) = value {
            merge(values, over);
        }
        return Ok(());
    }
    set::parse(argument, values, Kind::Json).map_err(|_| ValuesError::Json(argument.to_owned()))
}
