//! From a seed to a script. The generator never sees an answer: whatever happens, the script stays the
//! same, and so a seed and a few step numbers are a bug report.
//!
//! Some orders are races in the reference itself and never generated: a write behind a setACL or a
//! closeSession in one packet, two writes in one packet while hard quotas are enforced (both are judged
//! against what has been *applied*), and anything beside a request that is answered out of order.

mod reads;
mod reaping;
mod together;
mod words;
mod writes;

use crate::rng::Rng;
use crate::script::{Ask, Pace, Password, SLOTS, Step, home};
use crate::servers::{MAX_SESSION_TIMEOUT, Profile};
use bytes::BufMut;
use zk_proto::jute::{DEFAULT_MAX_BUFFER, JuteMut};
use zk_proto::{OpCode, Request};

/// Steps between two looks at whether the tree has grown too large.
const PRUNE_EVERY: usize = 300;
/// Steps between two comparisons of the whole trees.
const COMPARE_EVERY: usize = 2500;
/// Most requests in one packet.
const MAX_BURST: usize = 9;

/// A script of about `ops` requests.
pub(crate) fn script(seed: u64, profile: &Profile, ops: usize) -> Vec<Step> {
    if profile.reaps() {
        return reaping::script();
    }
    if profile.together {
        return together::script(seed, ops);
    }
    let mut generator = Generator {
        rng: Rng::new(
            seed ^ (u64::from(profile.quota) << 41) ^ (u64::from(profile.extended) << 40),
        ),
        quota: profile.quota,
        xid: 0,
    };
    let mut steps = Vec::new();
    let mut weight = 0;
    while weight < ops {
        let step = match steps.len() + 1 {
            n if n % COMPARE_EVERY == 0 => Step::Compare,
            n if n % PRUNE_EVERY == 0 => Step::Prune,
            _ => generator.step(),
        };
        weight += step.weight();
        steps.push(step);
    }
    steps.push(Step::Compare);
    steps
}

struct Generator {
    rng: Rng,
    quota: bool,
    xid: i32,
}

/// What one packet already holds, as far as the next request must know.
#[derive(Default)]
struct Burst {
    asks: Vec<Ask>,
    writes: usize,
    acl_changed: bool,
    watches_set: bool,
}

impl Generator {
    fn step(&mut self) -> Step {
        let slot = self.rng.below(SLOTS);
        match self.rng.below(10_000) {
            0 => self.expire(),
            1..70 => self.connect(slot),
            70..170 => self.renew(slot),
            170..200 => Step::Hangup { slot },
            200..220 => Step::Raw {
                slot,
                bytes: self.bad_frame(),
            },
            220..240 => Step::RawHello {
                bytes: self.bad_hello(),
            },
            240..255 => self.forbidden(),
            255..290 => Step::Word(self.rng.pick(&[
                "ruok", "isro", "srvr", "wchs", "stat", "conf", "abcd", "\0\0\0\0",
            ])),
            290..300 => self.at_the_limit(slot),
            300..500 => {
                let xid = self.next_xid();
                let mut asks = vec![reads::loner(&mut self.rng, xid)];
                if asks[0].op == OpCode::CloseSession.to_wire() && self.rng.permille(300) {
                    // Whatever follows a goodbye is never answered.
                    asks.push(Ask::new(self.next_xid(), &reads::read(&mut self.rng)));
                }
                Step::Send {
                    slot,
                    asks,
                    pace: Pace::Whole,
                }
            }
            _ => Step::Send {
                slot,
                asks: self.asks(),
                pace: self.pace(),
            },
        }
    }

    fn pace(&mut self) -> Pace {
        if self.rng.permille(3) {
            Pace::Bytes
        } else {
            Pace::Whole
        }
    }

    fn next_xid(&mut self) -> i32 {
        self.xid = self.xid % 1_000_000 + 1;
        if self.rng.permille(10) {
            self.rng.pick(&[0, -8, -3, i32::MAX, i32::MIN, -4])
        } else {
            self.xid
        }
    }

    fn asks(&mut self) -> Vec<Ask> {
        let count = if self.rng.permille(150) {
            2 + self.rng.below(MAX_BURST - 1)
        } else {
            1
        };
        let mut burst = Burst::default();
        for _ in 0..count {
            let xid = self.next_xid();
            let ask = self.ask(xid);
            self.admit(&mut burst, ask);
        }
        burst.asks
    }

    /// Leaves out what would be a race.
    fn admit(&self, burst: &mut Burst, ask: Ask) {
        let op = OpCode::from_wire(ask.op);
        let write = is_write(op);
        let settled = burst.acl_changed || burst.watches_set;
        if write && (settled || (self.quota && burst.writes > 0)) {
            return;
        }
        burst.writes += usize::from(write);
        burst.acl_changed |= op == OpCode::SetAcl;
        burst.watches_set |= matches!(op, OpCode::SetWatches | OpCode::SetWatches2);
        burst.asks.push(ask);
    }

    fn ask(&mut self, xid: i32) -> Ask {
        let rng = &mut self.rng;
        let mut ask = match rng.below(100) {
            0..20 => Ask::new(xid, &writes::create(rng).request()),
            20..31 => Ask::new(xid, &writes::delete(rng)),
            31..41 => Ask::new(xid, &writes::set_data(rng, &mut None)),
            41..45 => Ask::new(xid, &writes::set_acl(rng)),
            45..68 => Ask::new(xid, &reads::read(rng)),
            68..78 => Ask::raw(xid, OpCode::Multi.to_wire(), writes::multi(rng)),
            78..81 => Ask::raw(xid, OpCode::MultiRead.to_wire(), reads::multi_read(rng)),
            81..83 => {
                let path = words::path(rng).into();
                Ask::new(xid, &Request::Sync { path })
            }
            83 => Ask::new(rng.pick(&[xid, -2]), &Request::Ping),
            84 => Ask::new(xid, &Request::WhoAmI),
            85 => Ask::new(xid, &reads::ephemerals(rng)),
            86..94 => reads::watch(rng, xid),
            94..97 => reads::set_watches(rng, xid),
            _ => {
                let (op, body) = writes::quota(rng, &mut Vec::new());
                return Ask::raw(xid, op, body);
            }
        };
        if rng.permille(25) {
            spoil(rng, &mut ask);
        }
        ask
    }

    fn connect(&mut self, slot: usize) -> Step {
        let (mut hello, mut asks) = home(slot);
        hello.timeout = self.rng.pick(&[
            3_600_000,
            i32::MAX,
            MAX_SESSION_TIMEOUT,
            MAX_SESSION_TIMEOUT + 1,
        ]);
        hello.ahead = if self.rng.permille(100) {
            self.rng.pick(&[1, 1000, i64::from(i32::MAX)])
        } else {
            0
        };
        hello.protocol = self.rng.pick(&[0, 0, 1, -1]);
        hello.password = self
            .rng
            .pick(&[Password::Null, Password::Right, Password::Short]);
        if self.rng.permille(500) {
            asks.extend(self.asks());
        }
        Step::Connect {
            slot,
            hello,
            asks,
            pace: self.pace(),
        }
    }

    fn renew(&mut self, slot: usize) -> Step {
        let (mut hello, mut asks) = home(slot);
        hello.again = Some(self.rng.below(10));
        hello.timeout = self.rng.pick(&[7_200_000, i32::MAX]);
        hello.password = self.rng.weighted(&[
            (70, Password::Right),
            (15, Password::Wrong),
            (5, Password::Short),
            (5, Password::Null),
        ]);
        if hello.password == Password::Right {
            asks.extend(self.asks());
        } else {
            asks.clear();
        }
        Step::Connect {
            slot,
            hello,
            asks,
            pace: Pace::Whole,
        }
    }

    fn expire(&mut self) -> Step {
        let mut asks = vec![];
        for path in ["/a/e", "/e", "/b/e-"] {
            let mut body = Vec::new();
            Request::Create(zk_proto::Create {
                op: OpCode::Create,
                path: path.into(),
                data: None,
                acl: Some(words::open_acl()),
                flags: if path.ends_with('-') { 3 } else { 1 },
                ttl: -1,
            })
            .encode(&mut body);
            asks.push(Ask::raw(self.next_xid(), 1, body));
        }
        Step::Expire {
            timeout: self.rng.pick(&[-1, 0, 1, 650]),
            asks,
            hangup: self.rng.permille(500),
        }
    }

    /// Only where the reference does nothing: it would delete ordinary nodes without asking the ACL.
    fn forbidden(&mut self) -> Step {
        let xid = self.next_xid();
        let ask = if self.rng.permille(700) {
            let mut body = Vec::new();
            let path = self.rng.pick(&["/missing/x", "/", "/zookeeper", "/none"]);
            body.put_string(path);
            Ask::raw(xid, OpCode::DeleteContainer.to_wire(), body)
        } else {
            let mut body = Vec::new();
            body.put_i32(MAX_SESSION_TIMEOUT);
            Ask::raw(xid, OpCode::CreateSession.to_wire(), body)
        };
        Step::Forbidden { ask }
    }

    /// A frame that no server may accept.
    fn bad_frame(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let max = i32::try_from(DEFAULT_MAX_BUFFER).expect("a small number");
        match self.rng.below(4) {
            0 => bytes.put_i32(self.rng.pick(&[-1, i32::MIN, -100])),
            1 => bytes.put_i32(self.rng.pick(&[max + 1, i32::MAX, 0x4745_5420])),
            2 => bytes.put_i32(0),
            _ => {
                bytes.put_i32(7);
                bytes.put_slice(&[0; 7]);
            }
        }
        bytes
    }

    fn bad_hello(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.rng.below(4) {
            0 => bytes.put_i32(self.rng.pick(&[-1, i32::MIN, i32::MAX, 0x0010_0000])),
            1 => bytes.put_i32(0),
            2 => {
                bytes.put_i32(10);
                bytes.put_slice(&[0; 10]);
            }
            _ => {
                // A password longer than the frame.
                bytes.put_i32(28);
                bytes.put_slice(&[0; 24]);
                bytes.put_i32(16);
            }
        }
        bytes
    }

    /// A setData whose frame is as long as a frame may be, or one byte longer.
    fn at_the_limit(&mut self, slot: usize) -> Step {
        let over = usize::from(self.rng.permille(400));
        let path = self.rng.pick(&["/a", "/b", "/limit"]);
        let fixed = 8 + 4 + path.len() + 4 + 4;
        let data = vec![0x5a; DEFAULT_MAX_BUFFER - fixed + over];
        let ask = Ask::new(
            self.next_xid(),
            &Request::SetData {
                path: path.into(),
                data: Some(&data),
                version: -1,
            },
        );
        if over == 0 {
            let asks = vec![ask];
            return Step::Send {
                slot,
                asks,
                pace: Pace::Whole,
            };
        }
        let bytes = crate::wire::framed(&ask.payload(0));
        Step::Raw { slot, bytes }
    }
}

/// Whether the reference prepares it as a transaction.
fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
            | OpCode::CloseSession
    )
}

/// Makes a body undecodable, or decodable with something behind it.
fn spoil(rng: &mut Rng, ask: &mut Ask) {
    let len = ask.body.len();
    let first_word = |ask: &mut Ask, value: i32| {
        if let Some(word) = ask.body.first_chunk_mut::<4>() {
            *word = value.to_be_bytes();
        }
    };
    match rng.below(6) {
        0 | 1 => ask.body.truncate(rng.below(len.max(1))),
        2 => ask.body.extend_from_slice(&[0xab; 9]),
        // A watch on null is kept by the reference, and seen in its counts.
        3 if ask.op == OpCode::AddWatch.to_wire() => ask.body.clear(),
        3 => first_word(ask, -1),
        4 => first_word(
            ask,
            rng.pick(&[-2, i32::MIN, i32::MAX, 0x0020_0000, 1_048_576]),
        ),
        _ => ask.body.clear(),
    }
    if ask.back.is_some() && ask.body.len() < 8 {
        ask.back = None;
    }
}
