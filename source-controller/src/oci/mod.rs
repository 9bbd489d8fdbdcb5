//! OCIRepository: an artifact from a layer in a container registry (sources.md 8).
//!
//! The fast path costs one HEAD request: when the digest has not moved, nothing is downloaded.

pub(crate) mod address;
pub(crate) mod credentials;
mod registries;
pub(crate) mod registry;
pub(crate) mod select;
mod session;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use sluice_api::Reconcilable;
use sluice_api::source::{LayerOperation, OCIRepository, OciProvider};
use sluice_artifact::{Limits, Links, unpack};
use sluice_runtime::conditions::State;

use crate::kind::{ARTIFACT_OUTDATED, FETCH_FAILED, Failure, Produced, SOURCE_VERIFIED, SourceKind, Stop};
use crate::secrets::{self, Proxy, Tls};
use crate::suspects::Visit;
use crate::transport::TransportOptions;
use crate::work::{Archive, Leave, Work};
use address::{Repository, valid_tag};
use credentials::Keyring;
pub use registries::Registries;
use registry::{MAX_LAYER, Manifest, Registry};
use select::Wanted;

/// Link at the current artifact.
const LINK: &str = "latest.tar.gz";

/// The kind OCIRepository.
#[derive(Debug, Default)]
pub struct Oci {
    registries: Arc<Registries>,
}

/// What a pass found out before it downloads anything.
struct Upstream {
    repository: Repository,
    /// `host/path:tag` or `host/path@digest`.
    name: String,
    revision: String,
    digest: String,
}

impl Oci {
    /// The kind; what it learns of registries it shares with others.
    pub fn new(registries: Arc<Registries>) -> Self {
        Self { registries }
    }
}

impl SourceKind for Oci {
    type Object = OCIRepository;

    async fn produce(&self, work: &mut Work<OCIRepository>) -> Result<Produced, Stop> {
        if sluice_runtime::conditions::is_false(work.object.conditions(), SOURCE_VERIFIED) {
            work.remove_condition(SOURCE_VERIFIED);
        }
        let keyring = keyring(work).await?;
        let proxy = proxy(work).await?;
        check_provider(work, &keyring)?;
        let tls = tls(work).await?;
        let has_tls = tls.is_some();
        let insecure = work.object.spec.insecure;
        let url = work.object.spec.url.clone();
        let transport = |error: String| {
            Failure::fetch(
                "AuthenticationFailed",
                format!("failed to generate transport for '{url}': {error}"),
            )
            .retry()
        };
        let options = TransportOptions { tls, proxy, insecure: insecure && !has_tls };
        let client = self.registries.client(&options).map_err(transport)?;
        let repository = Repository::parse(&url).map_err(|error| {
            Failure::fetch("URLInvalid", format!("URL validation failed for '{url}': {error}")).stall()
        })?;
        let registry = self.registries.registry(client, &repository, keyring.find(&repository), insecure);
        let visit = self.registries.suspects.visit(work, &repository.host, work.timeout()).await?;
        let upstream = resolve(work, &registry, &visit).await?;
        let is_new = work.artifact().is_none_or(|artifact| artifact.revision != upstream.revision);
        let outdated = format!("new revision '{}' for '{}'", upstream.revision, upstream.name);
        if let Err(stop) = check_signature(work, &upstream) {
            if is_new && work.artifact().is_some() {
                work.set_condition(ARTIFACT_OUTDATED, State::True, "NewRevision", outdated);
            }
            return Err(stop);
        }
        if !is_new && is_same_content(work) {
            work.remove_condition(FETCH_FAILED);
            return Ok(stored(work, &upstream.revision));
        }
        if is_new {
            work.outdated("NewRevision", &outdated).await?;
        }
        let (layer, metadata) = pull(work, &registry, &upstream, &visit).await?;
        work.remove_condition(FETCH_FAILED);
        store(work, &upstream, layer, metadata).await?;
        Ok(stored(work, &upstream.revision))
    }
}

/// Credentials of `secretRef` and of the service account's pull secrets.
async fn keyring(work: &Work<OCIRepository>) -> Result<Keyring, Stop> {
    let failed = |error: String| {
        Failure::fetch("AuthenticationFailed", format!("failed to get credential: {error}")).retry()
    };
    let api = work.api::<Secret>();
    let mut names: Vec<String> =
        work.object.spec.secret_ref.iter().map(|reference| reference.name.clone()).collect();
    if let Some(account) = work.object.spec.service_account_name.as_deref().filter(|name| !name.is_empty()) {
        let found = work.api::<ServiceAccount>().get_opt(account).await;
        let found = found.map_err(|error| failed(secrets::api_text(&error)))?;
        let found = found
            .ok_or_else(|| failed(format!("serviceaccount '{}/{account}' not found", work.namespace())))?;
        names.extend(found.image_pull_secrets.unwrap_or_default().into_iter().map(|secret| secret.name));
    }
    let mut keyring = Keyring::default();
    for name in names {
        let secret = secrets::read(&api, &name).await.map_err(failed)?;
        keyring.add(&secret, &name).map_err(failed)?;
    }
    Ok(keyring)
}

async fn proxy(work: &Work<OCIRepository>) -> Result<Option<Proxy>, Stop> {
    let Some(reference) = &work.object.spec.proxy_secret_ref else { return Ok(None) };
    let failed = |error| {
        Failure::fetch("AuthenticationFailed", format!("failed to get proxy address: {error}")).retry()
    };
    let secret = secrets::read(&work.api(), &reference.name).await.map_err(failed)?;
    Proxy::from_secret(&secret, &reference.name).map(Some).map_err(failed)
}

async fn tls(work: &Work<OCIRepository>) -> Result<Option<Tls>, Stop> {
    let Some(reference) = &work.object.spec.cert_secret_ref else { return Ok(None) };
    let url = &work.object.spec.url;
    let failed = |error| {
        Failure::fetch("AuthenticationFailed", format!("failed to generate transport for '{url}': {error}"))
            .retry()
    };
    let secret = secrets::read(&work.api(), &reference.name).await.map_err(failed)?;
    Tls::from_secret(&secret, &reference.name).map(Some).map_err(failed)
}

/// Cloud identities are not built yet: an object that needs one must not fall back to anonymous access.
fn check_provider(work: &Work<OCIRepository>, keyring: &Keyring) -> Result<(), Stop> {
    let spec = &work.object.spec;
    let provider = spec.provider.unwrap_or(OciProvider::Generic);
    if provider == OciProvider::Generic {
        return Ok(());
    }
    let has_account = spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty());
    if has_account && !work.cx.gates.enabled("ObjectLevelWorkloadIdentity") {
        return Err(Failure::plain(
            "FeatureGateDisabled",
            "to use spec.serviceAccountName for provider authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller",
        )
        .stall());
    }
    if keyring.is_empty() {
        return Err(Failure::fetch(
            "AuthenticationFailed",
            format!(
                "failed to get credential from {provider}: cloud identities are not supported by this version of Sluice yet; use provider 'generic' with spec.secretRef"
            ),
        )
        .retry());
    }
    Ok(())
}

/// Asks the registry which digest the reference means now.
async fn resolve(
    work: &Work<OCIRepository>,
    registry: &Registry<'_>,
    visit: &Visit<'_>,
) -> Result<Upstream, Stop> {
    let (url, repository) = (work.object.spec.url.clone(), registry.repository);
    let no_tag = |error: String| {
        Failure::fetch(
            "ReadOperationFailed",
            format!("failed to determine the artifact tag for '{url}': {error}"),
        )
        .retry()
    };
    let no_digest = |error: String| {
        Failure::fetch("OCIArtifactPullFailed", format!("failed to determine artifact digest: {error}"))
            .retry()
    };
    let spec = &work.object.spec;
    let wanted = Wanted::new(spec.reference.as_ref(), spec.layer_selector.as_ref()).map_err(no_tag)?;
    let (tag, reference) = match wanted {
        Wanted::Digest(digest) => {
            if let Err(error) = digest.parse::<sluice_artifact::Digest>() {
                return Err(no_digest(error.to_string()));
            }
            (None, digest)
        }
        Wanted::Tag(tag) => (Some(tag.clone()), tag),
        Wanted::Semver { range, filter, is_chart } => {
            let tags =
                visit.within(work, registry.tags()).await.map_err(|error| no_tag(error.to_string()))?;
            let tag = select::highest(tags, &range, filter.as_ref(), is_chart).map_err(no_tag)?;
            (Some(tag.clone()), tag)
        }
    };
    if let Some(tag) = &tag
        && !valid_tag(tag)
    {
        return Err(no_tag(format!("'{tag}' is not a valid tag")));
    }
    let digest = visit
        .within(work, registry.digest(&reference))
        .await
        .map_err(|error| no_digest(error.to_string()))?;
    let revision = match &tag {
        Some(tag) => format!("{tag}@{digest}"),
        None => digest.clone(),
    };
    Ok(Upstream { name: repository.with(&reference), repository: repository.clone(), revision, digest })
}

/// Fails closed: signatures cannot be checked yet, so nothing that asks for a check is pulled.
fn check_signature(work: &mut Work<OCIRepository>, upstream: &Upstream) -> Result<(), Stop> {
    let Some(verify) = &work.object.spec.verify else {
        work.remove_condition(SOURCE_VERIFIED);
        return Ok(());
    };
    let keyless = verify.secret_ref.is_none() && verify.provider.as_str() == "cosign";
    let provider = if keyless { "cosign keyless" } else { verify.provider.as_str() };
    let message = format!(
        "failed to verify the signature using provider '{provider}': signatures are not supported by this version of Sluice yet, so '{}' is not pulled",
        upstream.repository.with(&upstream.digest)
    );
    Err(Failure::new(SOURCE_VERIFIED, "VerificationError", message).retry())
}

/// Whether the stored artifact was made with the settings of now.
fn is_same_content(work: &Work<OCIRepository>) -> bool {
    let Some(status) = &work.object.status else { return false };
    status.observed_ignore == work.object.spec.ignore
        && status.observed_layer_selector == work.object.spec.layer_selector
}

/// Downloads the layer; returns its file and the manifest's annotations.
async fn pull(
    work: &Work<OCIRepository>,
    registry: &Registry<'_>,
    upstream: &Upstream,
    visit: &Visit<'_>,
) -> Result<(PathBuf, BTreeMap<String, String>), Stop> {
    let url = &work.object.spec.url;
    let pull_failed = |error: String| {
        Failure::fetch("OCIArtifactPullFailed", format!("failed to pull artifact from '{url}': {error}"))
            .retry()
    };
    let layer_failed = |error: String| Failure::fetch("OCIArtifactLayerOperationFailed", error).retry();
    let manifest: Manifest = visit
        .within(work, registry.manifest(&upstream.digest))
        .await
        .map_err(|error| pull_failed(error.to_string()))?;
    let layer = select::layer(&manifest, work.object.spec.layer_selector.as_ref()).map_err(layer_failed)?;
    let path = work.dir().join("layer");
    visit
        .within(work, registry.blob(layer, &path, MAX_LAYER))
        .await
        .map_err(|error| pull_failed(error.to_string()))?;
    Ok((path, manifest.annotations()))
}

/// Extracts or copies the layer into the store and records what it was made with.
async fn store(
    work: &mut Work<OCIRepository>,
    upstream: &Upstream,
    layer: PathBuf,
    metadata: BTreeMap<String, String>,
) -> Result<(), Stop> {
    let file = format!("{}.tar.gz", upstream.digest);
    let spec = &work.object.spec;
    let (ignore, selector) = (spec.ignore.clone(), spec.layer_selector.clone());
    let operation = selector.as_ref().and_then(|selector| selector.operation).unwrap_or_default();
    if operation == LayerOperation::Copy {
        work.store_file(file, layer, upstream.revision.clone(), metadata, Some(LINK)).await?;
    } else {
        let dir = work.dir().join("content");
        let extracted = tokio::task::spawn_blocking({
            let dir = dir.clone();
            move || {
                let archive = std::fs::File::open(&layer).map_err(|error| error.to_string())?;
                unpack(archive, &dir, Links::Skip, &Limits::default()).map_err(|error| error.to_string())
            }
        })
        .await
        .unwrap_or_else(|error| Err(error.to_string()));
        extracted.map_err(|error| {
            Failure::fetch(
                "OCIArtifactLayerOperationFailed",
                format!("failed to extract layer contents from artifact: {error}"),
            )
            .retry()
        })?;
        let revision = upstream.revision.clone();
        work.store_directory(Archive {
            file,
            dir,
            revision,
            metadata,
            leave: Leave::Ignored(ignore.clone()),
            link: Some(LINK),
        })
        .await?;
    }
    let status = work.object.status.get_or_insert_default();
    status.observed_ignore = ignore;
    status.observed_layer_selector = selector;
    Ok(())
}

fn stored(work: &mut Work<OCIRepository>, revision: &str) -> Produced {
    work.mark_stored(format!("stored artifact for digest '{revision}'"));
    let mut message = format!("stored artifact with revision '{revision}' from '{}'", work.object.spec.url);
    if let Some(metadata) = work.artifact().map(|artifact| &artifact.metadata)
        && let (Some(source), Some(origin)) = (
            metadata.get("org.opencontainers.image.source"),
            metadata.get("org.opencontainers.image.revision"),
        )
    {
        message = format!("{message}, origin source '{source}', origin revision '{origin}'");
    }
    Produced::new(message)
}
