//! What Helm asks of `Chart.yaml` before it loads anything else, and how it cleans the texts in it.

use std::collections::HashSet;

use super::metadata::Metadata;
use crate::semver::Version;
use crate::text::quoted;

impl Metadata {
    /// Cleans every text and checks what must hold.
    ///
    /// # Errors
    /// Helm's text for the first fault.
    pub(super) fn clean(&mut self) -> Result<(), String> {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitize(text);
        }
        self.sources.iter_mut().chain(&mut self.keywords).for_each(sanitize);
        self.check().map_err(|fault| format!("validation: {fault}"))
    }

    fn check(&mut self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() {
            return Err("chart.metadata.name is required".into());
        }
        if name == "." || name == ".." {
            return Err(format!("chart.metadata.name {} is not allowed", quoted(name)));
        }
        if name.contains('/') {
            return Err(format!("chart.metadata.name {} is invalid", quoted(name)));
        }
        if self.version.is_empty() {
            return Err("chart.metadata.version is required".into());
        }
        if Version::parse(&self.version).is_err() {
            return Err(format!("chart.metadata.version {} is invalid", quoted(&self.version)));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return Err("chart.metadata.type must be application or library".into());
        }
        if self.nulls.maintainers {
            return Err("maintainers must not contain empty or null nodes".into());
        }
        for maintainer in &mut self.maintainers {
            [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url].into_iter().for_each(sanitize);
        }
        if self.nulls.dependencies {
            return Err("dependencies must not contain empty or null nodes".into());
        }
        self.check_dependencies()
    }

    fn check_dependencies(&mut self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for dependency in &mut self.dependencies {
            let texts = [
                &mut dependency.name,
                &mut dependency.version,
                &mut dependency.repository,
                &mut dependency.condition,
            ];
            texts.into_iter().chain(&mut dependency.tags).for_each(sanitize);
            let alias = &dependency.alias;
            if !alias.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                return Err(format!(
                    "dependency {} has disallowed characters in the alias",
                    quoted(&dependency.name)
                ));
            }
            let key = if alias.is_empty() { &dependency.name } else { alias };
            if !seen.insert(key.clone()) {
                return Err(format!("more than one dependency with name or alias {}", quoted(key)));
            }
        }
        Ok(())
    }
}

/// Turns every kind of blank into a space and drops what cannot be printed.
fn sanitize(text: &mut String) {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return;
    }
    *text = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| crate::text::is_printable(*c))
        .collect();
}
