//! The real model against values computed by its reference implementation.

use std::path::PathBuf;

use embedding::encoder::{self, Model, TextKind, Tokens, Workspace};

const NAME: &str = "potion-base-8M";

/// The model in the folder that `BROADSHEET_MODEL_DIR` names, else in the cache, where it is fetched once.
fn model() -> Box<dyn Model> {
    let folder = match std::env::var_os("BROADSHEET_MODEL_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => standalone::Toolbox::from_env().model(NAME).expect("the model's folder"),
    };
    encoder::load(&folder).expect("the model")
}

fn tokens(model: &dyn Model, content: &str) -> Tokens {
    model.tokenize(TextKind::Query, content).expect("tokens")
}

fn vectors(contents: &[&str]) -> Vec<Vec<f32>> {
    let model = model();
    let dimension = model.description().dimension;
    let sequences: Vec<Vec<u32>> = contents
        .iter()
        .map(|content| tokens(model.as_ref(), content).ids)
        .collect();
    let batch: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let mut out = vec![0.0; batch.len() * dimension];
    model
        .encode(&batch, &mut Workspace::default(), &mut out)
        .expect("vectors");
    out.chunks_exact(dimension).map(<[f32]>::to_vec).collect()
}

#[test]
fn cosines_are_those_of_the_reference() {
    let vectors = vectors(&[
        "That is a happy person",
        "That is a happy dog",
        "That is a very happy person",
        "Today is a sunny day",
    ]);
    for (other, expected) in vectors[1..].iter().zip([0.5762, 0.9372, 0.2804]) {
        let cosine: f32 = vectors[0].iter().zip(other).map(|(a, b)| a * b).sum();
        assert!((cosine - expected).abs() < 1e-3, "{cosine} instead of {expected}");
    }
}

#[test]
fn the_model_is_the_one_it_says() {
    let model = model();
    let description = model.description();
    assert!(description.name.starts_with(NAME), "{}", description.name);
    assert!(description.weights_sha256.starts_with("f65d0f325faa"));
    assert_eq!((description.dimension, description.max_tokens), (256, 512));
}

#[test]
fn a_huge_text_is_cut_and_said_to_be() {
    let content = "neural networks ".repeat(100_000);
    let tokens = tokens(model().as_ref(), &content);
    assert_eq!((tokens.ids.len(), tokens.truncated), (512, true));
}
