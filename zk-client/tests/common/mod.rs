//! The servers that a test body runs against: ours in this process, and those of `ZK_TEST_HOSTS`, a list of
//! addresses with spaces between. Each body has a root of its own.
//!
//! `ZK_TEST_SECURE` is the secure port of the first of them, and `ZK_TEST_AUTHORITY` a file with whom to trust there:
//! everything once more, over TLS.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test's; and not every test file uses all of it"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use zk_client::security::tls::{Pem, Tls};
use zk_client::{Builder, Client};
use zk_server::config::settings::FourLetterWords;
use zk_server::{Config, Server};

/// What no condition waits longer for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One server, and a root on it that nobody else uses.
pub(crate) struct Arena {
    /// Our own server, if it is ours.
    pub(crate) server: Option<Server>,
    /// Its data, for as long as the arena is there.
    pub(crate) data: Option<tempfile::TempDir>,
    /// Where it is.
    pub(crate) hosts: String,
    /// Where it answers four-letter words: never over TLS.
    pub(crate) words: String,
    /// How connections are secured, if they are.
    tls: Option<Tls>,
    /// The root, which exists.
    pub(crate) root: String,
}

impl Arena {
    /// A server of ours.
    pub(crate) async fn ours() -> Self {
        Self::ours_with(|config| config.four_letter_words = FourLetterWords::All).await
    }

    /// A server of ours, configured.
    pub(crate) async fn ours_with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::in_process(data.path());
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        let hosts = server.client_address().unwrap().to_string();
        let mut arena = Self::at(hosts.clone(), hosts, None).await;
        arena.server = Some(server);
        arena.data = Some(data);
        arena
    }

    /// A server that runs already.
    async fn at(hosts: String, words: String, tls: Option<Tls>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let root = format!(
            "/t-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let arena = Self {
            server: None,
            data: None,
            hosts,
            words,
            tls,
            root,
        };
        let client = arena.builder_at("").connect().await.unwrap();
        client.create(arena.root.as_str(), "").await.unwrap();
        client.close().await;
        arena
    }

    fn builder_at(&self, root: &str) -> Builder {
        let builder = Client::builder(format!("{}{root}", self.hosts));
        match &self.tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        }
    }

    /// Describes a client that sees the root as `/`.
    pub(crate) fn builder(&self) -> Builder {
        self.builder_at(&self.root)
            .session_timeout(Duration::from_secs(6))
            .request_timeout(PATIENCE)
    }

    /// A client that sees the root as `/`.
    pub(crate) async fn client(&self) -> Client {
        self.builder().connect().await.unwrap()
    }

    /// Whether the server is ours.
    pub(crate) const fn is_ours(&self) -> bool {
        self.server.is_some()
    }

    async fn clean(self) {
        let client = self.builder_at("").connect().await.unwrap();
        client.delete(self.root.as_str()).recursive().await.unwrap();
        client.close().await;
    }
}

/// Runs a body against every server there is.
pub(crate) async fn everywhere(body: impl AsyncFn(&Arena)) {
    let mut arenas = vec![Arena::ours().await];
    let setting = |name| std::env::var(name).unwrap_or_default();
    let hosts = setting("ZK_TEST_HOSTS");
    for hosts in hosts.split_whitespace() {
        arenas.push(Arena::at(hosts.to_owned(), hosts.to_owned(), None).await);
    }
    let secure = setting("ZK_TEST_SECURE");
    if !secure.is_empty() {
        let words = hosts.split_whitespace().next().unwrap_or_default();
        let tls = Tls::trusting(Pem::file(setting("ZK_TEST_AUTHORITY")));
        arenas.push(Arena::at(secure, words.to_owned(), Some(tls)).await);
    }
    for arena in arenas {
        let limit = PATIENCE * 3;
        let done = tokio::time::timeout(limit, body(&arena)).await;
        assert!(done.is_ok(), "against {} it takes too long", arena.hosts);
        arena.clean().await;
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
