//! What is said to a person: one line each on standard error, with a symbol for its kind.

use std::io::Write;

/// Tells what is being done.
pub(crate) fn action(text: &str) {
    say("►", text);
}

/// Tells what is waited for.
pub(crate) fn waiting(text: &str) {
    say("◎", text);
}

/// Tells what was done.
pub(crate) fn success(text: &str) {
    say("✔", text);
}

/// Tells what looks wrong and does not matter to the outcome.
pub(crate) fn warning(text: &str) {
    say("⚠️", text);
}

/// Tells what failed.
pub(crate) fn failure(text: &str) {
    say("✗", text);
}

fn say(symbol: &str, text: &str) {
    eprintln!("{symbol} {text}");
}

/// Writes data to standard output.
///
/// # Errors
/// What the operating system answers; a closed pipe too.
pub(crate) fn data(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
