//! Short-lived keys for a login of an LDAP directory, as MinIO gives them.

use k8s_openapi::api::core::v1::Secret;
use object_store::aws::AwsCredential;
use serde::Deserialize;

use crate::secrets::text;

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(rename = "AssumeRoleWithLDAPIdentityResult")]
    result: Assumed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: Keys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

/// Asks the service for keys.
///
/// # Errors
/// What is missing in the Secret, or what the service answered; never with a password or a key in it.
pub(super) async fn ldap(
    http: &reqwest::Client,
    endpoint: &str,
    login: &Secret,
    name: &str,
) -> Result<AwsCredential, String> {
    let (user, password) = match (text(login, "username")?, text(login, "password")?) {
        (Some(user), Some(password)) => (user, password),
        _ => return Err(format!("invalid '{name}' secret data: required fields 'username' and 'password'")),
    };
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("Action", "AssumeRoleWithLDAPIdentity"),
            ("Version", "2011-06-15"),
            ("LDAPUsername", &user),
            ("LDAPPassword", &password),
        ])
        .finish();
    let failed = |error: String| format!("failed to get keys from STS endpoint '{endpoint}': {error}");
    let request = http
        .post(endpoint)
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form);
    let mut response =
        request.send().await.map_err(|error| failed(crate::oci::registry::causes(&error.without_url())))?;
    if !response.status().is_success() {
        return Err(failed(response.status().to_string()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(error.without_url().to_string()))? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(failed(format!("the answer is larger than {MAX_ANSWER} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    // The reader's text could quote a key.
    let unreadable = || failed("the answer cannot be read".to_owned());
    let answer = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let Answer { result: Assumed { credentials } } =
        quick_xml::de::from_str(&answer).map_err(|_| unreadable())?;
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if ![&credentials.access_key_id, &credentials.session_token].iter().all(|text| is_plain(text)) {
        return Err(unreadable());
    }
    Ok(AwsCredential {
        key_id: credentials.access_key_id,
        secret_key: credentials.secret_access_key,
        token: Some(credentials.session_token),
    })
}
