use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;

use super::super::state::Protocol;
use super::*;
use crate::clock::ManualClock;

fn table(server: &'static str, limits: ConnectionLimits) -> (Arc<ConnectionTable>, ManualClock) {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    (ConnectionTable::new(server, limits, clock), hand)
}

fn peer(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn reason(state: &ConnectionState) -> Option<CloseReason> {
    state.closed().now_or_never()
}

#[test]
fn one_client_takes_a_share_and_others_are_served() {
    let (table, _) = table("share", ConnectionLimits::new(16));
    let mut held = Vec::new();
    for port in 1..=8 {
        let state = table.admit(peer(&format!("192.0.2.1:{port}"))).expect("admitted");
        held.push(Arc::clone(&state).begin());
    }
    assert!(table.admit(peer("192.0.2.1:9")).is_none(), "each serves a request");
    assert!(table.admit(peer("192.0.2.2:1")).is_some(), "another client");
    held.pop();
    assert!(table.admit(peer("192.0.2.1:9")).is_some(), "an idle one makes room");
}

#[test]
fn a_proxy_may_have_all_and_a_full_table_refuses() {
    let limits = ConnectionLimits::new(16).exempting(|address| address.is_loopback());
    let (table, _) = table("proxy", limits);
    let states: Vec<_> = (1..=16)
        .map(|port| table.admit(peer(&format!("127.0.0.1:{port}"))).expect("admitted"))
        .collect();
    assert!(
        table.admit(peer("192.0.2.1:1")).is_none(),
        "idle connections of a proxy make no room"
    );
    table.forget(peer("127.0.0.1:1"), &states[0]);
    table.forget(peer("127.0.0.1:1"), &states[0]);
    assert!(table.admit(peer("192.0.2.1:1")).is_some());
    assert!(
        table.admit(peer("127.0.0.1:17")).is_some(),
        "a stranger's idle one makes room"
    );
}

#[test]
fn who_never_asked_makes_room_first() {
    let (table, hand) = table("room", ConnectionLimits::new(16));
    let mut states = Vec::new();
    for client in 1..=16 {
        hand.advance(Duration::from_millis(10));
        states.push(table.admit(peer(&format!("192.0.2.{client}:1"))).expect("admitted"));
    }
    for state in &states[..15] {
        drop(Arc::clone(state).begin());
    }
    assert!(table.admit(peer("198.51.100.1:1")).is_some());
    assert_eq!(reason(&states[15]), Some(CloseReason::MadeRoom));
    assert!(states[..15].iter().all(|state| reason(state).is_none()));
}

#[test]
fn half_a_request_and_an_idle_connection_are_closed_in_time() {
    let (table, hand) = table("half", ConnectionLimits::new(64));
    let [silent, half, busy, kept] =
        [1, 2, 3, 4].map(|port| table.admit(peer(&format!("192.0.2.1:{port}"))).expect("admitted"));
    let _request = Arc::clone(&busy).begin();
    drop(Arc::clone(&kept).begin());
    hand.advance(Duration::from_secs(9));
    half.note_read();
    half.speaks(Protocol::Http1);
    table.close_overdue();
    assert!(
        [&silent, &half, &busy, &kept]
            .iter()
            .all(|state| reason(state).is_none())
    );
    hand.advance(Duration::from_secs(2));
    table.close_overdue();
    assert_eq!(reason(&silent), Some(CloseReason::Slow));
    assert_eq!(
        reason(&half),
        Some(CloseReason::Slow),
        "a byte now and then is not enough"
    );
    assert_eq!(reason(&kept), None);
    kept.note_read();
    hand.advance(Duration::from_secs(11));
    table.close_overdue();
    assert_eq!(reason(&kept), Some(CloseReason::Slow), "half of a later request");
    hand.advance(Duration::from_mins(10));
    table.close_overdue();
    assert_eq!(reason(&busy), None, "whoever answers has limits of its own");
}

#[test]
fn idle_connections_end_but_those_of_grpc_that_answer_pings() {
    for (server, keeps) in [("pages", false), ("calls", true)] {
        let limits = ConnectionLimits::new(64);
        let limits = if keeps { limits.keeping_idle_http2() } else { limits };
        let (table, hand) = table(server, limits);
        let [http1, http2] = [1, 2].map(|port| table.admit(peer(&format!("192.0.2.1:{port}"))).expect("admitted"));
        http2.speaks(Protocol::Http2);
        drop(Arc::clone(&http1).begin());
        drop(Arc::clone(&http2).begin());
        for _ in 0..3 {
            hand.advance(Duration::from_secs(30));
            http2.note_read();
            table.close_overdue();
        }
        assert_eq!(reason(&http1), Some(CloseReason::Idle));
        assert_eq!(reason(&http2).is_none(), keeps);
        hand.advance(Duration::from_secs(80));
        table.close_overdue();
        assert_eq!(reason(&http2), Some(CloseReason::Idle), "answers no ping");
    }
}

#[test]
fn who_does_not_read_the_answer_is_cut_off() {
    let (table, hand) = table("reads", ConnectionLimits::new(64));
    let [slow, stuck] = [1, 2].map(|port| table.admit(peer(&format!("192.0.2.1:{port}"))).expect("admitted"));
    let _requests = [Arc::clone(&slow).begin(), Arc::clone(&stuck).begin()];
    for taken in [false, true, false] {
        slow.note_write(taken);
        stuck.note_write(false);
        hand.advance(Duration::from_secs(20));
    }
    table.close_overdue();
    assert_eq!(reason(&stuck), Some(CloseReason::Stalled));
    assert_eq!(reason(&slow), None);
}
