//! Which scope of a key each method needs: one row per method of the contract, and of health and reflection.
//!
//! `proto/ACCESS.md` is the same table for people; a test keeps both alike and complete.

use std::fmt::Write as _;

/// What a key allows. A key can have several scopes; none includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Embedding texts, and the state of the flow, of sources and of the index.
    Read,
    /// Submitting and withdrawing papers, and reporting signals of other sites.
    Submit,
    /// Acting for readers: subscribing them, showing and changing what their link tokens allow, recording attention.
    Readers,
    /// Everything an operator does: subscribers by address, digests, sources, the index, dead letters, the audit log.
    Operate,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Read, Self::Submit, Self::Readers, Self::Operate];

    /// Its name in key files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Readers => "readers",
            Self::Operate => "operate",
        }
    }

    /// The scope of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: it reads what every visitor of the pages can read.
    Open,
    /// Who presents a key with this scope.
    Key(Scope),
}

impl Access {
    /// Whether calls are recorded in the audit log: those that write or administer.
    pub fn is_audited(self) -> bool {
        matches!(self, Self::Key(Scope::Submit | Scope::Readers | Scope::Operate))
    }
}

/// One method.
#[derive(Debug, Clone, Copy)]
pub struct MethodAccess {
    /// Full name of the gRPC service.
    pub service: &'static str,
    /// Name of the method.
    pub method: &'static str,
    /// Who may call it.
    pub access: Access,
}

const OPEN: Access = Access::Open;
const READ: Access = Access::Key(Scope::Read);
const SUBMIT: Access = Access::Key(Scope::Submit);
const READERS: Access = Access::Key(Scope::Readers);
const OPERATE: Access = Access::Key(Scope::Operate);

macro_rules! methods {
    ($($service:literal: { $($method:ident $access:ident,)* })*) => {
        &[$($(MethodAccess { service: $service, method: stringify!($method), access: $access },)*)*]
    };
}

/// Every method.
pub const METHODS: &[MethodAccess] = methods! {
    "broadsheet.search.v1.SearchService": {
        SearchPapers OPEN,
        ListSimilarPapers OPEN,
        GetPaper OPEN,
        BatchGetPapers OPEN,
        ListPapers OPEN,
        ListTrendingPapers OPEN,
        CountFacets OPEN,
        WatchPapers OPEN,
    }
    "broadsheet.embedding.v1.EmbeddingService": {
        Embed READ,
        EmbedBatch READ,
        EmbedStream READ,
        GetModel READ,
    }
    "broadsheet.ingest.v1.IngestService": {
        SubmitPaper SUBMIT,
        SubmitPapers SUBMIT,
        WithdrawPaper SUBMIT,
        ListAcceptedPapers READ,
        ResendPapers OPERATE,
    }
    "broadsheet.ingest.v1.SourceService": {
        ListSources READ,
        GetSource READ,
        RunSource OPERATE,
        PauseSource OPERATE,
        ResumeSource OPERATE,
        StartBackfill OPERATE,
        PauseBackfill OPERATE,
        ResumeBackfill OPERATE,
        CancelBackfill OPERATE,
    }
    "broadsheet.attention.v1.AttentionService": {
        RecordAttention READERS,
        RecordSignals SUBMIT,
    }
    "broadsheet.subscriptions.v1.SubscriptionService": {
        Subscribe READERS,
        ConfirmSubscription READERS,
        DeclineSubscription READERS,
        RequestAccountLink READERS,
        RevokeLinks READERS,
        Unsubscribe READERS,
        GetSubscription READERS,
        UpdateSubscription READERS,
        PauseSubscription READERS,
        ResumeSubscription READERS,
        DeleteSubscription READERS,
        ExportSubscription READERS,
        SetWebhook READERS,
        VerifyWebhook READERS,
        RotateWebhookSecret READERS,
        RemoveWebhook READERS,
        ReactToPaper READERS,
        GetSubscriber OPERATE,
        GetSubscriberToken OPERATE,
        ListSubscribers OPERATE,
        ImportSubscribers OPERATE,
        SuppressAddress OPERATE,
        UnsuppressAddress OPERATE,
        ListSuppressions OPERATE,
        RebuildSubscribers OPERATE,
    }
    "broadsheet.delivery.v1.DeliveryService": {
        PreviewDigest READERS,
        SendTestDigest OPERATE,
        SendDigests OPERATE,
        ListDeliveries OPERATE,
        GetLatestDigest READERS,
        ReportFeedback OPERATE,
    }
    "broadsheet.index.v1.IndexAdminService": {
        GetIndexStatus READ,
        RebuildIndex OPERATE,
        CancelRebuild OPERATE,
        SwitchIndex OPERATE,
        DropCollection OPERATE,
        VerifyIndex OPERATE,
        ExportPapers OPERATE,
        ImportPapers OPERATE,
    }
    "broadsheet.operations.v1.OperationsService": {
        GetStatus READ,
        ListDeadLetters OPERATE,
        GetDeadLetter OPERATE,
        ReplayDeadLetter OPERATE,
        DropDeadLetter OPERATE,
        ListAuditEntries OPERATE,
    }
    "grpc.health.v1.Health": {
        Check OPEN,
        List OPEN,
        Watch OPEN,
    }
    "grpc.reflection.v1.ServerReflection": {
        ServerReflectionInfo OPEN,
    }
    "grpc.reflection.v1alpha.ServerReflection": {
        ServerReflectionInfo OPEN,
    }
};

/// Who may call the method of a path such as `/package.Service/Method`. A path that is no method is the operator's, so that
/// nothing is open by omission.
pub fn access_of(path: &str) -> Access {
    let named = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let known = named.and_then(|(service, method)| {
        let mut methods = METHODS.iter();
        methods.find(|known| known.method == method && known.service == service)
    });
    known.map_or(OPERATE, |known| known.access)
}

/// The table for people, as Markdown: how the server answers each method, by what the caller presents.
pub fn table() -> String {
    let mut text = String::from(
        "# Access\n\nHow the platform answers a call, by the key that the caller presents. Made from `proto/src/access.rs`;\n\
         `just permissions` checks it against running services.\n\n\
         | method | no key | wrong key | read | submit | readers | operate |\n|---|---|---|---|---|---|---|\n",
    );
    for MethodAccess {
        service,
        method,
        access,
    } in METHODS
    {
        let without = match access {
            Access::Open => "allowed",
            Access::Key(_) => "UNAUTHENTICATED",
        };
        let row = Scope::ALL.map(|scope| answer(*access, scope)).join(" | ");
        writeln!(text, "| `{service}/{method}` | {without} | {without} | {row} |").expect("text takes text");
    }
    text.push_str(
        "\nOpen methods do not look at keys, so that a key that has run out stops no search. Two calls need `operate` beside\n\
         the scope above, for what they say: `Subscribe` with consent on record, and `PreviewDigest` by address.\n",
    );
    text
}

fn answer(access: Access, scope: Scope) -> &'static str {
    match access {
        Access::Open => "allowed",
        Access::Key(needed) if needed == scope => "allowed",
        Access::Key(_) => "PERMISSION_DENIED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;

    #[test]
    fn every_method_of_the_contract_has_a_row() {
        let files = prost_types::FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).expect("descriptors");
        let mut contract = BTreeSet::new();
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    contract.insert(format!("{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        let rows: Vec<String> = METHODS
            .iter()
            .filter(|row| row.service.starts_with("broadsheet."))
            .map(|row| format!("{}/{}", row.service, row.method))
            .collect();
        assert_eq!(rows.len(), contract.len());
        assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), contract);
    }

    #[test]
    fn what_is_no_method_is_the_operators() {
        for path in ["", "/", "/x", "/broadsheet.search.v1.SearchService/", "/a.B/C"] {
            assert_eq!(access_of(path), OPERATE, "{path}");
        }
        assert_eq!(access_of("/broadsheet.search.v1.SearchService/SearchPapers"), OPEN);
    }

    /// To write it anew: `UPDATE_ACCESS=1 cargo test -p proto access`.
    #[test]
    fn the_table_for_people_is_the_same() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ACCESS.md");
        if std::env::var_os("UPDATE_ACCESS").is_some() {
            std::fs::write(path, table()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("ACCESS.md"), table());
    }
}
