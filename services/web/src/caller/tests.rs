use axum::http::Method;

use super::*;

fn site(trusted: &str) -> SiteSettings {
    SiteSettings {
        public_url: None,
        trusted_proxies: TrustedProxies::new(networks(trusted).expect("networks"), None),
        call_timeout: Duration::from_secs(2),
    }
}

fn caller(site: &SiteSettings, peer: &str, headers: &[(&str, &str)]) -> Caller {
    let mut request = Request::builder().method(Method::GET).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(axum::body::Body::empty()).expect("a request");
    let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
    request.extensions_mut().insert(ConnectInfo(peer));
    Caller::new(site, request.extensions(), request.headers(), request.uri())
}

#[test]
fn the_address_is_the_last_that_is_no_trusted_proxy() {
    let behind = site("10.0.0.0/8, 10.9.9.0/24, ::1");
    let address = |peer: &str, forwarded: &[&str]| {
        let headers: Vec<(&str, &str)> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
        caller(&behind, peer, &headers).address().to_string()
    };
    assert_eq!(
        address("192.0.2.1", &["198.51.100.7"]),
        "192.0.2.1",
        "not a trusted proxy"
    );
    assert_eq!(address("10.1.2.3", &[]), "10.1.2.3");
    assert_eq!(address("10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
    assert_eq!(
        address("10.1.2.3", &["203.0.113.1, 198.51.100.7, 10.9.9.9"]),
        "198.51.100.7",
        "what the caller itself sent is not trusted"
    );
    assert_eq!(
        address("::1", &["198.51.100.7", "10.9.9.9"]),
        "198.51.100.7",
        "lines in order"
    );
    assert_eq!(address("::ffff:10.1.2.3", &["[2001:db8::7]:443"]), "2001:db8::7");
    assert_eq!(address("10.1.2.3", &["198.51.100.7:1234"]), "198.51.100.7");
    assert_eq!(address("10.1.2.3", &["198.51.100.7, nonsense"]), "10.1.2.3");
}

#[test]
fn a_neighbour_of_the_proxy_forges_nobody_through_it() {
    let wide = site("10.0.0.0/8");
    let headers = [("x-forwarded-for", "203.0.113.1, 10.9.9.9")];
    let through = caller(&wide, "10.1.2.3", &headers);
    assert_eq!(through.address().to_string(), "10.9.9.9");
}

#[test]
fn a_proxy_with_a_secret_is_believed_only_with_it() {
    let proxies = TrustedProxies::new(
        networks("10.0.0.0/8").expect("a network"),
        Some("correct horse".to_owned()),
    );
    let secret = SiteSettings {
        trusted_proxies: proxies,
        ..site("")
    };
    let client = ("x-forwarded-for", "203.0.113.1");
    let address = |peer: &str, headers: &[(&str, &str)]| caller(&secret, peer, headers).address().to_string();
    let right = ("x-proxy-secret", "correct horse");
    assert_eq!(address("10.1.2.3", &[client, right]), "203.0.113.1");
    assert_eq!(address("10.1.2.3", &[client]), "10.1.2.3");
    assert_eq!(
        address("10.1.2.3", &[client, ("x-proxy-secret", "correct")]),
        "10.1.2.3"
    );
    assert_eq!(
        address("10.1.2.3", &[client, ("x-proxy-secret", "guess"), right]),
        "10.1.2.3"
    );
    assert_eq!(address("192.0.2.1", &[client, right]), "192.0.2.1", "from elsewhere");
}

#[test]
fn whole_private_networks_are_wide() {
    let wide = |text: &str| Network::parse(text).expect("a network").is_wide();
    for network in [
        "10.0.0.0/8",
        "10.0.0.0/9",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "0.0.0.0/0",
        "100.64.0.0/10",
        "fc00::/7",
        "::/0",
        "fd00:1::/48",
    ] {
        assert!(wide(network), "{network}");
    }
    for network in [
        "127.0.0.0/8",
        "10.1.2.0/24",
        "10.1.0.0/17",
        "192.0.2.7",
        "::1",
        "fd00:1:2:3::/64",
    ] {
        assert!(!wide(network), "{network}");
    }
}

#[test]
fn networks_are_parsed_or_refused_by_name() {
    assert_eq!(networks(" ").expect("none"), []);
    for wrong in ["10.0.0.0/33", "10.0.0/8", "::/129", "all", "10.0.0.0/8;"] {
        let refusal = networks(wrong).expect_err("no network").to_string();
        assert!(refusal.contains(&format!("{wrong:?}")), "{refusal}");
    }
    let everything = Network::parse("0.0.0.0/0").expect("a network");
    assert!(everything.contains("255.255.255.255".parse().expect("an address")));
    assert!(!everything.contains("2001:db8::1".parse().expect("an address")));
}

#[test]
fn the_base_is_the_setting_or_what_the_caller_sees() {
    let behind = site("127.0.0.1");
    let base = |peer: &str, headers: &[(&str, &str)]| caller(&behind, peer, headers).base().to_owned();
    assert_eq!(
        base("192.0.2.1", &[("host", "papers.example:7180")]),
        "http://papers.example:7180"
    );
    let secure = [("host", "papers.example"), ("x-forwarded-proto", "https")];
    assert_eq!(base("127.0.0.1", &secure), "https://papers.example");
    assert_eq!(base("192.0.2.1", &secure), "http://papers.example");
    assert_eq!(base("192.0.2.1", &[("host", "evil\"><script>")]), "http://localhost");
    let set = SiteSettings {
        public_url: Some("https://papers.example".to_owned()),
        ..behind
    };
    assert_eq!(
        caller(&set, "192.0.2.1", &[("host", "other")]).base(),
        "https://papers.example"
    );
}

#[test]
fn a_call_carries_address_id_and_deadline() {
    let behind = site("10.0.0.0/8");
    let headers = [("x-forwarded-for", "198.51.100.7"), ("x-request-id", "abc-1")];
    let request = caller(&behind, "10.0.0.1", &headers).request(());
    let said = |name: &str| {
        request
            .metadata()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    assert_eq!(said("x-forwarded-for").as_deref(), Some("198.51.100.7"));
    assert_eq!(said("x-request-id").as_deref(), Some("abc-1"));
    assert_eq!(
        common::grpc::time_left(request.metadata()),
        Some(Duration::from_secs(2))
    );
    let here = caller(&behind, "127.0.0.1", &[]).request(());
    assert!(here.metadata().get("x-forwarded-for").is_none());
}

#[test]
fn only_a_valid_request_id_is_kept() {
    let behind = site("");
    let id = |told: &str| {
        caller(&behind, "192.0.2.1", &[("x-request-id", told)])
            .request_id()
            .to_owned()
    };
    assert_eq!(id("A.b-c_9"), "A.b-c_9");
    for wrong in ["", "two words", "x\"y", &"x".repeat(65)] {
        assert_eq!(id(wrong).len(), 32, "{wrong:?}");
    }
}
