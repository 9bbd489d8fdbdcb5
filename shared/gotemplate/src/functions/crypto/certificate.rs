//! X.509 certificates as Go's `crypto/x509` writes them.

use std::net::IpAddr;

use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate as Parsed,
    der::{Decode as _, Encode as _},
    ext::pkix::SubjectKeyIdentifier,
};

use super::{
    der::{self, OCTET_STRING, SEQUENCE, SET},
    keys::PrivateKey,
    pem,
};
use crate::{
    fmt::quoted,
    functions::{
        gotime::{Time, Zone},
        random::Generator,
    },
};

/// What a new certificate says.
pub(super) struct Request<'a> {
    pub(super) common_name: &'a str,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) names: Vec<String>,
    pub(super) days: i64,
    pub(super) is_authority: bool,
}

/// Who signs a certificate.
pub(super) struct Issuer {
    /// The encoded name.
    name: Vec<u8>,
    key_id: Vec<u8>,
    key: PrivateKey,
}

const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const KEY_USAGE: u8 = 15;
const EXTENDED_KEY_USAGE: u8 = 37;
const BASIC_CONSTRAINTS: u8 = 19;
const SUBJECT_KEY_ID: u8 = 14;
const AUTHORITY_KEY_ID: u8 = 35;
const ALTERNATIVE_NAMES: u8 = 17;

impl Issuer {
    /// An authority from the PEM of its certificate and key.
    ///
    /// # Errors
    /// Sprig's texts.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let block = pem::first_block(certificate).ok_or("unable to decode certificate")?;
        let failed = |error: x509_cert::der::Error| {
            format!("error parsing certificate: decodedSignerCert.Bytes: {error}")
        };
        let parsed = Parsed::from_der(&block.data).map_err(failed)?;
        let key = PrivateKey::from_pem(key).map_err(|why| format!("error parsing private key: {why}"))?;
        let tbs = parsed.tbs_certificate();
        let public = tbs.subject_public_key_info().subject_public_key.raw_bytes();
        if !matches!(key, PrivateKey::Dsa(_)) && public != key.public_bits() {
            let why = "x509: provided PrivateKey doesn't match parent's PublicKey";
            return Err(format!("error creating certificate: {why}"));
        }
        let key_id = tbs.get_extension::<SubjectKeyIdentifier>().map_err(failed)?;
        Ok(Self {
            name: tbs.subject().to_der().map_err(failed)?,
            key_id: key_id.map(|(_, id)| id.0.as_bytes().to_vec()).unwrap_or_default(),
            key,
        })
    }
}

impl Request<'_> {
    /// Makes a certificate for a key, signed by an issuer or by the key itself. PEM.
    ///
    /// # Errors
    /// A text, if the key cannot sign or something cannot be encoded.
    pub(super) fn issue(
        &self,
        rng: &mut Generator,
        now: &Time,
        key: &PrivateKey,
        issuer: Option<&Issuer>,
    ) -> Result<String, String> {
        self.issue_der(rng, now, key, issuer)
            .map(|data| pem::write("CERTIFICATE", &data))
            .map_err(|why| format!("error creating certificate: {why}"))
    }

    fn issue_der(
        &self,
        rng: &mut Generator,
        now: &Time,
        key: &PrivateKey,
        issuer: Option<&Issuer>,
    ) -> Result<Vec<u8>, String> {
        let signer = issuer.map_or(key, |issuer| &issuer.key);
        let mut serial = [0; 16];
        rng.fill_bytes(&mut serial);
        let subject = name(self.common_name);
        let issuer_name = issuer.map_or(&subject, |issuer| &issuer.name);
        let end = self.days.saturating_mul(86_400);
        let end = Time { seconds: now.seconds.saturating_add(end), ..now.clone() };
        let validity = der::sequence(&[&time(now)?, &time(&end)?]);
        let key_id = issuer.filter(|issuer| issuer.name != subject).map(|issuer| issuer.key_id.as_slice());
        let extensions = self.extensions(key, key_id.unwrap_or_default())?;
        let algorithm = signer.signature_algorithm();
        let body = der::sequence(&[
            &der::context(0, &[&der::integer(&[2])]),
            &der::integer(&serial),
            &algorithm,
            issuer_name,
            &validity,
            &subject,
            &key.public_info(),
            &der::context(3, &[&der::sequence(&[&extensions])]),
        ]);
        let signature = signer.sign(&body)?;
        Ok(der::sequence(&[&body, &algorithm, &der::bits(&signature)]))
    }

    /// The extensions, in the order in which Go writes them.
    fn extensions(&self, key: &PrivateKey, authority_key_id: &[u8]) -> Result<Vec<u8>, String> {
        // Bits: digitalSignature, keyEncipherment and, for an authority, keyCertSign.
        let usage: &[u8] = if self.is_authority { &[3, 2, 2, 0xa4] } else { &[3, 2, 5, 0xa0] };
        let mut out = extension(KEY_USAGE, true, usage);
        let purposes = der::sequence(&[&der::oid(SERVER_AUTH), &der::oid(CLIENT_AUTH)]);
        out.extend(extension(EXTENDED_KEY_USAGE, false, &purposes));
        let constraints = if self.is_authority { der::boolean_true() } else { Vec::new() };
        out.extend(extension(BASIC_CONSTRAINTS, true, &der::sequence(&[&constraints])));
        if self.is_authority {
            let digest = Sha256::digest(key.public_bits());
            let id = der::wrap(OCTET_STRING, &[&digest[..20]]);
            out.extend(extension(SUBJECT_KEY_ID, false, &id));
        }
        if !authority_key_id.is_empty() {
            let id = der::sequence(&[&der::wrap(0x80, &[authority_key_id])]);
            out.extend(extension(AUTHORITY_KEY_ID, false, &id));
        }
        if !self.names.is_empty() || !self.addresses.is_empty() {
            let mut names = Vec::new();
            for name in &self.names {
                if !name.is_ascii() {
                    let shown = quoted(name.as_bytes());
                    return Err(format!("x509: {shown} cannot be encoded as an IA5String"));
                }
                names.extend(der::wrap(0x82, &[name.as_bytes()]));
            }
            for address in &self.addresses {
                names.extend(match address.to_canonical() {
                    IpAddr::V4(address) => der::wrap(0x87, &[&address.octets()]),
                    IpAddr::V6(address) => der::wrap(0x87, &[&address.octets()]),
                });
            }
            let critical = self.common_name.is_empty();
            out.extend(extension(ALTERNATIVE_NAMES, critical, &der::sequence(&[&names])));
        }
        Ok(out)
    }
}

/// Checks that a text is a certificate.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(data: &[u8]) -> Result<(), String> {
    Parsed::from_der(data).map(drop).map_err(|error| error.to_string())
}

/// An extension of the branch 2.5.29.
fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical { der::boolean_true() } else { Vec::new() };
    der::sequence(&[&der::oid(&[0x55, 0x1d, number]), &flag, &der::wrap(OCTET_STRING, &[value])])
}

/// A name that consists of a common name, or of nothing.
fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return der::wrap(SEQUENCE, &[]);
    }
    let printable = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b);
    let tag = if common_name.bytes().all(printable) { 0x13 } else { 0x0c };
    let value = der::wrap(tag, &[common_name.as_bytes()]);
    let pair = der::sequence(&[&der::oid(COMMON_NAME), &value]);
    der::sequence(&[&der::wrap(SET, &[&pair])])
}

/// A time: two digits for the years that have such a form, else four.
fn time(time: &Time) -> Result<Vec<u8>, String> {
    let utc = time.in_zone(Zone::Utc);
    match utc.date().year {
        1950..=2049 => Ok(der::wrap(0x17, &[&utc.format(b"060102150405Z")])),
        0..=9999 => Ok(der::wrap(0x18, &[&utc.format(b"20060102150405Z")])),
        _ => Err("cannot represent time as GeneralizedTime".to_owned()),
    }
}
