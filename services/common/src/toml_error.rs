//! What a mistake in a TOML file is called where its text must not be shown.

/// Where a file is wrong and why, without the line itself, which may hold a secret.
pub fn place_and_message(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or_else(
        || error.message().to_owned(),
        |before| format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
    )
}
