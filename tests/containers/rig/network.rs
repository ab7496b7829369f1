//! The network between members, apart from the one by which clients reach them: cutting the first leaves a member
//! that clients still talk to.

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    EndpointSettings, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};

/// A network of its own, with names for its members.
pub struct Network {
    docker: Docker,
    pub name: String,
}

impl Network {
    pub async fn create(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let docker = super::engine().await;
        let request = NetworkCreateRequest {
            name: name.clone(),
            ..NetworkCreateRequest::default()
        };
        let created = docker.create_network(request).await;
        created.expect("a network can be made");
        Self { docker, name }
    }

    /// Joins a container, which the others then reach by this name; its address may be another each time.
    pub async fn join(&self, container: &str, alias: &str) {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(vec![alias.to_owned()]),
                ..EndpointSettings::default()
            }),
        };
        let joined = self.docker.connect_network(&self.name, request).await;
        joined.expect("a container joins");
    }

    /// Cuts a container off: nothing more reaches it, nor it anyone.
    pub async fn cut(&self, container: &str) {
        let request = NetworkDisconnectRequest {
            container: container.to_owned(),
            force: Some(true),
        };
        let cut = self.docker.disconnect_network(&self.name, request).await;
        cut.expect("a container is cut off");
    }

    /// Removes it, once its containers are gone.
    pub async fn remove(self) {
        let removed = self.docker.remove_network(&self.name).await;
        removed.expect("nobody is in the network any more");
    }
}
