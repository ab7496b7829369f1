//! Whole subtrees in bounded memory: walk one, copy it, write it to a file and read it back. Not a look at one moment:
//! nodes are read one after the other while others change them, and what is gone meanwhile is left out.
//!
//! ```
//! # async fn subtrees(old: zk_client::Client, new: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let mut walk = old.walk("/app");
//! while let Some(node) = walk.next().await? {
//!     println!("{} has {} bytes", node.path, node.data.len());
//! }
//! old.copy("/app", &new, "/app").await?;
//!
//! let mut file = Vec::new(); // anything that is `AsyncWrite`
//! old.export("/app", &mut file).await?;
//! new.import(&mut &file[..], "/restored").await?;
//! # Ok(()) }
//! ```

mod copy;
mod export;
mod walk;

pub use copy::Copied;
pub use export::{ExportError, ImportError};
pub use walk::{Walk, WalkedNode};

/// The path of a child.
fn below(parent: &str, name: &str) -> String {
    let slash = if parent.ends_with('/') { "" } else { "/" };
    format!("{parent}{slash}{name}")
}
