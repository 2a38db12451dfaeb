//! What each service may do on the bus, derived from the flow table: for nats-server to enforce, and for tests to try.
//!
//! A service may publish the subjects that its routes publish, and read those that it works on, replays or published itself. Its
//! consumers, buckets and logs are its own. nats-server judges a request by its subject, so every request here has the stream
//! and, for a consumer, its filter in it. It grants nothing to services that have no place in the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::bus::inbox_prefix;
use crate::flow::{self, BUCKETS, Consumption, FLOW, LOGS, READERS, SERVICES};

/// The user of a person: for backups, and for what only a look at the server itself can tell.
const OPERATOR: &str = "operator";

/// The streams that services of the flow share.
const FLOW_STREAMS: [&str; 5] = [
    flow::STREAM,
    flow::ATTENTION_STREAM,
    flow::ADVISORY_STREAM,
    flow::DEAD_LETTER_STREAM,
    flow::AUDIT_STREAM,
];

/// What a user may do. Subjects may have wildcards; what is denied is so even where it is allowed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BusPermissions {
    /// The user.
    pub user: &'static str,
    /// May be published, requests to the server included.
    pub publish: BTreeSet<String>,
    /// May not be published, though a wildcard above would allow it.
    pub never_publish: BTreeSet<String>,
    /// May be subscribed to.
    pub subscribe: BTreeSet<String>,
}

/// What each service may do; those that need no bus are not in it.
pub fn all() -> Vec<BusPermissions> {
    SERVICES
        .into_iter()
        .filter(|service| flow::uses_bus(service))
        .map(of)
        .collect()
}

/// What one service may do.
pub fn of(service: &'static str) -> BusPermissions {
    let mut granted = BusPermissions {
        user: service,
        publish: BTreeSet::new(),
        never_publish: BTreeSet::new(),
        subscribe: BTreeSet::from([format!("{}.>", inbox_prefix(service))]),
    };
    granted.status();
    granted.publish.insert(format!("{}.{service}", flow::AUDIT_PREFIX));
    granted.routes();
    granted.dead_letters();
    for bucket in BUCKETS.iter().filter(|bucket| bucket.owner == service) {
        granted.bucket(bucket.name);
    }
    for log in LOGS.iter().filter(|log| log.owner == service) {
        granted.publish.insert(format!("{}.*", log.prefix));
        granted.own_stream(log.stream);
    }
    if service == flow::STREAM_MAKER {
        granted.stream_maker();
    }
    granted
}

/// Every stream, those of buckets included.
pub fn streams() -> BTreeSet<String> {
    let flow_streams = FLOW_STREAMS.map(str::to_owned);
    let logs = LOGS.iter().map(|log| log.stream.to_owned());
    let buckets = BUCKETS.iter().map(|bucket| bucket_stream(bucket.name));
    flow_streams.into_iter().chain(logs).chain(buckets).collect()
}

/// The stream that a bucket is.
pub fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// Subjects that a service may read: of its routes, and what it publishes.
pub fn readable(service: &str) -> BTreeSet<&'static str> {
    let of_service = FLOW.iter().filter(|route| route.to == service || route.from == service);
    of_service.map(|route| route.subject).collect()
}

/// The work queues: consumer and its service.
fn durables() -> impl Iterator<Item = (&'static str, &'static str)> {
    FLOW.iter().filter_map(|route| match route.consumption {
        Consumption::WorkQueue { consumer, .. } => Some((consumer, route.to)),
        Consumption::Replay => None,
    })
}

impl BusPermissions {
    fn request(&mut self, subject: &str) {
        self.publish.insert(format!("$JS.API.{subject}"));
    }

    /// How streams and consumers of the flow stand, for metrics and GetStatus: numbers, no messages.
    fn status(&mut self) {
        for stream in FLOW_STREAMS {
            self.request(&format!("STREAM.INFO.{stream}"));
        }
        self.request(&format!("CONSUMER.INFO.{}.*", flow::STREAM));
    }

    fn routes(&mut self) {
        for route in FLOW.iter().filter(|route| route.from == self.user) {
            self.publish.insert(route.subject.to_owned());
        }
        // Replays have consumers under random names.
        for subject in readable(self.user) {
            let stream = flow::stream_of(subject).expect("a subject of the table lies in a stream");
            self.request(&format!("CONSUMER.CREATE.{stream}.*.{subject}"));
            for request in ["INFO", "MSG.NEXT", "DELETE"] {
                self.request(&format!("CONSUMER.{request}.{stream}.*"));
            }
        }
        for (consumer, service) in durables() {
            let stream = flow::STREAM;
            if service == self.user {
                self.acknowledge(stream, consumer);
                continue;
            }
            for request in ["CREATE", "MSG.NEXT", "DELETE"] {
                self.never_publish
                    .insert(format!("$JS.API.CONSUMER.{request}.{stream}.{consumer}"));
            }
            self.never_publish
                .insert(format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}.>"));
        }
        if self.user == flow::REREADING_SERVICE {
            self.request(&format!("STREAM.MSG.GET.{}", flow::STREAM));
        }
    }

    /// Acknowledgements, in the server's old and new form of their subjects.
    fn acknowledge(&mut self, stream: &str, consumer: &str) {
        self.publish.insert(format!("$JS.ACK.{stream}.{consumer}.>"));
        self.publish.insert(format!("$JS.ACK.*.*.{stream}.{consumer}.>"));
    }

    /// What its own consumers and readers could not handle, and the advisories of that.
    fn dead_letters(&mut self) {
        let consumers = flow::consumers_of(self.user);
        for consumer in &consumers {
            self.publish.insert(format!("{}.{consumer}", flow::DEAD_LETTER_PREFIX));
        }
        for (reader, _) in READERS.iter().filter(|(_, service)| *service == self.user) {
            self.publish.insert(format!("{}.{reader}.*", flow::DEAD_LETTER_PREFIX));
        }
        if consumers.is_empty() {
            return;
        }
        let (stream, collector) = (flow::ADVISORY_STREAM, flow::collector_of(self.user));
        for request in ["CREATE", "INFO", "MSG.NEXT"] {
            self.request(&format!("CONSUMER.{request}.{stream}.{collector}"));
        }
        self.acknowledge(stream, &collector);
    }

    fn bucket(&mut self, name: &str) {
        let stream = bucket_stream(name);
        self.publish.insert(format!("$KV.{name}.>"));
        self.own_stream(&stream);
        for get in ["DIRECT.GET", "CONSUMER.CREATE"] {
            self.request(&format!("{get}.{stream}"));
            self.request(&format!("{get}.{stream}.>"));
        }
        // Whoever watches a key acknowledges the pace at which changes come.
        self.publish.insert(format!("$JS.FC.{stream}.>"));
    }

    /// A stream that only this service reads: anything but making and changing it.
    fn own_stream(&mut self, stream: &str) {
        for request in ["STREAM.INFO", "STREAM.MSG.GET", "STREAM.MSG.DELETE", "STREAM.PURGE"] {
            self.request(&format!("{request}.{stream}"));
        }
        for request in [
            "CONSUMER.CREATE",
            "CONSUMER.INFO",
            "CONSUMER.MSG.NEXT",
            "CONSUMER.DELETE",
        ] {
            self.request(&format!("{request}.{stream}.*"));
        }
    }

    /// Makes and changes every stream, handles dead letters (shows, replays and drops them), and shows the audit log.
    fn stream_maker(&mut self) {
        self.request("INFO");
        for request in ["CREATE", "INFO", "MSG.NEXT", "DELETE"] {
            self.request(&format!("CONSUMER.{request}.{}.*", flow::AUDIT_STREAM));
        }
        for stream in streams() {
            for request in ["CREATE", "UPDATE", "INFO"] {
                self.request(&format!("STREAM.{request}.{stream}"));
            }
        }
        for request in ["GET", "DELETE"] {
            self.request(&format!("STREAM.MSG.{request}.{}", flow::DEAD_LETTER_STREAM));
        }
        // It makes room among papers that every service has handled, and moves attention out of their stream.
        let (papers, attention) = (flow::STREAM, flow::ATTENTION_SUBJECTS);
        self.request(&format!("STREAM.PURGE.{papers}"));
        self.request(&format!("CONSUMER.CREATE.{papers}.*.{attention}"));
        for route in &FLOW {
            self.publish.insert(route.subject.to_owned());
        }
    }
}

/// The users with their rights as nats-server reads them. Passwords come from the server's environment.
pub fn nats_config() -> String {
    let mut text = String::from(
        "# The users of Broadsheet and what each may do. Generated by `broadsheet nats permissions` from the flow table.\n\
         # Passwords come from the environment of nats-server. Each must begin with a letter: nats-server takes some texts that\n\
         # begin with a digit for numbers.\n\
         authorization {\n  users: [\n",
    );
    for permissions in all() {
        user(&mut text, &permissions);
    }
    let variable = password_variable(OPERATOR);
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "    # A person who backs up, restores or looks at streams.\n    {{ user: {OPERATOR}, password: ${variable} }}\n  ]\n}}\n"
    );
    text
}

/// The variable in which nats-server finds the password of a user.
pub fn password_variable(user: &str) -> String {
    format!("NATS_{}_PASSWORD", user.to_uppercase())
}

fn user(text: &mut String, permissions: &BusPermissions) {
    let list = |subjects: &BTreeSet<String>| {
        let quoted: Vec<String> = subjects
            .iter()
            .map(|subject| format!("          \"{subject}\"\n"))
            .collect();
        quoted.concat()
    };
    let BusPermissions {
        user,
        publish,
        never_publish,
        subscribe,
    } = permissions;
    let _ = write!(
        text,
        "    {{\n      user: {user}\n      password: ${}\n      permissions: {{\n        publish: {{\n        allow: [\n{}        ]\n        \
         deny: [\n{}        ]\n        }}\n        subscribe: {{\n        allow: [\n{}        ]\n        }}\n      }}\n    }}\n",
        password_variable(user),
        list(publish),
        list(never_publish),
        list(subscribe),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_without_a_place_in_the_table_get_nothing() {
        let users: Vec<&str> = all().iter().map(|permissions| permissions.user).collect();
        assert_eq!(users, ["ingest", "embedding", "indexing", "notification"]);
        assert!(!nats_config().contains("web"));
    }

    #[test]
    fn logs_are_their_owners_and_streams_their_makers() {
        for permissions in all() {
            let named = |what: &str| permissions.publish.iter().any(|subject| subject.contains(what));
            let owner = permissions.user == "notification";
            assert_eq!(named("SUBSCRIBERS") || named("subscribers."), owner, "{permissions:?}");
            assert_eq!(
                named("STREAM.CREATE") || named("STREAM.UPDATE"),
                owner,
                "{permissions:?}"
            );
            // A wildcard in place of a stream would reach every stream.
            for subject in permissions
                .publish
                .iter()
                .filter(|subject| subject.starts_with("$JS.API."))
            {
                let stream = streams()
                    .into_iter()
                    .any(|stream| subject.split('.').any(|token| token == stream));
                assert!(stream || subject == "$JS.API.INFO", "{subject}");
            }
            assert!(
                permissions
                    .subscribe
                    .iter()
                    .all(|subject| subject.starts_with("_INBOX_"))
            );
        }
    }
}
