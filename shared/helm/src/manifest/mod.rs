//! Splits rendered files into manifests and hooks, and puts them in order.

use crate::render::LogLine;
use crate::text::quoted;
use crate::{RenderedFile, parallel};

mod head;
mod hook;
mod order;
mod output;
mod post_render;
mod split;

pub use head::Head;
pub(crate) use head::to_value;
pub use hook::{HOOK, HOOK_DELETE_POLICY, HOOK_OUTPUT_LOG_POLICY, HOOK_WEIGHT, Hook, HookEvent};
pub use order::KindOrder;
pub use output::{Selection, document, select, selects, shown_hooks, template_output};
pub use post_render::{PostRenderError, PostRenderer, Strategy, post_render};
pub use split::split;

/// One object of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The template: `chart/templates/x.yaml`.
    pub name: String,
    /// The document.
    pub content: String,
    /// What was read of it.
    pub head: Head,
}

/// The objects of a release and its hooks, each in the order of their kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifests {
    /// What is applied.
    pub objects: Vec<Manifest>,
    /// What runs at points of the release.
    pub hooks: Vec<Hook>,
    /// What was skipped, in Helm's words.
    pub log: Vec<LogLine>,
}

/// A rendered file holds a document that is no YAML, or whose head is no object's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {file}: {message}")]
pub struct ManifestError {
    /// The template.
    pub file: String,
    /// What is wrong, in Helm's words.
    pub message: String,
    /// The document, with the numbers of its lines.
    pub numbered: String,
}

impl Manifests {
    /// Splits and sorts rendered files. They may come in any order; it is by name that they are looked at.
    ///
    /// # Errors
    /// The first document that is no YAML.
    pub fn new(files: &[RenderedFile], order: KindOrder) -> Result<Self, ManifestError> {
        let mut files: Vec<_> = files.iter().collect();
        files.sort_by(|left, right| left.name.as_bytes().cmp(right.name.as_bytes()));
        let mut manifests = Self::default();
        let mut documents = Vec::new();
        for file in files {
            if !file.name.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
                documents
                    .extend(split(&file.text).into_iter().map(|document| (file.name.as_str(), document)));
            }
        }
        let heads =
            parallel::map(&documents, |(_, document)| document.len(), |(_, document)| Head::read(document));
        for ((file, document), head) in documents.into_iter().zip(heads) {
            manifests.add(file, document, head)?;
        }
        manifests.objects.sort_by(|left, right| order.compare(&left.head.kind, &right.head.kind));
        manifests.hooks.sort_by(|left, right| order.compare(&left.kind, &right.kind));
        Ok(manifests)
    }

    fn add(&mut self, file: &str, document: &str, head: Result<Head, String>) -> Result<(), ManifestError> {
        let head = head.map_err(|message| ManifestError {
            file: file.to_owned(),
            message,
            numbered: numbered(document),
        })?;
        match hook::role(&head, file, document) {
            hook::Role::Plain => {
                self.objects.push(Manifest { name: file.to_owned(), content: document.to_owned(), head });
            }
            hook::Role::Hook(hook) => self.hooks.push(hook),
            hook::Role::Unknown(written) => self.log.push(LogLine {
                level: "INFO",
                message: format!("skipping unknown hooks hookTypes={}", log_value(&written)),
            }),
        }
        Ok(())
    }

    /// The objects as one text, as a release stores it: each with its template's name above it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for object in &self.objects {
            document(&mut out, &object.name, &object.content);
        }
        out
    }
}

/// A value in a line of the log: quoted where it is not one word.
fn log_value(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+@,:;*!?%&$#~^|<>()[]{}".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// A document with the numbers of its lines, cut where it is long.
fn numbered(document: &str) -> String {
    const LINES: usize = 200;
    let mut out = String::new();
    for (index, line) in document.lines().enumerate().take(LINES) {
        out.push_str(&format!("{:4} {line}\n", index + 1));
    }
    out
}
