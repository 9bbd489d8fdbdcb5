//! The store on a real directory.

use super::*;
use std::os::unix::fs::MetadataExt;

fn store(records: usize, ttl: Duration) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        root: dir.path().to_path_buf(),
        advertised: Advertised::new("", ":9090", "host"),
        algorithm: Algorithm::Sha256,
        retention_ttl: ttl,
        retention_records: records,
    })
    .unwrap();
    (dir, store)
}

fn location() -> Location {
    Location::new("GitRepository", "flux-system", "apps")
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir.join("gitrepository/flux-system/apps"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn addresses_are_derived_as_flux_derives_them() {
    for (advertised, bind, want) in [
        ("", ":9090", "http://localhost:9090/p"),
        ("", "0.0.0.0:9090", "http://pod-1:9090/p"),
        ("", "10.0.0.1:80", "http://10.0.0.1:80/p"),
        ("sc.flux-system.svc.cluster.local.", ":9090", "http://sc.flux-system.svc.cluster.local./p"),
        ("https://files.example.com/", ":9090", "https://files.example.com/p"),
    ] {
        assert_eq!(Advertised::new(advertised, bind, "pod-1").url("p"), want);
    }
    let new = Advertised::new("new:1", "", "");
    assert_eq!(new.rehost("http://old:9090/a/b/c"), "http://new:1/a/b/c");
    assert_eq!(Advertised::new("https://new", "", "").rehost("http://old/a"), "https://new/a");
    assert_eq!(new.rehost(""), "");
}

#[test]
fn a_stored_file_is_whole_private_and_described() {
    let (dir, store) = store(2, Duration::from_secs(60));
    let stored = store.copy(&location(), "sha256:abc.tar.gz", &b"abc"[..]).unwrap();
    assert_eq!(stored.path, "gitrepository/flux-system/apps/sha256:abc.tar.gz");
    assert_eq!(stored.url, "http://localhost:9090/gitrepository/flux-system/apps/sha256:abc.tar.gz");
    assert_eq!((stored.size, &stored.digest), (3, &Algorithm::Sha256.digest("abc")));
    let full = dir.path().join(&stored.path);
    assert_eq!(fs::metadata(&full).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(full.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(files(dir.path()), ["sha256:abc.tar.gz"], "no temporary file is left");
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let (dir, store) = store(2, Duration::from_secs(60));
    let stored = store.copy(&location(), "f", &b"old"[..]).unwrap();
    let error = store.copy(&location(), "f", Broken).unwrap_err().to_string();
    assert_eq!(error, "cannot copy to 'gitrepository/flux-system/apps/f': unplugged");
    assert_eq!(fs::read(dir.path().join(&stored.path)).unwrap(), b"old");
    assert_eq!(files(dir.path()), ["f"]);
}

#[test]
fn verification_notices_every_difference() {
    let (dir, store) = store(2, Duration::from_secs(60));
    let stored = store.copy(&location(), "f", &b"abc"[..]).unwrap();
    let digest = stored.digest.to_string();
    let full = dir.path().join(&stored.path);
    store.verify(&stored.path, &digest).unwrap();
    let error = |path: &str, digest: &str| store.verify(path, digest).unwrap_err().to_string();
    assert_eq!(error(&stored.path, ""), "artifact digest is empty");
    assert!(error(&stored.path, "sha256:zz").starts_with("failed to parse digest 'sha256:zz'"));
    assert_eq!(error("gitrepository/x", &digest), "no such file");
    assert_eq!(error("gitrepository", &digest), "not a regular file");
    fs::write(&full, "abd").unwrap();
    assert!(error(&stored.path, &digest).starts_with("computed digest doesn't match 'sha256:ba78"));
    fs::write(&full, "abc").unwrap();
    store.verify(&stored.path, &digest).unwrap();
    store.remove(&stored.path).unwrap();
    store.remove(&stored.path).unwrap();
    assert_eq!(error(&stored.path, &digest), "no such file");
}

#[test]
fn links_point_at_the_latest_file() {
    let (dir, store) = store(2, Duration::from_secs(60));
    for file in ["a", "b"] {
        store.copy(&location(), file, file.as_bytes()).unwrap();
        let url = store.link(&location(), file, "latest.tar.gz").unwrap();
        assert_eq!(url, "http://localhost:9090/gitrepository/flux-system/apps/latest.tar.gz");
    }
    assert_eq!(fs::read(dir.path().join(location().file("latest.tar.gz"))).unwrap(), b"b");
}

#[test]
fn retention_keeps_the_current_file_and_the_youngest() {
    for (records, ttl, ages, current, want) in [
        (2, 60, &[("a", 1), ("b", 2), ("c", 3)][..], "a", &["a", "b"][..]), // records only
        (9, 60, &[("a", 1), ("b", 61), ("c", 90)], "a", &["a"]),            // age only
        (2, 60, &[("a", 1), ("b", 2), ("c", 3), ("d", 99)], "d", &["a", "d"]), // current is the oldest
        (1, 60, &[("a", 1), ("b", 2)], "b", &["b"]),
        (0, 0, &[("a", 5)], "a", &["a"]),
        (2, 60, &[("a", 1), ("b", 2)], "a", &["a", "b"]),
    ] {
        let (dir, store) = store(records, Duration::from_secs(ttl));
        for (file, age) in ages {
            let stored = store.copy(&location(), file, file.as_bytes()).unwrap();
            let _lock = store.lock(&location(), file).unwrap();
            File::options()
                .write(true)
                .open(dir.path().join(stored.path))
                .unwrap()
                .set_modified(SystemTime::now() - Duration::from_secs(*age))
                .unwrap();
        }
        let removed = store.collect_garbage(&location(), &location().file(current)).unwrap();
        let mut expected: Vec<String> =
            want.iter().flat_map(|file| [(*file).to_owned(), format!("{file}.lock")]).collect();
        expected.sort();
        assert_eq!(files(dir.path()), expected, "{records} records, {ttl} s, {ages:?}, current {current}");
        assert_eq!(removed, ages.len() - want.len());
    }
}

#[test]
fn what_a_killed_writer_left_is_collected() {
    let (dir, store) = store(1, Duration::from_secs(60));
    store.copy(&location(), "new", &b"new"[..]).unwrap();
    drop(store.lock(&location(), "new").unwrap());
    drop(store.lock(&location(), "killed").unwrap());
    let _held = store.lock(&location(), "being-written").unwrap();
    fs::write(dir.path().join(location().file("killed.Ab3dE")), "half").unwrap();
    assert_eq!(store.collect_garbage(&location(), &location().file("new")).unwrap(), 1);
    assert_eq!(files(dir.path()), ["being-written.lock", "new", "new.lock"]);
}

#[test]
fn everything_of_an_object_goes_at_once_and_twice() {
    let (dir, store) = store(2, Duration::from_secs(60));
    store.copy(&location(), "f", &b"abc"[..]).unwrap();
    store.copy(&Location::new("GitRepository", "flux-system", "other"), "f", &b"x"[..]).unwrap();
    assert!(store.remove_all(&location()).unwrap());
    assert!(!store.remove_all(&location()).unwrap());
    assert!(dir.path().join("gitrepository/flux-system/other/f").exists());
    assert_eq!(store.collect_garbage(&location(), "x").unwrap(), 0);
}

#[test]
fn no_path_leaves_the_store_and_a_missing_root_is_named() {
    let (dir, store) = store(2, Duration::from_secs(60));
    assert_eq!(store.resolve("../../etc/passwd").unwrap(), dir.path().join("etc/passwd"));
    let mut options = store.options.clone();
    options.root = dir.path().join("missing");
    let error = Store::open(options).unwrap_err().to_string();
    assert!(error.contains("missing' is not a directory"), "{error}");
}
