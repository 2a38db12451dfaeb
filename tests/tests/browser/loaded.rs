//! What the browser says about how the page that is open came to be there.

use std::collections::HashMap;

use serde_json::Value;

use crate::webdriver::Session;

/// The loading of one page, with everything that it brought along.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Id of the request of the page itself.
    pub request: String,
    /// Its address.
    pub url: String,
    /// Its status.
    pub status: u64,
    /// Bytes received for it and all that belongs to it, heads included.
    pub bytes: u64,
    /// Every address that was asked since the log was read last, for whichever page.
    pub asked: Vec<String>,
}

impl Loaded {
    /// Reads it off the log, which is empty afterwards.
    pub fn read(session: &Session) -> Self {
        let mut loaded = Self::default();
        let mut bytes = HashMap::new();
        for entry in session.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let (event, said) = (&message["message"]["method"], &message["message"]["params"]);
            let request = said["requestId"].as_str().unwrap_or_default();
            match event.as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    let url = said["request"]["url"].as_str().unwrap().to_owned();
                    if said["type"] == "Document" {
                        bytes.clear();
                        request.clone_into(&mut loaded.request);
                        loaded.url.clone_from(&url);
                    }
                    loaded.asked.push(url);
                }
                "Network.responseReceived" if request == loaded.request => {
                    loaded.status = said["response"]["status"].as_u64().unwrap();
                }
                "Network.dataReceived" | "Network.loadingFinished" => {
                    let received = said["encodedDataLength"].as_f64().unwrap_or_default();
                    let so_far: &mut f64 = bytes.entry(request.to_owned()).or_default();
                    *so_far = so_far.max(received);
                }
                _ => {}
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of bytes"
        )]
        let total = bytes.values().sum::<f64>() as u64;
        loaded.bytes = total;
        loaded
    }
}
