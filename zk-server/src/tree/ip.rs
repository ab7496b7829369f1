//! The scheme `ip`: addresses and networks in Java's spelling, which is narrower than that of the
//! standard library in some places and wider in others.

/// Whether an ACL may name this address or network.
pub(super) fn is_valid(id: &str) -> bool {
    parse_network(id).is_some()
}

/// Whether an address lies in the network that an ACL names.
pub(super) fn matches(address: &str, network: &str) -> bool {
    let (Some((network, bits)), Some(address)) = (parse_network(network), parse(address)) else {
        return false;
    };
    match (network, address) {
        (Address::V4(a), Address::V4(b)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a & mask == b & mask
        }
        (Address::V6(a), Address::V6(b)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a & mask == b & mask
        }
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Address {
    V4(u32),
    V6(u128),
}

fn parse_network(id: &str) -> Option<(Address, u32)> {
    let (address, bits) = match id.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (id, None),
    };
    let address = parse(address)?;
    let width = match address {
        Address::V4(_) => 32,
        Address::V6(_) => 128,
    };
    let bits = match bits {
        // As Java's parseInt: a plus sign is allowed, and so is -0.
        Some(bits) => u32::try_from(bits.parse::<i32>().ok()?).ok()?,
        None => width,
    };
    (bits <= width).then_some((address, bits))
}

fn parse(address: &str) -> Option<Address> {
    if address.contains(':') {
        parse_v6(address).map(Address::V6)
    } else {
        parse_v4(address).map(Address::V4)
    }
}

fn parse_v4(address: &str) -> Option<u32> {
    let mut parts = address.split('.');
    let mut value = 0;
    for _ in 0..4 {
        let part = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
        value = value << 8 | u32::from(part);
    }
    parts.next().is_none().then_some(value)
}

fn parse_v6(address: &str) -> Option<u128> {
    let groups = |text: &str| -> Option<Vec<u16>> {
        if text.is_empty() {
            return Some(Vec::new());
        }
        text.split(':').map(parse_group).collect()
    };
    let mut halves = address.split("::");
    let head = groups(halves.next()?)?;
    let groups = match (halves.next(), halves.next()) {
        (None, _) => head,
        (Some(tail), None) => {
            let tail = groups(tail)?;
            // The double colon stands for at least one group.
            let zeros = 8_usize
                .checked_sub(head.len() + tail.len())
                .filter(|&zeros| zeros > 0)?;
            [head, vec![0; zeros], tail].concat()
        }
        _ => return None,
    };
    (groups.len() == 8).then(|| {
        groups
            .iter()
            .fold(0, |value, &group| value << 16 | u128::from(group))
    })
}

fn parse_group(group: &str) -> Option<u16> {
    // Java's parseInt takes a sign here; nobody means one.
    let digits = !group.is_empty() && group.bytes().all(|b| b.is_ascii_hexdigit());
    (digits && group.len() <= 4).then(|| u16::from_str_radix(group, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_as_java_judges_them() {
        for good in [
            "127.0.0.1",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "1.2.3.4/32",
            "::1",
            "1::",
            "::",
            "2001:db8::/32",
            "fe80::1/128",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.-4",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "1.2.3.4/a",
            "1.2.3.4/8/8",
            ":::",
            "1::2::3",
            "12345::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::",
            "::ffff:1.2.3.4",
            "::/129",
            "g::",
            ":1",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_only() {
        for (address, network, inside) in [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4/31", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("2001:db8::5", "2001:db8::/32", true),
            ("2001:db9::5", "2001:db8::/32", false),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("::1", "0.0.0.0/0", false),
            ("10.1.2.3", "::/0", false),
            ("2001::1", "::/0", true),
            ("unknown", "0.0.0.0/0", false),
        ] {
            assert_eq!(matches(address, network), inside, "{address} in {network}");
        }
    }
}
