//! What the operating system knows of this process. Asked only when somebody looks.

use rustix::process::{Resource, getrlimit};

/// How many file descriptors are open, or -1 where that cannot be told.
pub fn open_file_descriptors() -> i64 {
    match std::fs::read_dir("/proc/self/fd") {
        // The directory being read is one of them.
        Ok(entries) => i64::try_from(entries.count().saturating_sub(1)).unwrap_or(i64::MAX),
        Err(_) => -1,
    }
}

/// How many file descriptors may be open, or -1 where that cannot be told.
pub fn max_file_descriptors() -> i64 {
    getrlimit(Resource::Nofile)
        .current
        .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_is_counted() {
        let before = open_file_descriptors();
        let files: Vec<_> = (0..40)
            .map(|_| std::fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests of this process open and close files as well, far fewer.
        assert!(open_file_descriptors() >= before + 20);
        assert!(max_file_descriptors() >= open_file_descriptors());
        drop(files);
    }
}
