//! From the spec of a Bucket and the Secrets that it names to a client (sources.md 11.1 and 11.4).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{RetryConfig, StaticCredentialProvider};
use regex::Regex;
use sluice_api::meta::LocalObjectReference;
use sluice_api::source::{Bucket, BucketProvider, StsProvider};
use url::Url;

use super::client::Client;
use super::cloud::{Cloud, Connector};
use super::s3::S3;
use super::sts;
use crate::kind::{Failure, Stop};
use crate::secrets::{self, Proxy, Tls, text};
use crate::transport::{TransportOptions, Transports};
use crate::work::Work;

/// A failure that another Secret can end.
pub(super) fn misconfigured(message: impl Into<String>) -> Stop {
    Failure::fetch("AuthenticationFailed", message).retry()
}

/// Makes the client that the spec asks for.
pub(super) async fn client(work: &Work<Bucket>, transports: &Transports) -> Result<Client, Stop> {
    let spec = &work.object.spec;
    let provider = spec.provider.unwrap_or_default();
    check_name(&spec.bucket_name)?;
    let secret = read(work, spec.secret_ref.as_ref(), "secret").await?;
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => {
            let failed = |error| misconfigured(format!("failed to get proxy URL: {error}"));
            let found = secrets::read(&work.api(), &reference.name).await.map_err(failed)?;
            Some(Proxy::from_secret(&found, &reference.name).map_err(failed)?)
        }
        None => None,
    };
    let tls = match provider {
        BucketProvider::Generic => tls(work, spec.cert_secret_ref.as_ref(), "TLS config").await?,
        _ => None,
    };
    check_identity(work, provider, secret.is_some())?;
    let options = TransportOptions { tls, proxy, insecure: false };
    let (_, http) = transports
        .client(&options)
        .map_err(|error| misconfigured(format!("failed to get TLS config: {error}")))?;
    match provider {
        BucketProvider::Generic | BucketProvider::Aws => {
            let credentials = s3_credentials(work, provider, secret, &http, transports).await?;
            let scheme = if spec.insecure { "http" } else { "https" };
            let endpoint = endpoint(&spec.endpoint)?;
            let region = spec.region.as_deref();
            let s3 = S3::new(http, (scheme, &endpoint), &spec.bucket_name, region, credentials);
            Ok(Client::S3(Box::new(s3)))
        }
        BucketProvider::Gcp => google(spec, secret, http).map(Client::Cloud),
        BucketProvider::Azure => microsoft(spec, secret, http).map(Client::Cloud),
    }
}

/// What all providers allow, and nothing that would make another address of it.
fn check_name(bucket: &str) -> Result<(), Stop> {
    let is_plain = bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_plain && !bucket.is_empty() && !bucket.starts_with('.') && bucket.len() <= 255 {
        return Ok(());
    }
    let message = format!("invalid bucket name '{bucket}': letters, digits, '.', '_' and '-' are allowed");
    Err(Failure::fetch("BucketOperationFailed", message).retry())
}

/// A Secret and its name.
type Named = (Secret, String);

async fn read(
    work: &Work<Bucket>,
    reference: Option<&LocalObjectReference>,
    what: &str,
) -> Result<Option<Named>, Stop> {
    let Some(reference) = reference else { return Ok(None) };
    let found = secrets::read(&work.api(), &reference.name).await.map_err(|error| {
        misconfigured(format!("failed to get {what} '{}/{}': {error}", work.namespace(), reference.name))
    })?;
    Ok(Some((found, reference.name.clone())))
}

async fn tls(
    work: &Work<Bucket>,
    reference: Option<&LocalObjectReference>,
    what: &str,
) -> Result<Option<Tls>, Stop> {
    let Some(reference) = reference else { return Ok(None) };
    let failed = |error| misconfigured(format!("failed to get {what}: {error}"));
    let found = secrets::read(&work.api(), &reference.name).await.map_err(failed)?;
    Tls::from_secret(&found, &reference.name).map(Some).map_err(failed)
}

/// The identity of a ServiceAccount is not built yet: what needs one must not use the controller's own.
fn check_identity(work: &Work<Bucket>, provider: BucketProvider, has_secret: bool) -> Result<(), Stop> {
    let account = work.object.spec.service_account_name.as_deref().filter(|name| !name.is_empty());
    let Some(account) = account.filter(|_| provider != BucketProvider::Generic && !has_secret) else {
        return Ok(());
    };
    if !work.cx.gates.enabled("ObjectLevelWorkloadIdentity") {
        return Err(Failure::fetch(
            "FeatureGateDisabled",
            "to use spec.serviceAccountName for provider authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller",
        )
        .stall());
    }
    Err(misconfigured(format!(
        "the cloud identity of ServiceAccount '{account}' is not supported by this version of Sluice yet; use spec.secretRef, or the controller's own identity"
    )))
}

/// A host and a port, and nothing that would make another address of it.
fn endpoint(text: &str) -> Result<String, Stop> {
    let invalid = || {
        misconfigured(format!("invalid endpoint '{text}': a host, and a port where it has one, is needed"))
    };
    let url = Url::parse(&format!("http://{text}/")).map_err(|_| invalid())?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    match is_plain && url.username().is_empty() && url.password().is_none() {
        true => Ok(text.to_owned()),
        false => Err(invalid()),
    }
}

async fn s3_credentials(
    work: &Work<Bucket>,
    provider: BucketProvider,
    secret: Option<Named>,
    http: &reqwest::Client,
    transports: &Transports,
) -> Result<Option<AwsCredentialProvider>, Stop> {
    let spec = &work.object.spec;
    if let Some((secret, name)) = secret {
        return s3_keys(&secret, &name).map(|keys| Some(fixed(keys))).map_err(misconfigured);
    }
    match (provider, &spec.sts) {
        (BucketProvider::Generic, None) => Ok(None),
        (BucketProvider::Generic, Some(sts)) if sts.provider == StsProvider::Ldap => {
            let login = read(work, sts.secret_ref.as_ref(), "STS secret").await?;
            let tls = tls(work, sts.cert_secret_ref.as_ref(), "STS TLS config").await?;
            let options = TransportOptions { tls, ..TransportOptions::default() };
            let (_, http) = transports
                .client(&options)
                .map_err(|error| misconfigured(format!("failed to get STS TLS config: {error}")))?;
            let (login, name) = login.ok_or_else(|| {
                misconfigured("invalid STS configuration: provider 'ldap' needs spec.sts.secretRef")
            })?;
            let credential = sts::ldap(&http, &sts.endpoint, &login, &name);
            let credential = tokio::time::timeout(work.timeout(), credential).await;
            let credential = credential.unwrap_or_else(|_| Err("no answer within spec.timeout".to_owned()));
            credential.map(|keys| Some(fixed(keys))).map_err(misconfigured)
        }
        (BucketProvider::Aws, sts) if sts.as_ref().is_none_or(|sts| sts.provider == StsProvider::Aws) => {
            let endpoint = sts.as_ref().map(|sts| sts.endpoint.as_str());
            amazon_identity(spec.region.as_deref(), endpoint, http).map(Some)
        }
        (_, sts) => {
            let sts = sts.as_ref().map_or("none", |sts| sts.provider.as_str());
            let message = format!("STS provider '{sts}' is not supported for bucket provider '{provider}'");
            Err(Failure::fetch("InvalidSTSConfiguration", message).stall())
        }
    }
}

fn fixed(keys: AwsCredential) -> AwsCredentialProvider {
    Arc::new(StaticCredentialProvider::new(keys))
}

/// `accesskey` and `secretkey` of a Secret.
fn s3_keys(secret: &Secret, name: &str) -> Result<AwsCredential, String> {
    let key = |key: &str| text(secret, key).map_err(|error| format!("invalid '{name}' secret data: {error}"));
    let (Some(key_id), Some(secret_key)) = (key("accesskey")?, key("secretkey")?) else {
        return Err(format!("invalid '{name}' secret data: required fields 'accesskey' and 'secretkey'"));
    };
    // It becomes part of a header; a line break at its end is easily made.
    if !key_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "invalid '{name}' secret data: 'accesskey' holds blanks or other than ASCII characters"
        ));
    }
    Ok(AwsCredential { key_id, secret_key, token: None })
}

/// The controller's own identity on Amazon's machines.
fn amazon_identity(
    region: Option<&str>,
    sts_endpoint: Option<&str>,
    http: &reqwest::Client,
) -> Result<AwsCredentialProvider, Stop> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name("unused")
        .with_http_connector(Connector(http.clone()))
        .with_retry(retry());
    if let Some(region) = region.filter(|region| !region.is_empty()) {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = sts_endpoint {
        let known = Regex::new(r"^https://(.+\.)?sts(-fips)?(\.[^.]+)?(\.vpce)?\.amazonaws\.com$");
        if !known.is_ok_and(|known| known.is_match(endpoint)) {
            let message = format!("invalid STS endpoint '{endpoint}': it is none of Amazon's");
            return Err(Failure::fetch("InvalidSTSConfiguration", message).stall());
        }
        builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
    }
    let store = builder.build().map_err(|error| misconfigured(error.to_string()))?;
    Ok(store.credentials().clone())
}

fn google(
    spec: &sluice_api::source::BucketSpec,
    secret: Option<Named>,
    http: reqwest::Client,
) -> Result<Cloud, Stop> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&spec.bucket_name)
        .with_http_connector(Connector(http))
        .with_retry(retry());
    let endpoint = endpoint(&spec.endpoint)?;
    if endpoint != "storage.googleapis.com" {
        let scheme = if spec.insecure { "http" } else { "https" };
        builder = builder.with_base_url(&format!("{scheme}://{endpoint}"));
    }
    let store = match secret {
        Some((secret, name)) => {
            let invalid = || {
                misconfigured(format!(
                    "invalid '{name}' secret data: required fields 'serviceaccount', with a key in JSON"
                ))
            };
            let key = text(&secret, "serviceaccount").ok().flatten().ok_or_else(invalid)?;
            // The error of a key that cannot be read may quote it.
            builder.with_service_account_key(key).build().map_err(|_| invalid())?
        }
        None => builder.build().map_err(|error| misconfigured(error.to_string()))?,
    };
    Ok(Cloud::new(store))
}

fn microsoft(
    spec: &sluice_api::source::BucketSpec,
    secret: Option<Named>,
    http: reqwest::Client,
) -> Result<Cloud, Stop> {
    let invalid = |error: &str| misconfigured(format!("invalid endpoint '{}': {error}", spec.endpoint));
    let mut url = Url::parse(&spec.endpoint).map_err(|error| invalid(&error.to_string()))?;
    let account = url.host_str().and_then(|host| host.split('.').next()).unwrap_or_default().to_owned();
    let mut sas: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    let builder = match secret {
        // What the environment says of an identity, where it says anything.
        None if ["AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT"]
            .iter()
            .any(|name| std::env::var_os(name).is_some()) =>
        {
            MicrosoftAzureBuilder::from_env()
        }
        None if !sas.is_empty() => MicrosoftAzureBuilder::new().with_sas_authorization(sas),
        None => MicrosoftAzureBuilder::new().with_skip_signature(true),
        Some((secret, name)) => {
            let wrong = |error: &str| misconfigured(format!("invalid '{name}' secret data: {error}"));
            let key = |key: &str| text(&secret, key).map_err(|error| wrong(&error));
            let mut builder = MicrosoftAzureBuilder::new();
            if let Some(host) = key("authorityHost")? {
                builder = builder.with_authority_host(host);
            }
            match (key("tenantId")?, key("clientId")?, key("clientSecret")?, key("clientCertificate")?) {
                (Some(tenant), Some(client), Some(secret), _) => {
                    builder.with_client_secret_authorization(client, secret, tenant)
                }
                (Some(_), Some(_), None, Some(_)) => {
                    return Err(wrong(
                        "'clientCertificate' is not supported by this version of Sluice yet; use 'clientSecret'",
                    ));
                }
                (None, Some(client), ..) => builder.with_client_id(client),
                _ => match (key("accountKey")?, key("sasKey")?) {
                    (Some(account_key), _) => builder.with_access_key(account_key),
                    (None, Some(token)) => {
                        let pairs = url::form_urlencoded::parse(token.trim_start_matches('?').as_bytes());
                        let pairs: Vec<(String, String)> = pairs.into_owned().collect();
                        // Where both say something, the Secret has the last word.
                        sas.retain(|(name, _)| pairs.iter().all(|(other, _)| other != name));
                        sas.extend(pairs);
                        builder.with_sas_authorization(sas)
                    }
                    (None, None) => {
                        return Err(wrong(
                            "required fields 'tenantId', 'clientId' and 'clientSecret', or 'clientId', or 'accountKey', or 'sasKey'",
                        ));
                    }
                },
            }
        }
    };
    let store = builder
        .with_account(account)
        .with_container_name(&spec.bucket_name)
        .with_endpoint(url.as_str().trim_end_matches('/').to_owned())
        .with_allow_http(spec.insecure)
        .with_http_connector(Connector(http))
        .with_retry(retry())
        .build()
        .map_err(|_| misconfigured("the credentials for the container cannot be read"))?;
    Ok(Cloud::new(store))
}

/// A few tries: the object's own back-off does the rest.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 2, ..RetryConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets_are_plain() {
        for (name, want) in [
            ("apps", true),
            ("my.apps-1_x", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a b", false),
            ("a%20b", false),
            ("a?b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), want, "{name}");
        }
    }

    #[test]
    fn endpoints_are_hosts() {
        for (text, want) in [
            ("minio:9000", true),
            ("s3.amazonaws.com", true),
            ("[::1]:9000", true),
            ("https://minio:9000", false),
            ("minio/other", false),
            ("user@minio", false),
            ("minio?x", false),
            ("minio#x", false),
            ("", false),
        ] {
            assert_eq!(endpoint(text).is_ok(), want, "{text}");
        }
    }
}
