//! Parsing and executing a Deployment as charts write it.
//!
//! `go test -bench` over the same text and text/template is the peer; the text uses Go's own functions only.
#![expect(clippy::expect_used, reason = "a benchmark that cannot render has failed")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use sluice_gotemplate::{
    Function, Functions, Map, Options, Parsed, Session, Set, Type, Value, value::Numbers,
};

const TEXT: &str = include_str!("deployment.tpl");

fn functions() -> Functions {
    let mut functions = Functions::builtin();
    functions.extend([Function::new("include", &[Type::String, Type::Any], |cx, args| {
        cx.include(args.string(0)?, args.any(1)).map(Value::String)
    })]);
    functions
}

fn data() -> Value {
    let ports: Vec<_> = (0..20).map(|i| json!({"name": format!("p{i}"), "port": 8000 + i})).collect();
    let env: serde_json::Map<_, _> =
        (0..50).map(|i| (format!("VAR_{i}"), json!(format!("value {i}")))).collect();
    let values = json!({
        "image": {"repository": "example.com/app", "tag": "1.2.3"}, "replicas": 3, "ports": ports, "env": env,
        "labels": {"team": "a", "tier": "web"}, "resources": {"enabled": true, "cpu": "100m", "memory": "128Mi"},
    });
    let root = Map::new();
    root.insert("Values", Value::from_json(&values, Numbers::Float));
    root.insert("Release", Value::from_json(&json!({"Name": "demo", "Namespace": "apps"}), Numbers::Float));
    Value::Map(root)
}

fn benches(criterion: &mut Criterion) {
    let functions = Arc::new(functions());
    let mut group = criterion.benchmark_group("deployment");
    group.throughput(Throughput::Bytes(TEXT.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Parsed::parse("t", black_box(TEXT.as_bytes()), &functions).expect("a template"));
    });
    let mut set = Set::new("gotpl", functions.clone());
    set.parse("t", TEXT.as_bytes()).expect("a template");
    let root = data();
    let session = Session::new(Options::default(), None);
    let out = set.execute(&session, "t", &root).expect("text");
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("execute", |bencher| {
        bencher.iter(|| {
            let session = Session::new(Options::default(), None);
            set.execute(&session, "t", black_box(&root)).expect("text")
        });
    });
    group.finish();
}

criterion_group!(render, benches);
criterion_main!(render);
