//! Links `sluice` to a fixed address on Linux. Moved to another one, as by default, it has 70,000 pointers adjusted at every
//! start, which takes longer than many a chart takes to render. Go links its programs like this, too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(name).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
