//! Look-outs beside the loop: for room on the disk, and for moments at which the process stood still.

use crate::config::Config;
use crate::config::settings::PauseMonitor;
use crate::disk::files::{Files, RealFiles, Space};
use crate::replica::{Event, Replica};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How often the disk is asked at least. Nobody who writes waits for the answer.
const SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// Sends out whoever the configuration asks for. Each ends when its task is aborted.
pub(crate) async fn send_out(replica: &Arc<Replica>) -> Vec<JoinHandle<()>> {
    let mut posts = Vec::new();
    if let Some(headroom) = replica.config().storage.disk_headroom {
        // Known before the first client comes.
        look_for_space(replica, headroom).await;
        posts.push(tokio::spawn(watch_space(Arc::clone(replica), headroom)));
    }
    if let Some(monitor) = replica.config().misc.pause_monitor {
        posts.push(tokio::spawn(watch_pauses(Arc::clone(replica), monitor)));
    }
    posts
}

async fn watch_space(replica: Arc<Replica>, headroom: u64) {
    loop {
        let _either = tokio::time::timeout(SPACE_INTERVAL, replica.room().half_spent()).await;
        look_for_space(&replica, headroom).await;
    }
}

async fn look_for_space(replica: &Arc<Replica>, headroom: u64) {
    let config = replica.config();
    let dirs = [config.log_dir(), config.snapshot_dir()];
    let durable = replica.room().durable();
    // A file system that hangs must hold up nobody but the one who asked.
    let least = tokio::task::spawn_blocking(move || least_space(&dirs));
    let Ok(Some(space)) = least.await else {
        return;
    };
    let free = space.free;
    let (low, was_low) = replica
        .room()
        .found(space, wanted(space, headroom), durable);
    if low == was_low {
        return;
    }
    if low {
        warn!(
            free,
            headroom,
            "the disk is nearly full: writes other than deletions are refused until there is room"
        );
        replica.send(Event::DiskLow);
    } else {
        info!(free, headroom, "there is room on the disk again");
    }
}

fn least_space(dirs: &[PathBuf]) -> Option<Space> {
    let space = |dir: &PathBuf| match RealFiles.space(dir) {
        Ok(space) => Some(space),
        Err(error) => {
            warn!(dir = %dir.display(), %error, "cannot ask for the room on the disk");
            None
        }
    };
    dirs.iter().filter_map(space).min_by_key(|space| space.free)
}

/// What was written in the configuration is obeyed. The default gives way on a small volume: one of its own
/// size could never be written at all.
fn wanted(space: Space, headroom: u64) -> u64 {
    if Some(headroom) == Config::default().storage.disk_headroom {
        headroom.min(space.total / 8)
    } else {
        headroom
    }
}

async fn watch_pauses(replica: Arc<Replica>, monitor: PauseMonitor) {
    loop {
        let began = Instant::now();
        tokio::time::sleep(monitor.interval).await;
        let pause = began.elapsed().saturating_sub(monitor.interval);
        let latencies = &replica.metrics().here().latencies;
        latencies.jvm_pause_time_ms.record(pause);
        if pause > monitor.warn_above {
            warn!(?pause, "the process stood still");
        } else if pause > monitor.info_above {
            info!(?pause, "the process stood still");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_volume_is_asked_for_less() {
        let default = Config::default().storage.disk_headroom.unwrap();
        let of = |total| Space { free: 0, total };
        assert_eq!(wanted(of(800), default), 100);
        assert_eq!(wanted(of(u64::MAX), default), default);
        assert_eq!(wanted(of(800), 700), 700);
    }

    #[test]
    fn the_fuller_of_two_disks_counts() {
        let temp = tempfile::tempdir().unwrap();
        let missing = temp.path().join("missing");
        assert!(least_space(&[temp.path().to_path_buf(), missing.clone()]).is_some());
        assert_eq!(least_space(&[missing]), None);
    }
}
