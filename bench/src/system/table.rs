//! Prints what was measured.

use std::io::{self, Write};

use super::Phase;

/// Says on standard error what is going on.
pub(crate) fn progress(phase: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{phase} …")
}

/// Prints the table on standard output.
pub(crate) fn print(apps: usize, phases: &[Phase]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let objects = apps * sluice_bench::OBJECTS_PER_APP;
    writeln!(
        out,
        "{apps} applications, {objects} objects. Per process: CPU seconds, peak resident MiB (resident at the end)\n"
    )?;
    write!(out, "{:<15} {:>9} {:>8}", "phase", "time", "direct")?;
    let names = phases.first().map(|phase| phase.usage.iter().map(|usage| &usage.name)).into_iter().flatten();
    for name in names {
        write!(out, "  {name:>26}")?;
    }
    writeln!(out)?;
    for phase in phases {
        let ratio = phase
            .direct
            .map_or_else(String::new, |d| format!("{:.2}×", phase.time.as_secs_f64() / d.as_secs_f64()));
        write!(out, "{:<15} {:>8.2}s {ratio:>8}", phase.name, phase.time.as_secs_f64())?;
        for usage in &phase.usage {
            let cell = format!(
                "{:.2} s {:.1} ({:.1}) MiB",
                usage.cpu.as_secs_f64(),
                mib(usage.peak),
                mib(usage.resident)
            );
            write!(out, "  {cell:>26}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\nRequests of the controllers per application:")?;
    for phase in phases {
        let sum: usize = phase.requests.values().sum();
        if sum * 20 < apps {
            continue;
        }
        writeln!(out, "{:<15} {:>7.2}", phase.name, per_app(sum, apps))?;
        // What is sent once for all applications says nothing of each.
        for (class, count) in phase.requests.iter().filter(|(_, count)| **count * 20 >= apps) {
            writeln!(out, "  {:>21.2}  {class}", per_app(*count, apps))?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
fn per_app(count: usize, apps: usize) -> f64 {
    count as f64 / apps.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
