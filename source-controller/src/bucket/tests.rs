//! Bucket against an S3 server in this process, which checks every signature.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice_api::ArtifactSource;
use sluice_artifact::{Limits, Links, unpack};
use sluice_runtime::Outcome;
use sluice_runtime::conditions::{READY, STALLED};

use super::*;
use crate::fake::Bench;
use crate::kind::ARTIFACT_IN_STORAGE;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// One bucket `apps`.
#[derive(Default)]
struct Shelf {
    objects: BTreeMap<String, Vec<u8>>,
    /// Objects that a list still shows and that are gone when they are asked for.
    gone: Vec<String>,
    is_public: bool,
    /// The region that the bucket is in.
    region: Option<&'static str>,
    page: usize,
    /// Wanted beside a signature.
    token: Option<&'static str>,
    seen: Vec<String>,
}

struct Server {
    shelf: Arc<Mutex<Shelf>>,
    host: String,
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "application/xml")], body).into_response()
}

fn refusal(status: StatusCode, code: &str) -> Response {
    xml(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

fn etag(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Whether the signature is the one that AWS' documentation describes.
fn is_signed(request: &Request, region: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let part = |name: &str| {
        let text = header("authorization").split([' ', ',']).find_map(|part| part.strip_prefix(name));
        text.unwrap_or_default().to_owned()
    };
    let signed = part("SignedHeaders=");
    let mut canonical = format!("{}\n{}\n", request.method(), request.uri().path());
    let mut query: Vec<_> =
        request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    canonical.push_str(&query.join("&"));
    canonical.push('\n');
    for name in signed.split(';') {
        canonical.push_str(&format!("{name}:{}\n", header(name)));
    }
    canonical.push_str(&format!("\n{signed}\n{}", header("x-amz-content-sha256")));
    let date = header("x-amz-date");
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/s3/aws4_request");
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let key = [day, region, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, text| mac(&key, text));
    part("Credential=") == format!("{KEY}/{scope}") && part("Signature=") == hex::encode(mac(&key, &to_sign))
}

async fn serve(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response {
    let mut shelf = shelf.lock();
    let (path, query) =
        (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    shelf.seen.push(format!("{} {path}", request.method()));
    let region = shelf.region.unwrap_or("us-east-1");
    let token = request.headers().get("x-amz-security-token").and_then(|value| value.to_str().ok());
    if !shelf.is_public && (!is_signed(&request, region) || token != shelf.token) {
        let refused = refusal(StatusCode::FORBIDDEN, "SignatureDoesNotMatch");
        return ([("x-amz-bucket-region", region)], refused).into_response();
    }
    let Some(path) = path.strip_prefix("/apps/") else {
        return refusal(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    let key = url::form_urlencoded::parse(format!("k={}", path.replace('+', "%2B")).as_bytes())
        .next()
        .unwrap()
        .1
        .into_owned();
    if key.is_empty() {
        return list(&shelf, &query);
    }
    match shelf.objects.get(&key).filter(|_| !shelf.gone.contains(&key)) {
        Some(bytes) => ([("etag", format!("\"{}\"", etag(bytes)))], bytes.clone()).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "NoSuchKey"),
    }
}

fn list(shelf: &Shelf, query: &str) -> Response {
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let (prefix, after) = (query.get("prefix").cloned().unwrap_or_default(), query.get("continuation-token"));
    let all = shelf
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && after.is_none_or(|after| *key > after));
    let all: Vec<_> = all.collect();
    let page = if shelf.page == 0 { all.len() } else { shelf.page.min(all.len()) };
    let escape = |key: &str| url::form_urlencoded::byte_serialize(key.as_bytes()).collect::<String>();
    let contents: String = all[..page]
        .iter()
        .map(|(key, bytes)| {
            format!(
                "<Contents><Key>{}</Key><ETag>&quot;{}&quot;</ETag><Size>1</Size></Contents>",
                escape(key),
                etag(bytes)
            )
        })
        .collect();
    let more = match all.len() > page {
        true => format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
            all[page - 1].0
        ),
        false => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    xml(
        StatusCode::OK,
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><EncodingType>url</EncodingType>{contents}{more}</ListBucketResult>"
        ),
    )
}

impl Server {
    async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(serve).with_state(shelf.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shelf, host }
    }

    fn put(&self, key: &str, text: &str) -> &Self {
        self.shelf.lock().objects.insert(key.to_owned(), text.as_bytes().to_vec());
        self
    }

    fn bench(&self, extra: Value) -> Bench<Buckets> {
        sluice_runtime::process::install_crypto();
        let mut spec = json!({
            "bucketName": "apps", "endpoint": self.host, "insecure": true, "interval": "1m",
            "secretRef": {"name": "keys"},
        });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let bench = Bench::new(Buckets::new().unwrap(), spec);
        bench.add_secret("keys", "Opaque", &[("accesskey", KEY), ("secretkey", SECRET)]);
        bench
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.lock().seen)
    }
}

fn files(bench: &Bench<Buckets>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    unpack(File::open(bench.file()).unwrap(), dir.path(), Links::Refuse, &Limits::default()).unwrap();
    let (mut found, mut pending) = (Vec::new(), vec![dir.path().to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false => found.push(path.strip_prefix(dir.path()).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_objects_become_an_artifact_and_then_are_only_listed() {
    let server = Server::start().await;
    server.put("a.yaml", "a: 1\n").put("dir/b c+d.yaml", "b: 1\n").put("dir/", "").put("pic.png", "x");
    server.shelf.lock().page = 2;
    let mut bench = server.bench(json!({}));
    let outcome = bench.pass().await;
    assert!(matches!(outcome, Outcome::Interval(_)), "{outcome:?} {:?}", bench.condition(READY));
    assert_eq!(files(&bench), ["a.yaml", "dir/b c+d.yaml", "pic.png"], "nothing is left out unasked");
    let text =
        format!("a.yaml {}\ndir/b c+d.yaml {}\npic.png {}\n", etag(b"a: 1\n"), etag(b"b: 1\n"), etag(b"x"));
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let object = bench.object();
    let artifact = object.artifact().unwrap();
    assert_eq!(artifact.revision, format!("sha256:{digest}"));
    assert_eq!(artifact.path, format!("bucket/flux-system/app/{digest}.tar.gz"));
    assert_eq!(
        object.status.as_ref().unwrap().url.as_deref(),
        Some("http://files/bucket/flux-system/app/latest.tar.gz")
    );
    let message = format!("stored artifact: revision 'sha256:{digest}'");
    assert_eq!(bench.condition(READY).unwrap(), format!("True Succeeded {message}"));
    assert_eq!(bench.types(), [READY, ARTIFACT_IN_STORAGE]);
    assert_eq!(bench.events(), ["info NewArtifact stored artifact with 3 fetched files from 'apps' bucket"]);
    server.seen();
    bench.requests();
    bench.pass().await;
    assert_eq!(server.seen(), ["HEAD /apps/", "GET /apps/.sourceignore", "GET /apps/", "GET /apps/"]);
    assert_eq!(bench.requests(), ["GET /api/v1/namespaces/flux-system/secrets/keys"]);

    server.put("a.yaml", "a: 2\n");
    bench.pass().await;
    assert_ne!(bench.object().artifact().unwrap().revision, artifact.revision);
    server.shelf.lock().objects.remove("pic.png");
    bench.pass().await;
    assert_eq!(files(&bench), ["a.yaml", "dir/b c+d.yaml"]);
}

#[test]
fn the_revision_is_that_of_flux() {
    let index = Index::from([("test.txt".to_owned(), "098f6bcd4621d373cade4e832627b4f6".to_owned())]);
    let want = "sha256:b4c2a60ce44b67f5b659a95ce4e4cc9e2a86baf13afb72bd397c5384cbc0e479";
    assert_eq!(revision(&index, Algorithm::Sha256), want);
}

#[tokio::test]
async fn prefix_and_ignore_rules_choose_the_objects() {
    let server = Server::start().await;
    server.put(".sourceignore", "*.md\n").put("apps/a.yaml", "a").put("apps/README.md", "r");
    server.put("apps-old/b.yaml", "b").put("infra/c.yaml", "c").put("apps/secret.yaml", "s");
    for (extra, want) in [
        (
            json!({}),
            &[".sourceignore", "apps-old/b.yaml", "apps/a.yaml", "apps/secret.yaml", "infra/c.yaml"][..],
        ),
        (json!({"prefix": "apps"}), &[".sourceignore", "apps-old/b.yaml", "apps/a.yaml", "apps/secret.yaml"]),
        (
            json!({"prefix": "apps/", "ignore": "secret.yaml\n!README.md\n"}),
            &[".sourceignore", "apps/README.md", "apps/a.yaml"],
        ),
    ] {
        let bench = server.bench(extra.clone());
        bench.pass().await;
        assert_eq!(files(&bench), want, "{extra}");
        assert_eq!(bench.object().status.unwrap().observed_ignore.as_deref(), extra["ignore"].as_str());
    }
}

#[tokio::test]
async fn what_is_gone_since_the_list_is_no_error() {
    let server = Server::start().await;
    server.put("a", "1").put("b", "2");
    server.shelf.lock().gone.push("b".to_owned());
    let bench = server.bench(json!({}));
    bench.pass().await;
    assert_eq!(files(&bench), ["a"]);
    let index = Index::from([("a".to_owned(), etag(b"1"))]);
    assert_eq!(bench.object().artifact().unwrap().revision, revision(&index, Algorithm::Sha256));
}

#[tokio::test]
async fn a_bucket_tells_its_region() {
    let server = Server::start().await;
    server.put("a", "1");
    server.shelf.lock().region = Some("eu-north-1");
    let bench = server.bench(json!({}));
    bench.pass().await;
    assert_eq!(files(&bench), ["a"]);
    let bench = server.bench(json!({"region": "us-west-2"}));
    bench.pass().await;
    assert_eq!(
        bench.condition(FETCH_FAILED).unwrap(),
        "True BucketOperationFailed failed to confirm existence of 'apps' bucket: Access Denied."
    );
}

#[tokio::test]
async fn without_keys_everybody_s_bucket_can_be_read() {
    let server = Server::start().await;
    server.put("a", "1");
    server.shelf.lock().is_public = true;
    let bench = server.bench(json!({"secretRef": null}));
    bench.pass().await;
    assert_eq!(files(&bench), ["a"]);
}

#[tokio::test]
async fn faults_are_named_and_the_old_artifact_stays() {
    let server = Server::start().await;
    server.put("a", "1");
    let bench = server.bench(json!({}));
    bench.pass().await;
    let good = bench.object().artifact().cloned();
    server.put("../../outside", "x").put("a/b", "below a file");
    for (keys, extra, want) in [
        (
            &[("accesskey", KEY)][..],
            json!({}),
            "True AuthenticationFailed invalid 'keys' secret data: required fields 'accesskey' and 'secretkey'",
        ),
        (
            &[("accesskey", "AKID\n"), ("secretkey", "x")],
            json!({}),
            "True AuthenticationFailed invalid 'keys' secret data: 'accesskey' holds blanks",
        ),
        (
            &[("accesskey", KEY), ("secretkey", "hunter2")],
            json!({}),
            "True BucketOperationFailed failed to confirm existence of 'apps' bucket: Access Denied.",
        ),
        (
            &[("accesskey", KEY), ("secretkey", SECRET)],
            json!({"bucketName": "none"}),
            "True BucketOperationFailed bucket 'none' not found",
        ),
        (
            &[("accesskey", KEY), ("secretkey", SECRET)],
            json!({"secretRef": {"name": "missing"}}),
            "True AuthenticationFailed failed to get secret 'flux-system/missing': secrets \"missing\" not found",
        ),
        (
            &[("accesskey", KEY), ("secretkey", SECRET)],
            json!({"ignore": "b\n"}),
            "True BucketOperationFailed fetch from bucket 'apps' failed: failed to get '../../outside' object: ",
        ),
        (
            &[("accesskey", KEY), ("secretkey", SECRET)],
            json!({"ignore": "outside\n"}),
            "True BucketOperationFailed fetch from bucket 'apps' failed: failed to get 'a",
        ),
    ] {
        bench.add_secret("keys", "Opaque", keys);
        bench.edit(|object| {
            let spec = object["spec"].as_object_mut().unwrap();
            spec.extend(
                json!({"bucketName": "apps", "secretRef": {"name": "keys"}}).as_object().unwrap().clone(),
            );
            spec.extend(extra.as_object().unwrap().clone());
        });
        assert!(matches!(bench.pass().await, Outcome::Failed(_)), "{want}");
        let failed = bench.condition(FETCH_FAILED).unwrap();
        assert!(failed.starts_with(want) && !failed.contains("hunter2"), "{failed}");
        assert_eq!(bench.object().artifact(), good.as_ref());
    }
    bench.edit(|object| object["spec"]["ignore"] = json!("outside\nb\n"));
    bench.pass().await;
    assert!(bench.condition(READY).unwrap().starts_with("True"), "{:?}", bench.condition(READY));
}

#[tokio::test]
async fn a_directory_s_login_gives_short_lived_keys() {
    let server = Server::start().await;
    server.put("a", "1");
    server.shelf.lock().token = Some("session");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = |body: String| async move {
        match body
            == "Action=AssumeRoleWithLDAPIdentity&Version=2011-06-15&LDAPUsername=me&LDAPPassword=p%26w"
        {
            true => xml(
                StatusCode::OK,
                format!(
                    "<AssumeRoleWithLDAPIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithLDAPIdentityResult><Credentials><AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><Expiration>2030-01-01T00:00:00Z</Expiration><SessionToken>session</SessionToken></Credentials></AssumeRoleWithLDAPIdentityResult></AssumeRoleWithLDAPIdentityResponse>"
                ),
            ),
            false => StatusCode::FORBIDDEN.into_response(),
        }
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let sts = json!({"provider": "ldap", "endpoint": endpoint, "secretRef": {"name": "login"}});
    let bench = server.bench(json!({"secretRef": null, "sts": sts}));
    bench.add_secret("login", "Opaque", &[("username", "me"), ("password", "wrong")]);
    bench.pass().await;
    let failed = bench.condition(FETCH_FAILED).unwrap();
    assert!(
        failed.starts_with("True AuthenticationFailed failed to get keys from STS endpoint")
            && failed.contains("403"),
        "{failed}"
    );
    bench.add_secret("login", "Opaque", &[("username", "me"), ("password", "p&w")]);
    bench.pass().await;
    assert_eq!(files(&bench), ["a"]);
    bench.edit(|object| object["spec"]["sts"]["provider"] = json!("aws"));
    bench.pass().await;
    assert_eq!(
        bench.condition(STALLED).unwrap(),
        "True InvalidSTSConfiguration STS provider 'aws' is not supported for bucket provider 'generic'"
    );
}

#[tokio::test]
async fn identities_that_are_not_built_are_not_replaced_by_others() {
    let server = Server::start().await;
    let mut bench = server.bench(json!({"provider": "aws", "secretRef": null, "serviceAccountName": "me"}));
    assert!(matches!(bench.pass().await, Outcome::Terminal(_)));
    assert!(bench.events()[0].starts_with("error FeatureGateDisabled "));
    assert!(server.seen().is_empty());
    let bench = server.bench(json!({"provider": "azure", "endpoint": format!("http://{}", server.host)}));
    bench.add_secret("keys", "Opaque", &[("tenantId", "t"), ("clientId", "c"), ("clientCertificate", "x")]);
    bench.pass().await;
    assert!(bench.condition(FETCH_FAILED).unwrap().contains("'clientCertificate' is not supported"));
}

/// A server that answers each path with a text, whatever else is asked.
async fn answering(answers: &'static [(&'static str, &'static str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let answer = move |request: Request| {
        log.lock().push(request.uri().to_string());
        let asked = request.uri().path().replace("%2E", ".");
        let found = answers.iter().find(|(path, _)| *path == asked);
        std::future::ready(match found {
            Some((_, text)) => {
                let headers = [("etag", "\"e1\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")];
                (headers, *text).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        })
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (host, seen)
}

#[tokio::test]
async fn a_container_of_azure_is_read() {
    let (host, seen) = answering(&[
        ("/apps", "<?xml version=\"1.0\"?><EnumerationResults><Blobs><Blob><Name>dir/a.yaml</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>4</Content-Length><Content-Type>text/plain</Content-Type></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"),
        ("/apps/dir/a.yaml", "a: 1"),
    ])
    .await;
    sluice_runtime::process::install_crypto();
    let spec = json!({
        "provider": "azure", "bucketName": "apps", "endpoint": format!("http://{host}"), "insecure": true,
        "interval": "1m", "prefix": "di", "secretRef": {"name": "keys"},
    });
    let bench = Bench::new(Buckets::new().unwrap(), spec);
    bench.add_secret("keys", "Opaque", &[("sasKey", "?sv=2026&sig=hunter2")]);
    bench.pass().await;
    assert_eq!(files(&bench), ["dir/a.yaml"], "{:?}", bench.condition(READY));
    let index = Index::from([("dir/a.yaml".to_owned(), "e1".to_owned())]);
    assert_eq!(bench.object().artifact().unwrap().revision, revision(&index, Algorithm::Sha256));
    assert!(seen.lock().iter().all(|asked| asked.contains("sig=hunter2")), "{:?}", seen.lock());
    bench.edit(|object| object["spec"]["bucketName"] = json!("none"));
    bench.pass().await;
    let failed = bench.condition(FETCH_FAILED).unwrap();
    assert!(failed.starts_with("True BucketOperationFailed ") && !failed.contains("hunter2"), "{failed}");
}

#[tokio::test]
async fn a_bucket_of_google_is_read() {
    let (host, seen) = answering(&[
        ("/apps", "<?xml version=\"1.0\"?><ListBucketResult><Contents><Key>a.yaml</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"e1\"</ETag><Size>4</Size></Contents></ListBucketResult>"),
        ("/apps/a.yaml", "a: 1"),
    ])
    .await;
    sluice_runtime::process::install_crypto();
    let spec = json!({
        "provider": "gcp", "bucketName": "apps", "endpoint": host, "insecure": true, "interval": "1m",
        "secretRef": {"name": "keys"},
    });
    let bench = Bench::new(Buckets::new().unwrap(), spec);
    bench.add_secret("keys", "Opaque", &[("serviceaccount", "{\"private_key\": \"hunter2\"")]);
    bench.pass().await;
    assert_eq!(
        bench.condition(FETCH_FAILED).unwrap(),
        "True AuthenticationFailed invalid 'keys' secret data: required fields 'serviceaccount', with a key in JSON"
    );
    let key = json!({
        "gcs_base_url": format!("http://{host}"), "disable_oauth": true, "client_email": "", "private_key": "",
        "private_key_id": "",
    });
    bench.add_secret("keys", "Opaque", &[("serviceaccount", &key.to_string())]);
    bench.pass().await;
    assert_eq!(files(&bench), ["a.yaml"], "{:?}", seen.lock());
}
