//! Scenes: one member, what happens to it, and what it does about it, as text in `testdata/scenes`. A line
//! `> ...` is an event, the lines under it are its effects. `BLESS=1` writes them anew; then read the diff.
//! Words of the election are left out: its own tests tell of them.
#![expect(clippy::unwrap_used, reason = "a test that stumbles shall fall")]

use bytes::Bytes;
use std::fs;
use std::path::Path;
use std::time::Duration;
use zk_proto::{Epoch, ServerId, Zxid};
use zk_zab::{Effect, Epochs, Input, LearnerInfo, LinkId, Majority, Message, Settings, Time, Zab};

/// The member of a scene, and its time in milliseconds.
struct Stage {
    zab: Option<Zab>,
    now: u64,
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is a number"))
}

fn zxid(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once('.').expect("a zxid is epoch.counter");
    let first = Zxid::first_of(Epoch::new(number(epoch)));
    Zxid::from_wire(first.to_wire() + number::<i64>(counter))
}

fn link(text: &str) -> LinkId {
    LinkId::new(number(text.strip_prefix('#').expect("a link is #n")))
}

fn server(text: &str) -> ServerId {
    ServerId::new(number(text))
}

fn epoch(text: &str) -> Epoch {
    Epoch::new(number(text))
}

fn payload(zxid: &str) -> Bytes {
    Bytes::from(format!("txn {zxid}"))
}

fn message(words: &[&str]) -> Message {
    let info = |id: &str| LearnerInfo {
        server: server(id),
        config_version: Zxid::ZERO,
    };
    match *words {
        ["FOLLOWERINFO", id, accepted] => Message::FollowerInfo {
            accepted_epoch: epoch(accepted),
            learner: info(id),
        },
        ["OBSERVERINFO", id, accepted] => Message::ObserverInfo {
            accepted_epoch: epoch(accepted),
            learner: info(id),
        },
        ["LEADERINFO", e] => Message::LeaderInfo { epoch: epoch(e) },
        ["ACKEPOCH", last, current] => Message::AckEpoch {
            last_zxid: zxid(last),
            current_epoch: (current != "again").then(|| epoch(current)),
        },
        ["DIFF", z] => Message::Diff { zxid: zxid(z) },
        ["TRUNC", z] => Message::Trunc { zxid: zxid(z) },
        ["SNAP", z] => Message::Snap { zxid: zxid(z) },
        ["NEWLEADER", e] => Message::NewLeader {
            epoch: epoch(e),
            config: Bytes::new(),
        },
        ["UPTODATE"] => Message::UpToDate,
        ["PROPOSAL", z] => Message::Proposal {
            zxid: zxid(z),
            payload: payload(z),
        },
        ["INFORM", z] => Message::Inform {
            zxid: zxid(z),
            payload: payload(z),
        },
        ["COMMIT", z] => Message::Commit { zxid: zxid(z) },
        ["ACK", z] => Message::Ack { zxid: zxid(z) },
        ["PING", z] => Message::Ping { zxid: zxid(z) },
        ["PONG", z] => Message::Pong {
            zxid: zxid(z),
            touched: Vec::new(),
        },
        _ => panic!("no such message: {words:?}"),
    }
}

fn input(words: &[&str]) -> Input {
    match *words {
        ["elected", id] => Input::Elected { leader: server(id) },
        ["dialled", id, l] => Input::Dialled {
            to: server(id),
            link: link(l),
        },
        ["dial", "failed", id] => Input::DialFailed { to: server(id) },
        ["accepted", l] => Input::Accepted { link: link(l) },
        ["closed", l] => Input::Closed { link: link(l) },
        ["persisted", z] => Input::Persisted { through: zxid(z) },
        ["accepted", "epoch", e] => Input::AcceptedPersisted { epoch: epoch(e) },
        ["current", "epoch", e] => Input::CurrentPersisted { epoch: epoch(e) },
        ["truncated", z] => Input::Truncated { to: zxid(z) },
        ["snapshot", "sent", l] => Input::SnapshotSent { link: link(l) },
        ["snapshot", "received", l, z] => Input::SnapshotReceived {
            link: link(l),
            zxid: zxid(z),
        },
        ["propose", what] => Input::Propose {
            payload: payload(what),
        },
        ["confirm", ticket] => Input::Confirm {
            ticket: number(ticket),
        },
        ["resign"] => Input::Resign,
        [l, ref words @ ..] if l.starts_with('#') => Input::Received {
            link: link(l),
            message: message(words),
        },
        _ => panic!("no such event: {words:?}"),
    }
}

impl Stage {
    fn time(&self) -> Time {
        Time::since_start(Duration::from_millis(self.now))
    }

    fn step(&mut self, input: Input, out: &mut Vec<Effect>) {
        let now = self.time();
        self.zab
            .as_mut()
            .expect("a scene begins with a member")
            .step(now, input, out);
    }

    /// `member 2 of 1 2 3 accepted=1 current=1 last=1.5`; an observer is `observer 4 of ...`.
    fn enter(&mut self, words: &[&str], out: &mut Vec<Effect>) {
        let value = |key: &str| {
            let found = words.iter().find_map(|word| word.strip_prefix(key));
            found.expect("a member has epochs and a last transaction")
        };
        let voters = words[3..].iter().filter(|word| !word.contains('='));
        let voters = Majority::of(voters.map(|id| server(id)));
        let mut settings = Settings::new(server(words[1]), voters);
        settings.observer = words[0] == "observer";
        let epochs = Epochs {
            accepted: epoch(value("accepted=")),
            current: epoch(value("current=")),
        };
        let last = zxid(value("last="));
        self.zab = Some(Zab::member(self.time(), settings, epochs, last, [], out));
    }

    fn play(&mut self, line: &str) -> Vec<String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut out = Vec::new();
        match words[..] {
            ["member" | "observer", ..] => self.enter(&words, &mut out),
            // Time passes and the member is woken, or time passes and nobody was awake.
            ["wait", millis] => {
                self.now += number::<u64>(millis);
                self.step(Input::Timeout, &mut out);
            }
            ["sleep", millis] => self.now += number::<u64>(millis),
            _ => self.step(input(&words), &mut out),
        }
        let lines = out.iter().map(ToString::to_string);
        lines.filter(|line| !line.starts_with("tell ")).collect()
    }
}

fn check(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.starts_with("# "), "{path:?} begins with a sentence");
    let mut stage = Stage { zab: None, now: 0 };
    let mut played = String::new();
    for line in text.lines() {
        if let Some(event) = line.strip_prefix("> ") {
            played += &format!("{line}\n");
            for effect in stage.play(event) {
                played += &format!("{effect}\n");
            }
        } else if line.starts_with("# ") || line.is_empty() {
            played += &format!("{line}\n");
        }
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, &played).unwrap();
    } else {
        assert!(played == text, "{path:?} goes otherwise:\n{played}");
    }
}

#[test]
fn every_scene_goes_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/scenes");
    let mut scenes: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scenes.sort();
    assert!(scenes.len() >= 10, "the scenes are here");
    for scene in scenes {
        check(&scene);
    }
}
