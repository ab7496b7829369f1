//! Who may do what: judging a node's ACL, and turning the ACL a client asks for into one to store.

use super::{Rules, ip, size};
use std::collections::BTreeSet;
use zk_proto::{Acl, ClientInfo, ErrorCode, Perms, WireAcl};

/// Something a connection has proved: a scheme and an id in its terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// How it was proved.
    pub scheme: String,
    /// Who it is.
    pub id: String,
}

impl Identity {
    /// An identity.
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    /// The one that may do everything.
    pub fn superuser() -> Self {
        Self::new("super", "")
    }
}

/// Why an ACL is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AclRefused {
    /// It is empty, or has an entry that no one could match.
    Invalid,
    /// An id is missing where its scheme needs one: Java takes the whole request for garbage.
    Garbage,
}

impl From<AclRefused> for ErrorCode {
    fn from(refused: AclRefused) -> Self {
        match refused {
            AclRefused::Invalid => Self::InvalidAcl,
            AclRefused::Garbage => Self::MarshallingError,
        }
    }
}

/// Whether the identities together have one of the wanted permissions.
pub fn permits(rules: &Rules, acl: &[Acl], identities: &[Identity], wanted: Perms) -> bool {
    if rules.skip_acl || acl.is_empty() {
        return true;
    }
    let is_super = || identities.iter().any(|identity| identity.scheme == "super");
    acl.iter()
        .filter(|entry| entry.perms.intersects(wanted))
        .any(|entry| is_world(&entry.scheme, &entry.id) || matches(rules, entry, identities))
        || is_super()
}

fn is_world(scheme: &str, id: &str) -> bool {
    scheme == "world" && id == "anyone"
}

fn matches(rules: &Rules, entry: &Acl, identities: &[Identity]) -> bool {
    let Some(scheme) = Scheme::registered(rules, &entry.scheme) else {
        return false;
    };
    identities
        .iter()
        .filter(|identity| identity.scheme == entry.scheme)
        .any(|identity| match scheme {
            Scheme::Ip => ip::matches(&identity.id, &entry.id),
            Scheme::Digest | Scheme::X509 => identity.id == entry.id,
            Scheme::Sasl => {
                identity.id == "super"
                    || identity.id == entry.id
                    || rules.let_any_sasl_user_do.as_ref() == Some(&entry.id)
            }
        })
}

/// The schemes that can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Digest,
    Ip,
    Sasl,
    X509,
}

impl Scheme {
    fn registered(rules: &Rules, name: &str) -> Option<Self> {
        match name {
            "digest" if rules.digest_auth.is_some() => Some(Self::Digest),
            "ip" => Some(Self::Ip),
            "sasl" if rules.sasl => Some(Self::Sasl),
            "x509" if rules.x509 => Some(Self::X509),
            _ => None,
        }
    }

    /// Whether the entry `auth` stands for identities of this scheme.
    const fn authenticates(self) -> bool {
        !matches!(self, Self::Ip)
    }

    fn accepts(self, id: &str) -> bool {
        match self {
            Self::Digest => is_digest_id(id),
            Self::Ip => ip::is_valid(id),
            Self::Sasl => is_principal(id),
            Self::X509 => is_distinguished_name(id),
        }
    }
}

/// Two parts around a colon, the second not empty; empty parts at the end do not count.
fn is_digest_id(id: &str) -> bool {
    let mut parts: Vec<_> = id.split(':').collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts.len() == 2
}

/// A Kerberos name: `primary`, `primary@REALM` or `primary/instance@REALM`.
fn is_principal(id: &str) -> bool {
    let mut parts = id.split('@');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), None, None) => true,
        (Some(name), Some(_), None) => name.matches('/').count() <= 1,
        _ => false,
    }
}

/// Attributes with values, separated by commas.
fn is_distinguished_name(id: &str) -> bool {
    id.is_empty()
        || id.split(',').all(|part| {
            part.split_once('=')
                .is_some_and(|(attribute, _)| !attribute.trim().is_empty())
        })
}

/// Turns the ACL of a create or setACL into the one to store: without repetitions, `auth` replaced by
/// who asks, every other entry one that someone could match.
///
/// `room` is what all ACLs of one transaction may have as bytes, and shrinks by this one. An `auth` stands
/// for everyone the client has proved to be: without that end a short request becomes a huge list.
pub(super) fn fix_up(
    rules: &Rules,
    asked: Option<&[WireAcl<'_>]>,
    identities: &[Identity],
    room: &mut usize,
) -> Result<Vec<Acl>, AclRefused> {
    let asked = without_repetitions(asked.unwrap_or_default())?;
    let mut fixed = Fixed {
        entries: Vec::with_capacity(asked.len()),
        room,
    };
    for entry in asked {
        let scheme = entry.scheme.as_deref().ok_or(AclRefused::Invalid)?;
        match (scheme, entry.id.as_deref()) {
            ("auth", _) => {
                let before = fixed.entries.len();
                for identity in identities {
                    let scheme = Scheme::registered(rules, &identity.scheme);
                    if scheme.is_some_and(Scheme::authenticates) {
                        fixed.push(entry.perms, &identity.scheme, &identity.id)?;
                    }
                }
                if fixed.entries.len() == before {
                    return Err(AclRefused::Invalid);
                }
            }
            ("world", Some("anyone")) => fixed.push(entry.perms, "world", "anyone")?,
            ("world", None) => return Err(AclRefused::Garbage),
            (scheme, id) => {
                let registered = Scheme::registered(rules, scheme).ok_or(AclRefused::Invalid)?;
                let id = id.ok_or(AclRefused::Garbage)?;
                if !registered.accepts(id) {
                    return Err(AclRefused::Invalid);
                }
                fixed.push(entry.perms, scheme, id)?;
            }
        }
    }
    if fixed.entries.is_empty() {
        return Err(AclRefused::Invalid);
    }
    Ok(fixed.entries)
}

/// An ACL that grows as far as there is room.
struct Fixed<'a> {
    entries: Vec<Acl>,
    room: &'a mut usize,
}

impl Fixed<'_> {
    fn push(&mut self, perms: Perms, scheme: &str, id: &str) -> Result<(), AclRefused> {
        let left = self.room.checked_sub(size::acl_entry(scheme, id));
        *self.room = left.ok_or(AclRefused::Garbage)?;
        self.entries.push(Acl::new(perms, scheme, id));
        Ok(())
    }
}

/// Every entry once. Java stumbles over a missing scheme or id when it has to compare it, that is when
/// an earlier entry agrees in what is compared before; an entry nobody resembles passes, and is judged
/// later.
///
/// What was seen is kept in order and not hashed: a request may have tens of thousands of entries, chosen
/// by who would like them to collide.
fn without_repetitions<'a, 'b>(
    asked: &'a [WireAcl<'b>],
) -> Result<Vec<&'a WireAcl<'b>>, AclRefused> {
    if let [only] = asked {
        return Ok(vec![only]);
    }
    let mut kept: Vec<&WireAcl<'_>> = Vec::with_capacity(asked.len());
    let (mut perms, mut schemes) = (BTreeSet::new(), BTreeSet::new());
    let mut entries = BTreeSet::new();
    for entry in asked {
        let resembled = !perms.insert(entry.perms);
        let Some(scheme) = entry.scheme.as_deref() else {
            if resembled {
                return Err(AclRefused::Garbage);
            }
            kept.push(entry);
            continue;
        };
        let resembled = !schemes.insert((entry.perms, scheme));
        if entry.id.is_none() && resembled {
            return Err(AclRefused::Garbage);
        }
        if entries.insert((entry.perms, scheme, entry.id.as_deref())) {
            kept.push(entry);
        }
    }
    Ok(kept)
}

/// What getACL shows to someone without ADMIN: users without the hashes of their passwords.
pub fn mask(acl: &[Acl]) -> Vec<Acl> {
    acl.iter()
        .map(|entry| match entry.id.split_once(':') {
            Some((user, _)) if entry.scheme == "digest" => {
                Acl::new(entry.perms, "digest", format!("{user}:x"))
            }
            _ => entry.clone(),
        })
        .collect()
}

/// What whoAmI shows: identities without secrets.
pub fn who_am_i(identities: &[Identity]) -> Vec<ClientInfo> {
    identities
        .iter()
        .map(|identity| ClientInfo {
            scheme: identity.scheme.clone(),
            user: match identity.scheme.as_str() {
                "digest" => identity.id.split(':').next().unwrap_or_default().to_owned(),
                _ => identity.id.clone(),
            },
        })
        .collect()
}
