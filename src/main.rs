//! The server's binary; everything it does lives in the `zk_server` crate.
fn main() {}
