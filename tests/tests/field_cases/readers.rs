//! What readers find, read and are mailed.

use super::Check;
use super::stage::Stage;

pub const CASES: &[(&str, Check)] = &[
    ("25_compound_names_are_found", |stage| {
        for (query, paper) in [
            ("author:garcia-silva", "nm:nm1"),
            ("author:\"García-Silva\"", "nm:nm1"),
            ("author:\"Al-Rfou\"", "nm:nm1"),
            ("author:\"Jean-Pierre\"", "nm:nm1"),
            ("author:\"O'Neil\"", "nm:nm2"),
            ("author:\"D'Angelo\"", "nm:nm2"),
            ("author:\"D’Angelo\"", "nm:nm2"),
            ("author:\"Van Der Aa\"", "nm:nm2"),
            ("author:\"Pérez de la Cruz\"", "nm:nm2"),
            ("author:\"Zhang, Wei\"", "nm:nm3"),
            ("author:\"Xu, Kaidi\"", "nm:nm3"),
        ] {
            let found = stage.found(query);
            assert!(found.contains(&paper.to_owned()), "{query}: {found:?}");
        }
        let found = stage.found("beacons -author:García-Silva");
        assert!(
            found.contains(&"nm:nm2".to_owned()) && !found.contains(&"nm:nm1".to_owned()),
            "{found:?}"
        );
        let digest = digest_for(
            stage,
            "nm@example.org",
            "beacons of a kind",
            &["--exclude", "author:García-Silva"],
        );
        assert!(
            digest.contains("Beacons of the second kind") && !digest.contains("Beacons of the first kind"),
            "{digest}"
        );
    }),
    ("28_mails_read_as_pages_do", |stage| {
        let title = "On O(n log n) bounds & 100% of_the #tides for Hölder’s ~norm";
        let digest = digest_for(stage, "tex@example.org", "bounds of tides for Hölder's norm", &[]);
        assert!(digest.contains(&format!("Subject: {title}")), "{digest}");
        assert!(
            !digest.contains("mathcal") && !digest.contains("H\\\"older"),
            "{digest}"
        );
    }),
    ("31_unknown_scripts_go_by_words", |stage| {
        assert_eq!(stage.found("ネットワーク").first().map(String::as_str), Some("q:q-ja"));
        let digest = digest_for(stage, "zh@example.org", "采购审批", &[]);
        assert!(
            digest.contains("基于深度学习的采购订单自动审批流程") && !digest.contains("🔥"),
            "{digest}"
        );
    }),
    ("33_a_feed_holds_what_fits", |stage| {
        let feed = stage.json("/feeds/search.json?q=lanterns+in+harbours");
        let items = feed["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{feed}");
        for item in items {
            let id = item["id"].as_str().unwrap();
            assert!(
                !stage.others.iter().any(|other| id.contains(other.as_str())),
                "{id}: {feed}"
            );
        }
        let about = |item: &&serde_json::Value| item.to_string().to_lowercase().contains("lantern");
        assert!(items.iter().filter(about).count() * 2 > items.len(), "{feed}");
    }),
];

/// The digest that a new reader with an interest would get.
fn digest_for(stage: &Stage, email: &str, interest: &str, more: &[&str]) -> String {
    let subscribe = ["subscribe", email, "--interest", interest, "--confirm"];
    stage.platform.must(&[&subscribe, more].concat());
    stage.platform.must(&["digest", "preview", email]).out
}
