//! Certificates, client certificates, `insecure` and proxies, against a registry behind TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use sluice_runtime::conditions::READY;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Oci;
use crate::fake::Bench;
use crate::testing::Registry;

/// A certificate authority.
struct Authority {
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Puts TLS before a registry; asks for a client certificate of `clients` if given.
async fn front(registry: &Registry, authority: &Authority, clients: Option<&Authority>) -> SocketAddr {
    sluice_runtime::process::install_crypto();
    let (certificate, key) = authority.issue();
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der.clone()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, backend) = (listener.local_addr().unwrap(), registry.host().to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, backend) = (acceptor.clone(), backend.clone());
            tokio::spawn(async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let mut inner = TcpStream::connect(backend).await.unwrap();
                let _ = copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    address
}

async fn registry() -> Registry {
    let registry = Registry::start().await.unwrap();
    let empty =
        sluice_artifact::pack(tempfile::tempdir().unwrap().path(), |_, _| true, Vec::new()).unwrap().1;
    registry.push_tar_gz("org/app", "1.0.0", empty);
    registry
}

/// Ready after a pass over a source at `address`.
async fn ready(address: SocketAddr, extra: Value, secret: &[(&str, &str)]) -> String {
    let mut spec =
        json!({"url": format!("oci://{address}/org/app"), "interval": "1m", "ref": {"tag": "1.0.0"}});
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let bench = Bench::new(Oci::default(), spec);
    bench.add_secret("tls", "Opaque", secret);
    bench.pass().await;
    bench.condition(READY).unwrap()
}

#[tokio::test]
async fn trust_comes_from_the_secret_or_is_waived_by_insecure() {
    let (registry, authority, other) = (registry().await, Authority::new(), Authority::new());
    let address = front(&registry, &authority, None).await;
    let with_secret = json!({"certSecretRef": {"name": "tls"}});
    for (extra, secret, want) in [
        (json!({}), &[][..], "False OCIArtifactPullFailed"),
        (with_secret.clone(), &[("ca.crt", authority.pem.as_str())][..], "True Succeeded"),
        (with_secret.clone(), &[("caFile", authority.pem.as_str())][..], "True Succeeded"),
        (json!({"insecure": true}), &[][..], "True Succeeded"),
        (with_secret.clone(), &[("ca.crt", other.pem.as_str())][..], "False OCIArtifactPullFailed"),
        (
            json!({"certSecretRef": {"name": "tls"}, "ref": {"semver": "1.x"}}),
            &[("ca.crt", other.pem.as_str())][..],
            "False ReadOperationFailed",
        ),
        (
            json!({"certSecretRef": {"name": "tls"}, "insecure": true}),
            &[("ca.crt", other.pem.as_str())][..],
            "False OCIArtifactPullFailed",
        ),
    ] {
        let got = ready(address, extra.clone(), secret).await;
        assert!(got.starts_with(want), "{extra}: {got}");
        assert!(
            want.starts_with("True") || got.to_lowercase().contains("certificate"),
            "the cause is told: {got}"
        );
    }
}

#[tokio::test]
async fn a_client_certificate_is_offered() {
    let (registry, authority, clients) = (registry().await, Authority::new(), Authority::new());
    let address = front(&registry, &authority, Some(&clients)).await;
    let (certificate, key) = clients.issue();
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let reference = json!({"certSecretRef": {"name": "tls"}});
    let ca = ("ca.crt", authority.pem.as_str());
    let got = ready(address, reference.clone(), &[ca, ("tls.crt", &certificate), ("tls.key", &key)]).await;
    assert!(got.starts_with("True"), "{got}");
    let got = ready(address, reference, &[ca]).await;
    assert!(got.starts_with("False OCIArtifactPullFailed"), "{got}");
}

#[tokio::test]
async fn a_proxy_is_used_with_its_credentials() {
    let (registry, authority) = (registry().await, Authority::new());
    let address = front(&registry, &authority, None).await;
    // A proxy that tunnels every CONNECT to the registry, whatever host was asked for.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                log.lock().push(String::from_utf8(head).unwrap());
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut inner = TcpStream::connect(address).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    let spec = json!({
        "url": "oci://registry.example.test/org/app", "interval": "1m", "insecure": true,
        "ref": {"tag": "1.0.0"}, "proxySecretRef": {"name": "proxy"},
    });
    let bench = Bench::new(Oci::default(), spec);
    let proxy_address = format!("http://{proxy}");
    bench.add_secret(
        "proxy",
        "Opaque",
        &[("address", &proxy_address), ("username", "me"), ("password", "hunter2")],
    );
    bench.pass().await;
    assert!(bench.condition(READY).unwrap().starts_with("True"), "{:?}", bench.condition(READY));
    let asked = asked.lock();
    assert!(asked[0].starts_with("CONNECT registry.example.test:443 "), "{asked:?}");
    assert!(asked[0].to_lowercase().contains("proxy-authorization: basic bwu6ahvudgvymg=="), "{asked:?}");
}
