use super::*;
use std::collections::BTreeMap;

fn at(millis: u64) -> Time {
    Time::since_start(Duration::from_millis(millis))
}

fn list(names: &[&str], seed: u64) -> HostList {
    let endpoints = names.iter().map(|&name| Endpoint::new(name, 2181));
    HostList::new(endpoints, Policy::default(), Chance::seeded(seed))
}

/// Whom it would try now, and how long it would wait.
fn ask(list: &HostList, now: Time) -> (String, Duration) {
    let attempt = list.next(now).expect("the list has servers");
    let wait = attempt.not_before.saturating_since(now);
    (attempt.endpoint.host, wait)
}

fn host(list: &HostList, name: &str) -> HostId {
    list.hosts
        .iter()
        .find(|host| host.endpoint.host == name)
        .expect("it is in the list")
        .id
}

#[test]
fn clients_that_know_nothing_spread_evenly() {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..300 {
        *first
            .entry(ask(&list(&["a", "b", "c"], seed), at(0)).0)
            .or_default() += 1;
    }
    assert!(
        first.len() == 3 && first.values().all(|&count| count > 70),
        "{first:?}"
    );
}

#[test]
fn every_server_is_tried_once_before_any_is_tried_again() {
    let mut list = list(&["a", "b", "c", "d"], 5);
    let mut tried = Vec::new();
    for _ in 0..4 {
        let attempt = list.next(at(0)).unwrap();
        assert_eq!(
            attempt.not_before,
            at(0),
            "nobody who has not failed is waited for"
        );
        tried.push(attempt.endpoint.host);
        list.on_failed(attempt.host, at(0));
    }
    tried.sort_unstable();
    assert_eq!(tried, ["a", "b", "c", "d"]);
    let (_, wait) = ask(&list, at(0));
    assert!(
        wait >= Duration::from_millis(50) && wait <= Duration::from_millis(100),
        "{wait:?}"
    );
}

#[test]
fn a_server_that_keeps_failing_is_left_alone_for_longer_and_longer() {
    let mut list = list(&["a"], 1);
    let id = host(&list, "a");
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..12 {
        list.on_failed(id, now);
        let (_, wait) = ask(&list, now);
        waits.push(wait);
        now = now + wait;
    }
    assert!(waits[11] >= Duration::from_secs(5) && waits[11] <= Duration::from_secs(10));
    assert!(waits[0] <= Duration::from_millis(100));
}

#[test]
fn who_failed_less_often_is_preferred_once_all_may_be_tried() {
    let mut list = list(&["a", "b"], 1);
    let (a, b) = (host(&list, "a"), host(&list, "b"));
    list.on_failed(a, at(0));
    list.on_failed(a, at(200));
    list.on_failed(b, at(0));
    assert_eq!(ask(&list, at(60_000)), ("b".to_owned(), Duration::ZERO));
}

#[test]
fn the_server_that_was_good_last_is_preferred_among_equals() {
    let mut list = list(&["a", "b", "c"], 1);
    for name in ["a", "b", "c"] {
        let id = host(&list, name);
        let seconds = if name == "b" { 40 } else { 30 };
        list.on_connected(id, at(0), Mode::ReadWrite);
        list.on_failed(id, at(1000 * seconds));
    }
    assert_eq!(ask(&list, at(100_000)).0, "b");
}

#[test]
fn read_only_servers_come_last_but_come() {
    let mut list = list(&["a", "b"], 1);
    let (a, b) = (host(&list, "a"), host(&list, "b"));
    list.on_connected(a, at(0), Mode::ReadOnly);
    assert_eq!(ask(&list, at(1)).0, "b");
    list.on_failed(b, at(1));
    assert_eq!(ask(&list, at(1)), ("a".to_owned(), Duration::ZERO));
    list.on_connected(a, at(2), Mode::ReadWrite);
    list.on_failed(a, at(20_000));
    assert_eq!(ask(&list, at(60_000)).0, "a", "it found its ensemble again");
}

#[test]
fn a_server_that_takes_connections_only_to_drop_them_is_not_forgiven() {
    let mut list = list(&["a"], 1);
    let a = host(&list, "a");
    for round in 0..10 {
        list.on_connected(a, at(round), Mode::ReadWrite);
        list.on_failed(a, at(round));
    }
    assert!(ask(&list, at(10)).1 > Duration::from_secs(4));
    list.on_connected(a, at(20_000), Mode::ReadWrite);
    list.on_failed(a, at(30_000));
    assert!(
        ask(&list, at(30_000)).1 <= Duration::from_millis(100),
        "ten seconds are enough"
    );
}

#[test]
fn a_session_in_danger_does_not_wait_for_manners() {
    let mut list = list(&["a"], 1);
    let a = host(&list, "a");
    (0..10).for_each(|_| list.on_failed(a, at(0)));
    list.limit_cooling(Duration::from_millis(300));
    assert_eq!(ask(&list, at(0)).1, Duration::from_millis(300));
}

#[test]
fn another_list_keeps_what_is_known_of_those_who_stay() {
    let mut list = list(&["a", "b"], 1);
    let (a, b) = (host(&list, "a"), host(&list, "b"));
    list.on_failed(a, at(0));
    list.replace(["a", "c", "c"].map(|name| Endpoint::new(name, 2181)));
    assert_eq!(list.len(), 2);
    assert_eq!(host(&list, "a"), a);
    assert_eq!(list.endpoint(b), None);
    assert_eq!(ask(&list, at(0)).0, "c", "a is still cooling");
    list.on_failed(b, at(0));
    list.on_connected(b, at(0), Mode::ReadWrite);
    list.replace([]);
    assert_eq!(list.len(), 2, "no answer is not an empty list");
}

#[test]
fn a_list_of_nobody_has_no_next() {
    assert_eq!(list(&[], 1).next(at(0)), None);
    assert!(list(&[], 1).is_empty());
}

#[test]
fn a_seed_repeats_every_decision() {
    let run = |seed: u64| {
        let mut list = list(&["a", "b", "c", "d", "e"], seed);
        let mut faults = Chance::seeded(99);
        let mut now = at(0);
        let mut trace = Vec::new();
        for _ in 0..200 {
            let attempt = list.next(now).unwrap();
            now = attempt.not_before;
            if faults.below(3) == 0 {
                list.on_connected(attempt.host, now, Mode::ReadWrite);
                now = now + Duration::from_millis(faults.number() % 20_000);
            }
            list.on_failed(attempt.host, now);
            trace.push(attempt);
        }
        trace
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}
