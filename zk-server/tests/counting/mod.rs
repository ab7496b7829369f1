//! Requests by the packet, and the allocations that they cost a server in this process.

#![expect(
    unreachable_pub,
    reason = "a part of test binaries, which have no outside"
)]

use super::support::{self, Client};
use stats_alloc::{Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use zk_proto::{OpCode, Request, RequestHeader, Xid};

/// Requests in one packet.
const AT_ONCE: usize = 16;
const ROUNDS: usize = 500;
/// Frame and header of a reply.
const REPLY_HEAD: usize = 4 + 16;

/// The bytes of one packet with `AT_ONCE` requests of a kind.
pub fn packet(request: &Request<'_>, op: OpCode) -> Vec<u8> {
    let mut packet = Vec::new();
    for _ in 0..AT_ONCE {
        let mut payload = Vec::new();
        RequestHeader { xid: Xid(1), op }.encode(&mut payload);
        request.encode(&mut payload);
        support::write_frame(&mut packet, &payload).expect("a vector takes all");
    }
    packet
}

/// Allocations, growths included, per request, when each packet is sent as soon as the last is answered.
pub fn per_request(
    counting: &StatsAlloc<System>,
    client: &mut Client,
    packet: &[u8],
    reply_len: usize,
) -> f64 {
    let mut replies = vec![0; AT_ONCE * (REPLY_HEAD + reply_len)];
    let mut rounds = |count: usize| {
        for _ in 0..count {
            client.stream().write_all(packet).expect("sent");
            client.stream().read_exact(&mut replies).expect("answered");
            let err = replies.get(REPLY_HEAD - 4..REPLY_HEAD);
            assert_eq!(err, Some(&[0; 4][..]), "no error");
        }
    };
    rounds(ROUNDS / 10);
    let region = Region::new(counting);
    rounds(ROUNDS);
    let change = region.change();
    let asked = change.allocations + change.reallocations;
    let requests = u32::try_from(ROUNDS * AT_ONCE).expect("few");
    f64::from(u32::try_from(asked).expect("not that many")) / f64::from(requests)
}
