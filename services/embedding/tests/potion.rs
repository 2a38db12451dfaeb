//! The real model against values computed by its reference implementation.

use std::path::PathBuf;

use embedding::encoder::{Encoder as _, StaticModel, Text, TextKind};

const NAME: &str = "potion-base-8M";

/// The model in the folder that `BROADSHEET_MODEL_DIR` names, else in the cache, where it is fetched once.
fn model() -> StaticModel {
    let folder = match std::env::var_os("BROADSHEET_MODEL_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => standalone::Toolbox::from_env().model(NAME).expect("the model's folder"),
    };
    StaticModel::load(NAME, &folder).expect("the model")
}

fn vectors(contents: &[&str]) -> Vec<Vec<f32>> {
    let kind = TextKind::Query;
    let texts: Vec<Text<'_>> = contents.iter().map(|content| Text { kind, content }).collect();
    let encoded = model().encode(&texts).expect("vectors");
    encoded.into_iter().map(|encoded| encoded.dense.into_vec()).collect()
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
    assert_eq!(description.id.as_str(), "potion-base-8M@f65d0f325faa");
    assert_eq!((description.dimension, description.max_tokens), (256, 512));
}

#[test]
fn a_huge_text_is_cut_and_said_to_be() {
    let content = "neural networks ".repeat(100_000);
    let kind = TextKind::Document;
    let encoded = model()
        .encode(&[Text {
            kind,
            content: &content,
        }])
        .expect("vectors")
        .remove(0);
    assert_eq!((encoded.tokens, encoded.truncated), (512, true));
}
