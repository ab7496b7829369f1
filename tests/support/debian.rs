//! Debian's jars of Apache's server.

use std::path::Path;

const JARS: [&str; 13] = [
    "zookeeper",
    "zookeeper-jute",
    "slf4j-api",
    "slf4j-simple",
    "commons-cli",
    "commons-io",
    "servlet-api",
    "snappy-java",
    "netty-all",
    "metrics-core",
    "jackson-databind",
    "jackson-core",
    "jackson-annotations",
];

/// The class path of Debian's server, or of the one that `ZK_JAVA_CP` names.
pub(crate) fn class_path() -> Option<String> {
    if let Ok(classes) = std::env::var("ZK_JAVA_CP") {
        return Some(classes);
    }
    let path = |jar: &str| format!("/usr/share/java/{jar}.jar");
    let there = |path: &String| Path::new(path).exists();
    if !there(&path(JARS[0])) {
        return None;
    }
    let jars: Vec<_> = JARS.into_iter().map(path).filter(there).collect();
    Some(jars.join(":"))
}
