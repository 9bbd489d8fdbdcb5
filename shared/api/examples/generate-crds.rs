//! Writes `crds/` from the types: `cargo run -p sluice-api --example generate-crds`.

#[path = "../tests/manifests/mod.rs"]
mod manifests;

fn main() -> std::io::Result<()> {
    for (file, text) in manifests::all() {
        let path = manifests::folder().join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
