//! File descriptors: as many as this process may have, the last of them for whoever is no client.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What no client gets where there are many: the log rolls, snapshots are written, members come back.
const RESERVED: u64 = 64;

/// Raises the limit on open files as far as this process may, as Java's machines do: a shell's usual 1024
/// are fewer than a server's clients. For binaries; a library leaves the process it lives in as it is.
///
/// # Errors
/// The system refuses.
pub fn raise_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Whether a client's descriptor is one of the last that the process may have. The system gives the
/// lowest free number, so no counting is needed.
pub(crate) fn is_reserved(client: BorrowedFd<'_>) -> bool {
    let limit = getrlimit(Resource::Nofile).current;
    let number = u64::try_from(client.as_raw_fd()).unwrap_or(0);
    limit.is_some_and(|limit| number >= first_reserved(limit))
}

/// Of few, a quarter.
const fn first_reserved(limit: u64) -> u64 {
    let quarter = limit / 4;
    limit
        - if quarter < RESERVED {
            quarter
        } else {
            RESERVED
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_reserved() {
        for (limit, first) in [(0, 0), (3, 3), (64, 48), (256, 192), (1024, 960)] {
            assert_eq!(first_reserved(limit), first);
        }
        assert_eq!(first_reserved(u64::MAX), u64::MAX - RESERVED);
    }
}
