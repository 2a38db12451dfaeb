//! The models the platform runs: the one for papers, and the next one if there is one. ModelPair is a profile by name, which is
//! fetched, or a folder of the operator's own.
//!
//! No model is loaded here.

use std::path::PathBuf;

use common::config::Settings;

/// The profile that runs unless another is configured.
pub const DEFAULT_PROFILE: &str = "minilm";

/// Profiles and the models they stand for.
const PROFILES: [(&str, &str); 2] = [("minilm", "all-MiniLM-L6-v2"), ("static", "potion-base-8M")];

/// Something about each model: the one for papers, and the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelPair<T> {
    /// Of `embedding.model`.
    pub papers: Option<T>,
    /// Of `embedding.next_model`.
    pub next: Option<T>,
}

/// The models to fetch; `None` where the configuration names a folder, or no next model.
pub fn required(settings: &Settings) -> ModelPair<&'static str> {
    let next = settings.shown("embedding.next_model").filter(|next| !next.is_empty());
    ModelPair {
        papers: model_of_profile(settings.shown("embedding.model").as_deref().unwrap_or_default()),
        next: next.as_deref().and_then(model_of_profile),
    }
}

/// The model of a profile; an empty name means the default one.
pub fn model_of_profile(profile: &str) -> Option<&'static str> {
    let profile = if profile.is_empty() { DEFAULT_PROFILE } else { profile };
    PROFILES
        .iter()
        .find(|(name, model)| *name == profile || *model == profile)
        .map(|(_, model)| *model)
}

/// Replaces the names of the fetched models by their folders.
pub fn fill_in(settings: &mut Settings, folders: ModelPair<PathBuf>) {
    let models = required(settings);
    let mut fill = |key: &str, name_key: &str, model: Option<&'static str>, folder: Option<PathBuf>| {
        let Some(folder) = folder else { return };
        settings.replace(key, folder.display().to_string());
        if let Some(model) = model {
            settings.set_default(name_key, model, "its profile");
        }
    };
    fill("embedding.model", "embedding.model_name", models.papers, folders.papers);
    fill(
        "embedding.next_model",
        "embedding.next_model_name",
        models.next,
        folders.next,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_models_are_known_by_name_folders_are_not() {
        assert_eq!(model_of_profile(""), Some("all-MiniLM-L6-v2"));
        assert_eq!(model_of_profile("static"), Some("potion-base-8M"));
        assert_eq!(model_of_profile("potion-base-8M"), Some("potion-base-8M"));
        assert_eq!(model_of_profile("/models/potion-base-8M"), None);
    }

    #[test]
    fn a_next_model_is_fetched_only_if_one_is_named() {
        let required_with = |next: &str| {
            let variables = [("BROADSHEET_EMBEDDING__NEXT_MODEL".to_owned(), next.to_owned())];
            required(&Settings::load(&[embedding::DEFAULTS], None, variables))
        };
        let minilm = Some("all-MiniLM-L6-v2");
        let each = |next| ModelPair { papers: minilm, next };
        assert_eq!(required_with(""), each(None));
        assert_eq!(required_with("static"), each(Some("potion-base-8M")));
        assert_eq!(required_with("/models/own"), each(None));
    }

    #[test]
    fn fetched_models_are_named_after_themselves() {
        let variables = [("BROADSHEET_EMBEDDING__NEXT_MODEL".to_owned(), "static".to_owned())];
        let mut settings = Settings::load(&[embedding::DEFAULTS], None, variables);
        let folders = ModelPair {
            papers: Some(PathBuf::from("/cache/a")),
            next: Some(PathBuf::from("/cache/b")),
        };
        fill_in(&mut settings, folders);
        let shown = |key: &str| settings.shown(key).unwrap_or_default();
        assert_eq!(
            (shown("embedding.model"), shown("embedding.next_model")),
            ("/cache/a".to_owned(), "/cache/b".to_owned())
        );
        assert_eq!(shown("embedding.next_model_name"), "potion-base-8M");
    }
}
