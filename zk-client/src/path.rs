//! Paths at the door: checked once, put below the chroot, and told without it.

use zk_proto::ZPath;
use zk_proto::path::{self, PathError};

mod sealed {
    #[expect(unnameable_types, reason = "sealed: paths are judged here alone")]
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for &String {}
    impl Sealed for zk_proto::ZPath<'_> {}
}

/// What may stand where a path is asked for: text, which is checked when the call is made, or a [`ZPath`], which
/// has been checked already, perhaps by the compiler.
pub trait IntoPath: sealed::Sealed {
    /// The text.
    fn text(&self) -> &str;

    /// Whether it is a path.
    fn check(&self) -> Result<(), PathError> {
        path::validate(self.text())
    }
}

impl IntoPath for &str {
    fn text(&self) -> &str {
        self
    }
}

impl IntoPath for String {
    fn text(&self) -> &str {
        self
    }
}

impl IntoPath for &String {
    fn text(&self) -> &str {
        self
    }
}

impl IntoPath for ZPath<'_> {
    fn text(&self) -> &str {
        self.as_str()
    }

    fn check(&self) -> Result<(), PathError> {
        Ok(())
    }
}

/// The path behind the chroot. A path outside of it, which no call of ours can have caused, is told whole.
pub(crate) fn strip<'a>(root: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(root) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None => path,
    }
}

/// The path below the chroot, in its two parts.
pub(crate) fn parts<'a>(root: &'a str, path: &'a str) -> (&'a str, &'a str) {
    if path == "/" && !root.is_empty() {
        (root, "")
    } else {
        (root, path)
    }
}

/// The parent of a path that has been checked, and its name; `None` for the root.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    if path == "/" {
        return None;
    }
    let (parent, name) = path::split(path)?;
    Some((if parent.is_empty() { "/" } else { parent }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chroot_is_put_before_and_taken_away() {
        let check = |root: &str, path: &str, wire: &str| {
            let (first, second) = parts(root, path);
            assert_eq!(format!("{first}{second}"), wire);
            assert_eq!(strip(root, wire), path);
        };
        check("", "/", "/");
        check("", "/a", "/a");
        check("/app", "/", "/app");
        check("/app", "/a/b", "/app/a/b");
        assert_eq!(strip("/app", "/apple"), "/apple");
    }

    #[test]
    fn a_path_has_a_parent_and_a_name() {
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("/a"), Some(("/", "a")));
        assert_eq!(split("/"), None);
    }
}
