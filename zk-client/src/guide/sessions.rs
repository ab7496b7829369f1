//! Sessions and reconnects.
//!
//! A [`Client`](crate::Client) is one session with an ensemble. Connections come and go under it: when one is lost, the
//! client goes to the next server and takes the same session up again, with its credentials and watches, before anything
//! else is sent. A server that has seen less than this session is not taken, so that reads never go back in time.
//!
//! What you see of that is [`State`](crate::State):
//!
//! * `Connected`: a server answers.
//! * `Suspended`: none does. The session lives on the servers until its timeout, perhaps longer; nobody here can know.
//!   [`alive_until`](crate::Client::alive_until) is how long it is certain. A leader that has heard nothing new by then
//!   stops acting as one.
//! * `Lost`: a server has said that the session is over. Its ephemeral nodes are gone, and its watches have said so.
//! * `Closed`: nothing will happen again.
//!
//! After `Lost` the client ends, unless [`on_expiry`](crate::Builder::on_expiry) said [`Renew`](crate::OnExpiry::Renew):
//! then it opens another session, with the next generation number. It never does so in silence, because whatever the old
//! session held (a lock, a registration) is somebody else's now.
//!
//! ```
//! use zk_client::testkit::{FaultProxy, TestServer};
//! use zk_client::{Client, State};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::start().await?;
//! let proxy = FaultProxy::start(server.address()).await?;
//! let client = Client::connect(proxy.address().to_string()).await?;
//! client.create("/worker", "").ephemeral().await?;
//! let session = client.session_id();
//!
//! let mut states = client.states();
//! assert!(matches!(states.next().await, Some(State::Connected { generation: 0, .. })));
//! proxy.cut(); // the network fails for a moment
//! assert!(matches!(states.next().await, Some(State::Suspended { .. })));
//! assert!(matches!(states.next().await, Some(State::Connected { generation: 0, .. })));
//!
//! assert_eq!(client.session_id(), session);
//! assert!(client.exists("/worker").await?.is_some());
//! client.close().await; // its ephemeral nodes go now, not after a timeout
//! # Ok(()) }
//! ```
//!
//! A session can outlive its process: [`detach`](crate::Client::detach) leaves it with a
//! [`SessionTicket`](crate::SessionTicket), and [`resume`](crate::Builder::resume) takes it up.
//!
//! With [`allow_read_only`](crate::Builder::allow_read_only) a server that is cut off from its ensemble will do.
//! `Connected` says `read_only` then, and writes are refused as retryable. Apache's servers open sessions in that state
//! only if they are configured with `localSessionsEnabled`, and know none but those: expect `Lost` on the way.
