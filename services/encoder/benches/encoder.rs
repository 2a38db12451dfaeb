//! Times the parts of encoding: matrix products at the model's shapes, attention, a complete forward pass.
//!
//! The kernels run in a model of random weights with the shape of all-MiniLM-L6-v2, so nothing is downloaded.
//! `cargo bench -p encoder`; the comparison with another runtime is `just bench-encoder`.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use encoder::{Instructions, LoadOptions, Model, Pooling, Precision, ThreadPool, Workspace, load};

const HIDDEN: usize = 384;
const VOCABULARY: usize = 1000;
const TOKENIZER: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
    "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
    "model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{"[UNK]":0,"a":1}}}"#;

/// A folder with a model of random weights. With few layers and a large or small `inner` size, one part dominates.
fn folder(layers: usize, inner: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = format!(
        r#"{{"model_type":"bert","hidden_size":{HIDDEN},"num_attention_heads":12,"num_hidden_layers":{layers},
        "intermediate_size":{inner},"max_position_embeddings":512,"vocab_size":{VOCABULARY},"hidden_act":"gelu"}}"#
    );
    fs::write(folder.path().join("config.json"), config).expect("a written file");
    fs::write(folder.path().join("tokenizer.json"), TOKENIZER).expect("a written file");
    fs::write(folder.path().join("model.safetensors"), weights(layers, inner)).expect("a written file");
    folder
}

fn weights(layers: usize, inner: usize) -> Vec<u8> {
    let mut shapes = BTreeMap::new();
    shapes.insert("embeddings.word_embeddings.weight".to_owned(), vec![VOCABULARY, HIDDEN]);
    shapes.insert("embeddings.position_embeddings.weight".to_owned(), vec![512, HIDDEN]);
    shapes.insert("embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]);
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..layers {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        for (part, inputs, outputs) in [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", HIDDEN, inner),
            ("output.dense", inner, HIDDEN),
        ] {
            shapes.insert(name(&format!("{part}.weight")), vec![outputs, inputs]);
            shapes.insert(name(&format!("{part}.bias")), vec![outputs]);
        }
        norms.extend([name("attention.output.LayerNorm"), name("output.LayerNorm")]);
    }
    for norm in norms {
        shapes.insert(format!("{norm}.weight"), vec![HIDDEN]);
        shapes.insert(format!("{norm}.bias"), vec![HIDDEN]);
    }
    let (mut header, mut bytes, mut state) = (serde_json::Map::new(), Vec::new(), 1_u64);
    for (name, shape) in shapes {
        let start = bytes.len();
        for _ in 0..shape.iter().product() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
            bytes.extend((value * 0.1).to_le_bytes());
        }
        let tensor = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, bytes.len()]});
        header.insert(name, tensor);
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    [&(header.len() as u64).to_le_bytes(), &header[..], &bytes[..]].concat()
}

fn model(folder: &Path, precision: Precision, instructions: Instructions) -> Box<dyn Model> {
    let options = LoadOptions {
        precision,
        instructions,
        pooling: Some(Pooling::Mean),
        ..LoadOptions::default()
    };
    load(folder, &options).expect("a valid model")
}

fn ids(length: u32) -> Vec<u32> {
    (0..length).map(|position| position * 31 % 1000).collect()
}

fn time(criterion: &mut Criterion, group: &str, model: &dyn Model, name: &str, sequences: &[Vec<u32>]) {
    let batch: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let mut out = vec![0.0; batch.len() * model.description().dimension];
    let mut workspace = Workspace::default();
    let mut group = criterion.benchmark_group(group);
    group.sample_size(20);
    group.throughput(Throughput::Elements(batch.iter().map(|ids| ids.len() as u64).sum()));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter(|| {
            model
                .encode(black_box(&batch), &mut workspace, &mut out)
                .expect("vectors");
        });
    });
    group.finish();
}

/// Models of one layer that spend nearly all time in the feed-forward products, or in attention.
fn kernels(criterion: &mut Criterion) {
    let (products, attention) = (folder(1, 6144), folder(1, 16));
    for (precision, instructions) in [
        (Precision::Int16, Instructions::Auto),
        (Precision::F32, Instructions::Auto),
        (Precision::Int16, Instructions::Portable),
    ] {
        let name = format!("{}-{instructions:?}", precision.as_str());
        let many_short = vec![ids(16); 32];
        time(
            criterion,
            "products",
            &*model(products.path(), precision, instructions),
            &name,
            &many_short,
        );
        time(
            criterion,
            "attention",
            &*model(attention.path(), precision, instructions),
            &name,
            &[ids(512)],
        );
    }
}

fn forward(criterion: &mut Criterion) {
    let folder = folder(6, 1536);
    for precision in [Precision::Int16, Precision::F32] {
        let model = model(folder.path(), precision, Instructions::Auto);
        for (name, sequences) in [
            ("query", vec![ids(8)]),
            ("paper", vec![ids(237)]),
            ("papers", vec![ids(237); 8]),
        ] {
            time(
                criterion,
                &format!("forward-{}", precision.as_str()),
                &*model,
                name,
                &sequences,
            );
        }
    }
    let model = model(folder.path(), Precision::Int16, Instructions::Auto);
    let thread_pool = ThreadPool::new(2).expect("threads");
    let (query, mut workspace, mut out) = (ids(8), Workspace::default(), vec![0.0; HIDDEN]);
    criterion.bench_function("forward-int16/query-on-2-threads", |bencher| {
        bencher.iter(|| {
            model
                .encode_split(black_box(&query), &thread_pool, &mut workspace, &mut out)
                .expect("a vector");
        });
    });
}

criterion_group!(benches, kernels, forward);
criterion_main!(benches);
