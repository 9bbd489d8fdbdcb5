//! A release as the bytes in a Secret: base64 of gzip of JSON.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sluice_yaml::json::{self, Html};

use super::{ApplyMethod, HookPhase, HookRun, Info, Release, Status, StoredChart, StoredHook, Time};
use crate::manifest::{Hook, HookEvent};
use crate::yaml;

/// Bytes of JSON that are read: a Secret holds a megabyte at most, and this is what hardly any release unpacks to.
pub(super) const LONGEST: u64 = 64 << 20;

/// Why the content of a Secret is no release. The text holds nothing of the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not base64.
    #[error("the content is not base64")]
    Base64,
    /// It is damaged.
    #[error("the content cannot be decompressed: {0}")]
    Gzip(String),
    /// It is too large.
    #[error("the release is larger than {LONGEST} bytes")]
    TooLarge,
    /// It is not JSON, or not that of a release.
    #[error("the content is not a release in JSON: {0}")]
    Json(String),
}

/// Reads the value of `data.release`, after the base64 that the API adds to every value of a Secret.
///
/// The labels are not part of it: set them from the Secret's, by [`own_labels`](super::own_labels).
///
/// # Errors
/// [`DecodeError`], for content that no Helm writes.
pub fn decode(content: &[u8]) -> Result<Release, DecodeError> {
    let packed = STANDARD.decode(content.trim_ascii()).map_err(|_| DecodeError::Base64)?;
    // Helm 2 stored what was not compressed.
    let text = if packed.starts_with(&[0x1f, 0x8b]) { unpack(&packed)? } else { packed };
    let read: Read = serde_json::from_slice(&text).map_err(|error| {
        DecodeError::Json(format!("unusable at line {}, column {}", error.line(), error.column()))
    })?;
    read.release()
}

/// Writes the value of `data.release`, before the base64 that the API adds.
#[must_use]
pub fn encode(release: &Release) -> Vec<u8> {
    let text = text(release);
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::best());
    // A vector takes any number of bytes.
    let packed = packed.write_all(text.as_bytes()).and_then(|()| packed.finish()).unwrap_or_default();
    STANDARD.encode(packed).into_bytes()
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut text = Vec::new();
    let mut unpacked = GzDecoder::new(packed).take(LONGEST + 1);
    unpacked.read_to_end(&mut text).map_err(|error| DecodeError::Gzip(error.to_string()))?;
    if text.len() as u64 > LONGEST { Err(DecodeError::TooLarge) } else { Ok(text) }
}

/// The JSON of a release.
pub(super) fn text(release: &Release) -> String {
    let written = Written {
        name: &release.name,
        info: WrittenInfo::of(&release.info),
        chart: Some(release.chart.body()).filter(|body| body.get() != "null"),
        config: map(&release.config),
        manifest: &release.manifest,
        hooks: release.hooks.iter().map(WrittenHook::of).collect(),
        version: release.version,
        namespace: &release.namespace,
        apply_method: release.apply_method.map(ApplyMethod::as_str),
    };
    // Texts, numbers and raw JSON always can be written.
    json::encode(&written).unwrap_or_default()
}

/// A map as JSON with sorted keys; nothing for an empty one.
pub(super) fn map(map: &Map<String, Value>) -> Option<Box<RawValue>> {
    if map.is_empty() {
        return None;
    }
    let mut out = String::from("{");
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_key(|(key, _)| key.as_bytes());
    for (key, value) in pairs {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&json::encode(key).unwrap_or_default());
        out.push(':');
        out.push_str(&json::to_string(value, Html::Escape));
    }
    out.push('}');
    RawValue::from_string(out).ok()
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    info: WrittenInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    manifest: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<WrittenHook<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    version: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply_method: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct WrittenInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    first_deployed: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    last_deployed: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    deleted: Option<Time>,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    notes: &'a str,
}

impl<'a> WrittenInfo<'a> {
    pub(super) fn of(info: &'a Info) -> Self {
        Self {
            first_deployed: info.first_deployed,
            last_deployed: info.last_deployed,
            deleted: info.deleted,
            description: &info.description,
            status: info.status.as_str(),
            notes: &info.notes,
        }
    }
}

#[derive(Serialize)]
pub(super) struct WrittenHook<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    manifest: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<&'static str>,
    last_run: WrittenRun<'a>,
    #[serde(skip_serializing_if = "is_zero_weight")]
    weight: i64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    delete_policies: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    output_log_policies: &'a [String],
}

#[derive(Serialize)]
struct WrittenRun<'a> {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    completed_at: Option<Time>,
    phase: &'a str,
}

impl<'a> WrittenHook<'a> {
    pub(super) fn of(stored: &'a StoredHook) -> Self {
        let StoredHook { hook, last_run } = stored;
        Self {
            name: &hook.name,
            kind: &hook.kind,
            path: &hook.path,
            manifest: &hook.manifest,
            events: hook.events.iter().map(|event| event.as_str()).collect(),
            last_run: WrittenRun {
                started_at: last_run.started_at,
                completed_at: last_run.completed_at,
                phase: last_run.phase.as_str(),
            },
            weight: hook.weight,
            delete_policies: &hook.delete_policies,
            output_log_policies: &hook.output_log_policies,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero_weight(number: &i64) -> bool {
    *number == 0
}

fn time<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// What Go reads: every field may be absent or `null`.
#[derive(Deserialize)]
struct Read {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    info: ReadInfo,
    #[serde(default)]
    chart: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_default")]
    config: Map<String, Value>,
    #[serde(default, deserialize_with = "or_default")]
    manifest: String,
    #[serde(default, deserialize_with = "or_default")]
    hooks: Vec<ReadHook>,
    #[serde(default, deserialize_with = "or_default")]
    version: u32,
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    apply_method: String,
}

#[derive(Deserialize, Default)]
struct ReadInfo {
    #[serde(default, deserialize_with = "or_default")]
    first_deployed: String,
    #[serde(default, deserialize_with = "or_default")]
    last_deployed: String,
    #[serde(default, deserialize_with = "or_default")]
    deleted: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    notes: String,
}

#[derive(Deserialize, Default)]
struct ReadHook {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    path: String,
    #[serde(default, deserialize_with = "or_default")]
    manifest: String,
    #[serde(default, deserialize_with = "or_default")]
    events: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    last_run: ReadRun,
    #[serde(default, deserialize_with = "or_default")]
    weight: i64,
    #[serde(default, deserialize_with = "or_default")]
    delete_policies: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    output_log_policies: Vec<String>,
}

#[derive(Deserialize, Default)]
struct ReadRun {
    #[serde(default, deserialize_with = "or_default")]
    started_at: String,
    #[serde(default, deserialize_with = "or_default")]
    completed_at: String,
    #[serde(default, deserialize_with = "or_default")]
    phase: String,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Read {
    fn release(self) -> Result<Release, DecodeError> {
        let mut config = Value::Object(self.config);
        yaml::to_floats(&mut config);
        let chart = self.chart.map(StoredChart::read).transpose().map_err(DecodeError::Json)?;
        Ok(Release {
            name: self.name,
            namespace: self.namespace,
            version: self.version,
            info: self.info.info()?,
            chart: chart.unwrap_or_default(),
            config: match config {
                Value::Object(map) => map,
                _ => Map::new(),
            },
            manifest: self.manifest,
            hooks: self.hooks.into_iter().map(ReadHook::hook).collect::<Result<_, _>>()?,
            apply_method: ApplyMethod::of(&self.apply_method),
            labels: std::collections::BTreeMap::new(),
        })
    }
}

impl ReadInfo {
    fn info(self) -> Result<Info, DecodeError> {
        Ok(Info {
            first_deployed: point(&self.first_deployed)?,
            last_deployed: point(&self.last_deployed)?,
            deleted: point(&self.deleted)?,
            description: self.description,
            status: Status::of(&self.status),
            notes: self.notes,
        })
    }
}

impl ReadHook {
    fn hook(self) -> Result<StoredHook, DecodeError> {
        Ok(StoredHook {
            hook: Hook {
                name: self.name,
                kind: self.kind,
                path: self.path,
                manifest: self.manifest,
                events: self.events.iter().filter_map(|event| HookEvent::named(event)).collect(),
                weight: self.weight,
                delete_policies: self.delete_policies,
                output_log_policies: self.output_log_policies,
            },
            last_run: HookRun {
                started_at: point(&self.last_run.started_at)?,
                completed_at: point(&self.last_run.completed_at)?,
                phase: HookPhase::of(&self.last_run.phase),
            },
        })
    }
}

fn point(text: &str) -> Result<Option<Time>, DecodeError> {
    Time::read(text).map_err(DecodeError::Json)
}
