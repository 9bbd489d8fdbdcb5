//! `cargo bench -p sluice-bench`: pack and unpack of generated trees, build of generated overlays.

use std::{hint::black_box, io::sink, path::Path};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sluice_artifact::{Limits, Links, pack, unpack};
use sluice_kustomize::{Options, build, to_yaml};

/// Files of a tree; each has 4 KiB.
const FILES: [usize; 3] = [10, 100, 1000];
const FILE_BYTES: usize = 4096;
/// Applications of an overlay; each has four objects.
const APPS: [usize; 3] = [1, 10, 100];

fn archives(c: &mut Criterion) {
    let mut group = c.benchmark_group("artifact");
    for files in FILES {
        let tree = tempfile::tempdir().expect("a temporary directory");
        sluice_bench::write_tree(tree.path(), files, FILE_BYTES).expect("a tree");
        let (_, archive) = pack(tree.path(), |_, _| true, Vec::new()).expect("an archive");
        group.throughput(Throughput::Bytes((files * FILE_BYTES) as u64));
        group.bench_with_input(BenchmarkId::new("pack", files), &files, |b, _| {
            b.iter(|| pack(tree.path(), |_, _| true, sink()).expect("an archive"));
        });
        group.bench_with_input(BenchmarkId::new("unpack", files), &files, |b, _| {
            b.iter_with_large_drop(|| {
                let target = tempfile::tempdir().expect("a temporary directory");
                unpack(archive.as_slice(), target.path(), Links::Skip, &Limits::default()).expect("a tree");
                target
            });
        });
    }
    group.finish();
}

fn builds(c: &mut Criterion) {
    let mut group = c.benchmark_group("kustomize");
    for apps in APPS {
        let tree = tempfile::tempdir().expect("a temporary directory");
        sluice_bench::write_overlay(tree.path(), apps).expect("an overlay");
        let options = Options::flux();
        group.throughput(Throughput::Elements((apps * sluice_bench::OBJECTS_PER_APP) as u64));
        group.bench_with_input(BenchmarkId::new("build", apps), &apps, |b, _| {
            b.iter(|| build(tree.path(), Path::new("overlay"), &options).expect("objects"));
        });
        let objects = build(tree.path(), Path::new("overlay"), &options).expect("objects");
        group.bench_with_input(BenchmarkId::new("write", apps), &apps, |b, _| {
            b.iter(|| black_box(to_yaml(&objects)))
        });
    }
    group.finish();
}

criterion_group!(engines, archives, builds);
criterion_main!(engines);
