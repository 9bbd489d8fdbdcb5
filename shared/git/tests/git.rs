//! Against `git http-backend`: what is fetched, what is written, and how each way to fail is told.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use sluice_git::{
    Auth, Checkout, CheckoutOptions, ClientKey, Error, HttpClient, HttpOptions, Limit, Mirror, Mirrors,
    Proxy, Reference, Remote, Resolved, Result, SafeUrl, Secret,
    testing::{Fault, GitServer, Options, Repository},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// A server with one repository `app.git` of one commit, and a place for mirror and checkouts.
struct World {
    server: GitServer,
    repository: Repository,
    dir: tempfile::TempDir,
    auth: Auth,
    http: HttpOptions,
}

fn limit() -> Limit {
    Limit::timeout(Duration::from_secs(60))
}

impl World {
    async fn new(options: Options) -> Self {
        let server = GitServer::start(options).await;
        let repository = server.repository("app.git");
        repository.write("README.md", "hello\n").write("deploy/app.yaml", "a: 1\n").commit("first");
        let http = HttpOptions::default();
        Self { server, repository, dir: tempfile::tempdir().unwrap(), auth: Auth::None, http }
    }

    fn remote(&self) -> Remote {
        let client = HttpClient::new(&self.http, Handle::current()).unwrap();
        Remote::new(client, SafeUrl::parse(&self.server.url("app.git")).unwrap(), self.auth.clone())
    }

    async fn resolve(&self, reference: Reference, limit: Limit) -> Result<Resolved> {
        let remote = self.remote();
        tokio::task::spawn_blocking(move || remote.resolve(&reference, &limit)).await.unwrap()
    }

    /// Resolves and checks out into `<dir>/<name>`.
    async fn checkout(&self, name: &str, reference: Reference, options: CheckoutOptions) -> Result<Checkout> {
        let (remote, into) = (self.remote(), self.dir.path().join(name));
        let mirror = self.dir.path().join("mirror");
        tokio::task::spawn_blocking(move || {
            let resolved = remote.resolve(&reference, &limit())?;
            std::fs::create_dir_all(&into).unwrap();
            Mirror::open(mirror)?.checkout(&remote, &resolved, &into, &options, &limit())
        })
        .await
        .unwrap()
    }

    fn files(&self, name: &str) -> BTreeMap<String, String> {
        files(&self.dir.path().join(name))
    }
}

fn main() -> Reference {
    Reference::Branch("main".into())
}

fn files(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                pending.push(path);
            } else if meta.is_symlink() {
                found.insert(name, format!("-> {}", std::fs::read_link(path).unwrap().display()));
            } else {
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn tree(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_checked_out_as_it_is() {
    let world = World::new(Options::default()).await;
    world.repository.write("run.sh", "#!/bin/sh\n").write("sub/deep/x", "x");
    std::fs::set_permissions(world.repository.work().join("run.sh"), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    for (link, to) in
        [("ok", "README.md"), ("sub/up", "../README.md"), ("bad", "/etc/passwd"), ("sub/worse", "../../x")]
    {
        std::os::unix::fs::symlink(to, world.repository.work().join(link)).unwrap();
    }
    let head = world.repository.commit("second\n\nwith a body");
    let done = world.checkout("out", main(), CheckoutOptions::default()).await.unwrap();
    assert_eq!(done.resolved.revision(), format!("main@sha1:{head}"));
    assert_eq!(done.commit.subject(), "second");
    assert_eq!((done.files, done.skipped_links), (4, 2));
    assert_eq!(
        world.files("out"),
        tree(&[
            ("README.md", "hello\n"),
            ("deploy/app.yaml", "a: 1\n"),
            ("ok", "-> README.md"),
            ("run.sh", "#!/bin/sh\n"),
            ("sub/deep/x", "x"),
            ("sub/up", "-> ../README.md"),
        ])
    );
    let mode =
        |name: &str| world.dir.path().join("out").join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("README.md")), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_costs_a_delta_and_an_unchanged_commit_nothing() {
    let world = World::new(Options::default()).await;
    let noise: String =
        (0u64..40_000).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    world.repository.write("big.txt", &noise).commit("big");
    world.checkout("one", main(), CheckoutOptions::default()).await.unwrap();
    let full = world.server.pack_bytes();
    assert!(full > 100_000, "the first fetch carries the file: {full}");

    world.repository.write("big.txt", format!("{noise}one more line\n")).commit("change");
    world.checkout("two", main(), CheckoutOptions::default()).await.unwrap();
    let delta = world.server.pack_bytes() - full;
    assert!(delta > 0 && delta < 2_000, "the second fetch carries a delta: {delta} bytes after {full}");
    assert!(world.files("two")["big.txt"].ends_with("one more line\n"));

    let before = world.server.pack_bytes();
    world.checkout("three", main(), CheckoutOptions::default()).await.unwrap();
    assert_eq!(world.server.pack_bytes(), before, "nothing is fetched twice");
    assert_eq!(world.files("two"), world.files("three"));

    world.repository.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    world.repository.write("other", "history").commit("forced");
    world.checkout("four", main(), CheckoutOptions::default()).await.unwrap();
    assert!(!world.files("four").contains_key("big.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn references_name_what_flux_says() {
    for protocol_v0 in [false, true] {
        let world = World::new(Options { protocol_v0, ..Options::default() }).await;
        let first = world.repository.head();
        world.repository.git(&["tag", "v1.0.0"]);
        let second = world.repository.write("two", "2").commit("second");
        world.repository.git(&["tag", "--annotate", "--message", "release", "v1.1.0"]);
        world.repository.git(&["branch", "feature/x"]);
        world.repository.git(&["update-ref", "refs/pull/7/head", &first]);
        let name = |name: &str| Reference::Name(name.into());
        for (reference, want) in [
            (main(), format!("main@sha1:{second}")),
            (Reference::Branch("feature/x".into()), format!("feature/x@sha1:{second}")),
            (Reference::Tag("v1.0.0".into()), format!("v1.0.0@sha1:{first}")),
            (Reference::Tag("v1.1.0".into()), format!("v1.1.0@sha1:{second}")),
            (Reference::Semver("<1.1".into()), format!("v1.0.0@sha1:{first}")),
            (Reference::Semver("*".into()), format!("v1.1.0@sha1:{second}")),
            (name("refs/heads/main"), format!("refs/heads/main@sha1:{second}")),
            (name("refs/tags/v1.1.0^{}"), format!("refs/tags/v1.1.0@sha1:{second}")),
            (name("refs/pull/7/head"), format!("refs/pull/7/head@sha1:{first}")),
            (Reference::Commit { id: first.clone(), branch: None }, format!("sha1:{first}")),
            (
                Reference::Commit { id: first.clone(), branch: Some("main".into()) },
                format!("main@sha1:{first}"),
            ),
        ] {
            let into = format!("{reference:?}").replace('/', "_");
            let done = world.checkout(&into, reference.clone(), CheckoutOptions::default()).await;
            let done = done.unwrap_or_else(|error| panic!("{reference:?} (v0: {protocol_v0}): {error}"));
            assert_eq!(done.resolved.revision(), want, "{reference:?} (v0: {protocol_v0})");
            assert_eq!(world.files(&into).contains_key("two"), want.contains(&second), "{reference:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_name_nothing_say_so() {
    let world = World::new(Options::default()).await;
    world.server.repository("empty.git");
    let missing = "1".repeat(40);
    for (reference, want) in [
        (Reference::Branch("gone".into()), "couldn't find remote ref \"refs/heads/gone\""),
        (Reference::Tag("gone".into()), "couldn't find remote ref \"refs/tags/gone\""),
        (Reference::Semver(">=9".into()), "no match found for semver: >=9"),
        (Reference::Semver("what".into()), "semver parse error: improper constraint: what"),
        (
            Reference::Name("/refs/heads/main".into()),
            "ref /refs/heads/main is invalid; Git refs cannot begin or end with a slash '/'",
        ),
        (Reference::Commit { id: "abc".into(), branch: None }, "unable to resolve commit object for 'abc'"),
        (Reference::Commit { id: missing.clone(), branch: None }, "object not found"),
    ] {
        let error = world.checkout("out", reference.clone(), CheckoutOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains(want), "{reference:?}: {error}");
    }
    let client = HttpClient::new(&HttpOptions::default(), Handle::current()).unwrap();
    let empty = Remote::new(client, SafeUrl::parse(&world.server.url("empty.git")).unwrap(), Auth::None);
    let error =
        tokio::task::spawn_blocking(move || empty.resolve(&main(), &limit())).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::EmptyRepository { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tied_versions_go_to_the_newest_commit() {
    let world = World::new(Options::default()).await;
    world.repository.git(&["tag", "1.0.0+a"]);
    let work = world.repository.work().to_owned();
    std::fs::write(work.join("later"), "x").unwrap();
    world.repository.git(&["add", "--all"]);
    world.repository.git(&[
        "-c",
        "user.name=x",
        "commit",
        "--quiet",
        "--message",
        "later",
        "--date",
        "2040-01-01T00:00:00",
    ]);
    // The committer's time decides, which git takes from the clock: write the commit anew with a later one.
    let tree = world.repository.git(&["rev-parse", "HEAD^{tree}"]);
    let text = format!(
        "tree {tree}\nauthor T <t@e> 2208988800 +0000\ncommitter T <t@e> 2208988800 +0000\n\nlater\n"
    );
    let file = world.dir.path().join("commit");
    std::fs::write(&file, text).unwrap();
    let late = world.repository.git(&["hash-object", "-t", "commit", "-w", file.to_str().unwrap()]);
    world.repository.git(&["tag", "1.0.0+b", &late]);
    world.repository.git(&["tag", "1.0.0+c", "HEAD~1"]);
    let done =
        world.checkout("out", Reference::Semver("1.x".into()), CheckoutOptions::default()).await.unwrap();
    assert_eq!(done.resolved.revision(), format!("1.0.0+b@sha1:{late}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sparse_checkout_writes_chosen_directories() {
    let world = World::new(Options::default()).await;
    world.repository.write("deploy2/no", "n").write("a/b/yes", "y").write("a/no", "n").commit("more");
    let sparse = vec!["./deploy/".to_owned(), "a/b".to_owned()];
    world.checkout("out", main(), CheckoutOptions { sparse, ..Default::default() }).await.unwrap();
    assert_eq!(world.files("out"), tree(&[("deploy/app.yaml", "a: 1\n"), ("a/b/yes", "y")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_come_along_when_asked_for() {
    let world = World::new(Options::basic("me", "hunter2")).await;
    let (lib, inner) = (world.server.repository("org/lib.git"), world.server.repository("org/inner.git"));
    let inner_head = inner.write("inner.txt", "inner").commit("inner");
    lib.write(".gitmodules", "[submodule \"inner\"]\n\tpath = vendor/inner\n\turl = ../inner.git\n");
    lib.write("lib.txt", "lib");
    lib.git(&["add", "--all"]);
    lib.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{inner_head},vendor/inner")]);
    lib.git(&["commit", "--quiet", "--message", "lib"]);
    let lib_head = lib.head();
    world.repository.write(".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../org/lib.git\n");
    world.repository.git(&["add", "--all"]);
    world.repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{lib_head},lib")]);
    world.repository.git(&["commit", "--quiet", "--message", "with lib"]);
    let world =
        World { auth: Auth::Basic { username: "me".into(), password: Secret::new("hunter2") }, ..world };

    world.checkout("without", main(), CheckoutOptions::default()).await.unwrap();
    assert!(
        world.dir.path().join("without/lib").is_dir() && !world.files("without").contains_key("lib/lib.txt")
    );

    let options = CheckoutOptions { submodules: true, ..Default::default() };
    world.checkout("with", main(), options.clone()).await.unwrap();
    let found = world.files("with");
    assert_eq!(found["lib/lib.txt"], "lib");
    assert_eq!(found["lib/vendor/inner/inner.txt"], "inner");

    world.server.remove("org/inner.git");
    std::fs::remove_dir_all(world.dir.path().join("mirror")).unwrap();
    let error = world.checkout("gone", main(), options).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("submodule 'lib': submodule 'vendor/inner': repository not found"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_and_never_shown() {
    let world = World::new(Options::basic("me", "hunter2")).await;
    let basic = |password: &str| Auth::Basic { username: "me".into(), password: Secret::new(password) };
    for (auth, works) in [
        (Auth::None, false),
        (basic("wrong-secret"), false),
        (Auth::Bearer(Secret::new("wrong-secret")), false),
        (basic("hunter2"), true),
    ] {
        let remote = Remote::new(
            HttpClient::new(&HttpOptions::default(), Handle::current()).unwrap(),
            SafeUrl::parse(&world.server.url("app.git")).unwrap(),
            auth.clone(),
        );
        let result = tokio::task::spawn_blocking(move || remote.resolve(&main(), &limit())).await.unwrap();
        match result {
            Ok(_) => assert!(works, "{auth:?}"),
            Err(error) => {
                assert!(!works, "{auth:?}: {error}");
                assert!(matches!(error, Error::Unauthenticated { status: 401, .. }), "{error:?}");
                let shown = format!("{error} {error:?}");
                assert!(shown.contains("who are you?") && !shown.contains("wrong-secret"), "{shown}");
            }
        }
    }
    let in_url = world.server.url("app.git").replace("://", "://me:hunter2@");
    let remote = Remote::new(
        HttpClient::new(&HttpOptions::default(), Handle::current()).unwrap(),
        SafeUrl::parse(&in_url).unwrap(),
        Auth::None,
    );
    tokio::task::spawn_blocking(move || remote.resolve(&main(), &limit())).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_tokens_are_sent() {
    let options = Options { authorization: Some("Bearer t0ken".into()), ..Options::default() };
    let world = World { auth: Auth::Bearer(Secret::new("t0ken")), ..World::new(options).await };
    world.checkout("out", main(), CheckoutOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    let other = World::new(Options::default()).await;
    let first = World::new(Options::default()).await;
    let first =
        World { auth: Auth::Basic { username: "me".into(), password: Secret::new("hunter2") }, ..first };
    first.server.fault(Fault::Redirect(other.server.url("").trim_end_matches('/').to_owned()));
    let done = first.checkout("out", main(), CheckoutOptions::default()).await.unwrap();
    assert_eq!(done.resolved.commit.to_string(), other.repository.head());
    assert!(first.server.seen().iter().all(|headers| headers.contains_key("authorization")));
    assert!(other.server.seen().len() >= 2);
    assert!(other.server.seen().iter().all(|headers| !headers.contains_key("authorization")));

    first.server.fault(Fault::Redirect("ftp://localhost".into()));
    let error = first.resolve(main(), limit()).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_given_authority_only() {
    let world = World::new(Options { tls: true, ..Options::default() }).await;
    let error = world.resolve(main(), limit()).await.unwrap_err();
    assert!(matches!(&error, Error::Network { detail, .. } if detail.contains("certificate")), "{error:?}");
    let http = HttpOptions { ca: Some(world.server.ca()), ..Default::default() };
    let world = World { http, ..world };
    world.checkout("out", main(), CheckoutOptions::default()).await.unwrap();

    for ca in [&b"no certificate"[..], b""] {
        let options = HttpOptions { ca: Some(ca.to_vec()), ..Default::default() };
        let error = HttpClient::new(&options, Handle::current()).unwrap_err();
        assert!(matches!(error, Error::InvalidCredentials { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_are_presented() {
    let world = World::new(Options { tls: true, client_certificates: true, ..Options::default() }).await;
    let ca = Some(world.server.ca());
    let world = World { http: HttpOptions { ca: ca.clone(), ..Default::default() }, ..world };
    let error = world.resolve(main(), limit()).await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    let (certificate, key) = world.server.client_certificate();
    let http =
        HttpOptions { ca, client_certificate: Some((certificate, ClientKey(key))), ..Default::default() };
    let world = World { http, ..world };
    world.checkout("out", main(), CheckoutOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_server_gets_its_own_error() {
    let world = World::new(Options::default()).await;
    world.repository.write("big", "0123456789".repeat(10_000)).commit("big");
    let missing = Remote::new(
        HttpClient::new(&HttpOptions::default(), Handle::current()).unwrap(),
        SafeUrl::parse(&world.server.url("missing.git")).unwrap(),
        Auth::None,
    );
    let error =
        tokio::task::spawn_blocking(move || missing.resolve(&main(), &limit())).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");

    world.server.fault(Fault::Status(503));
    let error = world.resolve(main(), limit()).await.unwrap_err();
    assert!(error.to_string().ends_with("answered 503: the server says no"), "{error}");

    world.server.fault(Fault::Garbage);
    let error = world.resolve(main(), limit()).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");

    for fault in [Fault::CloseMidPack(200), Fault::CloseMidPack(0), Fault::GarbagePack] {
        world.server.fault(fault.clone());
        let error = world.checkout("broken", main(), CheckoutOptions::default()).await.unwrap_err();
        let expected = matches!(error, Error::Protocol { .. } | Error::Network { .. });
        assert!(expected, "{fault:?}: {error:?}");
        assert!(error.to_string().contains(&world.server.url("app.git")), "{error}");
    }
    world.server.fault(Fault::None);
    world.checkout("recovered", main(), CheckoutOptions::default()).await.unwrap();

    let gone = World::new(Options::default()).await;
    let remote = gone.remote();
    drop(gone);
    let error =
        tokio::task::spawn_blocking(move || remote.resolve(&main(), &limit())).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_up_at_the_deadline_or_when_cancelled() {
    let world = World::new(Options::default()).await;
    world.server.fault(Fault::Hang);
    let error = world.resolve(main(), Limit::timeout(Duration::from_millis(50))).await.unwrap_err();
    assert!(
        error.to_string().starts_with("timed out after 50ms while waiting for 'http://localhost"),
        "{error}"
    );

    let cancel = CancellationToken::new();
    let limit = Limit::new(Duration::from_secs(600), cancel.clone());
    let (result, ()) = tokio::join!(world.resolve(main(), limit), async {
        while world.server.requests() < 2 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    assert!(matches!(result.unwrap_err(), Error::Cancelled { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_mirror_is_filled_again() {
    let world = World::new(Options::default()).await;
    world.checkout("one", main(), CheckoutOptions::default()).await.unwrap();
    for entry in std::fs::read_dir(world.dir.path().join("mirror/objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[20..middle].fill(0xff);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }
    world.checkout("two", main(), CheckoutOptions::default()).await.unwrap();
    assert_eq!(world.files("one"), world.files("two"));
    std::fs::remove_dir_all(world.dir.path().join("mirror/objects")).unwrap();
    std::fs::create_dir_all(world.dir.path().join("mirror/objects/pack")).unwrap();
    world.checkout("three", main(), CheckoutOptions::default()).await.unwrap();
    assert_eq!(world.files("one"), world.files("three"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_leaves_behind_is_cleaned_up() {
    let world = World::new(Options::default()).await;
    world.checkout("one", main(), CheckoutOptions::default()).await.unwrap();
    let mirror = world.dir.path().join("mirror");
    let litter =
        ["shallow.lock", "objects/pack/tmp_pack_x", "objects/pack/.tmpAbc", "objects/pack/pack-1.pack"];
    for path in litter {
        std::fs::write(mirror.join(path), "x").unwrap();
    }
    std::fs::remove_file(mirror.join("tips")).unwrap();
    world.repository.write("more", "x").commit("more");
    world.checkout("two", main(), CheckoutOptions::default()).await.unwrap();
    assert!(world.files("two").contains_key("more"));
    for path in litter {
        assert!(!mirror.join(path).exists(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_carries_the_requests() {
    let world = World::new(Options::default()).await;
    // The server answers requests with an absolute address as a proxy would.
    let proxy =
        Proxy { address: world.server.url(""), credentials: Some(("me".into(), Secret::new("hunter2"))) };
    let options = HttpOptions { proxy: Some(proxy), ..HttpOptions::default() };
    let client = HttpClient::new(&options, Handle::current()).unwrap();
    let url = SafeUrl::parse("http://git.invalid/app.git").unwrap();
    let remote = Remote::new(client, url, Auth::None);
    let found =
        tokio::task::spawn_blocking(move || remote.resolve(&main(), &limit())).await.unwrap().unwrap();
    assert_eq!(found.commit.to_string(), world.repository.head());
    assert!(
        world.server.seen().iter().all(|headers| headers["proxy-authorization"] == "Basic bWU6aHVudGVyMg==")
    );

    let proxy = Proxy { address: "ftp://me:hunter2@proxy".into(), credentials: None };
    let options = HttpOptions { proxy: Some(proxy), ..HttpOptions::default() };
    let error = HttpClient::new(&options, Handle::current()).unwrap_err();
    assert!(
        error.to_string().contains("proxy scheme 'ftp'") && !format!("{error:?}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_are_traps_are_refused() {
    let world = World::new(Options::default()).await;
    let blob = world.repository.git(&["rev-parse", "HEAD:README.md"]);
    // Each level holds the one below ten times: a hundred million files from a few objects.
    let mut tree = world.repository.git(&["rev-parse", "HEAD^{tree}"]);
    for _ in 0..8 {
        let lines: Vec<u8> = (0..10)
            .flat_map(|name| {
                let mut line = format!("40000 d{name}\0").into_bytes();
                line.extend((0..20).map(|at| u8::from_str_radix(&tree[at * 2..at * 2 + 2], 16).unwrap()));
                line
            })
            .collect();
        let file = world.dir.path().join("raw-tree");
        std::fs::write(&file, lines).unwrap();
        tree = world.repository.git(&["hash-object", "-t", "tree", "-w", file.to_str().unwrap()]);
    }
    let commit = world.repository.git(&["commit-tree", &tree, "-m", "bomb"]);
    world.repository.git(&["update-ref", "refs/heads/main", &commit]);
    let options = CheckoutOptions { max_entries: 1_000, ..Default::default() };
    let error = world.checkout("bomb", main(), options).await.unwrap_err();
    assert!(error.to_string().contains("more files than allowed"), "{error}");

    // Duplicate names, of which the first is a link that leads out.
    let link = world.dir.path().join("link");
    std::fs::write(&link, "/tmp").unwrap();
    let link = world.repository.git(&["hash-object", "-w", link.to_str().unwrap()]);
    let bytes = |id: &str| {
        (0..20).map(|at| u8::from_str_radix(&id[at * 2..at * 2 + 2], 16).unwrap()).collect::<Vec<u8>>()
    };
    for (name, raw) in [
        ("dotdot", [&b"100644 ..\0"[..], &bytes(&blob)].concat()),
        (
            "dotgit",
            [&b"40000 .GIT\0"[..], &bytes(&world.repository.git(&["rev-parse", "HEAD^{tree}"]))].concat(),
        ),
        ("slash", [&b"100644 a/b\0"[..], &bytes(&blob)].concat()),
        (
            "twice",
            [&b"120000 a\0"[..], &bytes(&link), b"100644 b\0", &bytes(&blob), b"100644 b\0", &bytes(&blob)]
                .concat(),
        ),
    ] {
        let file = world.dir.path().join(name);
        std::fs::write(&file, raw).unwrap();
        let tree =
            world.repository.git(&["hash-object", "--literally", "-t", "tree", "-w", file.to_str().unwrap()]);
        let commit = world.repository.git(&["commit-tree", &tree, "-m", name]);
        world.repository.git(&["update-ref", "refs/heads/main", &commit]);
        let error =
            world.checkout(&format!("out-{name}"), main(), CheckoutOptions::default()).await.unwrap_err();
        assert!(matches!(error, Error::UnsafeTree { .. } | Error::Local { .. }), "{name}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mirror_serves_one_caller_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let mirrors = std::sync::Arc::new(Mirrors::new(dir.path(), 4).unwrap());
    let held = mirrors.lease("a", &limit()).unwrap();
    let other = mirrors.clone();
    let waiting = tokio::task::spawn_blocking(move || drop(other.lease("a", &limit()).unwrap()));
    drop(mirrors.lease("b", &limit()).unwrap());
    assert!(!waiting.is_finished());
    drop(held);
    waiting.await.unwrap();
}
