//! Services and their instances, in the layout of Curator's discovery: who registers, and who looks for them.

mod floor;
mod instance;
mod provider;
mod registration;
mod registry;
mod ring;
mod roll;
mod saved;
mod strategy;

pub use floor::Floor;
pub use instance::{Instance, ServiceType, UriSpec};
pub use provider::{Pick, Provider, ProviderBuilder};
pub use registration::Registration;
pub use registry::{Listing, Registry};
pub use roll::{DownPolicy, Poisoned};
pub use strategy::Strategy;
