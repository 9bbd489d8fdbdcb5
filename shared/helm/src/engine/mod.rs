//! Executes a chart's templates.

use std::sync::Arc;

use sluice_gotemplate::stack::with_large_stack;
use sluice_gotemplate::{Error, Options, Session, Stop};

mod capabilities;
mod compile;
mod errors;
mod files;
mod functions;
mod glob;
mod root;

pub(crate) use compile::{Cache, Compiled};
pub(crate) use errors::{Failure, parse_failure};

use crate::render::{RenderOptions, RenderedFile};
use crate::{Instance, Release};

impl Compiled {
    /// Executes every template that is not a helper, in Helm's order, and returns the texts in that order.
    ///
    /// # Errors
    /// The first template that fails, with Helm's text.
    pub(crate) fn execute(
        &self,
        instance: &Instance,
        values: &serde_json::Map<String, serde_json::Value>,
        release: &Release,
        options: &RenderOptions,
    ) -> Result<Vec<RenderedFile>, Failure> {
        let limits = &options.limits;
        let session_options = Options {
            lint: options.lint,
            dns: options.dns,
            seed: options.seed,
            max_output: limits.output,
            max_steps: limits.steps,
            max_items: limits.items,
            deadline: limits.time.map(|time| std::time::Instant::now() + time),
            canceled: options.canceled.clone(),
            ..Options::default()
        };
        let run = || self.run(instance, values, release, options, session_options.clone());
        match run() {
            // The stack at hand is small: try again on a large one, which costs a thread. Few charts nest so deeply.
            Err(error) if error.stopped() == Some(Stop::Depth) => with_large_stack(run).unwrap_or(Err(error)),
            done => done,
        }
        .map_err(|error| errors::failure(&error))
    }

    fn run(
        &self,
        instance: &Instance,
        values: &serde_json::Map<String, serde_json::Value>,
        release: &Release,
        options: &RenderOptions,
        session_options: Options,
    ) -> Result<Vec<RenderedFile>, Error> {
        let host = functions::Host { lookup: options.lookup.clone(), log: options.log.clone() };
        let session = Session::new(session_options, Some(&host));
        let capabilities = Arc::clone(&options.capabilities);
        let scopes = root::Scopes::new(instance, &self.chart_files, values, release, &capabilities);
        let mut rendered = Vec::with_capacity(self.files.len());
        for file in self.files.iter().filter(|file| file.executed) {
            let root = scopes.root_for(file.chart, &file.name);
            let text = self.set.execute(&session, &file.name, &root)?;
            rendered.push(RenderedFile { name: file.name.clone(), text: without_no_value(text) });
        }
        Ok(rendered)
    }
}

/// The output as text, without the `<no value>` that Go writes for what is missing. Bytes that are no UTF-8 become
/// U+FFFD.
fn without_no_value(output: Vec<u8>) -> String {
    const NO_VALUE: &str = "<no value>";
    let text = String::from_utf8(output)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if text.contains(NO_VALUE) { text.replace(NO_VALUE, "") } else { text }
}
