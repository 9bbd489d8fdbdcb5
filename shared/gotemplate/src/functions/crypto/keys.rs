//! Private keys: made, read, written, and used to sign.

use dsa::{Components, KeySize};
use ed25519_dalek::{SigningKey, ed25519::signature::Signer as _};
use rand::Rng as _;
use rsa::{
    Pkcs1v15Sign, PrivateKey as RsaKey,
    pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _},
    pkcs8::DecodePrivateKey as _,
    traits::PublicKeyParts as _,
};
use sha2::{Digest as _, Sha256};

use super::{
    der::{self, OCTET_STRING},
    pem,
};
use crate::functions::random::Generator;

const ED25519: &[u8] = &[0x2b, 101, 112];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const EC_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const EC_P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];

/// A private key of one of the kinds that templates can make or bring.
pub(super) enum PrivateKey {
    Rsa(Box<RsaKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    Ed25519(Box<SigningKey>),
    /// Its DER: DSA keys can be made and carried, but sign no certificates.
    Dsa(Vec<u8>),
}

impl PrivateKey {
    /// Makes an RSA key.
    ///
    /// # Errors
    /// A text, if the generator fails.
    pub(super) fn new_rsa(rng: &mut Generator, bits: usize) -> Result<Self, String> {
        RsaKey::new(rng, bits).map(|key| Self::Rsa(Box::new(key))).map_err(|error| error.to_string())
    }

    /// Makes a DSA key with parameters of its own (2048 and 256 bits).
    pub(super) fn new_dsa(rng: &mut Generator) -> Self {
        let Ok(components) = Components::try_generate_from_rng_with_key_size(rng, KeySize::DSA_2048_256);
        let Ok(key) = dsa::SigningKey::try_generate_from_rng_with_components(rng, components);
        let public = key.verifying_key();
        let parameters = public.components();
        Self::Dsa(der::sequence(&[
            &der::integer(&[0]),
            &der::integer(&parameters.p().to_be_bytes()),
            &der::integer(&parameters.q().to_be_bytes()),
            &der::integer(&parameters.g().to_be_bytes()),
            &der::integer(&public.y().to_be_bytes()),
            &der::integer(&key.x().to_be_bytes()),
        ]))
    }

    /// Makes a key on the curve P-256.
    pub(super) fn new_ecdsa(rng: &mut Generator) -> Self {
        loop {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            // One number in 2^32 is beyond the order of the curve.
            if let Ok(key) = p256::SecretKey::from_slice(&bytes) {
                return Self::P256(key);
            }
        }
    }

    /// Makes an Ed25519 key.
    pub(super) fn new_ed25519(rng: &mut Generator) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self::Ed25519(Box::new(SigningKey::from_bytes(&bytes)))
    }

    /// Reads the first block of a PEM text.
    ///
    /// # Errors
    /// Sprig's text; it never shows the key.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, String> {
        let block = pem::first_block(text).ok_or("no PEM data in input")?;
        let Some(kind) = block.label.strip_suffix("PRIVATE KEY") else {
            return Err(format!("no private key data in PEM block of type {}", block.label));
        };
        match kind {
            "" => Self::from_pkcs8(&block.data)
                .ok_or_else(|| "decoding PEM as PKCS#8: not a key of a known kind".to_owned()),
            "RSA " => RsaKey::from_pkcs1_der(&block.data)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|error| format!("parsing RSA private key from PEM: {error}")),
            "EC " => Self::from_sec1(&block.data)
                .ok_or_else(|| "parsing EC private key from PEM: not a key of P-256 or P-384".to_owned()),
            "DSA " if der::split(&block.data).is_some() => Ok(Self::Dsa(block.data)),
            "DSA " => Err("parsing DSA private key from PEM: asn1: structure error".to_owned()),
            _ if !kind.ends_with(' ') => {
                Err(format!("no private key data in PEM block of type {}", block.label))
            }
            _ => Err(format!("invalid private key type {}", block.label)),
        }
    }

    fn from_pkcs8(data: &[u8]) -> Option<Self> {
        RsaKey::from_pkcs8_der(data)
            .map(|key| Self::Rsa(Box::new(key)))
            .ok()
            .or_else(|| p256::SecretKey::from_pkcs8_der(data).map(Self::P256).ok())
            .or_else(|| p384::SecretKey::from_pkcs8_der(data).map(Self::P384).ok())
            .or_else(|| SigningKey::from_pkcs8_der(data).map(|key| Self::Ed25519(Box::new(key))).ok())
    }

    fn from_sec1(data: &[u8]) -> Option<Self> {
        let p256 = p256::SecretKey::from_sec1_der(data).map(Self::P256).ok();
        p256.or_else(|| p384::SecretKey::from_sec1_der(data).map(Self::P384).ok())
    }

    /// The key as PEM, each kind in the form that is usual for it: PKCS#1, SEC 1, PKCS#8.
    ///
    /// # Errors
    /// A text, if the key cannot be written.
    pub(super) fn to_pem(&self) -> Result<String, String> {
        Ok(match self {
            Self::Rsa(key) => {
                let document = key.to_pkcs1_der().map_err(|error| error.to_string())?;
                pem::write("RSA PRIVATE KEY", document.as_bytes())
            }
            Self::P256(key) => sec1(&key.to_bytes(), EC_P256, &self.public_bits()),
            Self::P384(key) => sec1(&key.to_bytes(), EC_P384, &self.public_bits()),
            Self::Ed25519(key) => {
                let inner = der::wrap(OCTET_STRING, &[key.as_bytes()]);
                let algorithm = der::sequence(&[&der::oid(ED25519)]);
                let outer = [der::integer(&[0]), algorithm, der::wrap(OCTET_STRING, &[&inner])].concat();
                pem::write("PRIVATE KEY", &der::sequence(&[&outer]))
            }
            Self::Dsa(data) => pem::write("DSA PRIVATE KEY", data),
        })
    }

    /// The bits of the public key, as certificates hold them.
    pub(super) fn public_bits(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let (modulus, exponent) = (key.n().to_be_bytes(), key.e().to_be_bytes());
                der::sequence(&[&der::integer(&modulus), &der::integer(&exponent)])
            }
            Self::P256(key) => key.public_key().to_sec1_bytes().to_vec(),
            Self::P384(key) => key.public_key().to_sec1_bytes().to_vec(),
            Self::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
            Self::Dsa(_) => Vec::new(),
        }
    }

    /// The public key with its kind: a `SubjectPublicKeyInfo`.
    pub(super) fn public_info(&self) -> Vec<u8> {
        let algorithm = match self {
            Self::Rsa(_) => der::sequence(&[&der::oid(RSA), &der::null()]),
            Self::P256(_) => der::sequence(&[&der::oid(EC_PUBLIC_KEY), &der::oid(EC_P256)]),
            Self::P384(_) => der::sequence(&[&der::oid(EC_PUBLIC_KEY), &der::oid(EC_P384)]),
            Self::Ed25519(_) => der::sequence(&[&der::oid(ED25519)]),
            Self::Dsa(_) => Vec::new(),
        };
        der::sequence(&[&algorithm, &der::bits(&self.public_bits())])
    }

    /// The name of the algorithm that [`PrivateKey::sign`] uses: an `AlgorithmIdentifier`.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        match self {
            Self::Rsa(_) => der::sequence(&[&der::oid(RSA_SHA256), &der::null()]),
            Self::P256(_) => der::sequence(&[&der::oid(ECDSA_SHA256)]),
            Self::P384(_) => der::sequence(&[&der::oid(ECDSA_SHA384)]),
            Self::Ed25519(_) => der::sequence(&[&der::oid(ED25519)]),
            Self::Dsa(_) => Vec::new(),
        }
    }

    /// Signs with SHA-256 (P-384: SHA-384).
    ///
    /// # Errors
    /// Go's text for keys that cannot sign a certificate.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Rsa(key) => key
                .sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
                .map_err(|error| error.to_string()),
            Self::P256(key) => {
                let signature: p256::ecdsa::DerSignature = p256::ecdsa::SigningKey::from(key).sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::DerSignature = p384::ecdsa::SigningKey::from(key).sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Self::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
            Self::Dsa(_) => Err("x509: certificate private key does not implement crypto.Signer".to_owned()),
        }
    }
}

/// An elliptic key as PEM in the form of SEC 1.
fn sec1(secret: &[u8], curve: &[u8], public: &[u8]) -> String {
    let body = [
        der::integer(&[1]),
        der::wrap(OCTET_STRING, &[secret]),
        der::context(0, &[&der::oid(curve)]),
        der::context(1, &[&der::bits(public)]),
    ];
    pem::write("EC PRIVATE KEY", &der::sequence(&[&body.concat()]))
}
