//! How the demo talks: a spinner per step on a terminal, plain lines elsewhere, and a table at the end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step that held: what was asked, what was seen, how long it took.
struct Row {
    step: &'static str,
    observed: String,
    took: Duration,
}

/// Shows each step while it runs and remembers it for the table.
pub(super) struct Report {
    live: bool,
    rows: Vec<Row>,
}

/// A step in progress.
pub(super) struct Running {
    step: &'static str,
    began: Instant,
    spinner: Option<ProgressBar>,
}

impl Report {
    /// A report that is live where standard error is a terminal.
    pub(super) fn new() -> Self {
        Self { live: std::io::stderr().is_terminal(), rows: Vec::new() }
    }

    /// Begins a step.
    pub(super) fn begin(&self, step: &'static str) -> Running {
        let spinner = self.live.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(step);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if spinner.is_none() {
            eprintln!("► {step}");
        }
        Running { step, began: Instant::now(), spinner }
    }

    /// Ends a step that held; `observed` is what the API said.
    pub(super) fn held(&mut self, running: Running, observed: String) {
        let took = running.began.elapsed();
        if let Some(spinner) = &running.spinner {
            spinner.finish_and_clear();
            eprintln!("✔ {} ({})", running.step, human(took));
        } else {
            eprintln!("✔ {observed} ({})", human(took));
        }
        self.rows.push(Row { step: running.step, observed, took });
    }

    /// Ends a step that did not hold.
    pub(super) fn failed(&self, running: &Running) {
        if let Some(spinner) = &running.spinner {
            spinner.finish_and_clear();
        }
    }

    /// The table of all steps that held: step, what was observed, how long.
    pub(super) fn table(&self) -> String {
        let width = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
        let step = width(&mut self.rows.iter().map(|row| row.step.chars().count()));
        let observed = width(&mut self.rows.iter().map(|row| row.observed.chars().count()));
        let mut table = format!("{:<step$}  {:<observed$}  TOOK\n", "STEP", "OBSERVED");
        for row in &self.rows {
            table.push_str(&format!(
                "{:<step$}  {:<observed$}  {}\n",
                row.step,
                row.observed,
                human(row.took)
            ));
        }
        table
    }
}

fn human(took: Duration) -> String {
    match took.as_millis() {
        0..1000 => format!("{}ms", took.as_millis()),
        _ => format!("{:.1}s", took.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_aligns_its_columns() {
        let mut report = Report { live: false, rows: Vec::new() };
        report.rows.push(Row {
            step: "a",
            observed: "long observation".into(),
            took: Duration::from_millis(7),
        });
        report.rows.push(Row { step: "longer", observed: "short".into(), took: Duration::from_millis(1250) });
        assert_eq!(
            report.table(),
            "STEP    OBSERVED          TOOK\n\
             a       long observation  7ms\n\
             longer  short             1.2s\n"
        );
    }
}
