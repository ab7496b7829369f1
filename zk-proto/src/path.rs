//! What a path may look like. Rules are Java's, tested on UTF-16 code units there and on characters here.

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No characters at all.
    #[error("a path is not empty")]
    Empty,
    /// Does not begin at the root.
    #[error("a path begins with /")]
    Relative,
    /// Ends in a slash.
    #[error("a path does not end with /")]
    TrailingSlash,
    /// Two slashes in a row.
    #[error("a path has no empty component")]
    EmptyComponent,
    /// A component `.` or `..`.
    #[error("a path has no component . or ..")]
    Dots,
    /// A control character, a surrogate, a private or a supplementary one.
    #[error("a path has no character {0:?}")]
    Character(char),
}

/// Checks a whole path as the server does before it creates or changes a node.
pub fn validate(path: &str) -> Result<(), PathError> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(if path.is_empty() {
            PathError::Empty
        } else {
            PathError::Relative
        });
    };
    if rest.is_empty() {
        return Ok(());
    }
    if rest.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    rest.split('/').try_for_each(validate_component)
}

fn validate_component(component: &str) -> Result<(), PathError> {
    match component {
        "" => Err(PathError::EmptyComponent),
        "." | ".." => Err(PathError::Dots),
        // Printable ASCII is by far the usual case and needs no decoding.
        _ if component.bytes().all(|b| (0x20..0x7f).contains(&b)) => Ok(()),
        _ => match component.chars().find(|&c| is_forbidden(c)) {
            None => Ok(()),
            Some(c) => Err(PathError::Character(c)),
        },
    }
}

const fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{10ffff}')
}

/// A path that has been checked, so that nobody has to check it again.
///
/// ```
/// use zk_proto::ZPath;
///
/// const APP: ZPath<'static> = ZPath::constant("/app"); // a wrong one does not compile
/// assert_eq!(ZPath::new("/app").unwrap(), APP);
/// assert!(ZPath::new("/app/").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZPath<'a>(&'a str);

impl<'a> ZPath<'a> {
    /// The root.
    pub const ROOT: ZPath<'static> = ZPath("/");

    /// Checks a path.
    pub fn new(path: &'a str) -> Result<Self, PathError> {
        validate(path).map(|()| Self(path))
    }

    /// Checks a path while the program is compiled; it has to be plain ASCII.
    ///
    /// # Panics
    ///
    /// If it is no path. In a `const`, that is an error of the compiler.
    pub const fn constant(path: &'a str) -> Self {
        let bytes = path.as_bytes();
        assert!(
            !bytes.is_empty() && bytes[0] == b'/',
            "a path begins with /"
        );
        let mut start = 1;
        let mut at = 1;
        while at <= bytes.len() && bytes.len() > 1 {
            if at == bytes.len() || bytes[at] == b'/' {
                assert!(at > start, "a path has no empty component");
                let dots = bytes[start] == b'.'
                    && (at - start == 1 || (at - start == 2 && bytes[start + 1] == b'.'));
                assert!(!dots, "a path has no component . or ..");
                start = at + 1;
            } else {
                assert!(
                    bytes[at] >= 0x20 && bytes[at] < 0x7f,
                    "a constant path is printable ASCII"
                );
            }
            at += 1;
        }
        Self(path)
    }

    /// The text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl AsRef<str> for ZPath<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl std::fmt::Display for ZPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Splits at the last slash: the parent, where the root is the empty string, and the name.
/// `None` without a slash.
pub fn split(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_judged_as_java_judges_them() {
        let check = |path: &str, expected: Result<(), PathError>| {
            assert_eq!(validate(path), expected, "{path:?}");
        };
        for good in [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/..a",
            "/a..",
            "/a b",
            "/ünïcode-€",
            "/\u{f900}",
        ] {
            check(good, Ok(()));
        }
        check("", Err(PathError::Empty));
        check("a/b", Err(PathError::Relative));
        check("/a/", Err(PathError::TrailingSlash));
        check("//", Err(PathError::TrailingSlash));
        check("/a//b", Err(PathError::EmptyComponent));
        check("/a/./b", Err(PathError::Dots));
        check("/..", Err(PathError::Dots));
        for bad in [
            '\0', '\u{1}', '\u{1f}', '\u{7f}', '\u{9f}', '\u{e000}', '\u{f8ff}', '\u{fff0}',
            '\u{fffd}', '😀',
        ] {
            check(&format!("/a{bad}b"), Err(PathError::Character(bad)));
        }
    }

    #[test]
    fn a_constant_path_is_judged_as_any_other() {
        for path in ["/", "/a", "/a/b", "/...", "/..a", "/.a/b", "/a b"] {
            assert_eq!(ZPath::constant(path).as_str(), path);
        }
        for bad in [
            "", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/..", "/\u{7f}", "/é",
        ] {
            let judged = std::panic::catch_unwind(|| ZPath::constant(bad));
            assert!(judged.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_parent_of_a_top_node_is_the_empty_alias_of_the_root() {
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("/a"), Some(("", "a")));
        assert_eq!(split("a"), None);
    }
}
