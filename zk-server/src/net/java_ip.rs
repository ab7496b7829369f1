//! An internet address as Java writes it: clients see it as their identity, operators in reports.

use std::fmt;
use std::net::IpAddr;

/// `InetAddress.getHostAddress`: no zeros are left out of an IPv6 address.
pub(crate) struct JavaIp(pub(crate) IpAddr);

impl fmt::Display for JavaIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_canonical() {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => {
                let groups = ip.segments().map(|group| format!("{group:x}"));
                f.write_str(&groups.join(":"))
            }
        }
    }
}
