//! One container with one server in it.

use super::{Network, eventually, free_port, mode, on_host};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

/// A server in a container, whose client port is reached by the same address of the host all its life.
pub struct Member {
    container: ContainerAsync<GenericImage>,
    pub id: usize,
    pub address: SocketAddr,
}

const SETTINGS: &str = "dataDir=/data\nclientPort=2181\ntickTime=500\ninitLimit=20\nsyncLimit=4\n\
                        4lw.commands.whitelist=*\nadmin.enableServer=false\n";

impl Member {
    /// Starts a server by itself.
    pub async fn alone(image: GenericImage) -> Self {
        Self::start(image, 1, SETTINGS.to_owned(), "clients-alone").await
    }

    /// Starts the member `id` of so many, which find each other in `network`.
    pub async fn of(image: GenericImage, id: usize, members: usize, network: &Network) -> Self {
        let mut settings = SETTINGS.to_owned();
        for member in 1..=members {
            writeln!(settings, "server.{member}=zk{member}:2888:3888").expect("it is a string");
        }
        let clients = format!("clients-{}", network.name);
        let member = Self::start(image, id, settings, &clients).await;
        network.join(member.container.id(), &member.name()).await;
        member
    }

    async fn start(image: GenericImage, id: usize, settings: String, clients: &str) -> Self {
        let port = free_port();
        let container = image
            .with_wait_for(WaitFor::seconds(0))
            .with_mapped_port(port, 2181.tcp())
            .with_network(clients)
            .with_copy_to("/zoo.cfg", settings.into_bytes())
            .with_copy_to("/data/myid", id.to_string().into_bytes())
            .with_cmd(["start", "/zoo.cfg"])
            .start()
            .await
            .expect("a container starts");
        let address = on_host(port);
        Self {
            container,
            id,
            address,
        }
    }

    /// The name by which the other members find it.
    pub fn name(&self) -> String {
        format!("zk{}", self.id)
    }

    pub fn container(&self) -> &str {
        self.container.id()
    }

    /// Waits until it serves, and says as what.
    pub async fn serves(&self) -> String {
        let what = format!("member {} serves", self.id);
        eventually(&what, Duration::from_secs(30), async || {
            mode(self.address).await
        })
        .await
    }

    /// SIGTERM. Returns the exit code.
    pub async fn stop(&self) -> i64 {
        let stopped = self.container.stop_with_timeout(Some(10)).await;
        stopped.expect("a container stops");
        self.exit_code().await
    }

    /// SIGKILL.
    pub async fn kill(&self) {
        let engine = super::engine().await;
        let killed = engine.kill_container(self.container(), None).await;
        killed.expect("a container is killed");
        let what = format!("member {} is gone", self.id);
        eventually(&what, Duration::from_secs(5), async || {
            let running = self.container.is_running().await;
            (!running.expect("the engine answers")).then_some(())
        })
        .await;
        assert_eq!(self.exit_code().await, 137);
    }

    async fn exit_code(&self) -> i64 {
        let code = self.container.exit_code().await;
        code.expect("the engine answers").expect("it has ended")
    }

    pub async fn start_again(&self) {
        self.container.start().await.expect("it starts again");
    }

    pub async fn pause(&self) {
        self.container.pause().await.expect("it can be paused");
    }

    pub async fn unpause(&self) {
        self.container.unpause().await.expect("it can go on");
    }

    /// What it has said, for when a test fails.
    pub async fn log(&self) -> String {
        let log = self.container.stderr_to_vec().await.unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    pub async fn remove(self) {
        self.container.rm().await.expect("a container is removed");
    }
}
