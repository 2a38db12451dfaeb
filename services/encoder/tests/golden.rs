//! The real models compared with cosines computed by their reference implementations.

use std::path::PathBuf;

use encoder::{Instructions, LoadOptions, Model, Precision, TextKind, Workspace, load};

const HAPPY: [&str; 4] = [
    "That is a happy person",
    "That is a happy dog",
    "That is a very happy person",
    "Today is a sunny day",
];
const WEATHER: [&str; 3] = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
];

/// The folder of a model in the cache; the model is downloaded when it is missing.
fn folder(name: &str) -> PathBuf {
    standalone::Toolbox::from_env().model(name).expect("the model's folder")
}

fn vectors(model: &dyn Model, texts: &[&str]) -> Vec<Vec<f32>> {
    let tokens: Vec<_> = texts
        .iter()
        .map(|text| model.tokenize(TextKind::Query, text).expect("tokens").ids)
        .collect();
    let batch: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let dimension = model.description().dimension;
    let mut out = vec![0.0; batch.len() * dimension];
    model
        .encode(&batch, &mut Workspace::default(), &mut out)
        .expect("vectors");
    out.chunks(dimension).map(<[f32]>::to_vec).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn check(vectors: &[Vec<f32>], pairs: &[(usize, usize, f32)]) {
    for (a, b, expected) in pairs {
        let found = cosine(&vectors[*a], &vectors[*b]);
        assert!(
            (found - expected).abs() < 1e-3,
            "texts {a} and {b}: {found} instead of {expected}"
        );
    }
}

#[test]
fn every_kernel_of_minilm_gives_the_reference_cosines() {
    let folder = folder("all-MiniLM-L6-v2");
    for instructions in [Instructions::Auto, Instructions::Avx2, Instructions::Portable] {
        for precision in [Precision::Int16, Precision::F32] {
            let options = LoadOptions {
                precision,
                instructions,
                ..LoadOptions::default()
            };
            let model = load(&folder, &options).expect("the model");
            let happy = vectors(&*model, &HAPPY);
            check(&happy, &[(0, 1, 0.6946), (0, 2, 0.9429), (0, 3, 0.2569)]);
            let weather = vectors(&*model, &WEATHER);
            check(&weather, &[(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)]);
        }
    }
}

#[test]
fn minilm_in_int16_stays_close_to_f32() {
    let folder = folder("all-MiniLM-L6-v2");
    let of = |precision| {
        let options = LoadOptions {
            precision,
            ..LoadOptions::default()
        };
        let model = load(&folder, &options).expect("the model");
        let long = "We propose a method for adapting large language models to scientific text. ".repeat(12);
        vectors(&*model, &[HAPPY[0], WEATHER[2], "ratio", "", &long])
    };
    for (int16, f32) in of(Precision::Int16).iter().zip(of(Precision::F32)) {
        let cosine = cosine(int16, &f32);
        assert!(cosine > 0.9999, "cosine {cosine}");
    }
}

#[test]
fn minilm_has_its_description_and_truncates_a_huge_text() {
    let model = load(&folder("all-MiniLM-L6-v2"), &LoadOptions::default()).expect("the model");
    let description = model.description();
    assert!(description.weights_sha256.starts_with("53aa51172d14"));
    assert_eq!((description.dimension, description.max_tokens), (384, 256));
    let huge = model
        .tokenize(TextKind::Document, &"neural networks ".repeat(70_000))
        .expect("tokens");
    assert_eq!((huge.ids.len(), huge.truncated), (256, true));
    assert_eq!((huge.ids[0], huge.ids[255]), (101, 102));
}

#[test]
fn potion_gives_the_reference_cosines() {
    let model = load(&folder("potion-base-8M"), &LoadOptions::default()).expect("the model");
    let description = model.description();
    assert!(description.weights_sha256.starts_with("f65d0f325faa"));
    assert_eq!(
        (description.architecture, description.dimension, description.max_tokens),
        ("static", 256, 512)
    );
    let happy = vectors(&*model, &HAPPY);
    check(&happy, &[(0, 1, 0.5762), (0, 2, 0.9372), (0, 3, 0.2804)]);
    let huge = model
        .tokenize(TextKind::Document, &"neural networks ".repeat(100_000))
        .expect("tokens");
    assert_eq!((huge.ids.len(), huge.truncated), (512, true));
}

/// Titles in scripts that English models do not read, and one in English that they do.
const UNREADABLE: [&str; 7] = [
    "基于深度学习的采购订单自动审批流程",
    "ニューラルネットワークによる灯台の画像認識",
    "딥러닝을 이용한 등대 이미지 인식",
    "Нейронные сети для распознавания маяков",
    "โครงข่ายประสาทเทียม",
    "الشبكات العصبية للتعرف على المنارات",
    "🔥🔥🔥. 🔥 🚀",
];

#[test]
fn scripts_that_a_model_cannot_read_have_no_vector() {
    for name in ["all-MiniLM-L6-v2", "potion-base-8M"] {
        let model = load(&folder(name), &LoadOptions::default()).expect("the model");
        for vector in vectors(&*model, &UNREADABLE) {
            assert!(vector.iter().all(|value| *value == 0.0), "{name}");
        }
        let readable = [
            "Erkennung von Leuchttürmen mit neuronalen Netzen",
            "x^2 + y^2 = z^2 for α > β",
            "BERTScore",
        ];
        for (text, vector) in readable.iter().zip(vectors(&*model, &readable)) {
            assert!(vector.iter().any(|value| *value != 0.0), "{name}: {text}");
        }
    }
}
