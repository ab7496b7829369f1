//! Who waits for whom, and for how long: observers before they come again, leaders for voters that do not come.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::{Epoch, ServerId, Zxid};
use zk_zab::{
    Departure, Effect, Epochs, Input, LinkId, Majority, Notification, PeerState, Round, Settings,
    Standing, Time, Vote, Zab,
};

fn at(millis: u64) -> Time {
    Time::since_start(Duration::from_millis(millis))
}

fn member(me: i64, observer: bool) -> Zab {
    let voters = Majority::of([1, 2, 3].map(ServerId::new));
    let mut settings = Settings::new(ServerId::new(me), voters);
    settings.observer = observer;
    Zab::member(
        at(0),
        settings,
        Epochs::default(),
        Zxid::ZERO,
        [],
        &mut Vec::new(),
    )
}

fn step(zab: &mut Zab, millis: u64, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    zab.step(at(millis), input, &mut out);
    out
}

/// When it speaks of an election again after its leader has gone.
fn silence(zab: &mut Zab) -> Option<u64> {
    let leader = ServerId::new(1);
    step(zab, 1000, Input::Elected { leader });
    let link = LinkId::new(1);
    step(zab, 1000, Input::Dialled { to: leader, link });
    let mut now = 1000;
    let mut said = step(zab, now, Input::Closed { link });
    loop {
        if said
            .iter()
            .any(|effect| matches!(effect, Effect::Notify { .. }))
        {
            return Some(now - 1000);
        }
        now = zab.deadline()?.as_millis();
        said = step(zab, now, Input::Timeout);
    }
}

#[test]
fn observers_do_not_all_come_at_once_and_voters_do() {
    assert_eq!(silence(&mut member(2, false)), Some(0));
    let pauses: Vec<_> = (4..24)
        .filter_map(|me| silence(&mut member(me, true)))
        .collect();
    assert_eq!(pauses.len(), 20);
    assert!(pauses.iter().all(|pause| *pause <= 200), "{pauses:?}");
    let distinct: std::collections::BTreeSet<_> = pauses.iter().collect();
    assert!(distinct.len() > 10, "{pauses:?}");
}

fn looks(zab: &mut Zab, millis: u64, from: i64, round: u64) -> Vec<Effect> {
    let notification = Notification {
        state: PeerState::Looking,
        vote: Vote {
            leader: Some(ServerId::new(from)),
            zxid: Zxid::ZERO,
            peer_epoch: Some(Epoch::default()),
            round: Round::new(round).unwrap_or_default(),
        },
        config: Bytes::new(),
    };
    let from = ServerId::new(from);
    step(zab, millis, Input::Notified { from, notification })
}

#[test]
fn a_leader_does_not_wait_for_voters_that_elect_another() {
    let mut zab = member(3, false);
    let leader = ServerId::new(3);
    step(&mut zab, 0, Input::Elected { leader });
    let gives_up = |said: &[Effect]| {
        let because = Departure::Deserted;
        let looks = |effect: &Effect| matches!(effect, Effect::Become(Standing::Looking(why)) if *why == because);
        said.iter().any(looks)
    };
    assert!(
        !gives_up(&looks(&mut zab, 10, 1, 1)),
        "it has not heard yet"
    );
    assert!(
        !gives_up(&looks(&mut zab, 20, 1, 2)),
        "the other one is enough"
    );
    assert!(gives_up(&looks(&mut zab, 30, 2, 2)), "(ZOOKEEPER-3109)");
}
