//! The encoder on tiny random models, compared with BERT written out in f64, and the errors for invalid folders.

mod naive;
mod refusals;
mod tiny;

use crate::{
    EncodeError, Instructions, LoadOptions, Model, Pooling, Precision, TextKind, ThreadPool, Workspace, encode_all,
    load,
};
use tiny::TinyBert;

fn model(tiny: &TinyBert, precision: Precision, instructions: Instructions) -> Box<dyn Model> {
    let options = LoadOptions {
        precision,
        instructions,
        ..LoadOptions::default()
    };
    load(tiny.path(), &options).expect("a valid model")
}

fn encode(model: &dyn Model, batch: &[&[u32]]) -> Vec<f32> {
    let mut out = vec![9.0; batch.len() * model.description().dimension];
    model
        .encode(batch, &mut Workspace::default(), &mut out)
        .expect("vectors");
    out
}

/// Sequences with lengths around the block sizes.
fn sequences() -> Vec<Vec<u32>> {
    let ids = |length: u32, seed: u32| {
        (0..length)
            .map(|position| (position * 7 + seed * 13) % tiny::VOCABULARY)
            .collect()
    };
    [1, 2, 5, 15, 16, 17, 31, 40]
        .into_iter()
        .zip(0..)
        .map(|(length, seed)| ids(length, seed))
        .collect()
}

fn borrowed(sequences: &[Vec<u32>]) -> Vec<&[u32]> {
    sequences.iter().map(Vec::as_slice).collect()
}

#[test]
fn every_kernel_and_precision_agrees_with_a_naive_bert() {
    for pooling in [Pooling::Mean, Pooling::Cls] {
        let tiny = TinyBert::new(pooling);
        let sequences = sequences();
        let expected: Vec<Vec<f64>> = sequences.iter().map(|ids| naive::encode(&tiny, ids)).collect();
        for instructions in [Instructions::Auto, Instructions::Avx2, Instructions::Portable] {
            for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Int16, 2e-3)] {
                let found = encode(&*model(&tiny, precision, instructions), &borrowed(&sequences));
                for (found, expected) in found.chunks(tiny::HIDDEN).zip(&expected) {
                    for (found, expected) in found.iter().zip(expected) {
                        let difference = (f64::from(*found) - expected).abs();
                        assert!(
                            difference < tolerance,
                            "{precision:?} {instructions:?}: {found} for {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_depends_on_neither_neighbours_nor_threads() {
    let tiny = TinyBert::new(Pooling::Mean);
    let mut sequences = sequences();
    for _ in 0..5 {
        sequences.extend(sequences.clone());
    }
    let batch = borrowed(&sequences);
    for precision in [Precision::Int16, Precision::F32] {
        let model = model(&tiny, precision, Instructions::Auto);
        let together = encode(&*model, &batch);
        let alone: Vec<f32> = batch.iter().flat_map(|ids| encode(&*model, &[ids])).collect();
        assert_eq!(together, alone);

        let mut shared = vec![0.0; together.len()];
        let mut workspaces = [(); 3].map(|()| Workspace::default());
        encode_all(&*model, &batch, &mut workspaces, &mut shared).expect("vectors");
        assert_eq!(shared, together);

        let thread_pool = ThreadPool::new(3).expect("threads");
        for (ids, expected) in batch.iter().zip(together.chunks(tiny::HIDDEN)).take(8) {
            let mut out = vec![0.0; tiny::HIDDEN];
            model
                .encode_split(ids, &thread_pool, &mut workspaces[0], &mut out)
                .expect("a vector");
            assert_eq!(out, expected);
        }
    }
}

#[test]
fn a_sequence_without_tokens_is_zeros() {
    let tiny = TinyBert::new(Pooling::Mean);
    let model = model(&tiny, Precision::Int16, Instructions::Auto);
    let found = encode(&*model, &[&[], &[1, 2], &[]]);
    assert!(
        found[..tiny::HIDDEN]
            .iter()
            .chain(&found[2 * tiny::HIDDEN..])
            .all(|value| *value == 0.0)
    );
    assert_eq!(found[tiny::HIDDEN..2 * tiny::HIDDEN], encode(&*model, &[&[1, 2]]));
    assert!(encode(&*model, &[]).is_empty());
}

#[test]
fn what_cannot_be_encoded_is_refused_with_its_position() {
    let tiny = TinyBert::new(Pooling::Mean);
    let model = model(&tiny, Precision::Int16, Instructions::Auto);
    let refusal = |batch: &[&[u32]], room: usize| {
        let mut out = vec![0.0; room];
        model
            .encode(batch, &mut Workspace::default(), &mut out)
            .expect_err("a refusal")
    };
    let unknown = refusal(&[&[1], &[tiny::VOCABULARY]], 2 * tiny::HIDDEN);
    assert_eq!(
        unknown.to_string(),
        "sequence 2 of 2 has token id 50; the model's ids are below 50"
    );
    let long = refusal(&[&[1; tiny::POSITIONS + 1]], tiny::HIDDEN);
    assert_eq!(
        long.to_string(),
        "sequence 1 of 1 has 41 tokens; the model reads at most 40"
    );
    assert!(matches!(refusal(&[&[1]], 3), EncodeError::OutputSize { found: 3, .. }));

    let mut out = vec![0.0; 60 * tiny::HIDDEN];
    let mut batch: Vec<&[u32]> = vec![&[1; 40]; 60];
    batch[50] = &[99];
    let error = encode_all(&*model, &batch, &mut [Workspace::default()], &mut out).expect_err("a refusal");
    assert!(
        error.to_string().starts_with("sequence 51 of 60 has token id 99"),
        "{error}"
    );
}

#[test]
fn tokenizing_adds_prefixes_and_special_tokens_and_truncates() {
    let tiny = TinyBert::new(Pooling::Mean);
    let options = LoadOptions {
        max_tokens: Some(5),
        query_prefix: Some("b ".to_owned()),
        ..LoadOptions::default()
    };
    let model = load(tiny.path(), &options).expect("a valid model");
    let document = model.tokenize(TextKind::Document, "a c").expect("tokens");
    assert_eq!((document.ids, document.truncated), (vec![1, 4, 6, 2], false));
    let query = model.tokenize(TextKind::Query, "a c").expect("tokens");
    assert_eq!((query.ids, query.truncated), (vec![1, 5, 4, 6, 2], false));
    let long = model
        .tokenize(TextKind::Document, &"a ".repeat(500_000))
        .expect("tokens");
    assert_eq!((long.ids, long.truncated), (vec![1, 4, 4, 4, 2], true));
    let empty = model.tokenize(TextKind::Document, "").expect("tokens");
    assert_eq!((empty.ids, empty.truncated), (vec![1, 2], false));
}

#[test]
fn a_description_says_what_the_model_is() {
    let tiny = TinyBert::new(Pooling::Mean);
    let options = LoadOptions {
        name: Some("tiny".to_owned()),
        precision: Precision::F32,
        instructions: Instructions::Portable,
        ..LoadOptions::default()
    };
    let model = load(tiny.path(), &options).expect("a valid model");
    let description = model.description();
    assert_eq!(description.name, "tiny");
    assert_eq!((description.dimension, description.max_tokens), (tiny::HIDDEN, 32));
    assert_eq!(
        (description.architecture, description.dtype, description.instructions),
        ("bert", "f32", "portable")
    );
    assert_eq!(description.weights_sha256.len(), 64);
}
