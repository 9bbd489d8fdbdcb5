//! From errors to what a person reads, and to the exit status.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::talk;

/// An error with advice on the next line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Advised {
    message: String,
    hint: String,
}

/// An error with advice: what to do about it.
pub(crate) fn advised(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Advised { message: message.into(), hint: hint.into() }.into()
}

/// The text of an API error as the server wrote it; for anything else, advice on how to reach a server.
pub(crate) fn from_api(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => anyhow::anyhow!(status.message.clone()),
        kube::Error::Api(status) => {
            anyhow::anyhow!("the API server answered {} {}", status.code, status.reason)
        }
        other => advised(
            format!("cannot talk to the API server: {}", chain(&other)),
            "check --kubeconfig, --context and KUBECONFIG, and that the cluster is up (kubectl version)",
        ),
    }
}

/// Whether the API server has no such object, or no such kind.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// An error and its causes on one line; a cause that the text above it already tells is left out.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}

/// Says why the command failed.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::SUCCESS; // whoever read our output has seen enough
    }
    talk::failure(&chain(error.as_ref()));
    if let Some(advised) = error.chain().find_map(|cause| cause.downcast_ref::<Advised>()) {
        eprintln!("\nhint: {}", advised.hint);
    }
    ExitCode::FAILURE
}

/// Prints help and version, which clap hands over as errors, and says what is wrong with a command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A closed pipe is all that can go wrong, and nobody is there to be told.
            let _ = talk::data(&error.render().to_string());
            ExitCode::SUCCESS
        }
        // Helm's commands speak as Helm does.
        _ if std::env::args_os().nth(1).is_some_and(|word| word == "helm") => {
            crate::commands::helm::usage(&usage_text(error))
        }
        _ => {
            talk::failure(&usage_text(error));
            ExitCode::FAILURE
        }
    }
}

fn usage_text(error: &clap::Error) -> String {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            if let Some(word) = named(ContextKind::InvalidSubcommand) {
                return format!("unknown command {word:?} for \"sluice\"");
            }
        }
        ErrorKind::UnknownArgument => {
            if let Some(word) = named(ContextKind::InvalidArg) {
                return if word.starts_with('-') {
                    format!("unknown flag: {word}")
                } else {
                    format!("unknown argument {word:?}")
                };
            }
        }
        _ => {}
    }
    // clap's text without its label and its usage lines.
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.split("\n\n").next().unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn wrong_command_lines_are_told_in_one_line() {
        for (line, text) in [
            ("sluice frobnicate", "unknown command \"frobnicate\" for \"sluice\""),
            ("sluice get --frobnicate all", "unknown flag: --frobnicate"),
            ("sluice get frobnicate", "unknown command \"frobnicate\" for \"sluice\""),
            (
                "sluice --timeout 5 get all",
                "invalid value '5' for '--timeout <TIMEOUT>': invalid duration \"5\": expected a number and a unit, such as \"30s\", \"5m\" or \"1h30m\"",
            ),
        ] {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(usage_text(&error), text, "{line}");
        }
    }

    #[test]
    fn a_group_without_a_command_is_a_request_for_help() {
        for line in ["sluice", "sluice get", "sluice get sources", "sluice reconcile", "sluice cluster"] {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, "{line}");
        }
    }

    #[test]
    fn causes_are_printed_once() {
        let error =
            anyhow::anyhow!("no such file").context("cannot read x: no such file").context("cannot start");
        assert_eq!(chain(error.as_ref()), "cannot start: cannot read x: no such file");
    }
}
