//! Which model the platform runs: a profile by name, which is fetched, or a folder of the operator's own.
//!
//! It loads nothing.

use std::path::Path;

use common::config::Settings;

/// What runs where nothing is configured.
pub const DEFAULT: &str = "minilm";

/// Profiles and the models they stand for.
const PROFILES: [(&str, &str); 2] = [("minilm", "all-MiniLM-L6-v2"), ("static", "potion-base-8M")];

/// The model to fetch; `None` where the configuration names a folder.
pub fn wanted(settings: &Settings) -> Option<&'static str> {
    of_profile(settings.shown("embedding.model").as_deref().unwrap_or_default())
}

/// The model of a profile; nothing stands for the default one.
pub fn of_profile(profile: &str) -> Option<&'static str> {
    let profile = if profile.is_empty() { DEFAULT } else { profile };
    PROFILES
        .iter()
        .find(|(name, model)| *name == profile || *model == profile)
        .map(|(_, model)| *model)
}

/// Puts the folder of the fetched model in the place of its name.
pub fn settle(settings: &mut Settings, folder: &Path) {
    let model = wanted(settings);
    settings.replace("embedding.model", folder.display().to_string());
    if let Some(model) = model {
        settings.set_default("embedding.model_name", model, "its profile");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_models_are_known_by_name_and_folders_are_not() {
        assert_eq!(of_profile(""), Some("all-MiniLM-L6-v2"));
        assert_eq!(of_profile("static"), Some("potion-base-8M"));
        assert_eq!(of_profile("potion-base-8M"), Some("potion-base-8M"));
        assert_eq!(of_profile("/models/potion-base-8M"), None);
    }
}
