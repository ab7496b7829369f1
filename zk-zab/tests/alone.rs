//! A server that is no member of an ensemble: the same path as a leader of many, with nobody to wait for.

use bytes::Bytes;
use zk_proto::{ServerId, Zxid};
use zk_zab::{Effect, Input, Time, Zab};

fn step(zab: &mut Zab, input: Input) -> Vec<String> {
    let mut out: Vec<Effect> = Vec::new();
    zab.step(Time::default(), input, &mut out);
    out.iter().map(ToString::to_string).collect()
}

fn propose(zab: &mut Zab, payload: &'static [u8]) -> Vec<String> {
    let payload = Bytes::from_static(payload);
    step(zab, Input::Propose { payload })
}

fn alone(last: i64) -> Zab {
    Zab::alone(ServerId::new(1), Zxid::from_wire(last))
}

#[test]
fn nothing_is_delivered_before_it_is_durable() {
    let mut zab = alone(4);
    assert_eq!(propose(&mut zab, b"a"), ["append 0.5 (1 bytes)"]);
    assert_eq!(propose(&mut zab, b"b"), ["append 0.6 (1 bytes)"]);
    let through = Zxid::from_wire(5);
    assert_eq!(
        step(&mut zab, Input::Persisted { through }),
        ["deliver through 0.5"]
    );
    let through = Zxid::from_wire(6);
    assert_eq!(
        step(&mut zab, Input::Persisted { through }),
        ["deliver through 0.6"]
    );
    assert_eq!(zab.deadline(), None, "it waits for nobody");
}

#[test]
fn a_spent_counter_opens_the_next_epoch() {
    let mut zab = alone(0xffff_fffd);
    assert_eq!(propose(&mut zab, b""), ["append 0.4294967294 (0 bytes)"]);
    assert_eq!(zab.next_zxid(), Some(Zxid::from_wire(0x1_0000_0001)));
    assert_eq!(propose(&mut zab, b""), ["append 1.1 (0 bytes)"]);
    assert_eq!(
        alone(0xffff_fffe).next_zxid(),
        Some(Zxid::from_wire(0x1_0000_0001))
    );
}

#[test]
fn nobody_needs_to_confirm_that_it_leads() {
    let mut zab = alone(0);
    assert_eq!(
        step(&mut zab, Input::Confirm { ticket: 7 }),
        ["confirmed 7"]
    );
}
