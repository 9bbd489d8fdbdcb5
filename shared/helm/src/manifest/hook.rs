//! Hooks: manifests that run at a point of a release instead of being part of it.

use super::head::Head;

/// Names the points at which a manifest runs.
pub const HOOK: &str = "helm.sh/hook";
/// Orders hooks of one point.
pub const HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// Says when a hook's object is deleted.
pub const HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// Says when a hook's log is shown.
pub const HOOK_OUTPUT_LOG_POLICY: &str = "helm.sh/hook-output-log-policy";

/// A point of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookEvent {
    /// Before anything of an install.
    PreInstall,
    /// After everything of an install.
    PostInstall,
    /// Before anything is deleted.
    PreDelete,
    /// After everything is deleted.
    PostDelete,
    /// Before anything of an upgrade.
    PreUpgrade,
    /// After everything of an upgrade.
    PostUpgrade,
    /// Before anything of a rollback.
    PreRollback,
    /// After everything of a rollback.
    PostRollback,
    /// When somebody tests the release.
    Test,
}

const EVENTS: [(HookEvent, &str); 9] = [
    (HookEvent::PreInstall, "pre-install"),
    (HookEvent::PostInstall, "post-install"),
    (HookEvent::PreDelete, "pre-delete"),
    (HookEvent::PostDelete, "post-delete"),
    (HookEvent::PreUpgrade, "pre-upgrade"),
    (HookEvent::PostUpgrade, "post-upgrade"),
    (HookEvent::PreRollback, "pre-rollback"),
    (HookEvent::PostRollback, "post-rollback"),
    (HookEvent::Test, "test"),
];

impl HookEvent {
    /// The event's name in annotations and stored releases.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        EVENTS.iter().find(|(event, _)| *event == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        // The name of Helm 2.
        let name = if name == "test-success" { "test" } else { name };
        EVENTS.iter().find(|(_, known)| *known == name).map(|(event, _)| *event)
    }
}

/// A manifest that runs at points of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `metadata.name`
    pub name: String,
    /// `Job`
    pub kind: String,
    /// The template: `chart/templates/x.yaml`.
    pub path: String,
    /// The document.
    pub manifest: String,
    /// When it runs; never empty.
    pub events: Vec<HookEvent>,
    /// Lower ones run first.
    pub weight: i64,
    /// When its object is deleted: `before-hook-creation`, `hook-succeeded`, `hook-failed`, or what else was written.
    pub delete_policies: Vec<String>,
    /// When its log is shown: `hook-succeeded`, `hook-failed`, or what else was written.
    pub output_log_policies: Vec<String>,
}

impl Hook {
    /// Whether the hook runs at an event.
    #[must_use]
    pub fn runs_at(&self, event: HookEvent) -> bool {
        self.events.contains(&event)
    }
}

/// What the annotations make of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Part of the release.
    Plain,
    /// A hook.
    Hook(Hook),
    /// Nothing: one of the points is not known. Holds what was written.
    Unknown(String),
}

pub(super) fn role(head: &Head, path: &str, manifest: &str) -> Role {
    let Some(written) = head.annotations.get(HOOK) else { return Role::Plain };
    let mut events = Vec::new();
    for name in items(written) {
        match HookEvent::named(&name) {
            Some(event) => events.push(event),
            None => return Role::Unknown(written.clone()),
        }
    }
    let list = |annotation: &str| head.annotations.get(annotation).map(|text| items(text).collect());
    Role::Hook(Hook {
        name: head.name.clone(),
        kind: head.kind.clone(),
        path: path.to_owned(),
        manifest: manifest.to_owned(),
        events,
        weight: head.annotations.get(HOOK_WEIGHT).and_then(|text| text.parse().ok()).unwrap_or_default(),
        delete_policies: list(HOOK_DELETE_POLICY).unwrap_or_default(),
        output_log_policies: list(HOOK_OUTPUT_LOG_POLICY).unwrap_or_default(),
    })
}

fn items(list: &str) -> impl Iterator<Item = String> + '_ {
    list.split(',').map(|item| item.trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role_of(annotations: &[(&str, &str)]) -> Role {
        let annotations = annotations.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        role(&Head { name: "n".into(), annotations, ..Head::default() }, "c/templates/x.yaml", "text")
    }

    #[test]
    fn annotations_make_hooks() {
        let annotations = [
            (HOOK, " Pre-Install, test-success"),
            (HOOK_WEIGHT, "-5"),
            (HOOK_DELETE_POLICY, "hook-succeeded, Other"),
            (HOOK_OUTPUT_LOG_POLICY, "hook-failed"),
        ];
        let Role::Hook(hook) = role_of(&annotations) else { panic!("no hook") };
        assert_eq!(hook.events, [HookEvent::PreInstall, HookEvent::Test]);
        assert_eq!(hook.weight, -5);
        assert_eq!(hook.delete_policies, ["hook-succeeded", "other"]);
        assert_eq!(hook.output_log_policies, ["hook-failed"]);
    }

    #[test]
    fn unknown_points_drop_the_manifest() {
        for unknown in ["crd-install", "", "pre-install,nope", "pre-install,"] {
            assert_eq!(role_of(&[(HOOK, unknown)]), Role::Unknown(unknown.into()), "{unknown:?}");
        }
        assert_eq!(role_of(&[("other", "pre-install")]), Role::Plain);
    }

    #[test]
    fn weights_that_are_no_numbers_are_zero() {
        for (written, want) in [("5", 5), ("+5", 5), ("1.5", 0), ("x", 0), ("", 0)] {
            let Role::Hook(hook) = role_of(&[(HOOK, "test"), (HOOK_WEIGHT, written)]) else {
                panic!("no hook")
            };
            assert_eq!(hook.weight, want, "{written}");
        }
    }
}
