//! Keys, certificates, password hashes and encryption.
//!
//! All of it is real: keys are random and secure, certificates verify. What templates make is secret, so it appears in no
//! error.

mod certificate;
mod cipher;
mod der;
mod keys;
mod password;
mod pem;

use std::{any::Any, net::IpAddr};

use certificate::{Issuer, Request};
use keys::PrivateKey;

use super::{
    dates::now,
    encode::from_base64,
    fail,
    random::{Generator, Source},
    slow,
};
use crate::{Args, Context, Error, Field, Function, Kind, NamedType, Object, Str, Type, Value};

static CERTIFICATE: NamedType = NamedType { name: "sprig.certificate", kind: Kind::Struct };

const TEXT: &[Type] = &[Type::String];
const TEXTS: &[Type] = &[Type::String, Type::String];
const AUTHORITY: &[Type] = &[Type::String, Type::Int];
const AUTHORITY_KEY: &[Type] = &[Type::String, Type::Int, Type::String];
const SELF_SIGNED: &[Type] = &[Type::String, Type::LIST, Type::LIST, Type::Int];
const SELF_SIGNED_KEY: &[Type] = &[Type::String, Type::LIST, Type::LIST, Type::Int, Type::String];
const SIGNED: &[Type] = &[Type::String, Type::LIST, Type::LIST, Type::Int, Type::Named(&CERTIFICATE)];
const SIGNED_KEY: &[Type] =
    &[Type::String, Type::LIST, Type::LIST, Type::Int, Type::Named(&CERTIFICATE), Type::String];

type Body = fn(&mut Generator, &Args) -> Result<Value, Error>;

/// The functions of this family.
pub(super) fn functions(source: &Source) -> Vec<Function> {
    let bodies: [(&'static str, &'static [Type], Body); 13] = [
        ("genPrivateKey", TEXT, |rng, args| Ok(Value::from(private_key(rng, args.string(0)?)))),
        ("genCA", AUTHORITY, |rng, args| authority(rng, args, None)),
        ("genCAWithKey", AUTHORITY_KEY, |rng, args| authority(rng, args, Some(args.string(2)?))),
        ("genSelfSignedCert", SELF_SIGNED, |rng, args| leaf(rng, args, None, None)),
        ("genSelfSignedCertWithKey", SELF_SIGNED_KEY, |rng, args| {
            leaf(rng, args, None, Some(args.string(4)?))
        }),
        ("genSignedCert", SIGNED, |rng, args| leaf(rng, args, Some(args.any(4)), None)),
        ("genSignedCertWithKey", SIGNED_KEY, |rng, args| {
            leaf(rng, args, Some(args.any(4)), Some(args.string(5)?))
        }),
        ("buildCustomCert", TEXTS, |_, args| custom(args)),
        ("bcrypt", TEXT, |rng, args| Ok(Value::from(password::bcrypt(rng, args.string(0)?)))),
        ("htpasswd", TEXTS, |rng, args| {
            let user = args.string(0)?;
            if user.contains(&b':') {
                return Ok(Value::string([b"invalid username: ", &**user].concat()));
            }
            let hash = password::bcrypt(rng, args.string(1)?);
            Ok(Value::string([&**user, b":", hash.as_bytes()].concat()))
        }),
        (
            "derivePassword",
            &[Type::Uint32, Type::String, Type::String, Type::String, Type::String],
            |_, args| {
                let counter = u32::try_from(args.int(0)?).map_err(fail)?;
                let [kind, password, user, site] =
                    [args.string(1)?, args.string(2)?, args.string(3)?, args.string(4)?];
                Ok(Value::from(password::derive(counter, kind, password, user, site)))
            },
        ),
        ("encryptAES", TEXTS, |rng, args| {
            Ok(Value::from(cipher::encrypt(rng, args.string(0)?, args.string(1)?)))
        }),
        ("decryptAES", TEXTS, |_, args| {
            Ok(Value::string(cipher::decrypt(args.string(0)?, args.string(1)?).map_err(fail)?))
        }),
    ];
    let bind = |(name, params, body): (&'static str, &'static [Type], Body)| {
        let source = source.clone();
        Function::new(name, params, move |cx: &Context<'_>, args: &Args| {
            let bytes = args.all().iter().filter_map(Value::as_str).map(|text| text.len()).sum::<usize>();
            cx.charge(bytes.saturating_mul(2))?;
            slow(cx)?;
            body(&mut source.rng(cx), args)
        })
    };
    bodies.into_iter().map(bind).collect()
}

/// A new private key as PEM, or a text that says why there is none.
fn private_key(rng: &mut Generator, kind: &Str) -> String {
    let key = match &**kind {
        b"" | b"rsa" => PrivateKey::new_rsa(rng, 4096),
        b"dsa" => Ok(PrivateKey::new_dsa(rng)),
        b"ecdsa" => Ok(PrivateKey::new_ecdsa(rng)),
        b"ed25519" => Ok(PrivateKey::new_ed25519(rng)),
        other => return format!("Unknown type {}", String::from_utf8_lossy(other)),
    };
    key.and_then(|key| key.to_pem()).unwrap_or_else(|why| format!("failed to generate private key: {why}"))
}

/// The given key, or a new RSA key of 2048 bits.
fn key_of(rng: &mut Generator, given: Option<&Str>) -> Result<PrivateKey, Error> {
    match given {
        Some(text) => PrivateKey::from_pem(text).map_err(|why| fail(format!("parsing private key: {why}"))),
        None => {
            PrivateKey::new_rsa(rng, 2048).map_err(|why| fail(format!("error generating rsa key: {why}")))
        }
    }
}

fn authority(rng: &mut Generator, args: &Args, key: Option<&Str>) -> Result<Value, Error> {
    let key = key_of(rng, key)?;
    let common_name = args.string(0)?.to_str();
    let (addresses, names) = (Vec::new(), Vec::new());
    let request =
        Request { common_name: &common_name, addresses, names, days: args.int(1)?, is_authority: true };
    certificate(rng, &request, &key, None)
}

fn leaf(rng: &mut Generator, args: &Args, issuer: Option<&Value>, key: Option<&Str>) -> Result<Value, Error> {
    let key = key_of(rng, key)?;
    let issuer = issuer.map(issuer_of).transpose()?;
    let mut addresses = Vec::new();
    for item in args.list(1)?.iter() {
        let Value::String(text) = item else {
            return Err(fail(format!("error parsing ip: {} is not a string", shown(item))));
        };
        let address = text.to_str().parse::<IpAddr>();
        addresses.push(address.map_err(|_| fail(format!("error parsing ip: {text}")))?);
    }
    let mut names = Vec::new();
    for item in args.list(2)?.iter() {
        let Value::String(text) = item else {
            let shown = shown(item);
            return Err(fail(format!("error processing alternate dns name: {shown} is not a string")));
        };
        names.push(text.to_str().into_owned());
    }
    let common_name = args.string(0)?.to_str();
    let request =
        Request { common_name: &common_name, addresses, names, days: args.int(3)?, is_authority: false };
    certificate(rng, &request, &key, issuer.as_ref())
}

/// A value as `%v` shows it.
fn shown(value: &Value) -> String {
    let mut out = Vec::new();
    match crate::fmt::print(&mut out, std::slice::from_ref(value), 1 << 16) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => value.type_name(),
    }
}

fn certificate(
    rng: &mut Generator,
    request: &Request<'_>,
    key: &PrivateKey,
    issuer: Option<&Issuer>,
) -> Result<Value, Error> {
    let certificate = request.issue(rng, &now(), key, issuer).map_err(fail)?;
    let key = key.to_pem().map_err(|why| fail(format!("error pem-encoding key: {why}")))?;
    Ok(Value::object(Certificate { certificate: certificate.into(), key: key.into() }))
}

fn issuer_of(value: &Value) -> Result<Issuer, Error> {
    let Value::Object(object) = value else { return Err(fail("expected sprig.certificate")) };
    let own =
        object.as_any().downcast_ref::<Certificate>().ok_or_else(|| fail("expected sprig.certificate"))?;
    Issuer::from_pem(&own.certificate, &own.key).map_err(fail)
}

/// A certificate and key that the chart's user brings, checked but unchanged.
fn custom(args: &Args) -> Result<Value, Error> {
    let certificate =
        from_base64(args.string(0)?).map_err(|_| fail("unable to decode base64 certificate"))?;
    let key = from_base64(args.string(1)?).map_err(|_| fail("unable to decode base64 private key"))?;
    let block = pem::first_block(&certificate).ok_or_else(|| fail("unable to decode certificate"))?;
    certificate::check(&block.data)
        .map_err(|why| fail(format!("error parsing certificate: decodedCert.Bytes: {why}")))?;
    PrivateKey::from_pem(&key).map_err(|why| fail(format!("error parsing private key: {why}")))?;
    Ok(Value::object(Certificate { certificate: certificate.into(), key: key.into() }))
}

/// What the certificate functions return: `.Cert` and `.Key`, both PEM.
struct Certificate {
    certificate: Str,
    key: Str,
}

impl std::fmt::Debug for Certificate {
    /// The key is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sprig.certificate")
    }
}

impl Object for Certificate {
    fn go_type(&self) -> &'static NamedType {
        &CERTIFICATE
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn field(&self, name: &str) -> Field {
        match name {
            "Cert" => Field::Value(self.certificate.clone().into()),
            "Key" => Field::Value(self.key.clone().into()),
            _ => Field::None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", self.certificate.clone().into()), ("Key", self.key.clone().into())]
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let same = |other: &Self| self.certificate == other.certificate && self.key == other.key;
        Some(other.as_any().downcast_ref::<Self>().is_some_and(same))
    }

    fn to_json(&self) -> Result<serde_json::Value, String> {
        Ok(serde_json::json!({ "Cert": self.certificate.to_str(), "Key": self.key.to_str() }))
    }
}
