//! A directory of services: registering in it, listing it, following one of its services.

use super::instance::{Instance, ServiceType};
use super::provider::ProviderBuilder;
use super::registration::Registration;
use super::roll::Poisoned;
use crate::cache::Scope;
use crate::error::Error;
use crate::persistent_node::{Lifetime, PersistentNode};
use zk_client::ops::{MultiRead, ReadResult};
use zk_client::{Client, ErrorCode};

/// How many nodes are read in one request.
const AT_A_TIME: usize = 64;

/// A directory of services, shared with Curator's `ServiceDiscovery` and with Spring Cloud Zookeeper, whose directory
/// is `/services` unless it is told otherwise.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_client::testkit::TestServer::start().await?;
/// # let client = zk_client::Client::connect(server.address().to_string()).await?;
/// use zk_recipes::{Instance, Registry};
///
/// let registry = Registry::new(&client, "/services");
/// let ours = registry.register(Instance::new("shop").address("10.0.0.1").port(8080))?;
/// ours.ready().await?;
///
/// let shop = registry.provider("shop").start();
/// shop.ready().await?;
/// let picked = shop.pick().ok_or("nobody serves")?;
/// assert_eq!(picked.host(), Some("10.0.0.1"));
/// # Ok(()) }
/// ```
///
/// | | |
/// |---|---|
/// | guarantee | an instance is there while its registration is kept and its session lives; what is no instance harms nobody else |
/// | suspension, session's end | a registration as a [`PersistentNode`]: it stays with its session and is there again in the next. A [`Provider`](crate::Provider) goes on with what it has |
/// | cancellation | every future may be dropped at any await |
/// | cost | to register 2 requests, 1 watch; to unregister 2; to list a service 1 request, and 1 for every 64 instances; a provider as a [`Cache`](crate::Cache) |
/// | layout | `<directory>/<service>/<id>`, ephemeral for dynamic instances, else persistent; data: JSON as Curator writes it, see [`Instance`]. Parents are containers |
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    directory: String,
}

/// What a service's directory holds.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Its instances, enabled or not, by their ids.
    pub instances: Vec<Instance>,
    /// Nodes that hold something else.
    pub poisoned: Vec<Poisoned>,
}

impl Registry {
    /// The services of a directory.
    pub fn new(client: &Client, directory: impl Into<String>) -> Self {
        Self {
            client: client.clone(),
            directory: directory.into(),
        }
    }

    fn service(&self, service: &str) -> String {
        Scope::child(&self.directory, service)
    }

    /// Registers an instance, in the background: whether it is there, [`Registration::ready`] tells. A node of the
    /// same id, left from before a restart, is replaced in one step.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an id or a service that is no name, or with a number that the server appends.
    pub fn register(&self, instance: Instance) -> Result<Registration, Error> {
        let lifetime = match instance.kind() {
            ServiceType::Dynamic => Lifetime::Ephemeral,
            ServiceType::Static | ServiceType::Permanent => Lifetime::Persistent,
            ServiceType::DynamicSequential => {
                return Err(Error::Usage(
                    "an instance with a number has no lasting name",
                ));
            }
        };
        let is_name = |it: &str| !it.is_empty() && !it.contains('/');
        if !is_name(instance.name()) || !is_name(instance.service()) {
            return Err(Error::Usage(
                "an instance's id and its service are names of nodes, without a slash",
            ));
        }
        let data = instance.encode();
        let data = data.map_err(|_| Error::Usage("an instance is JSON"))?;
        let path = Scope::child(&self.service(instance.service()), instance.name());
        let node = PersistentNode::builder(&self.client, path, data).lifetime(lifetime);
        let node = node.replace_at_first().start();
        Ok(Registration::new(node, instance))
    }

    /// The names of all services, whether somebody serves or not.
    ///
    /// # Errors
    ///
    /// What the servers refuse, or a lost connection.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn services(&self) -> Result<Vec<String>, Error> {
        let mut names = self.names(&self.directory).await?;
        names.sort();
        Ok(names)
    }

    /// All instances of a service, read once. Who asks often has a [`provider`](Self::provider).
    ///
    /// # Errors
    ///
    /// What the servers refuse, or a lost connection.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn instances(&self, service: &str) -> Result<Listing, Error> {
        let directory = self.service(service);
        let mut names = self.names(&directory).await?;
        names.sort();
        let mut listing = Listing::default();
        for names in names.chunks(AT_A_TIME) {
            let reads = names.iter().fold(self.client.multi_read(), |reads, name| {
                MultiRead::get(reads, Scope::child(&directory, name))
            });
            for (name, found) in names.iter().zip(reads.await?) {
                let ReadResult::Data(data, _) = found else {
                    continue;
                };
                match Instance::decode(service, name, &data) {
                    Ok(instance) => listing.instances.push(instance),
                    Err(error) => listing.poisoned.push(Poisoned {
                        name: name.clone(),
                        why: error.to_string(),
                    }),
                }
            }
        }
        Ok(listing)
    }

    async fn names(&self, directory: &str) -> Result<Vec<String>, Error> {
        match self.client.children(directory).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
            other => Ok(other?),
        }
    }

    /// Describes somebody who picks from the instances of a service.
    pub fn provider(&self, service: &str) -> ProviderBuilder {
        ProviderBuilder::new(&self.client, service, self.service(service))
    }
}
