//! Opens recorded streams and their index.
#![expect(dead_code, reason = "each test binary uses its own part only")]

use std::fs;
use std::path::PathBuf;

pub(crate) use serde_json::Value as Json;

/// One recorded connection: what either side sent, and what an independent decoder made of it.
pub(crate) struct Connection {
    pub(crate) dialer: Vec<u8>,
    pub(crate) acceptor: Vec<u8>,
    pub(crate) dialer_packets: Vec<Json>,
    pub(crate) acceptor_packets: Vec<Json>,
}

fn folder(run: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/wire")
        .join(run)
}

fn list(run: &str, file: &str) -> Vec<Json> {
    let text = fs::read_to_string(folder(run).join(file)).expect("a readable index");
    serde_json::from_str(&text).expect("a list")
}

/// The client connections of a run, in order.
pub(crate) fn connections(run: &str) -> Vec<Connection> {
    list(run, "index.json")
        .iter()
        .map(|entry| {
            let stream = entry["stream"].as_str().expect("a name");
            let bytes = |side: &str| {
                fs::read(folder(run).join(format!("{stream}.{side}.bin"))).expect("a stream")
            };
            let packets = |side: &str| entry[side].as_array().expect("packets").clone();
            Connection {
                dialer: bytes("dialer"),
                acceptor: bytes("acceptor"),
                dialer_packets: packets("dialer"),
                acceptor_packets: packets("acceptor"),
            }
        })
        .collect()
}

/// The distinct transactions that a run's servers sent to each other.
pub(crate) fn txns(run: &str) -> Vec<Json> {
    list(run, "txns.json")
}

/// Bytes from a string of hex digits.
pub(crate) fn unhex(value: &Json) -> Vec<u8> {
    let hex = value.as_str().expect("hex digits");
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex digits"))
        .collect()
}

/// A number that is a string of hex digits behind `0x`, unsigned.
pub(crate) fn hex_i64(value: &Json) -> i64 {
    let text = value
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .expect("0x and digits");
    u64::from_str_radix(text, 16)
        .expect("hex digits")
        .cast_signed()
}

/// A plain number.
pub(crate) fn json_i32(value: &Json) -> i32 {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .expect("a number")
}
