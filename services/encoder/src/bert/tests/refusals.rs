//! Invalid folders are refused with an error that names the file, what it has and what is expected.

use super::tiny::{CONFIG, TOKENIZER, TinyBert, encode_bf16, encode_f32};
use crate::{LoadError, LoadOptions, Pooling, TextKind, Workspace, load};

fn error(tiny: &TinyBert, options: &LoadOptions) -> LoadError {
    load(tiny.path(), options).err().expect("a refusal")
}

/// The error for a folder in which one file has this content.
fn refusal(name: &str, content: &[u8]) -> String {
    let tiny = TinyBert::new(Pooling::Mean);
    tiny.write(name, content);
    let text = error(&tiny, &LoadOptions::default()).to_string();
    assert!(text.contains(name), "{text}");
    text
}

fn config_with(field: &str, other: &str) -> String {
    assert!(CONFIG.contains(field));
    refusal("config.json", CONFIG.replace(field, other).as_bytes())
}

#[test]
fn other_architectures_are_refused_by_name() {
    let other = config_with(r#""model_type": "bert""#, r#""model_type": "mpnet""#);
    assert!(
        other.contains(r#"has "model_type" "mpnet""#) && other.contains("choose another model"),
        "{other}"
    );
    assert!(config_with(r#""gelu""#, r#""gelu_new""#).contains(r#""hidden_act" "gelu_new""#));
    let relative = config_with("{", r#"{"position_embedding_type": "relative_key","#);
    assert!(relative.contains(r#"only "absolute""#), "{relative}");
    let dense = r#"[{"path": "", "type": "a.Transformer"}, {"path": "2_Dense", "type": "a.Dense"}]"#;
    assert!(refusal("modules.json", dense.as_bytes()).contains("a module a.Dense"));
    assert!(
        refusal("1_Pooling/config.json", br#"{"pooling_mode_max_tokens": true}"#).contains("pooling_mode_max_tokens")
    );
}

#[test]
fn impossible_sizes_are_refused() {
    assert!(config_with(r#""hidden_size": 32"#, r#""hidden_size": "x""#).contains(r#""hidden_size" "x""#));
    assert!(config_with(r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 0"#).contains("from 1 to"));
    assert!(config_with(r#""vocab_size": 50, "#, "").contains(r#"no "vocab_size""#));
    assert!(config_with(r#""num_attention_heads": 2"#, r#""num_attention_heads": 3"#).contains("divide"));
    assert!(config_with(r#""num_attention_heads": 2"#, r#""num_attention_heads": 4"#).contains("multiples of 16"));
    assert!(config_with(r#""layer_norm_eps": 1e-12"#, r#""layer_norm_eps": -1"#).contains("layer_norm_eps"));
    assert!(refusal("config.json", b"[").contains("unexpected JSON"));
    assert!(refusal("sentence_bert_config.json", br#"{"max_seq_length": 2}"#).contains("at least 3"));
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_refused() {
    let tiny = |field: &str, other: &str| {
        let tiny = TinyBert::new(Pooling::Mean);
        tiny.write("config.json", CONFIG.replace(field, other).as_bytes());
        error(&tiny, &LoadOptions::default()).to_string()
    };
    let layers = tiny(r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 3"#);
    assert!(
        layers.contains("model.safetensors") && layers.contains("encoder.layer.2."),
        "{layers}"
    );
    let shape = tiny(r#""intermediate_size": 48"#, r#""intermediate_size": 64"#);
    assert!(shape.contains("of shape [48, 32]; expected shape [64, 32]"), "{shape}");
}

#[test]
fn damaged_weights_are_refused() {
    let mut tiny = TinyBert::new(Pooling::Mean);
    let whole = tiny.weights("F32", encode_f32);
    let file = "model.safetensors";
    assert!(refusal(file, &whole[..whole.len() - 1]).contains("its header promises"));
    assert!(refusal(file, &[0xff; 64]).contains("announces a header"));
    assert!(refusal(file, b"<html>not found</html>").contains("not a complete safetensors file"));
    assert!(refusal(file, b"").contains("0 bytes"));
    assert!(refusal(file, &tiny.weights("I32", encode_f32)).contains("of type I32"));
    tiny.tensors.get_mut("embeddings.LayerNorm.bias").expect("a tensor").1[3] = f32::NAN;
    let nan = refusal(file, &tiny.weights("F32", encode_f32));
    assert!(nan.contains("\"embeddings.LayerNorm.bias\", at 3"), "{nan}");
}

#[test]
fn a_tokenizer_with_ids_that_the_model_lacks_is_refused() {
    let broken = refusal("tokenizer.json", TOKENIZER.replace(r#""c":6"#, r#""c":50"#).as_bytes());
    assert!(
        broken.contains("token id 50") && broken.contains("below 50"),
        "{broken}"
    );
    assert!(refusal("tokenizer.json", b"{}").contains("unexpected JSON"));
}

#[test]
fn a_pinned_hash_and_options_out_of_range_are_held() {
    let tiny = TinyBert::new(Pooling::Mean);
    let valid = load(tiny.path(), &LoadOptions::default()).expect("a valid model");
    let pinned = |hash: &str| LoadOptions {
        weights_sha256: Some(hash.to_owned()),
        ..LoadOptions::default()
    };
    assert!(load(tiny.path(), &pinned(&valid.description().weights_sha256)).is_ok());
    assert!(
        error(&tiny, &pinned(&"0".repeat(64)))
            .to_string()
            .contains("expected the pinned 0000")
    );
    let long = LoadOptions {
        max_tokens: Some(41),
        ..LoadOptions::default()
    };
    assert_eq!(
        error(&tiny, &long).to_string(),
        "option max_tokens is 41; expected 3 to 40, the model's positions"
    );
}

#[test]
fn missing_files_are_named_and_pooling_may_be_given() {
    let tiny = TinyBert::new(Pooling::Mean);
    std::fs::remove_file(tiny.path().join("1_Pooling/config.json")).expect("a removed file");
    let text = error(&tiny, &LoadOptions::default()).to_string();
    assert!(text.contains("1_Pooling/config.json"), "{text}");
    let given = LoadOptions {
        pooling: Some(Pooling::Cls),
        ..LoadOptions::default()
    };
    assert!(load(tiny.path(), &given).is_ok());
    std::fs::remove_file(tiny.path().join("tokenizer.json")).expect("a removed file");
    assert!(error(&tiny, &given).to_string().contains("cannot read model file"));
}

#[test]
fn other_names_and_types_of_tensors_are_understood() {
    let mut tiny = TinyBert::new(Pooling::Mean);
    tiny.write("model.safetensors", &tiny.weights("BF16", encode_bf16));
    assert!(load(tiny.path(), &LoadOptions::default()).is_ok());
    let renamed = std::mem::take(&mut tiny.tensors).into_iter().map(|(name, tensor)| {
        let name = name
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta");
        (format!("bert.{name}"), tensor)
    });
    tiny.tensors = renamed.collect();
    tiny.write("model.safetensors", &tiny.weights("F32", encode_f32));
    assert!(load(tiny.path(), &LoadOptions::default()).is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    /// With one byte changed or the end cut off, a model is refused or computes something, but never panics.
    #[test]
    fn damage_anywhere_never_panics(
        file in 0_usize..6,
        index: proptest::sample::Index,
        value: u8,
        is_cut: bool,
        is_header: bool,
    ) {
        let names = [
            "model.safetensors",
            "config.json",
            "tokenizer.json",
            "modules.json",
            "1_Pooling/config.json",
            "sentence_bert_config.json",
        ];
        let tiny = TinyBert::new(Pooling::Mean);
        let mut content = std::fs::read(tiny.path().join(names[file])).expect("a file");
        // The header is where loading is most likely to fail, and only a small part of the file.
        let index = index.index(if is_header { content.len().min(2000) } else { content.len() });
        if is_cut {
            content.truncate(index);
        } else {
            content[index] = value;
        }
        tiny.write(names[file], &content);
        if let Ok(model) = load(tiny.path(), &LoadOptions::default()) {
            let mut out = vec![0.0; 2 * model.description().dimension];
            let _ = model.tokenize(TextKind::Query, "a b c d");
            let _ = model.encode(&[&[1, 2, 3], &[4]], &mut Workspace::default(), &mut out);
        }
    }
}
