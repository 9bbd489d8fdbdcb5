//! Certificates that templates make, judged by the verifier of rustls.
#![expect(clippy::expect_used, reason = "a failure of these is a failure of the test")]

use std::{sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use sluice_gotemplate::{
    Functions, Map, Options, Session, Set, Value,
    functions::{Settings, functions},
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

fn render(template: &str) -> String {
    let mut all = Functions::builtin();
    all.extend(functions(&Settings::default()));
    let mut set = Set::new("gotpl", Arc::new(all));
    set.parse("t", template.as_bytes()).expect("a template");
    let session = Session::new(Options::default(), None);
    let out = set.execute(&session, "t", &Value::Map(Map::new())).expect("no failure");
    String::from_utf8(out).expect("UTF-8")
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

fn now() -> UnixTime {
    let since = jiff::Timestamp::now().as_second();
    UnixTime::since_unix_epoch(Duration::from_secs(since.unsigned_abs()))
}

#[test]
fn signed_certificates_verify_against_their_authority() {
    for key in ["ecdsa", "ed25519", "rsa"] {
        let authority = match key {
            "rsa" => "genCA \"ca\" 365".to_owned(),
            kind => format!("genCAWithKey \"ca\" 365 (genPrivateKey {kind:?})"),
        };
        let leaf_key = "genPrivateKey \"ecdsa\"";
        let text = render(&format!(
            "{{{{ $ca := {authority} }}}}{{{{ $ca.Cert }}}}|{{{{ (genSignedCertWithKey \"cn\" (list \"10.0.0.1\" \"::1\") \
             (list \"a.example\" \"*.b.example\") 30 $ca ({leaf_key})).Cert }}}}"
        ));
        let (authority, leaf) = text.split_once('|').expect("two certificates");
        let (authority, leaf) = (certificate(authority), certificate(leaf));
        let anchors = [anchor_from_trusted_cert(&authority).expect("an authority")];
        let leaf = EndEntityCert::try_from(&leaf).expect("a certificate");
        for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
            leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[], now(), usage, None, None)
                .unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        for (name, valid) in [
            ("a.example", true),
            ("x.b.example", true),
            ("10.0.0.1", true),
            ("::1", true),
            ("cn", false),
            ("10.0.0.2", false),
        ] {
            let server = ServerName::try_from(name).expect("a name");
            assert_eq!(leaf.verify_is_valid_for_subject_name(&server).is_ok(), valid, "{key}: {name}");
        }
        let much_later = UnixTime::since_unix_epoch(Duration::from_secs(now().as_secs() + 31 * 86_400));
        let usage = KeyUsage::server_auth();
        let late = leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &[],
            much_later,
            usage,
            None,
            None,
        );
        assert!(late.is_err(), "{key}: valid after its end");
    }
}

#[test]
fn a_certificate_of_another_authority_does_not_verify() {
    let text = render(
        "{{ $k := genPrivateKey \"ecdsa\" }}{{ $a := genCAWithKey \"ca\" 1 (genPrivateKey \"ecdsa\") }}\
         {{ $b := genCAWithKey \"ca\" 1 (genPrivateKey \"ecdsa\") }}\
         {{ $a.Cert }}|{{ (genSignedCertWithKey \"cn\" nil (list \"a\") 1 $b $k).Cert }}",
    );
    let (authority, leaf) = text.split_once('|').expect("two certificates");
    let (authority, leaf) = (certificate(authority), certificate(leaf));
    let anchors = [anchor_from_trusted_cert(&authority).expect("an authority")];
    let leaf = EndEntityCert::try_from(&leaf).expect("a certificate");
    let usage = KeyUsage::server_auth();
    let verified =
        leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[], now(), usage, None, None);
    assert!(verified.is_err());
}

#[test]
fn keys_survive_a_round_trip_in_their_own_form() {
    for (kind, label) in [
        ("ecdsa", "EC PRIVATE KEY"),
        ("ed25519", "PRIVATE KEY"),
        ("dsa", "DSA PRIVATE KEY"),
        ("rsa", "RSA PRIVATE KEY"),
    ] {
        let key = render(&format!("{{{{ genPrivateKey {kind:?} }}}}"));
        assert!(key.starts_with(&format!("-----BEGIN {label}-----\n")), "{key}");
        assert!(key.ends_with(&format!("-----END {label}-----\n")), "{key}");
        if kind != "dsa" {
            let again = render(&format!("{{{{ (genCAWithKey \"ca\" 1 {key:?}).Key }}}}"));
            assert_eq!(again, key);
        }
    }
}
