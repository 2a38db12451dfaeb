//! How the slow steps of a fetch say what they are doing.

/// Called with one line of progress at a time.
pub(crate) type ProgressSink<'a> = &'a (dyn Fn(&str) + Send + Sync);
