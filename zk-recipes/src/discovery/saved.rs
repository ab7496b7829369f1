//! A service's instances in a file, for a start without any server.

use super::Instance;
use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use tracing::warn;

#[derive(serde::Serialize, serde::Deserialize)]
struct Saved<I> {
    service: String,
    instances: I,
}

/// What was saved; nobody if there is no such file, or it is of another service.
pub(super) fn load(path: &Path, service: &str) -> Vec<Instance> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            warn!(path = %path.display(), %error, "saved instances cannot be read");
            return Vec::new();
        }
    };
    match serde_json::from_slice::<Saved<Vec<serde_json::Value>>>(&text) {
        Ok(saved) if saved.service == service => {
            let instances = saved.instances.iter().filter_map(|value| {
                let id = value.get("id")?.as_str()?;
                Instance::decode(service, id, value.to_string().as_bytes()).ok()
            });
            instances.collect()
        }
        Ok(_) => Vec::new(),
        Err(error) => {
            warn!(path = %path.display(), %error, "saved instances cannot be read");
            Vec::new()
        }
    }
}

/// The bytes of a file.
pub(super) fn text<'a>(
    service: &str,
    instances: impl Iterator<Item = &'a Instance>,
) -> Result<Vec<u8>, serde_json::Error> {
    let saved = Saved {
        service: service.to_owned(),
        instances: instances.collect::<Vec<_>>(),
    };
    serde_json::to_vec(&saved)
}

/// Writes whatever is newest, until nobody gives it anything any more.
pub(super) async fn keep(path: PathBuf, mut texts: watch::Receiver<Vec<u8>>) {
    while texts.changed().await.is_ok() {
        let (path, text) = (path.clone(), texts.borrow_and_update().clone());
        let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
        if let Ok(Err(error)) = written {
            warn!(%error, "instances cannot be saved");
        }
    }
}

/// The whole new file, or the whole old one.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
