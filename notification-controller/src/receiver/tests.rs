use super::verify::{Refused, verify};
use super::*;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use k8s_openapi::ByteString;
use sluice_api::notification::ReceiverType;

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

const TOKEN: &[u8] = b"s3cr3t-t0ken";

fn call(
    type_: ReceiverType,
    events: &[&str],
    headers: &[(&str, &str)],
    body: &str,
) -> Result<String, Refused> {
    let spec = ReceiverSpec {
        type_,
        events: events.iter().map(|&event| event.to_owned()).collect(),
        ..ReceiverSpec::default()
    };
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(pair).collect();
    let payload = verify(&spec, TOKEN, &headers, Bytes::copy_from_slice(body.as_bytes()))?;
    Ok(String::from_utf8(payload.to_vec()).unwrap())
}

#[test]
fn paths_are_those_of_flux() {
    for (token, name, namespace, want) in [
        ("token", "rcv", "apps", "55d9334817eca624107e3d750c4c868d7f74af99ae86dc2e8370ce568d9bbee6"),
        (
            "s3cr3t-t0ken",
            "github-receiver",
            "flux-system",
            "b0fa0533de3c38d03a53393b6a2982d4f1aa1c697aeaf16ec08d55c54d53f6f3",
        ),
        (
            "",
            "generic-oidc",
            "flux-system",
            "f5df7d67392c07b021dada80b9bf944c93dc883351df0f60c898407e20cfe206",
        ),
    ] {
        assert_eq!(path(token.as_bytes(), &Key::new(namespace, name)), format!("/hook/{want}"));
    }
}

#[test]
fn an_empty_token_is_none() {
    for (data, want) in [(Some("x"), true), (Some(""), false), (None, false)] {
        let data = data.map(|token| [("token".to_owned(), ByteString(token.as_bytes().to_vec()))].into());
        let secret = Secret { data, ..Secret::default() };
        let got = token(&secret, &Key::new("apps", "r"), "s");
        assert_eq!(got.is_ok(), want);
        if let Err(err) = got {
            assert_eq!(err, "invalid 'apps/s' secret data: required fields 'token'");
        }
    }
}

#[test]
fn calls_of_the_services_are_accepted() {
    use ReceiverType as Type;
    let json = ("Content-Type", "application/json; charset=utf-8");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let push = r#"{"ref":"refs/heads/main","repository":{"full_name":"org/repo"}}"#;
    let image = r#"{"image":"registry.example.com/org/app:1.2.3"}"#;
    let cases: &[(Type, Headers<'_>, &str)] = &[
        (
            Type::Github,
            &[
                json,
                ("X-GitHub-Event", "push"),
                (
                    "X-Hub-Signature-256",
                    "sha256=fb83dce192c3bc196f9314504d520e4ae1d3d0b720bfcca9a168a9f05113b611",
                ),
            ],
            push,
        ),
        (Type::Github, &[json, ("X-Hub-Signature", "sha1=e69ba4aa9d65b7dacdc6a366da2439ea1a7ae508")], push),
        (
            Type::GenericHmac,
            &[("X-Signature", "sha256=458a50297d4ee8839de877d9fb0d85a82ae20ce2e74c3e13ccbac0c9d55da11d")],
            image,
        ),
        (Type::GenericHmac, &[("X-Signature", "sha1=877364f8283b56ce4ad1030e51bb28cf43582fbe")], image),
        (
            Type::GenericHmac,
            &[("X-Signature", "sha256=3dbece019430b251eaab5faf039211cb47fa59ccc36fcb46a833c1189ff297b4")],
            "",
        ),
        (
            Type::Bitbucket,
            &[
                json,
                ("X-Event-Key", "repo:refs_changed"),
                (
                    "X-Hub-Signature",
                    "sha256=829788dd049a12695899ba76008f316cfa5966e4bb7aea85d2d00380e0ef8610",
                ),
            ],
            r#"{"eventKey":"repo:refs_changed"}"#,
        ),
        (
            Type::Nexus,
            &[("X-Nexus-Webhook-Signature", "a1b19956ebb01d78d81177548de659d7b09ed758")],
            r#"{"timestamp":"2016-11-10T23:57:49.664+0000","repositoryName":"npm-proxy","action":"CREATED"}"#,
        ),
        (
            Type::Gitlab,
            &[("X-Gitlab-Token", "s3cr3t-t0ken"), ("X-Gitlab-Event", "Push Hook")],
            r#"{"ref":"refs/heads/main"}"#,
        ),
        (Type::Harbor, &[("Authorization", "s3cr3t-t0ken")], r#"{"type":"PUSH_ARTIFACT"}"#),
        (
            Type::DockerHub,
            &[],
            r#"{"push_data":{"tag":"1.2.3"},"repository":{"repo_url":"https://registry.example.com/r/org/app"}}"#,
        ),
        (Type::Quay, &[], r#"{"docker_url":"registry.example.com/org/app","updated_tags":["1.2.3"]}"#),
        (Type::Acr, &[], r#"{"action":"push","target":{"repository":"app","tag":"1.2.3"}}"#),
        (
            Type::CdEvents,
            &[("Ce-Type", "cd.change.merged.v1")],
            r#"{"context":{"gitRepository":"org/repo","gitRevision":"5555","version":"0.3.0","id":"5555","source":"github","timestamp":"2023-12-07T14:51:29.908479495Z","type":"dev.cdevents.change.merged.0.2.0"},"subject":{"type":"change","id":"5555"}}"#,
        ),
        (Type::Generic, &[], "anything"),
    ];
    for (type_, headers, body) in cases {
        assert_eq!(call(*type_, &[], headers, body).as_deref(), Ok(*body), "{type_}");
    }
    let signed =
        ("X-Hub-Signature-256", "sha256=d8feda71bdd8fc357a64c76c562a9a6d6ba4729883e7fa0b40d04a4777ee912f");
    let body = "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D";
    assert_eq!(call(Type::Github, &[], &[form, signed], body).as_deref(), Ok(r#"{"ref":"refs/heads/main"}"#));
}

#[test]
fn everything_else_is_refused() {
    use ReceiverType as Type;
    let json = ("Content-Type", "application/json");
    let good =
        ("X-Hub-Signature-256", "sha256=fb83dce192c3bc196f9314504d520e4ae1d3d0b720bfcca9a168a9f05113b611");
    let push = r#"{"ref":"refs/heads/main","repository":{"full_name":"org/repo"}}"#;
    let cases: &[(Type, &[&str], Headers<'_>, &str, Refused)] = &[
        (Type::Github, &[], &[json], push, Refused::Unsigned),
        (Type::Github, &[], &[json, good], "{}", Refused::Signature),
        (Type::Github, &[], &[("Content-Type", "text/plain"), good], push, Refused::ContentType),
        (Type::Github, &["push"], &[json, good, ("X-GitHub-Event", "ping")], push, Refused::Event),
        (Type::Github, &[], &[json, ("X-Hub-Signature-256", "md5=00")], push, Refused::Algorithm),
        (Type::Github, &[], &[json, ("X-Hub-Signature-256", "fb83")], push, Refused::Malformed),
        (Type::Github, &[], &[json, ("X-Hub-Signature-256", "sha256=zz")], push, Refused::Malformed),
        (Type::Github, &[], &[json, ("X-Hub-Signature-256", "sha256=fb83")], push, Refused::Signature),
        (Type::Gitlab, &[], &[], "{}", Refused::Token),
        (Type::Gitlab, &[], &[("X-Gitlab-Token", "s3cr3t")], "{}", Refused::Token),
        (
            Type::Gitlab,
            &["Push Hook"],
            &[("X-Gitlab-Token", "s3cr3t-t0ken"), ("X-Gitlab-Event", "Tag Push Hook")],
            "{}",
            Refused::Event,
        ),
        (Type::Harbor, &[], &[("Authorization", "Bearer s3cr3t-t0ken")], "{}", Refused::Token),
        (Type::Nexus, &[], &[], "{}", Refused::Unsigned),
        (Type::Nexus, &[], &[("X-Nexus-Webhook-Signature", "00")], "{}", Refused::Signature),
        (Type::GenericHmac, &[], &[], "", Refused::Unsigned),
        (Type::Gcr, &[], &[], "{}", Refused::NotBuilt),
    ];
    for (type_, events, headers, body, want) in cases {
        assert_eq!(call(*type_, events, headers, body).as_ref(), Err(want), "{type_} {headers:?}");
    }
    assert!(call(Type::Github, &["PUSH"], &[json, good, ("X-GitHub-Event", "push")], push).is_ok());
    for (type_, body) in [
        (Type::DockerHub, r#"{"push_data":{"tag":1}}"#),
        (Type::Quay, r#"{"updated_tags":"1.2.3"}"#),
        (Type::Acr, "[]x"),
        (Type::CdEvents, r#"{"context":{"id":"","type":"dev.cdevents.change.merged.0.2.0"}}"#),
        (Type::CdEvents, r#"{"context":{"id":"1","type":"dev.cdevents.nothing.merged.0.2.0"}}"#),
        (Type::DockerHub, ""),
        (Type::DockerHub, &"[".repeat(100_000)),
    ] {
        assert!(matches!(call(type_, &[], &[], body), Err(Refused::Payload(_))), "{type_} {body:.60}");
    }
}
