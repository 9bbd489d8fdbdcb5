//! What the spec says of an action, in the words of `shared/release`.

use super::Job;
use crate::config::ALLOW_DNS;
use crate::context::Context;
use crate::policy::Policy;
use sluice_api::helm::{
    CrdsPolicy, DeletionPropagation, PostRenderStrategy, ServerSideApplyMode, WaitStrategyName,
};
use sluice_helm::manifest::Strategy;
use sluice_kustomize::file::{Image, Patch, Selector};
use sluice_release::{
    CrdPolicy, Filter, Install, Kustomize, PostRender, Propagation, Rollback, ServerSide, Test, Uninstall,
    Upgrade, Wait, WaitStrategy,
};

pub(crate) fn install(cx: &Context, policy: &Policy<'_>, job: &Job) -> Install {
    let spec = policy.spec.install.clone().unwrap_or_default();
    Install {
        timeout: policy.install_timeout(),
        wait: wait(policy, job, spec.disable_wait, spec.disable_wait_for_jobs),
        disable_hooks: spec.disable_hooks,
        disable_schema_validation: spec.disable_schema_validation,
        take_ownership: !spec.disable_take_ownership,
        crds: crds(policy.install_crds()),
        server_side: policy.install_server_side(),
        replace: spec.replace,
        // Only a namespace that is not the HelmRelease's own can be missing.
        create_namespace: spec.create_namespace && policy.spec.target_namespace.is_some(),
        dns: cx.gates.enabled(ALLOW_DNS),
        post_render: post_render(policy),
    }
}

pub(crate) fn upgrade(cx: &Context, policy: &Policy<'_>, job: &Job) -> Upgrade {
    let spec = policy.spec.upgrade.clone().unwrap_or_default();
    Upgrade {
        timeout: policy.upgrade_timeout(),
        wait: wait(policy, job, spec.disable_wait, spec.disable_wait_for_jobs),
        disable_hooks: spec.disable_hooks,
        disable_schema_validation: spec.disable_schema_validation,
        take_ownership: !spec.disable_take_ownership,
        crds: crds(policy.upgrade_crds()),
        server_side: server_side(spec.server_side_apply),
        force: spec.force,
        cleanup_on_fail: spec.cleanup_on_fail,
        preserve_values: spec.preserve_values,
        max_history: policy.max_history(),
        dns: cx.gates.enabled(ALLOW_DNS),
        post_render: post_render(policy),
    }
}

pub(crate) fn rollback(policy: &Policy<'_>, job: &Job) -> Rollback {
    let spec = policy.spec.rollback.clone().unwrap_or_default();
    Rollback {
        timeout: policy.rollback_timeout(),
        wait: wait(policy, job, spec.disable_wait, spec.disable_wait_for_jobs),
        disable_hooks: spec.disable_hooks,
        server_side: server_side(spec.server_side_apply),
        force: spec.force,
        cleanup_on_fail: spec.cleanup_on_fail,
        max_history: policy.max_history(),
    }
}

pub(crate) fn uninstall(policy: &Policy<'_>) -> Uninstall {
    let spec = policy.spec.uninstall.clone().unwrap_or_default();
    Uninstall {
        timeout: policy.uninstall_timeout(),
        wait: Wait { enabled: !spec.disable_wait, strategy: strategy(policy), ..Wait::default() },
        disable_hooks: spec.disable_hooks,
        keep_history: spec.keep_history,
        propagation: match spec.deletion_propagation.unwrap_or_default() {
            DeletionPropagation::Background => Propagation::Background,
            DeletionPropagation::Foreground => Propagation::Foreground,
            DeletionPropagation::Orphan => Propagation::Orphan,
        },
    }
}

pub(crate) fn test(policy: &Policy<'_>) -> Test {
    let filters = policy.test_filters().iter();
    Test {
        timeout: policy.test_timeout(),
        filters: filters.map(|it| Filter { name: it.name.clone(), exclude: it.exclude }).collect(),
    }
}

/// Whether the filters let a test hook run.
pub(crate) fn is_wanted(filters: &[Filter], name: &str) -> bool {
    let named = |exclude: bool| filters.iter().any(|it| it.exclude == exclude && it.name == name);
    !named(true) && (filters.iter().all(|it| it.exclude) || named(false))
}

fn wait(policy: &Policy<'_>, job: &Job, disabled: bool, no_jobs: bool) -> Wait {
    Wait { enabled: !disabled, jobs: !no_jobs, strategy: strategy(policy), evaluators: job.rules.clone() }
}

fn strategy(policy: &Policy<'_>) -> WaitStrategy {
    match policy.wait() {
        WaitStrategyName::Poller => WaitStrategy::Poller,
        WaitStrategyName::Legacy => WaitStrategy::Legacy,
    }
}

fn crds(policy: CrdsPolicy) -> CrdPolicy {
    match policy {
        CrdsPolicy::Skip => CrdPolicy::Skip,
        CrdsPolicy::Create => CrdPolicy::Create,
        CrdsPolicy::CreateReplace => CrdPolicy::CreateReplace,
    }
}

fn server_side(mode: Option<ServerSideApplyMode>) -> ServerSide {
    match mode.unwrap_or_default() {
        ServerSideApplyMode::Enabled => ServerSide::Enabled,
        ServerSideApplyMode::Disabled => ServerSide::Disabled,
        ServerSideApplyMode::Auto => ServerSide::Auto,
    }
}

fn post_render(policy: &Policy<'_>) -> PostRender {
    let common = policy.spec.common_metadata.clone().unwrap_or_default();
    let steps = policy.spec.post_renderers.iter().filter_map(|renderer| renderer.kustomize.as_ref());
    PostRender {
        strategy: match policy.post_render() {
            PostRenderStrategy::NoHooks => Strategy::NoHooks,
            PostRenderStrategy::Combined => Strategy::Combined,
            PostRenderStrategy::Separate => Strategy::Separate,
        },
        steps: steps
            .map(|step| Kustomize {
                patches: step.patches.iter().map(patch).collect(),
                images: step.images.iter().map(image).collect(),
            })
            .collect(),
        labels: common.labels,
        annotations: common.annotations,
    }
}

fn patch(patch: &sluice_api::helm::Patch) -> Patch {
    Patch {
        patch: patch.patch.clone(),
        target: patch.target.as_ref().map(|target| Selector {
            group: text(&target.group),
            version: text(&target.version),
            kind: text(&target.kind),
            name: text(&target.name),
            namespace: text(&target.namespace),
            label_selector: text(&target.label_selector),
            annotation_selector: text(&target.annotation_selector),
        }),
        ..Patch::default()
    }
}

fn image(image: &sluice_api::helm::Image) -> Image {
    Image {
        name: image.name.clone(),
        new_name: text(&image.new_name),
        new_tag: text(&image.new_tag),
        digest: text(&image.digest),
        ..Image::default()
    }
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_leave_out_first_and_then_choose() {
        let filter = |name: &str, exclude| Filter { name: name.into(), exclude };
        for (filters, want) in [
            (vec![], [true, true, true]),
            (vec![filter("a", false)], [true, false, false]),
            (vec![filter("a", true)], [false, true, true]),
            (vec![filter("a", true), filter("a", false), filter("b", false)], [false, true, false]),
        ] {
            assert_eq!(["a", "b", "c"].map(|name| is_wanted(&filters, name)), want, "{filters:?}");
        }
    }
}
