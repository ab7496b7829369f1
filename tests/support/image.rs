//! A small file system in a file: one that can be full, and one whose power can be cut.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::print_stdout,
    reason = "each test binary uses its own part; a test that cannot run says so"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// xfs is not made smaller than 300 MB.
const SIZE: u64 = 320 << 20;

/// The image, mounted.
pub struct Image {
    files: tempfile::TempDir,
    mounted: bool,
}

fn run(program: &str, words: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    let command = command.args(words).arg(path).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Image {
    /// Makes and mounts one; says why, if that cannot be done here.
    pub fn new(kind: &str) -> Option<Self> {
        let image = Self {
            files: tempfile::tempdir().expect("a directory can be made"),
            mounted: false,
        };
        let file = File::create(image.file()).expect("a file can be made");
        file.set_len(SIZE).expect("it may be sparse");
        std::fs::create_dir(image.path()).expect("a directory can be made");
        if !run(&format!("mkfs.{kind}"), &["-q"], &image.file()) {
            println!("SKIPPED: no mkfs.{kind} here; install e2fsprogs and xfsprogs");
            return None;
        }
        let image = image.mount();
        if image.is_none() {
            println!(
                "SKIPPED: {kind} in a file cannot be mounted here: needs root and loop devices"
            );
        }
        image
    }

    fn file(&self) -> PathBuf {
        self.files.path().join("image")
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.files.path().join("mounted")
    }

    fn mount(mut self) -> Option<Self> {
        let file = self.file();
        let file = file.to_str().expect("a plain name");
        self.mounted = run("mount", &["-o", "loop", file], &self.path());
        self.mounted.then_some(self)
    }

    /// What a power cut leaves: nothing more reaches the disk, and what was not durable is gone. Everyone
    /// who still writes gets EIO.
    pub fn cut(&self) -> bool {
        let done = run("xfs_io", &["-x", "-c", "shutdown"], &self.path());
        if !done {
            println!("SKIPPED: no xfs_io here to cut the power; install xfsprogs");
        }
        done
    }

    /// The machine starts again: the journal is replayed.
    pub fn mount_again(mut self) -> Self {
        assert!(run("umount", &[], &self.path()), "nobody uses it any more");
        self.mounted = false;
        self.mount().expect("it was mounted before")
    }

    /// Takes all the room but so many bytes; the same again with other numbers gives some back.
    pub fn leave(&self, bytes: u64) {
        let path = self.path();
        let ballast = File::create(path.join("ballast")).expect("a file can be made");
        ballast.sync_all().expect("an empty file is durable");
        let numbers = rustix::fs::statvfs(&path).expect("it is mounted");
        let len = (numbers.f_bavail * numbers.f_frsize).saturating_sub(bytes);
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&ballast, flags, 0, len).expect("there is so much room");
        ballast.sync_all().expect("it is written");
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.mounted {
            run("umount", &["-l"], &self.path());
        }
    }
}
