//! Writes `crds/` from the types: `cargo run -p sluice-api --example generate-crds`.

#[path = "../tests/manifests/mod.rs"]
mod manifests;

fn main() -> std::io::Result<()> {
    let folder = manifests::folder();
    for (file, text) in manifests::all() {
        std::fs::write(folder.join(file), text)?;
    }
    Ok(())
}
