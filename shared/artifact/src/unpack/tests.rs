//! Archives that mean harm, and those that do not.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::SystemTime;

/// An archive in which every header field can be a lie.
#[derive(Default)]
struct Evil(Vec<u8>);

impl Evil {
    fn entry(mut self, name: &str, kind: EntryType, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(name, EntryType::Regular, 0o644, content.as_bytes())
    }

    fn gzip(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        gzip(&self.0)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn run(archive: &[u8], links: Links, limits: &Limits) -> (tempfile::TempDir, Result<Unpacked, String>) {
    let dir = tempfile::tempdir().unwrap();
    let result = unpack(archive, &dir.path().join("out"), links, limits);
    (dir, result.map_err(|error| error.to_string()))
}

#[test]
fn what_is_packed_comes_back() {
    let from = tempfile::tempdir().unwrap();
    fs::create_dir_all(from.path().join("a/empty")).unwrap();
    fs::write(from.path().join("a/file"), "content").unwrap();
    let long = format!("{}/{}", "d".repeat(90), "ü".repeat(60));
    fs::create_dir(from.path().join("d".repeat(90))).unwrap();
    fs::write(from.path().join(&long), "x".repeat(100_000)).unwrap();
    let (packed, bytes) = crate::pack(from.path(), |_, _| true, Vec::new()).unwrap();
    let (dir, result) = run(&bytes, Links::Refuse, &Limits::default());
    let out = dir.path().join("out");
    assert_eq!(result.unwrap(), Unpacked { files: 2, bytes: packed.content_bytes, skipped_links: 0 });
    assert_eq!(fs::read_to_string(out.join("a/file")).unwrap(), "content");
    assert_eq!(fs::read_to_string(out.join(long)).unwrap().len(), 100_000);
    assert!(out.join("a/empty").is_dir());
}

#[test]
fn names_that_could_leave_the_target_are_refused() {
    for name in ["../x", "a/../../x", "a/..", "..", "/etc/passwd", "a\\b", "", "//x"] {
        let (dir, result) = run(&Evil::default().file(name, "x").gzip(), Links::Skip, &Limits::default());
        assert_eq!(result.unwrap_err(), format!("tar contained invalid name error {name:?}"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name:?} wrote outside");
    }
    let (dir, result) =
        run(&Evil::default().file("./a/./..b/c..", "x").gzip(), Links::Skip, &Limits::default());
    assert_eq!(result.unwrap().files, 1);
    assert!(dir.path().join("out/a/..b/c..").is_file());
}

#[test]
fn links_and_special_files_are_skipped_or_refused_but_never_made() {
    let link = || Evil::default().entry("l", EntryType::Symlink, 0o777, b"").file("l/x", "x");
    let (dir, result) = run(&link().gzip(), Links::Skip, &Limits::default());
    assert_eq!(result.unwrap().skipped_links, 1);
    assert!(dir.path().join("out/l").is_dir(), "a real directory, as no link was made");
    let (_dir, result) = run(&link().gzip(), Links::Refuse, &Limits::default());
    assert_eq!(result.unwrap_err(), "tar file entry l is a symlink, which is not allowed in this context");
    for (kind, text) in [
        (EntryType::Link, "hard link"),
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::GNUSparse, "sparse file"),
        (EntryType::new(b'Z'), "'Z'"),
    ] {
        let archive = Evil::default().entry("e", kind, 0o600, b"").gzip();
        let (dir, result) = run(&archive, Links::Skip, &Limits::default());
        let error = result.unwrap_err();
        assert!(
            error == format!("tar file entry e contained unsupported file type {text}")
                || error.starts_with("tar error: "),
            "{error}"
        );
        assert!(!dir.path().join("out/e").exists());
    }
}

#[test]
fn a_link_that_is_already_in_the_target_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    fs::create_dir(&out).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(&outside, out.join("dir")).unwrap();
    symlink(outside.join("new"), out.join("file")).unwrap();
    for name in ["dir/x", "dir/y/z", "file"] {
        let archive = Evil::default().file(name, "x").gzip();
        let error = unpack(archive.as_slice(), &out, Links::Skip, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("which is not a directory"), "{error}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn limits_hold_exactly_at_the_boundary() {
    let limits = Limits { bytes: 10, entries: 4, depth: 3, path: 20 };
    for (archive, want) in [
        (Evil::default().file("a", "12345").file("b", "67890"), None),
        (
            Evil::default().file("a", "12345").file("b", "678901"),
            Some("tar \"b\" is bigger than max archive size of 10 bytes"),
        ),
        (Evil::default().file("a/b/c", ""), None),
        (Evil::default().file("a/b/c/d", ""), Some("too deep: 7 bytes, 4 levels")),
        (Evil::default().file("123456789012345678901", ""), Some("too long or too deep: 21 bytes")),
        (Evil::default().file("a", "").file("b", "").file("c", "").file("d", ""), None),
        (
            Evil::default().file("a", "").file("b", "").file("c", "").file("d", "").file("e", ""),
            Some("tar has more than 4 entries"),
        ),
        (
            Evil::default().file("a/b/x", "").file("c/d/x", ""),
            Some("tar has more than 4 entries"), // the directories made on the way count
        ),
    ] {
        let (_dir, result) = run(&archive.gzip(), Links::Skip, &limits);
        match want {
            None => assert!(result.is_ok(), "{result:?}"),
            Some(text) => assert!(result.clone().unwrap_err().contains(text), "{result:?} is not {text}"),
        }
    }
}

#[test]
fn a_gigabyte_of_zeros_is_refused_before_it_reaches_the_disk() {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..4].copy_from_slice(b"bomb");
    header.set_mode(0o600);
    header.set_size(1 << 30);
    header.set_cksum();
    let (dir, result) = run(&gzip(header.as_bytes()), Links::Skip, &Limits::default());
    assert_eq!(result.unwrap_err(), "tar \"bomb\" is bigger than max archive size of 536870912 bytes");
    assert!(!dir.path().join("out/bomb").exists());
}

#[test]
fn a_million_entries_are_refused() {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..1].copy_from_slice(b"d");
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o700);
    header.set_size(0);
    header.set_cksum();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..1_000_000 {
        encoder.write_all(header.as_bytes()).unwrap();
    }
    let (_dir, result) = run(&encoder.finish().unwrap(), Links::Skip, &Limits::default());
    assert_eq!(result.unwrap_err(), "tar has more than 250000 entries");
}

#[test]
fn extension_headers_are_bounded_and_their_names_are_checked() {
    let long = "x".repeat(70_000);
    for (kind, content, want) in [
        (EntryType::GNULongName, "../escape\0", "invalid name error \"../escape\""),
        (EntryType::XHeader, "18 path=../escape\n", "invalid name error \"../escape\""),
        (EntryType::GNULongName, long.as_str(), "extension header of 70000 bytes"),
        (EntryType::XHeader, "99 path=x\n", "invalid PAX records"),
        (EntryType::XHeader, "1 path=x\n", "invalid PAX records"),
        (EntryType::XHeader, "x path=x\n", "invalid PAX records"),
        (EntryType::XHeader, "24 size=999999999999999\n", "bigger than max archive size"),
        (EntryType::XHeader, "31 size=18446744073709551615999\n", "invalid PAX records"),
        (EntryType::XHeader, "22 GNU.sparse.major=1\n", "invalid PAX records"),
    ] {
        let archive = Evil::default().entry("ext", kind, 0, content.as_bytes()).file("plain", "x").gzip();
        let (_dir, result) = run(&archive, Links::Skip, &Limits::default());
        let error = result.unwrap_err();
        assert!(error.contains(want), "{content:.40?}: {error}");
    }
    let archive = Evil::default()
        .entry("pax_global_header", EntryType::XGlobalHeader, 0, b"16 comment=abcd\n")
        .entry("ext", EntryType::XHeader, 0, "20 path=dir/ümlaut\n".as_bytes())
        .file("ignored", "x")
        .gzip();
    let (dir, result) = run(&archive, Links::Skip, &Limits::default());
    assert_eq!(result.unwrap().files, 1);
    assert!(dir.path().join("out/dir/ümlaut").is_file());
}

#[test]
fn damaged_streams_are_errors_not_short_files() {
    let archive = Evil::default().file("a", &"content ".repeat(5_000)).gzip();
    for cut in [1, 5, 20, archive.len() / 2, archive.len() - 1] {
        let (_dir, result) = run(&archive[..cut], Links::Skip, &Limits::default());
        let error = result.unwrap_err();
        assert!(
            error.starts_with("tar error: ") || error.starts_with("requires gzip-compressed body: "),
            "{error}"
        );
    }
    let mut wrong_checksum = archive.clone();
    let at = wrong_checksum.len() - 8;
    wrong_checksum[at] ^= 1;
    assert!(run(&wrong_checksum, Links::Skip, &Limits::default()).1.is_err());
    for (body, want) in [
        (&b""[..], "requires gzip-compressed body: empty body"),
        (b"hello", "requires gzip-compressed body: gzip: invalid header"),
        (b"\x28\xb5\x2f\xfd....", "requires gzip-compressed body: body is zstd"),
        (&Evil::default().file("x", "").0, "requires gzip-compressed body: body is an uncompressed tar"),
        (&gzip(&[b'z'; 2048]), "tar error: invalid tar header"),
    ] {
        assert_eq!(run(body, Links::Skip, &Limits::default()).1.unwrap_err(), want);
    }
}

#[test]
fn modes_and_times_are_kept_within_reason() {
    let mut future = Header::new_ustar();
    future.as_old_mut().name[..6].copy_from_slice(b"future");
    future.set_mode(0o6755);
    future.set_size(0);
    future.set_mtime(u64::MAX);
    future.set_cksum();
    let mut evil = Evil::default().entry("d", EntryType::Directory, 0o500, b"").file("d/x", "x");
    evil.0.extend_from_slice(future.as_bytes());
    let (dir, result) = run(&evil.gzip(), Links::Skip, &Limits::default());
    assert_eq!(result.unwrap().files, 2);
    let metadata = |path: &str| fs::metadata(dir.path().join("out").join(path)).unwrap();
    assert_eq!(metadata("d").mode() & 0o7777, 0o700, "its owner can write to it");
    assert_eq!(metadata("d/x").mode() & 0o7777, 0o644);
    assert_eq!(metadata("d/x").mtime(), 1_000_000);
    assert_eq!(metadata("future").mode() & 0o7777, 0o755, "no setuid");
    assert!(metadata("future").modified().unwrap() <= SystemTime::now());
}

#[test]
fn an_entry_may_replace_a_file_but_not_turn_a_file_into_a_directory() {
    let (dir, result) = run(
        &Evil::default().file("a", "long content").file("a", "b").gzip(),
        Links::Skip,
        &Limits::default(),
    );
    assert!(result.is_ok());
    assert_eq!(fs::read_to_string(dir.path().join("out/a")).unwrap(), "b");
    let (_dir, result) =
        run(&Evil::default().file("a", "").file("a/b", "").gzip(), Links::Skip, &Limits::default());
    assert!(result.unwrap_err().contains("which is not a directory"));
}
