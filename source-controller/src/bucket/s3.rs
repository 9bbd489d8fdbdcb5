//! The S3 protocol, as much of it as a source needs: is the bucket there, what is in it, give me that object.
//!
//! Credentials and signatures are object_store's. Its lists are not used: they end at the first key that is no clean
//! path, and a bucket may hold such keys beside those that matter.

use std::path::Path;

use futures::TryStreamExt;
use http::Uri;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};
use parking_lot::Mutex;
use reqwest::header::{ETAG, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::client::{Budget, ClientError, Listed, Page, bare, write};

/// Largest page of a list, in bytes: 1000 keys of 1024 bytes, each of which may be escaped.
const MAX_PAGE: usize = 8 << 20;
/// Largest error text, in bytes.
const MAX_ERROR: usize = 64 << 10;
/// Region of a store that knows none.
const REGION: &str = "us-east-1";

/// A bucket of a store that speaks S3.
#[derive(Debug)]
pub(super) struct S3 {
    http: reqwest::Client,
    /// Scheme, host and, for a store that has its buckets there, the first part of the path.
    base: String,
    /// `None` for a bucket that everybody may read.
    credentials: Option<AwsCredentialProvider>,
    region: Mutex<Region>,
    /// Lists are asked for in the older way.
    is_v1: bool,
}

#[derive(Debug, Clone)]
struct Region {
    name: String,
    /// It was not given: the store may know better.
    is_guess: bool,
}

impl S3 {
    /// A bucket at an endpoint: a host, and a port where it has one.
    pub(super) fn new(
        http: reqwest::Client,
        (scheme, endpoint): (&str, &str),
        bucket: &str,
        region: Option<&str>,
        credentials: Option<AwsCredentialProvider>,
    ) -> Self {
        let host = endpoint.split(':').next().unwrap_or(endpoint);
        let is_amazon = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
        let is_google = host == "storage.googleapis.com";
        // A bucket's name with dots in it has no certificate.
        let base = match (is_amazon || is_google) && !bucket.contains('.') {
            true => format!("{scheme}://{bucket}.{endpoint}"),
            false => format!("{scheme}://{endpoint}/{bucket}"),
        };
        let region = match region.filter(|region| !region.is_empty()) {
            Some(region) => Region { name: region.to_owned(), is_guess: false },
            None => Region { name: region_of(host).unwrap_or(REGION).to_owned(), is_guess: true },
        };
        Self { http, base, credentials, region: Mutex::new(region), is_v1: is_google }
    }

    /// Asks whether the bucket is there, and learns where it is.
    pub(super) async fn head(&self) -> Result<(), ClientError> {
        let response = self.send(Method::HEAD, "/", "").await?;
        let told = response.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let is_elsewhere = {
            let mut region = self.region.lock();
            match told {
                Some(told) if region.is_guess && region.name != told => {
                    *region = Region { name: told.to_owned(), is_guess: false };
                    true
                }
                _ => false,
            }
        };
        match is_elsewhere && !response.status().is_success() {
            true => checked(self.send(Method::HEAD, "/", "").await?).await.map(drop),
            false => checked(response).await.map(drop),
        }
    }

    /// One page of the list.
    pub(super) async fn page(&self, prefix: &str, token: Option<String>) -> Result<Page, ClientError> {
        let mut query = vec![("encoding-type", "url"), ("prefix", prefix)];
        if !self.is_v1 {
            query.push(("list-type", "2"));
        }
        if let Some(token) = &token {
            query.push((if self.is_v1 { "marker" } else { "continuation-token" }, token));
        }
        let query: Vec<String> =
            query.into_iter().map(|(name, value)| format!("{name}={}", escaped(value, false))).collect();
        let response = checked(self.send(Method::GET, "/", &query.join("&")).await?).await?;
        let text = body(response, MAX_PAGE).await?;
        read_page(&text, self.is_v1)
    }

    /// Writes an object into a file and returns its etag.
    pub(super) async fn download(
        &self,
        key: &str,
        path: &Path,
        left: &Budget,
    ) -> Result<String, ClientError> {
        if key.split('/').any(|part| part == "." || part == "..") {
            // Whoever handles addresses takes such a part for a way up.
            return Err(ClientError::Answer(
                "a key with '.' or '..' between slashes cannot be asked for; leave it out with spec.ignore"
                    .into(),
            ));
        }
        let response =
            checked(self.send(Method::GET, &format!("/{}", escaped(key, true)), "").await?).await?;
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(bare);
        let stream = response.bytes_stream().map_err(broken);
        write(stream, path, left).await?;
        etag.ok_or_else(|| ClientError::Answer("the answer names no etag".into()))
    }

    /// Sends a signed request; `query` is escaped already.
    async fn send(&self, method: Method, path: &str, query: &str) -> Result<Response, ClientError> {
        let address = format!("{}{path}{}{query}", self.base, if query.is_empty() { "" } else { "?" });
        let headers = self.sign(&method, &address).await?;
        self.http.request(method, &address).headers(headers).send().await.map_err(broken)
    }

    async fn sign(&self, method: &Method, address: &str) -> Result<HeaderMap, ClientError> {
        let Some(provider) = &self.credentials else { return Ok(HeaderMap::new()) };
        let failed = |error: &dyn std::fmt::Display| ClientError::Answer(format!("cannot sign: {error}"));
        let credential = provider.get_credential().await.map_err(|error| failed(&error))?;
        let uri: Uri = address.parse().map_err(|error| failed(&error))?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        let region = self.region.lock().name.clone();
        AwsAuthorizer::new(&credential, "s3", &region)
            .try_authorize(&mut request, None)
            .map_err(|error| failed(&error))?;
        Ok(std::mem::take(request.headers_mut()))
    }
}

/// `s3.eu-west-1.amazonaws.com` names its region.
fn region_of(host: &str) -> Option<&str> {
    let rest = host.strip_suffix(".amazonaws.com.cn").or_else(|| host.strip_suffix(".amazonaws.com"))?;
    let region = rest.rsplit('.').next()?;
    let region = region.strip_prefix("s3-").unwrap_or(region);
    region.contains('-').then_some(region)
}

/// Each byte but letters, digits and `-._~` as `%XX`; slashes stay where they part a path.
fn escaped(text: &str, is_path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' if is_path => out.push('/'),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListResult {
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
    next_marker: Option<String>,
    encoding_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    #[serde(rename = "ETag", default)]
    etag: String,
}

fn read_page(text: &str, is_v1: bool) -> Result<Page, ClientError> {
    let wrong = |error: String| ClientError::Answer(format!("the list of objects cannot be read: {error}"));
    let list: ListResult = quick_xml::de::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let is_escaped = list.encoding_type.as_deref() == Some("url");
    let plain = |key: String| match is_escaped {
        true => unescaped(&key),
        false => key,
    };
    let objects: Vec<Listed> = list
        .contents
        .into_iter()
        .map(|object| Listed { key: plain(object.key), etag: bare(&object.etag) })
        .collect();
    let next = match list.is_truncated {
        false => None,
        true if is_v1 => {
            list.next_marker.map(plain).or_else(|| objects.last().map(|object| object.key.clone()))
        }
        true => list.next_continuation_token,
    };
    if list.is_truncated && next.is_none() {
        return Err(wrong("it goes on, and does not say where".to_owned()));
    }
    Ok(Page { objects, next })
}

/// `%XX` and `+` as S3 writes them in lists.
fn unescaped(key: &str) -> String {
    // A pair without a name: the reader of forms does what is needed here.
    let pairs = format!("k={}", key.replace('&', "%26"));
    url::form_urlencoded::parse(pairs.as_bytes()).next().map_or_else(String::new, |(_, key)| key.into_owned())
}

/// The answer, or what it says went wrong.
async fn checked(response: Response) -> Result<Response, ClientError> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Problem {
        code: String,
        message: String,
    }
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = body(response, MAX_ERROR).await.unwrap_or_default();
    let problem: Problem = quick_xml::de::from_str(&text).unwrap_or_default();
    match (status, problem.code.as_str()) {
        (_, "NoSuchKey" | "NoSuchBucket") | (StatusCode::NOT_FOUND, "") => Err(ClientError::NotFound),
        // A HEAD has no body to say it.
        (StatusCode::FORBIDDEN, "") => Err(ClientError::Answer("Access Denied.".to_owned())),
        (_, "") => Err(ClientError::Answer(status.to_string())),
        (_, code) => Err(ClientError::Answer(format!("{status}: {code}: {}", problem.message))),
    }
}

async fn body(mut response: Response, limit: usize) -> Result<String, ClientError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > limit {
            return Err(ClientError::Answer(format!("the answer is larger than {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ClientError::Answer("the answer is not UTF-8 text".to_owned()))
}

fn broken(error: reqwest::Error) -> ClientError {
    ClientError::Transport(crate::oci::registry::causes(&error.without_url()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_endpoint() {
        sluice_runtime::process::install_crypto();
        for (endpoint, bucket, base, region) in [
            ("minio:9000", "apps", "https://minio:9000/apps", "us-east-1"),
            ("s3.amazonaws.com", "apps", "https://apps.s3.amazonaws.com", "us-east-1"),
            ("s3.eu-west-1.amazonaws.com", "apps", "https://apps.s3.eu-west-1.amazonaws.com", "eu-west-1"),
            (
                "s3-us-west-2.amazonaws.com",
                "my.apps",
                "https://s3-us-west-2.amazonaws.com/my.apps",
                "us-west-2",
            ),
            ("storage.googleapis.com", "apps", "https://apps.storage.googleapis.com", "us-east-1"),
        ] {
            let s3 = S3::new(reqwest::Client::new(), ("https", endpoint), bucket, None, None);
            assert_eq!((s3.base.as_str(), s3.region.lock().name.as_str()), (base, region), "{endpoint}");
        }
    }

    #[test]
    fn keys_survive_the_way_there_and_back() {
        for (key, path) in [
            ("a/b.yaml", "a/b.yaml"),
            ("a b+c&d=e/ü?#%", "a%20b%2Bc%26d%3De/%C3%BC%3F%23%25"),
            ("a//b", "a//b"),
        ] {
            assert_eq!(escaped(key, true), path);
            assert_eq!(unescaped(&escaped(key, false)), key);
        }
        assert_eq!(unescaped("a+b%2Bc&d"), "a b+c&d");
    }

    #[test]
    fn lists_are_read_in_both_forms() {
        let list = |inner: &str| {
            format!(
                "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>apps</Name>{inner}</ListBucketResult>"
            )
        };
        let object = |key: &str| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><Owner><ID>x</ID></Owner><ETag>&quot;e1&quot;</ETag></Contents>"
            )
        };
        let page = read_page(&list(&format!("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>{}<CommonPrefixes/>{}<NextContinuationToken>t</NextContinuationToken>", object("a%2Fb"), object("c"))), false).unwrap();
        let listed = |key: &str| Listed { key: key.into(), etag: "e1".into() };
        assert_eq!((page.objects, page.next.as_deref()), (vec![listed("a/b"), listed("c")], Some("t")));
        let page =
            read_page(&list(&format!("<IsTruncated>true</IsTruncated>{}", object("a%2Fb"))), true).unwrap();
        assert_eq!((page.objects, page.next.as_deref()), (vec![listed("a%2Fb")], Some("a%2Fb")));
        assert_eq!(read_page(&list(""), false).unwrap().next, None);
        for bad in ["<html>", "", &list("<IsTruncated>true</IsTruncated>"), &list("<Contents></Contents>")] {
            let error = read_page(bad, false).unwrap_err().to_string();
            assert!(error.starts_with("the list of objects cannot be read: "), "{error}");
        }
    }
}
