//! Error codes, one table. Numbers that are not in it are kept, so that a newer peer can be quoted.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $java:literal;)*) => {
        /// Why an operation was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A number that this table does not know.
            Other(i32),
        }

        impl ErrorCode {
            /// Every code that has a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];

            /// Reads a code; zero is success and has none.
            pub const fn from_wire(number: i32) -> Option<Self> {
                match number {
                    0 => None,
                    $($number => Some(Self::$name),)*
                    other => Some(Self::Other(other)),
                }
            }

            /// The number for the wire.
            pub const fn to_wire(self) -> i32 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The name the Java implementation gives it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $java,)*
                    Self::Other(_) => "UNKNOWN",
                }
            }
        }
    };
}

codes! {
    /// Marks the range of system errors; never sent.
    SystemError = -1, "SYSTEMERROR";
    /// In a failed multi: this operation came after the one that failed.
    RuntimeInconsistency = -2, "RUNTIMEINCONSISTENCY";
    /// Never sent.
    DataInconsistency = -3, "DATAINCONSISTENCY";
    /// Made by clients: the connection broke.
    ConnectionLoss = -4, "CONNECTIONLOSS";
    /// The request could not be decoded, or makes no sense.
    MarshallingError = -5, "MARSHALLINGERROR";
    /// No such operation, or the feature is off.
    Unimplemented = -6, "UNIMPLEMENTED";
    /// Made by clients: no answer in time.
    OperationTimeout = -7, "OPERATIONTIMEOUT";
    /// An invalid path, flag or TTL.
    BadArguments = -8, "BADARGUMENTS";
    /// The server does not know the session.
    UnknownSession = -12, "UNKNOWNSESSION";
    /// No quorum of the new configuration is connected.
    NewConfigNoQuorum = -13, "NEWCONFIGNOQUORUM";
    /// Another reconfiguration is pending.
    ReconfigInProgress = -14, "RECONFIGINPROGRESS";
    /// Marks the range of refusals.
    ApiError = -100, "APIERROR";
    /// No such node.
    NoNode = -101, "NONODE";
    /// The ACL does not permit it.
    NoAuth = -102, "NOAUTH";
    /// The version is not the expected one.
    BadVersion = -103, "BADVERSION";
    /// An ephemeral node has no children.
    NoChildrenForEphemerals = -108, "NOCHILDRENFOREPHEMERALS";
    /// The node exists.
    NodeExists = -110, "NODEEXISTS";
    /// The node has children.
    NotEmpty = -111, "NOTEMPTY";
    /// The session is closed or expired.
    SessionExpired = -112, "SESSIONEXPIRED";
    /// Made by clients.
    InvalidCallback = -113, "INVALIDCALLBACK";
    /// The ACL is empty or has an entry that no one could match.
    InvalidAcl = -114, "INVALIDACL";
    /// The credentials were refused.
    AuthFailed = -115, "AUTHFAILED";
    /// The session lives on another server.
    SessionMoved = -118, "SESSIONMOVED";
    /// The server is read-only.
    NotReadOnly = -119, "NOTREADONLY";
    /// A local session owns no ephemeral nodes.
    EphemeralOnLocalSession = -120, "EPHEMERALONLOCALSESSION";
    /// There is no such watch.
    NoWatcher = -121, "NOWATCHER";
    /// Made by clients.
    RequestTimeout = -122, "REQUESTTIMEOUT";
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123, "RECONFIGDISABLED";
    /// The server demands authentication.
    SessionClosedRequireAuth = -124, "SESSIONCLOSEDREQUIRESASLAUTH";
    /// A quota forbids it.
    QuotaExceeded = -125, "QUOTAEXCEEDED";
    /// The server had too much to do and did not execute the request.
    ThrottledOp = -127, "THROTTLEDOP";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.to_wire())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_wire() {
        for &code in ErrorCode::NAMED {
            assert_eq!(ErrorCode::from_wire(code.to_wire()), Some(code));
        }
        assert_eq!(ErrorCode::from_wire(0), None);
        assert_eq!(ErrorCode::from_wire(-117), Some(ErrorCode::Other(-117)));
    }
}
