//! For tests of programs that use ZooKeeper, ours among them: a real server in the same process or several that are
//! one ensemble, a proxy that makes the faults of a network on demand, sessions that end when the test says so.
//!
//! ```
//! use zk_client::testkit::{Direction, FaultProxy, TestServer};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut server = TestServer::start().await?;
//! let proxy = FaultProxy::start(server.address()).await?;
//! // A client of proxy.address() now loses its connection after 100 more bytes to the server ...
//! proxy.cut_after(Direction::ToServer, 100);
//! // ... and finds everything it wrote on a server that was away for a while.
//! server.stop().await?;
//! server.restart().await?;
//! # Ok(()) }
//! ```
//!
//! Nothing here waits for a length of time: a test says which condition it waits for ([`FaultProxy::until`]), and
//! a condition that does not come ends it after half a minute, with all that was counted.
//!
//! Deliberately absent: a mock. What a test sees here is what the server really does. Absent as well: virtual time.
//! Server and client count the time a machine is suspended, by a clock that no runtime's paused time can move; who
//! wants a session's end does not wait for a timeout but asks for it ([`end_session`]).

mod ensemble;
mod expiry;
mod proxy;
mod server;
mod wire;

pub use ensemble::TestEnsemble;
pub use expiry::{EndError, end_session};
pub use proxy::{Direction, FaultProxy, Kind, Passed, Tally, Which};
pub use server::{TestServer, TestServerError};
pub use wire::{Wire, WireError};
