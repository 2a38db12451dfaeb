//! Votes of readers that do not exist.
