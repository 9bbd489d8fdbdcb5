//! Archives that are traps, on three ways into the cluster: extracted by source-controller, handed on by it as they are,
//! and named by a status that somebody else wrote.

use std::io::Write;

use anyhow::{Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_artifact::Algorithm;
use sluice_tests::flux;
use source_controller::testing::{FLUX_CONTENT, Registry};
use tar::{EntryType, Header};

use crate::world::{Case, Expect, GOOD, World};

const TAG: &str = "latest";

/// How an archive gets to kustomize-controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// source-controller unpacks it and packs the files again.
    Extract,
    /// source-controller hands it on byte for byte.
    Copy,
    /// The status of a suspended source names it, as a source-controller that was taken over could.
    Status,
}

/// What is wrong with an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trap {
    Parent,
    Absolute,
    Symlink,
    HardLink,
    Device,
    MillionEntries,
    GigabyteOfZeros,
    Deep,
    NotGzip,
    CutShort,
    /// A good archive, but its bytes are not those of its digest.
    Digest,
    /// A good archive, which is not there.
    Missing,
    /// A good archive, whose digest is no digest.
    NoDigest,
}

/// A trap, the name of its case, and what is said of it.
const TRAPS: [(&str, Trap, &str); 10] = [
    ("parent", Trap::Parent, "tar contained invalid name error \"app/../../escape.yaml\""),
    ("absolute", Trap::Absolute, "tar contained invalid name error \"/tmp/escape.yaml\""),
    // Links are left out, so that the file is missing.
    ("symlink", Trap::Symlink, "app/second.yaml"),
    ("hard-link", Trap::HardLink, "tar file entry app/second.yaml contained unsupported file type"),
    ("device", Trap::Device, "tar file entry app/second.yaml contained unsupported file type"),
    ("million-entries", Trap::MillionEntries, "tar has more than 250000 entries"),
    (
        "gigabyte-of-zeros",
        Trap::GigabyteOfZeros,
        "tar \"app/zeros\" is bigger than max archive size of 536870912 bytes",
    ),
    ("deep", Trap::Deep, "tar entry name is too long or too deep"),
    ("not-gzip", Trap::NotGzip, "requires gzip-compressed body"),
    ("cut-short", Trap::CutShort, "tar error"),
];

/// Traps that only a status can name.
const LIES: [(&str, Trap, &str); 3] = [
    ("digest", Trap::Digest, "computed digest doesn't match"),
    ("missing", Trap::Missing, "Source is not ready, artifact not found, retrying in 1s"),
    ("no-digest", Trap::NoDigest, "failed to parse digest"),
];

/// An archive in a registry of its own.
pub(crate) struct Archive {
    way: Way,
    trap: Trap,
    name: String,
    says: &'static str,
    registry: Registry,
}

/// A case for each trap on each way.
pub(crate) async fn cases() -> Result<Vec<Archive>> {
    let ways = [("extract", Way::Extract), ("copy", Way::Copy)];
    let mut rows: Vec<(String, Way, Trap, &str)> = Vec::new();
    for (way_name, way) in ways {
        rows.extend(TRAPS.iter().map(|(name, trap, says)| (format!("{way_name}-{name}"), way, *trap, *says)));
    }
    rows.push(("extract-digest".into(), Way::Extract, Trap::Digest, "layer has digest sha256:"));
    rows.extend(LIES.iter().map(|(name, trap, says)| (format!("status-{name}"), Way::Status, *trap, *says)));
    let mut cases = Vec::new();
    for (name, way, trap, says) in rows {
        cases.push(Archive { way, trap, name, says, registry: Registry::start().await? });
    }
    Ok(cases)
}

impl Archive {
    /// Offers an archive as the newest artifact; returns how its revision ends.
    async fn offer(&self, world: &World<'_>, bytes: Vec<u8>) -> Result<String> {
        let digest = Algorithm::Sha256.digest(&bytes).to_string();
        let size = bytes.len();
        let revision = self.registry.push_tar_gz("app", TAG, bytes);
        if self.way == Way::Status {
            self.announce(world, &revision, &digest, &digest, size).await?;
        }
        Ok(revision)
    }

    /// Writes the status that announces a blob of the registry under a digest.
    async fn announce(
        &self,
        world: &World<'_>,
        revision: &str,
        blob: &str,
        digest: &str,
        size: usize,
    ) -> Result<()> {
        let url = format!("http://{}/v2/app/blobs/{blob}", self.registry.host());
        let status = json!({"status": {"artifact": {
            "path": "app.tar.gz", "url": url, "revision": format!("{TAG}@{revision}"), "digest": digest,
            "lastUpdateTime": "2026-01-01T00:00:00Z", "size": size,
        }}});
        let api = flux::objects(world.cluster, self.source_kind())?;
        api.patch_status(&self.name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }
}

impl Case for Archive {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn source_kind(&self) -> &'static str {
        "OCIRepository"
    }

    async fn begin(&mut self, world: &World<'_>) -> Result<()> {
        let mut source = flux::oci_repository(&self.name, &self.registry.url("app"), TAG);
        match self.way {
            Way::Extract => {}
            Way::Copy => {
                source["spec"]["layerSelector"] = json!({"mediaType": FLUX_CONTENT, "operation": "copy"});
            }
            Way::Status => source["spec"]["suspend"] = json!(true),
        }
        world.cluster.apply(&source).await?;
        self.offer(world, good("good")?).await.map(drop)
    }

    async fn spoil(&mut self, world: &World<'_>) -> Result<Expect> {
        match (self.trap, self.way) {
            (Trap::Digest, Way::Extract) => {
                self.registry.push_tar_gz("app", TAG, good("bad")?);
                self.registry.corrupt_blobs();
            }
            (Trap::Digest | Trap::Missing | Trap::NoDigest, Way::Status) => {
                let bytes = good("bad")?;
                let blob = Algorithm::Sha256.digest(&bytes).to_string();
                let other = Algorithm::Sha256.digest(b"something else").to_string();
                let size = bytes.len();
                let revision = self.registry.push_tar_gz("app", TAG, bytes);
                let (blob, digest) = match self.trap {
                    Trap::Missing => (other.clone(), other),
                    Trap::NoDigest => (blob, "sha256:what".to_owned()),
                    _ => (blob, other),
                };
                self.announce(world, &revision, &blob, &digest, size).await?;
            }
            (trap, _) => drop(self.offer(world, bytes(trap)?).await?),
        }
        // A link is only missed by who needs the file.
        let (kind, reason) = match (self.way, self.trap) {
            (_, Trap::Symlink) => ("Kustomization", "BuildFailed"),
            (Way::Extract, Trap::Digest) => ("OCIRepository", "OCIArtifactPullFailed"),
            (Way::Extract, _) => ("OCIRepository", "OCIArtifactLayerOperationFailed"),
            (Way::Copy | Way::Status, _) => ("Kustomization", "ArtifactFailed"),
        };
        Ok(Expect { kind, reason, says: vec![self.says.to_owned()] })
    }

    async fn repair(&mut self, world: &World<'_>) -> Result<String> {
        self.offer(world, good("better")?).await
    }
}

/// The good app with a value, as a tar.gz.
fn good(value: &str) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for (path, text) in GOOD {
        entries.extend(entry(
            path.as_bytes(),
            EntryType::Regular,
            b"",
            text.replace("good", value).as_bytes(),
        ));
    }
    gzip(&[&entries, &[0; 1024]])
}

/// A tar.gz that is a trap; the good app is in it too, with another value, where there is room.
fn bytes(trap: Trap) -> Result<Vec<u8>> {
    let mut app = Vec::new();
    for (path, text) in GOOD.iter().filter(|(path, _)| *path != "app/second.yaml") {
        app.extend(entry(path.as_bytes(), EntryType::Regular, b"", text.replace("good", "bad").as_bytes()));
    }
    let text = GOOD[2].1.as_bytes();
    let second = b"app/second.yaml";
    let end: &[u8] = &[0; 1024];
    match trap {
        Trap::Parent => gzip(&[&app, &entry(b"app/../../escape.yaml", EntryType::Regular, b"", text), end]),
        Trap::Absolute => gzip(&[&app, &entry(b"/tmp/escape.yaml", EntryType::Regular, b"", text), end]),
        Trap::Symlink => {
            gzip(&[&app, &entry(second, EntryType::Symlink, b"../../../../../../etc/hostname", b""), end])
        }
        Trap::HardLink => gzip(&[&app, &entry(second, EntryType::Link, b"/etc/hostname", b""), end]),
        Trap::Device => gzip(&[&app, &entry(second, EntryType::Char, b"", b""), end]),
        Trap::Deep => {
            let path = "d/".repeat(45) + "deep.yaml";
            // Longer and deeper with each level of a long name.
            let long = "d/".repeat(3000) + "deep.yaml";
            gzip(&[
                &app,
                &entry(b"././@LongLink", EntryType::GNULongName, b"", long.as_bytes()),
                &entry(path.as_bytes(), EntryType::Regular, b"", text),
                end,
            ])
        }
        Trap::MillionEntries => {
            let thousand = entry(b"app/empty/", EntryType::Directory, b"", b"").repeat(1000);
            let mut archive = gzip(&[&app])?;
            // A gzip stream may have any number of members.
            archive.extend(gzip(&[&thousand])?.repeat(1000));
            archive.extend(gzip(&[end])?);
            Ok(archive)
        }
        Trap::GigabyteOfZeros => {
            let zeros = vec![0; 1 << 20];
            let mut archive = gzip(&[&app, &header(b"app/zeros", EntryType::Regular, b"", 1 << 30)])?;
            archive.extend(gzip(&[&zeros])?.repeat(1024));
            archive.extend(gzip(&[end])?);
            Ok(archive)
        }
        Trap::NotGzip => Ok(b"<html>this is not the archive you look for</html>".to_vec()),
        Trap::CutShort => {
            let mut archive = gzip(&[&app, end])?;
            archive.truncate(archive.len() / 2);
            Ok(archive)
        }
        Trap::Digest | Trap::Missing | Trap::NoDigest => bail!("the archive of {trap:?} is good"),
    }
}

fn gzip(parts: &[&[u8]]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for part in parts {
        encoder.write_all(part)?;
    }
    Ok(encoder.finish()?)
}

/// A tar entry with its content.
fn entry(name: &[u8], kind: EntryType, link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut entry = header(name, kind, link, content.len() as u64).to_vec();
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// The header of a tar entry, with a name that the tar crate would not write.
fn header(name: &[u8], kind: EntryType, link: &[u8], size: u64) -> [u8; 512] {
    let mut header = Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}
