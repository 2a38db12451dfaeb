//! The vectors of a subscriber's interests: each rounded to int8, one after the other in the order of the interests, with
//! the encoder they are of. They can always be made anew, so they are in no log.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::{EncoderId, Int8Vector};
use redis::Script;

use super::{Subscriber, Subscribers, SubscribersError, corrupt, subscriber_key};

static KEEP_VECTORS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("keep_vectors.lua")));

impl Subscribers {
    /// The kept vectors of a subscriber's interests, and whose they are.
    pub async fn vectors(&self, of: &Subscriber) -> Result<Option<(EncoderId, Vec<Int8Vector>)>, SubscribersError> {
        let fields: HashMap<String, Vec<u8>> = self.ask(redis::cmd("HGETALL").arg(subscriber_key(&of.id))).await?;
        kept_vectors(of, &fields)
    }

    /// Keeps the vectors of a subscriber's interests, unless the subscriber changed meanwhile.
    pub async fn keep_vectors(
        &self,
        of: &Subscriber,
        encoder: &EncoderId,
        vectors: &[Int8Vector],
    ) -> Result<(), SubscribersError> {
        let bytes: Vec<u8> = vectors.iter().flat_map(Int8Vector::to_bytes).collect();
        let arguments = [of.version.to_string().into_bytes(), encoder.as_str().into(), bytes];
        self.script(&KEEP_VECTORS, &[subscriber_key(&of.id)], &arguments).await
    }
}

/// The vectors in a subscriber's hash; none where it has other interests by now, or was not changed since releases that
/// kept vectors in another form.
pub fn kept_vectors(
    of: &Subscriber,
    fields: &HashMap<String, Vec<u8>>,
) -> Result<Option<(EncoderId, Vec<Int8Vector>)>, SubscribersError> {
    let (Some(encoder), Some(bytes)) = (fields.get("encoder"), fields.get("vectors")) else {
        return Ok(None);
    };
    let version = fields.get("version").map_or(&b"0"[..], Vec::as_slice);
    if of.version == 0 || version != of.version.to_string().as_bytes() {
        return Ok(None);
    }
    let wrong = |problem: &dyn std::fmt::Display| corrupt(&subscriber_key(&of.id), problem);
    let encoder = EncoderId::parse(&String::from_utf8_lossy(encoder)).map_err(|error| wrong(&error))?;
    let interests = of.preferences.interests.len();
    if interests == 0 || bytes.is_empty() || !bytes.len().is_multiple_of(interests) {
        return Err(wrong(&"vectors do not fit the interests"));
    }
    let vectors = bytes.chunks(bytes.len() / interests).map(Int8Vector::from_bytes);
    let vectors: Result<Vec<Int8Vector>, _> = vectors.collect();
    Ok(Some((encoder, vectors.map_err(|error| wrong(&error))?)))
}
