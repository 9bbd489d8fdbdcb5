//! `--name-template`: a release's name from a template.

use std::sync::Arc;

use sluice_gotemplate::functions::{Settings, functions};
use sluice_gotemplate::{Functions, Options, Session, Set, Value};

use super::Failure;

/// The name of the template in messages.
const NAME: &str = "name-template";

/// Renders a name. All functions of charts are there, but no data.
pub(super) fn render(template: &str) -> Result<String, Failure> {
    let mut all = Functions::builtin();
    all.extend(functions(&Settings::default()));
    let mut set = Set::new(NAME, Arc::new(all));
    set.parse(NAME, template.as_bytes()).map_err(|error| Failure::new(error.to_string()))?;
    let options = Options::default();
    let text = set
        .execute(&Session::new(options, None), NAME, &Value::Nil)
        .map_err(|error| Failure::new(error.to_string()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
